//! Where operations are executed, whichever door they came through.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_graphql::parser::types::OperationType;
use async_graphql::{Response, ServerError};
use async_stream::stream;
use bytes::Bytes;
use entity::event::Cause;
use futures_util::future::{BoxFuture, FutureExt, Shared};
use futures_util::stream::{BoxStream, StreamExt};
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::auth::{Caller, Role, Tokens};
use crate::error::Result;
use crate::events;
use crate::graphql::api::Api;
use crate::graphql::error::ApiError;
use crate::graphql::guard::Operation;
use crate::graphql::schema::AppSchema;
use crate::graphql::subscription::event_query::{Key, Question};
use crate::graphql::subscription::{Cursor, Plan, Turn};
use crate::graphql::transport::responses::is_for_the_database;
use crate::instance::Instances;
use crate::instance::event::{Event, Snapshot};
use crate::instance::queries::Filter;

/// How many instances a new subscriber is told at once.
const SNAPSHOTS: u64 = 100;
/// How many answers are kept for subscribers that ask the same a moment later.
const ANSWERS: usize = 512;
/// The largest answer that is kept, in bytes.
const LARGE: usize = 32 * 1024;
/// How long the answer to one event may take.
const EXECUTION: Duration = Duration::from_secs(30);
/// How long to wait before an answer without data is tried again.
const RETRIES: [Duration; 3] = [Duration::from_millis(100), Duration::from_millis(500), Duration::from_secs(2)];

/// Executes vetted operations for callers.
#[derive(Clone)]
pub struct Gateway(Arc<Inner>);

struct Inner {
    schema: AppSchema,
    api: Api,
    tokens: Tokens,
    introspection: bool,
    /// `scheme://host[:port]` of the console.
    origin: String,
    shutdown: CancellationToken,
    answers: Answers,
}

/// Why a token was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessError {
    /// It is nobody's, or was revoked.
    Refused,
    /// The database cannot be asked.
    Unavailable,
}

/// One frame of a subscription, ready to be sent.
#[derive(Clone, Debug)]
pub struct Frame {
    /// `{"data": …}`
    pub payload: Bytes,
    /// Where to resume after it; progress has none.
    pub cursor: Option<String>,
}

impl Gateway {
    /// `public_url` is where browsers reach the console; `shutdown` ends what is open.
    pub fn new(
        schema: AppSchema,
        api: Api,
        tokens: Tokens,
        introspection: bool,
        public_url: &str,
        shutdown: CancellationToken,
    ) -> Self {
        let origin = url::Url::parse(public_url).map(|url| url.origin().ascii_serialization()).unwrap_or_default();
        Self(Arc::new(Inner { schema, api, tokens, introspection, origin, shutdown, answers: Answers::default() }))
    }

    /// Whose token it is.
    pub async fn authenticate(&self, token: &str) -> Result<Caller, AccessError> {
        match self.0.tokens.authenticate(token).await {
            Ok(Some(caller)) => Ok(caller),
            Ok(None) => Err(AccessError::Refused),
            Err(error) => {
                tracing::warn!(error = %error, "a token could not be looked up");
                Err(AccessError::Unavailable)
            }
        }
    }

    /// Whether the caller's token still stands; an unreachable database revokes nobody.
    pub async fn still_valid(&self, caller: &Caller) -> bool {
        self.0.tokens.still_valid(caller).await.unwrap_or(true)
    }

    /// Whether clients may ask for the schema.
    pub fn introspection(&self) -> bool {
        self.0.introspection
    }

    /// Whether a browser's page of this origin may open a WebSocket.
    pub fn allows_origin(&self, origin: &str) -> bool {
        origin == self.0.origin
    }

    /// Cancelled when the server stops.
    pub fn shutdown(&self) -> &CancellationToken {
        &self.0.shutdown
    }

    /// Executes a query or a mutation.
    pub async fn execute(&self, caller: Caller, operation: Operation) -> Response {
        if operation.kind() == OperationType::Mutation && caller.role != Role::Admin {
            return refused(ApiError::Forbidden);
        }
        self.0.schema.execute(operation.into_request().data(caller)).await
    }

