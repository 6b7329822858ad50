//! Makes the jobs of webhooks that have something to decide.
//!
//! It compares numbers again and again, so that it needs no wake-up that arrives: one that is lost delays a message by
//! [`POLL`].

use std::time::Duration;

use entity::job;
use entity::webhook::{Column, Entity, State};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QuerySelect};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::warn;
use uuid::Uuid;

use super::attempt::LONGEST_ASKED_MS;
use crate::clock::Clock;
use crate::db::{Db, Topic};
use crate::error::Result;
use crate::events;
use crate::queue;

/// How often the numbers are compared without a wake-up.
const POLL: Duration = Duration::from_millis(1_500);
/// How long events are gathered, so that a busy log does not write jobs all the time.
const GATHERED: Duration = Duration::from_millis(50);

/// Makes jobs until `stop`.
pub async fn follow(db: Db, clock: Clock, stop: CancellationToken) {
    let mut news = db.listen(Topic::Events);
    loop {
        news.mark_unchanged();
        if let Err(error) = wake(&db, clock.now()).await {
            warn!(error = %error.chain(), "the webhooks with news could not be found; trying again");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            _ = news.changed() => sleep(GATHERED).await,
            () = sleep(POLL) => {}
        }
    }
}

/// Makes the jobs of webhooks whose last event, or last change of findings, is not the newest one. One that waits before
/// it sends anything decides after that.
async fn wake(db: &Db, now: i64) -> Result<()> {
    let may_send = Condition::any()
        .add(Column::RetryAt.is_null())
        .add(Column::RetryAt.lte(now))
        .add(Column::RetryAt.gt(now.saturating_add(LONGEST_ASKED_MS)));
    let known: Vec<(Uuid, i64, bool, i64)> = Entity::find()
        .select_only()
        .columns([Column::Id, Column::DecidedThrough, Column::FindingChanges, Column::FindingsThrough])
        .filter(Column::State.eq(State::Enabled))
        .filter(may_send)
        .into_tuple()
        .all(db.read())
        .await?;
    if known.is_empty() {
        return Ok(());
    }
    let newest = events::newest(db.read()).await?;
    let wants_any = known.iter().any(|(_, _, wants_findings, _)| *wants_findings);
    let newest_finding = if wants_any { events::findings::newest(db.read()).await? } else { 0 };
    let is_behind = |(_, through, wants_findings, findings_through): &(Uuid, i64, bool, i64)| {
        *through != newest || (*wants_findings && *findings_through < newest_finding)
    };
    let behind: Vec<Uuid> = known.into_iter().filter(is_behind).map(|(id, ..)| id).collect();
    if behind.is_empty() {
        return Ok(());
    }
    // Those that are worked on, or are due, see the news by themselves.
    let soon = Condition::any().add(job::Column::LeaseUntil.gt(0)).add(job::Column::RunAt.lte(now));
    let soon: Vec<Uuid> = job::Entity::find()
        .select_only()
        .column(job::Column::Subject)
        .filter(job::Column::Kind.eq(job::Kind::Webhook))
        .filter(job::Column::Subject.is_in(behind.iter().copied()))
        .filter(soon)
        .into_tuple()
        .all(db.read())
        .await?;
    let asleep: Vec<Uuid> = behind.into_iter().filter(|id| !soon.contains(id)).collect();
    if asleep.is_empty() {
        return Ok(());
    }
    let asleep = &asleep;
    db.write(|tx| async move {
        queue::hasten(&tx, job::Kind::Webhook, asleep, now).await?;
        queue::enqueue(&tx, job::Kind::Webhook, asleep, now).await
    })
    .await
}
