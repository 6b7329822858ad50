//! Subscriptions: state that is never lost, progress that may be.
//!
//! A subscription is executed in two turns. The first *plans*: it resolves the
//! arguments, once per subscriber. The second *answers*: it executes the
//! document for one event, once for all subscribers that ask the same question, and its
//! bytes are shared. In between, each subscriber has a place in the log, and is brought
//! forward from there by what it can take: the log when it is behind, the live feed when
//! it is not. A slow subscriber holds nobody up and misses nothing.
//!
//! A new subscriber is first told every instance, in the order of ids, page by page,
//! while the log goes on: what happens meanwhile to those that it was told already is
//! replayed before the next page. So each cursor says exactly what its holder knows: the
//! events up to a number, and the instances up to an id; the rest it has not been told.

pub mod event_query;

use std::sync::{Arc, Mutex, PoisonError};

use async_graphql::{Context, ID, SimpleObject};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use futures_util::stream::{self, BoxStream, StreamExt};
use uuid::Uuid;

use crate::clock::date_time;
use crate::graphql::api::Api;
use crate::graphql::error::ApiError;
use crate::graphql::id::{self, Kind};
use crate::graphql::instance::connection::InstanceFilter;
use crate::graphql::instance::event::InstanceEvent;
use crate::graphql::page::int;
use crate::instance::event::Event;
use crate::instance::queries::Filter;
use crate::sync::progress::ProgressFrame;

/// What a holder of a cursor knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// All events up to this one …
    pub seq: i64,
    /// … of the instances up to this id; `None`: of all.
    pub told: Option<Uuid>,
}

impl Cursor {
    /// The events up to this one.
    pub fn at(seq: i64) -> Self {
        Cursor { seq, told: None }
    }

    /// Nothing yet.
    pub fn fresh() -> Self {
        Cursor { seq: 0, told: Some(Uuid::nil()) }
    }

    /// As clients keep it, with the log that its numbers belong to.
    pub fn encode(self, epoch: i64) -> String {
        let text = match self.told {
            None => format!("e{}@{epoch}", self.seq),
            Some(id) => format!("e{}@{epoch}.{}", self.seq, id.simple()),
        };
        URL_SAFE_NO_PAD.encode(text)
    }

    /// The holder of a cursor of another log knows nothing of this one.
    pub fn decode(text: &str, epoch: i64) -> Option<Self> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let text = text.strip_prefix('e')?;
        let (place, told) = match text.split_once('.') {
            None => (text, None),
            Some((place, id)) => (place, Some(Uuid::try_parse(id).ok()?)),
        };
        let (seq, log) = place.split_once('@').unwrap_or((place, ""));
        let seq = seq.parse().ok().filter(|seq| (0..i64::MAX).contains(seq))?;
        let known = log.parse() == Ok(epoch);
        Some(if known { Cursor { seq, told } } else { Cursor::fresh() })
    }
}

/// What a subscriber wants, with its arguments resolved.
#[derive(Clone, Debug)]
pub enum Plan {
    States { filter: Filter, after: Option<Cursor> },
    Progress { instance_id: Option<Uuid> },
}

/// Which turn of a subscription is being executed.
#[derive(Clone)]
pub enum Turn {
    /// Leaves the plan here, or marks it as more than one.
    Plan(Arc<Mutex<Vec<Plan>>>),
    State(Arc<Event>, Cursor),
    Progress(ProgressFrame),
}

impl Turn {
    fn leave(&self, plan: Plan) {
        if let Turn::Plan(plans) = self {
            plans.lock().unwrap_or_else(PoisonError::into_inner).push(plan);
        }
    }
}

/// How far a running sync is.
#[derive(SimpleObject)]
pub struct SyncProgress {
    /// Whose sync.
    instance_id: ID,
    /// Which run.
    run_id: ID,
    /// How many users it has seen.
    seen: i32,
    /// How many there are, if the application says so.
    expected: Option<i32>,
    /// How many pages it has read.
    pages: i32,
    /// When it started.
    started_at: DateTime<Utc>,
}

pub struct Subscription;

/// What can be watched.
#[allow(clippy::unused_async, reason = "the macro takes asynchronous functions only")]
#[async_graphql::Subscription]
impl Subscription {
    /// Every change of an instance's state: first one frame per matching instance (cause
    /// `SNAPSHOT`), then each change as it happens. With `after`: what happened since that
    /// cursor, then each change; no gap, no repeat. A cursor that is older than the log is
    /// kept gets snapshots again. A change is told when the instance matches the filter
    /// after it, or did before it; without statuses also the last one, `DELETED`.
    async fn instance_state_changed(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which instances.")] filter: Option<InstanceFilter>,
        #[graphql(desc = "The cursor of the last event that was received.")] after: Option<String>,
    ) -> Result<BoxStream<'static, InstanceEvent>, ApiError> {
        match ctx.data_unchecked::<Turn>() {
            Turn::State(happened, cursor) => Ok(stream::iter(InstanceEvent::told(happened, *cursor)).boxed()),
            turn => {
                let filter = filter.unwrap_or_default().decode()?;
                let after = after
                    .map(|text| {
                        Cursor::decode(&text, ctx.data_unchecked::<Api>().epoch)
                            .ok_or_else(|| ApiError::InvalidInput("after is not a cursor of an event.".into()))
                    })
                    .transpose()?;
                turn.leave(Plan::States { filter, after });
                Ok(stream::empty().boxed())
            }
        }
    }

    /// How far running syncs are, about once a second per instance. Frames may be lost;
    /// what matters is told by `instanceStateChanged`.
    async fn sync_progress(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only of this instance.")] instance_id: Option<ID>,
    ) -> Result<BoxStream<'static, SyncProgress>, ApiError> {
        match ctx.data_unchecked::<Turn>() {
            Turn::Progress(frame) => Ok(stream::iter([SyncProgress {
                instance_id: id::encode(Kind::Instance, frame.instance_id),
                run_id: id::encode(Kind::SyncRun, frame.run_id),
                seen: int(frame.seen),
                expected: frame.expected.map(int),
                pages: frame.pages,
                started_at: date_time(frame.started_at),
            }])
            .boxed()),
            turn => {
                let instance_id = instance_id.map(|id| id::argument(Kind::Instance, &id)).transpose()?;
                turn.leave(Plan::Progress { instance_id });
                Ok(stream::empty().boxed())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_says_what_its_holder_knows() {
        for cursor in
            [Cursor::at(0), Cursor::at(i64::MAX - 1), Cursor::fresh(), Cursor { seq: 7, told: Some(Uuid::now_v7()) }]
        {
            assert_eq!(Cursor::decode(&cursor.encode(42), 42), Some(cursor));
            assert_eq!(Cursor::decode(&cursor.encode(42), 43), Some(Cursor::fresh()), "another log");
        }
        assert_eq!(Cursor::decode("ZTE", 42), Some(Cursor::fresh()), "from before logs had numbers");
        for bad in ["", "e1", "ZS0x", "ZTEueA", "💥", &"A".repeat(9999)] {
            assert_eq!(Cursor::decode(bad, 42), None, "{bad}");
        }
    }
}