    /// Starts a subscription; the error is the answer that says why it cannot be.
    pub async fn subscribe(
        &self,
        _caller: Caller,
        operation: Operation,
    ) -> Result<BoxStream<'static, Frame>, Response> {
        let question = Question::new(operation)
            .ok_or_else(|| refused(ApiError::InvalidInput("The document was not parsed.".into())))?;
        let plans = Arc::new(Mutex::new(Vec::new()));
        let request = question.request().data(Turn::Plan(plans.clone()));
        if let Some(answer) = self.0.schema.execute_stream(request).next().await {
            return Err(answer);
        }
        let mut plans = std::mem::take(&mut *plans.lock().unwrap_or_else(PoisonError::into_inner));
        let (Some(plan), None) = (plans.pop(), plans.pop()) else {
            let message = "A subscription selects exactly one field.";
            return Err(refused(ApiError::InvalidInput(message.into())));
        };
        Ok(match plan {
            Plan::States { filter, after } => self.states(Arc::new(question), filter, after).boxed(),
            Plan::Progress { instance_id } => self.progress(question, instance_id).boxed(),
        })
    }

    fn progress(&self, question: Question, only: Option<Uuid>) -> impl futures_util::Stream<Item = Frame> + use<> {
        let gateway = self.clone();
        let mut frames = self.0.api.progress.watch();
        stream! {
            loop {
                match frames.recv().await {
                    Ok(frame) if only.is_none_or(|id| id == frame.instance_id) => {
                        let request = question.request().data(Turn::Progress(frame));
                        if let Some((payload, _)) = gateway.answer(request).await {
                            yield Frame { payload, cursor: None };
                        }
                    }
                    Ok(_) | Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return,
                }
            }
        }
    }

    fn states(
        &self,
        question: Arc<Question>,
        filter: Filter,
        after: Option<Cursor>,
    ) -> impl futures_util::Stream<Item = Frame> + use<> {
        let gateway = self.clone();
        stream! {
            let mut follower = Follower { gateway: gateway.clone(), filter, cursor: after.unwrap_or(Cursor::fresh()) };
            // Listening begins before the log is read, so that nothing falls between.
            let mut live = gateway.0.api.feed.listen();
            let mut behind = true;
            loop {
                if behind {
                    match follower.catch_up().await {
                        Ok((events, more)) => {
                            for (happened, cursor) in events {
                                if let Some(frame) = gateway.state_frame(&question, happened, cursor).await {
                                    yield frame;
                                }
                            }
                            behind = more;
                        }
                        Err(error) => {
                            tracing::warn!(error = %error, "a subscriber could not be caught up; trying again");
                            tokio::time::sleep(Duration::from_secs(1)).await;
                        }
                    }
                    continue;
                }
                match live.recv().await {
                    Ok(happened) => {
                        // Seen in the log already.
                        if happened.seq <= follower.cursor.seq {
                            continue;
                        }
                        follower.cursor.seq = happened.seq;
                        if follower.filter.matches_event(&happened.snapshot) {
                            let cursor = follower.cursor;
                            if let Some(frame) = gateway.state_frame(&question, happened, cursor).await {
                                yield frame;
                            }
                        }
                    }
                    Err(RecvError::Lagged(_)) => behind = true,
                    Err(RecvError::Closed) => return,
                }
            }
        }
    }

    async fn state_frame(&self, question: &Arc<Question>, happened: Arc<Event>, cursor: Cursor) -> Option<Frame> {
        let shared = happened.cause != Cause::Snapshot && cursor.told.is_none();
        let turn = Turn::State(happened, cursor);
        let payload = if shared {
            let (gateway, asked) = (self.clone(), question.clone());
            let key = (question.key, cursor.seq);
            self.0.answers.of(key, async move { gateway.answer_at_last(&asked, turn).await }).await
        } else {
            self.answer_at_last(question, turn).await
        };
        payload.map(|payload| Frame { payload, cursor: Some(cursor.encode(self.0.api.epoch)) })
    }

    /// Executes a subscription's document for one event. A state must not be lost, so an
    /// execution that gives no data is tried again before its errors are the answer, and one
    /// that the database could not answer is, for as long as that lasts.
    async fn answer_at_last(&self, question: &Question, turn: Turn) -> Option<Bytes> {
        let mut waits = RETRIES.into_iter();
        loop {
            let (payload, worth) = self.answer(question.request().data(turn.clone())).await?;
            let wait = match worth {
                Worth::Whole => return Some(payload),
                Worth::Poor => match waits.next() {
                    Some(wait) => wait,
                    None => return Some(payload),
                },
                Worth::Unavailable => RETRIES[RETRIES.len() - 1],
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.0.shutdown.cancelled() => return None,
            }
        }
    }

    /// The answer to one request, and what it is worth.
    async fn answer(&self, request: async_graphql::Request) -> Option<(Bytes, Worth)> {
        let mut answers = self.0.schema.execute_stream(request);
        let response = match tokio::time::timeout(EXECUTION, answers.next()).await {
            Ok(response) => response?,
            Err(_) => refused(ApiError::InvalidInput("Answering this event took too long; ask for less.".into())),
        };
        let worth = if response.errors.iter().any(is_for_the_database) {
            Worth::Unavailable
        } else if matches!(response.data, async_graphql::Value::Null) {
            Worth::Poor
        } else {
            Worth::Whole
        };
        serde_json::to_vec(&response).ok().map(|payload| (Bytes::from(payload), worth))
    }
}

/// What an answer is worth to a subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Worth {
    Whole,
    /// It has no data.
    Poor,
    /// A part of it could not be had from the database.
    Unavailable,
}

fn refused(error: ApiError) -> Response {
    let error: async_graphql::Error = error.into();
    Response::from_errors(vec![ServerError { extensions: error.extensions, ..ServerError::new(error.message, None) }])
}

/// A subscriber's place in the log.
struct Follower {
    gateway: Gateway,
    filter: Filter,
    cursor: Cursor,
}

