//! Executing a vetted operation, for every door alike: bounded in time, a panic
//! caught, the outcome counted.
//!
//! A query dies with its client. A mutation does not: once begun it runs to its
//! end or its time limit, so that a client that leaves cannot cut it in half.

use std::{panic::AssertUnwindSafe, time::Duration};

use async_graphql::parser::types::OperationType;
use bytes::Bytes;
use futures_util::{FutureExt, Stream, StreamExt, stream};
use tokio::time::timeout;

use super::gateway::{Frame, Gateway};
use super::responses::Answer;
use crate::auth::Caller;
use crate::graphql::guard::Operation;

/// How long a query or mutation, or the opening of a subscription, may take.
pub const EXECUTION_TIMEOUT: Duration = Duration::from_secs(30);

/// The transport by which an operation came in; a label of the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// A single answer over HTTP.
    Http,
    /// graphql-transport-ws.
    WebSocket,
    /// Server-sent events.
    Events,
}

impl Door {
    fn label(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::WebSocket => "websocket",
            Self::Events => "sse",
        }
    }
}

/// What a long-lived transport sends on about one operation.
#[derive(Clone, Debug)]
pub enum Emission {
    /// A result.
    Next(Frame),
    /// The operation was not executed: the GraphQL errors as a JSON array. Nothing follows.
    Refused(Bytes),
    /// The operation is over. Nothing follows.
    Complete,
}

/// Executes a query or a mutation.
pub async fn execute(gateway: &Gateway, caller: Caller, operation: Operation, door: Door) -> Answer {
    let kind = operation.kind();
    let gateway = gateway.clone();
    let work = async move {
        let response = AssertUnwindSafe(gateway.execute(caller, operation)).catch_unwind();
        match timeout(EXECUTION_TIMEOUT, response).await {
            Ok(Ok(response)) => Answer::of(&response),
            Ok(Err(_panic)) => panicked(),
            // A mutation may have been at its commit.
            Err(_elapsed) if kind == OperationType::Mutation => Answer::uncertain(),
            Err(_elapsed) => Answer::timed_out(),
        }
    };
    let answer = if kind == OperationType::Mutation {
        tokio::spawn(work).await.unwrap_or_else(|_| panicked())
    } else {
        work.await
    };
    count(door, kind_label(kind), answer.outcome());
    answer
}

/// Executes an operation of any kind. The stream makes progress only while it is polled, and
/// ends after [`Emission::Refused`] or [`Emission::Complete`].
pub fn emissions(
    gateway: Gateway,
    caller: Caller,
    operation: Operation,
    door: Door,
) -> impl Stream<Item = Emission> + Send + 'static {
    async_stream::stream! {
        if operation.kind() != OperationType::Subscription {
            for emission in of_answer(execute(&gateway, caller, operation, door).await) {
                yield emission;
            }
            return;
        }
        let opened = subscribe(&gateway, caller, operation).await;
        let outcome = opened.as_ref().map_or_else(Answer::outcome, |_| "executed");
        count(door, "subscription", outcome);
        let mut frames = match opened {
            Ok(frames) => frames,
            Err(answer) => {
                for emission in of_answer(answer) {
                    yield emission;
                }
                return;
            }
        };
        while let Some(frame) = frames.next().await {
            match frame {
                Ok(frame) => yield Emission::Next(frame),
                Err(_panic) => yield next(panicked()),
            }
        }
        yield Emission::Complete;
    }
}

/// Counts a request that came to nothing before its kind was known.
pub fn count_refused(door: Door) {
    count(door, "unknown", "refused");
}

type Frames = stream::CatchUnwind<AssertUnwindSafe<stream::BoxStream<'static, Frame>>>;

async fn subscribe(gateway: &Gateway, caller: Caller, operation: Operation) -> Result<Frames, Answer> {
    let opening = AssertUnwindSafe(gateway.subscribe(caller, operation)).catch_unwind();
    match timeout(EXECUTION_TIMEOUT, opening).await {
        Ok(Ok(Ok(frames))) => Ok(AssertUnwindSafe(frames).catch_unwind()),
        Ok(Ok(Err(response))) => Err(Answer::refused(&response.errors)),
        Ok(Err(_panic)) => Err(panicked()),
        Err(_elapsed) => Err(Answer::timed_out()),
    }
}

fn of_answer(answer: Answer) -> Vec<Emission> {
    match answer {
        Answer::Refused(errors) => vec![Emission::Refused(errors)],
        answer => vec![next(answer), Emission::Complete],
    }
}

fn next(answer: Answer) -> Emission {
    Emission::Next(Frame { payload: answer.into_body(), cursor: None })
}

fn panicked() -> Answer {
    metrics::counter!("muster_graphql_panics_total").increment(1);
    tracing::error!("an operation panicked; only its own request failed");
    Answer::broken()
}

fn kind_label(kind: OperationType) -> &'static str {
    match kind {
        OperationType::Query => "query",
        OperationType::Mutation => "mutation",
        OperationType::Subscription => "subscription",
    }
}

fn count(door: Door, kind: &'static str, outcome: &'static str) {
    metrics::counter!(
        "muster_graphql_requests_total",
        "door" => door.label(), "kind" => kind, "outcome" => outcome
    )
    .increment(1);
}
