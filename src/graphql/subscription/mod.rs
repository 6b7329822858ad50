//! Subscriptions: no change of an instance is lost; progress may be.
//!
//! A subscription is executed in the two steps of the GraphQL specification (see [`step`]).
//! `CreateSourceEventStream` resolves the arguments of the subscribed field, once for each subscriber.
//! `ExecuteSubscriptionEvent` executes the document for one event, once for all subscribers with
//! the same [`event_query`], which share the bytes of the result ([`shared_results`]). In between, a
//! [`follower`] keeps the position of each subscriber in the event log. It advances only as fast as the
//! subscriber reads: from the log while the subscriber is behind, from the live feed after that. A slow
//! subscriber delays nobody and loses nothing.
//!
//! A new subscriber first gets a snapshot of every instance, page by page in the order of the ids. The log grows
//! meanwhile: before each page, the subscriber gets the new events of the instances whose snapshots it already has. A
//! [`cursor`] therefore says exactly what its holder has: all events up to a number, of the instances up to an id.

use std::sync::Arc;

use async_graphql::{Response, ServerError};
use async_stream::stream;
use futures_util::Stream;
use futures_util::stream::{BoxStream, StreamExt};
use parking_lot::Mutex;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::event_execution::{EventExecutor, ExecutionResult};
use self::event_query::EventQuery;
use self::follower::LogFollower;
use self::step::{Source, Step};
use super::error::ApiError;
use super::guard::Operation;
use super::schema::AppSchema;
use crate::clock::Clock;
use crate::db::Db;
use crate::events::Feed;
use crate::instance::event::Event;
use crate::sync::progress::Progress;

pub mod cursor;
pub mod event_execution;
pub mod event_query;
pub mod follower;
pub mod shared_results;
pub mod step;

/// What the events of subscriptions are read from.
pub struct EventSources {
    pub db: Db,
    pub clock: Clock,
    pub feed: Feed<Event>,
    pub progress: Progress,
    /// Identifies the event log that cursors belong to.
    pub epoch: i64,
}

/// Starts subscriptions.
pub struct Subscriptions {
    schema: AppSchema,
    sources: EventSources,
    executor: Arc<EventExecutor>,
}

impl Subscriptions {
    pub fn new(schema: AppSchema, sources: EventSources, shutdown: CancellationToken) -> Self {
        let executor = Arc::new(EventExecutor::new(schema.clone(), sources.epoch, shutdown));
        Self { schema, sources, executor }
    }

    /// Starts a subscription; the error is the response that says why it cannot be started.
    pub async fn open(
        &self,
        operation: Operation,
        request_id: Uuid,
    ) -> Result<BoxStream<'static, ExecutionResult>, Response> {
        let query = EventQuery::new(operation, request_id);
        let slot = Arc::new(Mutex::new(None));
        let request = query.request().data(Step::CreateSource(slot.clone()));
        if let Some(response) = self.schema.execute_stream(request).next().await {
            return Err(response);
        }
        let source = slot.lock().take().ok_or_else(|| refused("A subscription selects exactly one field."))?;
        let (query, executor) = (Arc::new(query), self.executor.clone());
        Ok(match source {
            Source::InstanceStates { filter, after } => {
                let EventSources { db, clock, feed, .. } = &self.sources;
                let follower = LogFollower::new(db.clone(), clock.clone(), filter, after);
                let deliveries = follower.follow(feed.clone());
                instance_states(executor, query, deliveries).boxed()
            }
            Source::Progress { instance_id } => {
                progress(executor, query, self.sources.progress.clone(), instance_id).boxed()
            }
        })
    }
}

fn refused(message: &str) -> Response {
    Response::from_errors(vec![ServerError::from(ApiError::InvalidInput(message.into()))])
}

fn instance_states(
    executor: Arc<EventExecutor>,
    query: Arc<EventQuery>,
    deliveries: impl Stream<Item = follower::Delivery>,
) -> impl Stream<Item = ExecutionResult> {
    stream! {
        for await (event, cursor) in deliveries {
            if let Some(result) = executor.instance_state(&query, event, cursor).await {
                yield result;
            }
        }
    }
}

fn progress(
    executor: Arc<EventExecutor>,
    query: Arc<EventQuery>,
    progress: Progress,
    only: Option<Uuid>,
) -> impl Stream<Item = ExecutionResult> {
    stream! {
        let mut frames = progress.watch();
        loop {
            match frames.recv().await {
                Ok(frame) if only.is_none_or(|id| id == frame.instance_id) => {
                    if let Some(result) = executor.progress(&query, frame).await {
                        yield result;
                    }
                }
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            }
        }
    }
}