type Told = Vec<(Arc<Event>, Cursor)>;

impl Follower {
    /// The next things to tell, and whether there may be more of them at once.
    async fn catch_up(&mut self) -> Result<(Told, bool)> {
        let api = &self.gateway.0.api;
        let Some(told) = self.cursor.told else {
            let events = self.replay(i64::MAX).await?;
            return match events {
                Some(events) => Ok(events),
                None => Ok((Vec::new(), true)),
            };
        };
        // One view for both: the number of the newest event, and the instances as of it.
        let view = api.instances.db.view().await?;
        let newest = events::newest(view.conn()).await?;
        let page = Instances::snapshots_after(view.conn(), &self.filter, told, SNAPSHOTS).await?;
        view.close().await?;
        if self.cursor.seq > newest {
            // A cursor of a log that is no more: a backup was restored.
            self.cursor = Cursor::fresh();
            return Ok((Vec::new(), true));
        }
        if told != Uuid::nil() && self.cursor.seq < newest {
            match self.replay(newest).await? {
                Some((events, _)) if self.cursor.seq < newest => return Ok((events, true)),
                Some((mut events, _)) => {
                    let (snapshots, more) = self.snapshots(page, newest);
                    events.extend(snapshots);
                    return Ok((events, more));
                }
                None => return Ok((Vec::new(), true)),
            }
        }
        Ok(self.snapshots(page, newest))
    }

    /// The events after the cursor up to `until`, of the instances that it was told.
    /// `None`: the log does not reach back so far, and everything is told anew.
    async fn replay(&mut self, until: i64) -> Result<Option<(Told, bool)>> {
        let conn = self.gateway.0.api.instances.db.read();
        let rows = events::read_after(conn, self.cursor.seq).await?;
        // Only after the rows: what is there now was there when they were read, so nothing was missed.
        let lost = self.cursor.seq + 1 < events::oldest(conn).await?;
        let ahead = rows.is_empty() && self.cursor.seq > events::newest(conn).await?;
        if lost || ahead {
            self.cursor = Cursor::fresh();
            return Ok(None);
        }
        let more = !rows.is_empty();
        let mut events = Vec::new();
        for row in rows.into_iter().take_while(|row| row.seq <= until) {
            let (seq, instance) = (row.seq, row.instance_id);
            self.cursor.seq = seq;
            if self.cursor.told.is_none_or(|told| instance <= told) {
                match Event::try_from(row) {
                    Ok(happened) if self.filter.matches_event(&happened.snapshot) => {
                        events.push((Arc::new(happened), self.cursor));
                    }
                    Ok(_) => {}
                    Err(error) => {
                        tracing::error!(event.seq = seq, error = %error, "an event cannot be read and is passed over");
                    }
                }
            }
        }
        Ok(Some((events, more)))
    }

    fn snapshots(&mut self, page: Vec<Snapshot>, newest: i64) -> (Told, bool) {
        let now = self.gateway.0.api.instances.clock.now();
        let full = page.len() as u64 == SNAPSHOTS;
        let last = page.len().saturating_sub(1);
        let mut events = Vec::new();
        for (place, snapshot) in page.into_iter().enumerate() {
            let told = (full || place < last).then_some(snapshot.instance.id);
            let cursor = Cursor { seq: newest, told };
            let happened = Event { seq: newest, at: now, cause: Cause::Snapshot, actor: None, snapshot };
            events.push((Arc::new(happened), cursor));
        }
        self.cursor = events.last().map_or(Cursor::at(newest), |(_, cursor)| *cursor);
        if !full {
            self.cursor = Cursor::at(newest);
        }
        (events, full)
    }
}

/// Answers that several subscribers wait for, or ask for a moment later.
#[derive(Default)]
struct Answers(Mutex<Kept>);

type Answer = Shared<BoxFuture<'static, Option<Bytes>>>;

#[derive(Default)]
struct Kept {
    answers: HashMap<(Key, i64), Answer>,
    order: VecDeque<(Key, i64)>,
}

impl Answers {
    /// The answer to a question about an event, given or still to be given. It is worked
    /// out in a task of its own, so that nobody waits for whoever asked first.
    async fn of(&self, key: (Key, i64), work: impl Future<Output = Option<Bytes>> + Send + 'static) -> Option<Bytes> {
        let answer = {
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(answer) = kept.answers.get(&key) {
                answer.clone()
            } else {
                let task = tokio::spawn(work);
                let answer = async move { task.await.ok().flatten() }.boxed().shared();
                kept.keep(key, answer.clone());
                answer
            }
        };
        let payload = answer.await;
        // What is large is shared by those who wait now, and not kept for later.
        if payload.as_ref().is_none_or(|payload| payload.len() > LARGE) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).answers.remove(&key);
        }
        payload
    }
}

impl Kept {
    fn keep(&mut self, key: (Key, i64), answer: Answer) {
        if self.order.len() >= ANSWERS
            && let Some(oldest) = self.order.pop_front()
        {
            self.answers.remove(&oldest);
        }
        self.order.push_back(key);
        self.answers.insert(key, answer);
    }
}
