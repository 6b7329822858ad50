//! Streams of messages within the budget of their caller's token.

use std::pin::pin;

use async_graphql::parser::types::OperationType;
use futures_util::{Stream, StreamExt};

use super::execution::{self, Executor, Message, Transport};
use super::responses::OperationResponse;
use crate::auth::Caller;
use crate::graphql::budget::Exhausted;
use crate::graphql::guard::Operation;

/// The messages of an operation of any kind. A subscription counts until the stream is dropped, and a query or a
/// mutation first waits for its place.
pub fn messages(
    executor: Executor,
    caller: Caller,
    operation: Operation,
    transport: Transport,
) -> Result<impl Stream<Item = Message> + Send + 'static, Exhausted> {
    let budget = operation.budget().clone();
    let subscription = (operation.kind() == OperationType::Subscription).then(|| budget.subscription()).transpose()?;
    Ok(async_stream::stream! {
        let place = match subscription {
            Some(permit) => Ok(permit),
            None => budget.operation().await,
        };
        let _place = match place {
            Ok(permit) => permit,
            Err(exhausted) => {
                execution::count_refused(transport);
                yield Message::Error(OperationResponse::errors([exhausted.into()]));
                return;
            }
        };
        let mut messages = pin!(executor.messages(caller, operation, transport));
        while let Some(message) = messages.next().await {
            yield message;
        }
    })
}
