//! The subscription to the progress of running syncs.

use async_graphql::{Context, ID, SimpleObject, Subscription};
use chrono::{DateTime, Utc};
use futures_util::stream::{self, BoxStream, StreamExt};

use entity::run::FailureClass;

use crate::clock::date_time;
use crate::graphql::api::Api;
use crate::graphql::error::ApiError;
use crate::graphql::id::{self, Kind};
use crate::graphql::page::int;
use crate::graphql::subscription::step::{Source, Step};
use crate::sync::progress::ProgressFrame;

/// The progress of a running sync.
#[derive(SimpleObject)]
pub struct SyncProgress {
    /// The instance that is synced.
    instance_id: ID,
    /// The run.
    run_id: ID,
    /// How many users it has read.
    seen: i32,
    /// How many users there are, if the application says so.
    expected: Option<i32>,
    /// How many pages it has read.
    pages: i32,
    /// When it started.
    started_at: DateTime<Utc>,
    /// The class of the error after which it waits; null while it does not wait.
    waiting_for: Option<FailureClass>,
    /// Until when it waits; null while it does not wait.
    waiting_until: Option<DateTime<Utc>>,
}

impl SyncProgress {
    fn of(frame: &ProgressFrame) -> Self {
        SyncProgress {
            instance_id: id::encode(Kind::Instance, frame.instance_id),
            run_id: id::encode(Kind::SyncRun, frame.run_id),
            seen: int(frame.seen),
            expected: frame.expected.map(int),
            pages: frame.pages,
            started_at: date_time(frame.started_at),
            waiting_for: frame.waiting_for,
            waiting_until: frame.waiting_until.map(date_time),
        }
    }
}

#[derive(Default)]
pub struct ProgressSubscription;

#[allow(clippy::unused_async, reason = "the macro accepts only async functions")]
#[Subscription]
impl ProgressSubscription {
    /// The progress of running syncs, about once a second for each instance. Some of it may be left out;
    /// `instanceStateChanged` is complete.
    async fn sync_progress(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Selects one instance.")] instance_id: Option<ID>,
    ) -> Result<BoxStream<'static, SyncProgress>, ApiError> {
        if let Step::Progress(frame) = ctx.data_unchecked() {
            return Ok(stream::iter([SyncProgress::of(frame)]).boxed());
        }
        let instance_id = instance_id.map(|id| id::argument(Kind::Instance, &id)).transpose()?;
        let seen = ctx.data_unchecked::<Api>().seen.clone();
        ctx.data_unchecked::<Step>().create_source(Source::Progress { instance_id, seen });
        Ok(stream::empty().boxed())
    }
}
