//! Executes the query of a subscription for one event.

use std::sync::Arc;
use std::time::Duration;

use async_graphql::{Response, Value};
use bytes::Bytes;
use entity::event::Cause;
use futures_util::StreamExt;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::cursor::Cursor;
use super::event_query::EventQuery;
use super::results::ExecutionResult;
use super::shared_results::{ResultKey, SharedResults};
use super::step::Step;
use crate::graphql::error::{ApiError, Code, with_request_id};
use crate::graphql::json;
use crate::graphql::schema::{AppSchema, EXECUTION_TIMEOUT};
use crate::instance::event::Event;
use crate::sync::progress::ProgressFrame;

/// How long to wait before a query that gave no data is executed again.
const RETRIES: [Duration; 3] = [Duration::from_millis(100), Duration::from_millis(500), Duration::from_secs(2)];
/// How long to wait while the database is unavailable.
const UNAVAILABLE_RETRY: Duration = RETRIES[RETRIES.len() - 1];

/// Executes the queries of subscriptions for events.
pub struct EventExecutor {
    schema: AppSchema,
    /// Identifies the event log that cursors belong to.
    epoch: i64,
    shutdown: CancellationToken,
    shared: SharedResults,
}

/// How complete the data of a response is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Completeness {
    Complete,
    NoData,
    /// Some of it is missing because the database is unavailable.
    DatabaseUnavailable,
}

impl EventExecutor {
    pub fn new(schema: AppSchema, epoch: i64, shutdown: CancellationToken) -> Self {
        Self { schema, epoch, shutdown, shared: SharedResults::default() }
    }

    /// The result for the change of an instance. Subscribers with equal queries share it. `None`: the server stops.
    pub async fn instance_state(
        self: &Arc<Self>,
        query: &Arc<EventQuery>,
        event: Arc<Event>,
        cursor: Cursor,
        request_id: Uuid,
    ) -> Option<ExecutionResult> {
        let snapshot_of = (event.cause == Cause::Snapshot).then_some(event.snapshot.instance.id);
        let key = ResultKey { query: query.key, cursor, snapshot_of };
        let compute = || {
            let (executor, query) = (self.clone(), query.clone());
            async move {
                let step = Step::InstanceState(event, cursor);
                let json = executor.execute_with_retries(&query, step, request_id).await?;
                Some(ExecutionResult { json, cursor: Some(cursor.encode(executor.epoch).into()) })
            }
        };
        self.shared.get_or_compute(key, query.budget(), compute).await
    }

    /// The result for the progress of a run.
    pub async fn progress(
        &self,
        query: &EventQuery,
        frame: ProgressFrame,
        request_id: Uuid,
    ) -> Option<ExecutionResult> {
        let (json, _) = self.execute(query, Step::Progress(frame), request_id).await?;
        Some(ExecutionResult { json, cursor: None })
    }

    /// A change must not be lost. A query without data is therefore executed again before its errors are
    /// sent, and as long as the database is unavailable.
    async fn execute_with_retries(&self, query: &EventQuery, step: Step, request_id: Uuid) -> Option<Bytes> {
        let mut retries = RETRIES.into_iter();
        loop {
            let (json, completeness) = self.execute(query, step.clone(), request_id).await?;
            let wait = match completeness {
                Completeness::Complete => return Some(json),
                Completeness::NoData => match retries.next() {
                    Some(wait) => wait,
                    None => return Some(json),
                },
                Completeness::DatabaseUnavailable => UNAVAILABLE_RETRY,
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.shutdown.cancelled() => return None,
            }
        }
    }

    async fn execute(&self, query: &EventQuery, step: Step, request_id: Uuid) -> Option<(Bytes, Completeness)> {
        let mut responses = self.schema.execute_stream(query.request().data(step));
        let mut response = match tokio::time::timeout(EXECUTION_TIMEOUT, responses.next()).await {
            Ok(response) => response?,
            Err(_elapsed) => {
                let message = "The execution for this event took too long; ask for less.";
                Response::from_errors(vec![ApiError::InvalidInput(message.into()).into()])
            }
        };
        let completeness = if response.errors.iter().any(|error| Code::Unavailable.is_of(error)) {
            Completeness::DatabaseUnavailable
        } else if response.data == Value::Null {
            Completeness::NoData
        } else {
            Completeness::Complete
        };
        let errors = std::mem::take(&mut response.errors);
        response.errors = errors.into_iter().map(|error| with_request_id(error, request_id)).collect();
        Some((json::response(&response).into(), completeness))
    }
}
