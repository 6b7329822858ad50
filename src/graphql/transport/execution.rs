//! The execution of operations, the same for every transport: in a span, within a time limit, with
//! panics caught and the outcome counted.
//!
//! A query is dropped when its client disconnects. A mutation that has begun runs to its end or its
//! time limit, so that no client can interrupt it halfway.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use async_graphql::ServerError;
use async_graphql::parser::types::OperationType;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, Stream, StreamExt};
use tokio::time::timeout;
use tracing::{Instrument, Span};
use uuid::Uuid;

use super::params::Params;
use super::responses::OperationResponse;
use crate::audit::Origin;
use crate::audit::journal::Journal;
use crate::auth::Caller;
use crate::graphql::answers::{Answers, Found};
use crate::graphql::api::{Api, Wanted};
use crate::graphql::audited::{self, Trail};
use crate::graphql::error::Code;
use crate::graphql::guard::{Guard, Operation};
use crate::graphql::schema::{AppSchema, EXECUTION_TIMEOUT};
use crate::graphql::subscription::Subscriptions;
use crate::graphql::subscription::results::{Batch, ExecutionResult};
use crate::graphql::wanted::wanted;

/// The transport of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A single response over HTTP.
    Http,
    /// graphql-transport-ws.
    WebSocket,
    /// Server-sent events.
    Sse,
}

impl Transport {
    fn label(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::WebSocket => "websocket",
            Self::Sse => "sse",
        }
    }
}

/// A message about one operation, as graphql-transport-ws and GraphQL over SSE define them.
pub enum Message {
    /// Results.
    Next(Batch),
    /// The operation was not executed: the GraphQL errors as a JSON array. No message follows.
    Error(Bytes),
    /// The operation has ended. No message follows.
    Complete,
}

/// Executes operations for callers.
#[derive(Clone)]
pub struct Executor {
    api: Api,
    schema: AppSchema,
    subscriptions: Arc<Subscriptions>,
    guard: Arc<Guard>,
    answers: Arc<Answers>,
}

impl Executor {
    pub fn new(
        api: Api,
        schema: AppSchema,
        subscriptions: Subscriptions,
        answers: Answers,
        introspection: bool,
    ) -> Self {
        Self {
            api,
            schema,
            subscriptions: Arc::new(subscriptions),
            guard: Arc::new(Guard::new(introspection)),
            answers: Arc::new(answers),
        }
    }

    /// Where refusals are recorded.
    pub fn journal(&self) -> &Journal {
        &self.api.journal
    }

    /// Checks the parameters with the guard, and makes an operation of them.
    pub fn check(&self, params: Params) -> Result<Operation, ServerError> {
        self.guard.check(params.into())
    }

    /// Executes a query or a mutation.
    pub async fn execute(&self, caller: Caller, operation: Operation, transport: Transport) -> OperationResponse {
        let run = OperationRun::start(&operation, transport);
        let (executor, id) = (self.clone(), run.id);
        let origin = audited::origin(&caller, operation.address(), id);
        let executed = if run.kind == OperationType::Mutation {
            let trail = Trail::new(origin.clone(), self.api.journal.clone(), operation.root_fields());
            let operation = operation.with_data(trail.clone());
            let (run, unfinished) = (run.clone(), trail.clone());
            let work = async move {
                let answer = async move { Ok(executor.answer(caller, operation, origin, Some(trail)).await) };
                let executed = run.bounded(Box::pin(answer)).await;
                if executed.is_err() {
                    Box::pin(unfinished.end(Code::OutcomeUnknown)).await;
                }
                executed
            };
            tokio::spawn(work).await.unwrap_or_else(|_| Err(OperationResponse::failed(id)))
        } else {
            run.clone().bounded(async move { Ok(executor.answer(caller, operation, origin, None).await) }).await
        };
        let response = executed.unwrap_or_else(|response| response);
        run.count(response.outcome());
        response
    }

    /// The answer, from those that are kept if there is one.
    async fn answer(
        &self,
        caller: Caller,
        operation: Operation,
        origin: Origin,
        trail: Option<Trail>,
    ) -> OperationResponse {
        let asked = match self.answers.find(&caller, &operation).await {
            Found::Answer(json) => return OperationResponse::Executed(json),
            Found::Nothing(asked) => asked,
        };
        let is_query = operation.kind() == OperationType::Query;
        let wanted = if is_query { wanted(&operation.checked().document) } else { Wanted::ALL };
        let api = self.api.of(&caller, wanted);
        let mut request = operation.into_request().data(caller).data(api).data(origin.clone());
        if let Some(asked) = &asked {
            request = request.data(asked.holds.clone());
        }
        let response = self.schema.execute(request).await;
        let id = origin.request_id.unwrap_or_default();
        if !response.errors.is_empty() {
            Box::pin(audited::record_refusal(&self.api.journal, origin, trail, &response.errors)).await;
        }
        let response = OperationResponse::of(response, id);
        if let (Some(asked), Some(json)) = (asked, response.without_errors()) {
            self.answers.keep(&asked, json);
        }
        response
    }

