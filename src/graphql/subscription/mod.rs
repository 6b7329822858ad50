//! Subscriptions: no change of an instance is lost; progress may be.
//!
//! A subscription is executed in the two steps of the GraphQL specification (see [`step`]).
//! `CreateSourceEventStream` resolves the arguments of the subscribed field, once for each subscriber.
//! `ExecuteSubscriptionEvent` executes the document for one event, once for all subscribers with
//! the same [`event_query`], which share the bytes of the result ([`shared_results`]). In between, a
//! [`follower`] keeps the position of each subscriber in the event log. It advances only as fast as the
//! subscriber reads, and takes the events from [`crate::events::Log`], which reads each of them once for all
//! subscribers. A slow subscriber delays nobody and loses nothing. Subscribers that are far behind take [`turns`].
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
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;
use uuid::Uuid;

use self::event_execution::EventExecutor;
use self::event_query::EventQuery;
use self::follower::LogFollower;
use self::results::Batch;
use self::snapshots::SnapshotPages;
use self::step::{Source, Step};
use self::turns::Turns;
use super::api::Api;
use super::error::ApiError;
use super::guard::Operation;
use super::schema::AppSchema;
use crate::auth::Caller;
use crate::clock::Clock;
use crate::db::Db;
use crate::events::Log;
use crate::instance::event::Event;
use crate::sync::progress::{Progress, ProgressFrame};

pub mod cursor;
pub mod event_execution;
pub mod event_query;
pub mod follower;
pub mod results;
pub mod shared_results;
pub mod snapshots;
pub mod step;
pub mod turns;

/// How many bytes of results are handed over at once, unless one alone is larger.
const MAX_BATCH_BYTES: usize = 64 * 1024;

/// What the events of subscriptions are read from.
pub struct EventSources {
    pub db: Db,
    pub clock: Clock,
    pub log: Log<Event>,
    pub progress: Progress,
    /// Identifies the event log that cursors belong to.
    pub epoch: i64,
}

/// Starts subscriptions.
pub struct Subscriptions {
    api: Api,
    schema: AppSchema,
    sources: follower::Sources,
    progress: Progress,
    executor: Arc<EventExecutor>,
}

impl Subscriptions {
    pub fn new(api: Api, schema: AppSchema, sources: EventSources, shutdown: CancellationToken) -> Self {
        let EventSources { db, clock, log, progress, epoch } = sources;
        let executor = Arc::new(EventExecutor::new(schema.clone(), epoch, shutdown));
        let snapshots = Arc::new(SnapshotPages::new(db, clock));
        let sources = follower::Sources { log, snapshots, turns: Turns::default() };
        Self { api, schema, sources, progress, executor }
    }

    /// Starts a subscription; the error is the response that says why it cannot be started.
    pub async fn open(
        &self,
        caller: Caller,
        operation: Operation,
        request_id: Uuid,
    ) -> Result<BoxStream<'static, Batch>, Response> {
        let query = EventQuery::new(&self.api, caller, operation);
        let slot = Arc::new(Mutex::new(None));
        let request = query.request().data(Step::CreateSource(slot.clone()));
        if let Some(response) = self.schema.execute_stream(request).next().await {
            return Err(response);
        }
        let source = slot.lock().take().ok_or_else(|| refused("A subscription selects exactly one field."))?;
        let asked = Asked { executor: self.executor.clone(), query: Arc::new(query), request_id };
        Ok(match source {
            Source::InstanceStates { filter, after } => {
                asked.instance_states(LogFollower::new(self.sources.clone(), filter, after)).boxed()
            }
            Source::Progress { instance_id, seen } => {
                let wanted = move |frame: &ProgressFrame| {
                    instance_id.is_none_or(|id| id == frame.instance_id)
                        && seen.as_ref().is_none_or(|scope| scope.has(&frame.integration_key, frame.instance_id))
                };
                asked.progress(self.progress.clone(), wanted).boxed()
            }
        })
    }
}

fn refused(message: &str) -> Response {
    Response::from_errors(vec![ServerError::from(ApiError::InvalidInput(message.into()))])
}

/// What a subscriber asks for each event.
struct Asked {
    executor: Arc<EventExecutor>,
    query: Arc<EventQuery>,
    request_id: Uuid,
}

impl Asked {
    fn instance_states(self, mut follower: LogFollower) -> impl Stream<Item = Batch> {
        stream! {
            loop {
                // Nothing is read before, so that nobody waits for the events in between.
                self.query.budget().solvent().await;
                let (deliveries, turn) = follower.next().await;
                let (mut results, mut bytes) = (Vec::with_capacity(deliveries.len()), 0);
                for (event, cursor) in deliveries {
                    let result = self.executor.instance_state(&self.query, event, cursor, self.request_id).await;
                    // Without a result, the server stops.
                    let Some(result) = result else { return };
                    bytes += result.json.len();
                    results.push(result);
                    if bytes >= MAX_BATCH_BYTES {
                        follower.go_back(cursor);
                        break;
                    }
                }
                yield Batch { results, turn };
            }
        }
    }

    fn progress(
        self,
        progress: Progress,
        wanted: impl Fn(&ProgressFrame) -> bool + Send,
    ) -> impl Stream<Item = Batch> + Send {
        stream! {
            let mut frames = progress.watch();
            loop {
                self.query.budget().solvent().await;
                match frames.recv().await {
                    Ok(frame) if wanted(&frame) => {
                        let Some(place) = self.query.budget().lossy_event() else { continue };
                        let (executor, query) = (self.executor.clone(), self.query.clone());
                        let executing = async move {
                            let _place = place;
                            executor.progress(&query, frame, self.request_id).await
                        };
                        // In a task of its own, which ends even if the client does not read.
                        let task = AbortOnDropHandle::new(tokio::spawn(executing.in_current_span()));
                        if let Ok(Some(result)) = task.await {
                            yield result.into();
                        }
                    }
                    Ok(_) | Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return,
                }
            }
        }
    }
}