    /// Executes an operation of any kind. The stream does nothing unless it is polled.
    pub fn messages(
        self,
        caller: Caller,
        operation: Operation,
        transport: Transport,
    ) -> impl Stream<Item = Message> + Send + 'static {
        async_stream::stream! {
            let response = if operation.kind() == OperationType::Subscription {
                match Box::pin(self.subscribe(caller, operation, transport)).await {
                    Ok(mut results) => {
                        while let Some(batch) = results.next().await {
                            yield Message::Next(batch);
                        }
                        yield Message::Complete;
                        return;
                    }
                    Err(response) => response,
                }
            } else {
                Box::pin(self.execute(caller, operation, transport)).await
            };
            match response {
                OperationResponse::Refused(errors) | OperationResponse::Limited(errors, _) => {
                    yield Message::Error(errors);
                }
                response => {
                    yield Message::Next(ExecutionResult { json: response.into_body(), cursor: None }.into());
                    yield Message::Complete;
                }
            }
        }
    }

    async fn subscribe(
        &self,
        caller: Caller,
        operation: Operation,
        transport: Transport,
    ) -> Result<BoxStream<'static, Batch>, OperationResponse> {
        let run = OperationRun::start(&operation, transport);
        let (subscriptions, journal, id) = (self.subscriptions.clone(), self.api.journal.clone(), run.id);
        let opened = run.clone().bounded(async move {
            let origin = audited::origin(&caller, operation.address(), id);
            match subscriptions.open(caller, operation, id).await {
                Ok(opened) => Ok(opened),
                Err(response) => {
                    Box::pin(audited::record_refusal(&journal, origin, None, &response.errors)).await;
                    Err(OperationResponse::refused(response.errors))
                }
            }
        });
        let opened = opened.await;
        run.count(opened.as_ref().map_or_else(OperationResponse::outcome, |_| "executed"));
        opened.map(|results| run.results(results).boxed())
    }
}

/// One operation from its start. Every query, mutation and subscription of every transport has one.
#[derive(Clone)]
struct OperationRun {
    /// The request id of errors, which finds them in the log.
    id: Uuid,
    transport: Transport,
    kind: OperationType,
    /// Adds the operation to every log line below it. Documents and variables are never logged.
    span: Span,
}

impl OperationRun {
    fn start(operation: &Operation, transport: Transport) -> Self {
        let (id, kind) = (Uuid::now_v7(), operation.kind());
        // A span of a lower level would be missing from errors if the log shows only errors.
        let span = tracing::error_span!(
            "graphql.operation",
            transport = transport.label(),
            kind = kind_label(kind),
            name = operation.name(),
            request.id = %id,
        );
        Self { id, transport, kind, span }
    }

    /// Does the work of the operation, or of the start of a subscription, within the time limit.
    async fn bounded<T>(
        self,
        work: impl Future<Output = Result<T, OperationResponse>>,
    ) -> Result<T, OperationResponse> {
        let work = AssertUnwindSafe(work).catch_unwind().instrument(self.span.clone());
        match timeout(EXECUTION_TIMEOUT, work).await {
            Ok(Ok(result)) => result,
            Ok(Err(_panic)) => Err(self.panicked()),
            // It may have been at its commit.
            Err(_elapsed) if self.kind == OperationType::Mutation => Err(OperationResponse::outcome_unknown(self.id)),
            Err(_elapsed) => Err(OperationResponse::timed_out()),
        }
    }

    /// The results of a subscription, each of which is produced in the span.
    fn results(self, results: BoxStream<'static, Batch>) -> impl Stream<Item = Batch> {
        let mut results = AssertUnwindSafe(results).catch_unwind();
        stream::poll_fn(move |cx| {
            let _entered = self.span.enter();
            let panicked = |_| ExecutionResult { json: self.panicked().into_body(), cursor: None }.into();
            results.poll_next_unpin(cx).map(|next| next.map(|result| result.unwrap_or_else(panicked)))
        })
    }

    fn panicked(&self) -> OperationResponse {
        metrics::counter!("muster_graphql_panics_total").increment(1);
        tracing::error!(parent: &self.span, "an operation panicked; only its own request failed");
        OperationResponse::failed(self.id)
    }

    fn count(&self, outcome: &'static str) {
        count(self.transport, kind_label(self.kind), outcome);
    }
}

/// Counts a request that was refused before its kind was known.
pub fn count_refused(transport: Transport) {
    count(transport, "unknown", "refused");
}

fn count(transport: Transport, kind: &'static str, outcome: &'static str) {
    metrics::counter!(
        "muster_graphql_requests_total",
        "door" => transport.label(), "kind" => kind, "outcome" => outcome
    )
    .increment(1);
}

fn kind_label(kind: OperationType) -> &'static str {
    match kind {
        OperationType::Query => "query",
        OperationType::Mutation => "mutation",
        OperationType::Subscription => "subscription",
    }
}
