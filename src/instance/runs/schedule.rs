//! Schedules runs, and queues those that are due.

use std::time::Duration;

use entity::instance::{Column, Entity, Model, Status, SyncState};
use entity::run::Trigger;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use crate::backoff::jittered;
use crate::clock::DAY_MS;
use crate::error::Result;
use crate::instance::state::{Change, RunRequest};
use crate::instance::transition::Transition;
use crate::instance::{Instances, lock_free};

/// How long an application may delay the next sync, in milliseconds.
pub const LONGEST_WAIT_MS: i64 = DAY_MS;
/// The largest jitter of a due time, as a fraction of the interval.
pub(in crate::instance) const JITTER: f64 = 0.1;
/// A minute of a sync interval plus the longest jitter, in milliseconds.
const INTERVAL_AT_MOST: i64 = 66_000;
/// The next run after a failure is not due sooner than this, in milliseconds, unless the interval is shorter.
const SOONEST_MS: i64 = 60_000;
/// How many instances the scheduler queues at a time.
const DUE_AT_ONCE: u64 = 100;
/// How many batches it queues in a row before it reports its heartbeat.
const BATCHES: usize = 10;

/// When the next scheduled run is due: after the interval, with a jitter, so that instances that were created
/// together do not always sync together.
pub fn next_due(now: i64, interval_minutes: i32, roll: f64) -> i64 {
    let interval = Duration::from_mins(interval_minutes.unsigned_abs().into());
    #[expect(clippy::cast_possible_truncation, reason = "an interval is at most 30 days")]
    let wait = jittered(interval, JITTER, roll).as_millis() as i64;
    now + wait
}

/// When the next run is due if the application may recover soon. `failures` counts the failures in a row: after the
/// first, the run is due after a quarter of the interval, after the second after half of it, and otherwise after the
/// whole.
pub fn due(now: i64, interval_minutes: i32, failures: i32, roll: f64) -> i64 {
    let due = next_due(now, interval_minutes, roll);
    let part = match failures {
        1 => 4,
        2 => 2,
        _ => 1,
    };
    let wait = due - now;
    now + Ord::max(wait / part, Ord::min(wait, SOONEST_MS))
}

/// When a list is overdue that was delivered at `now`: a tenth of the interval after the next one is expected.
pub fn overdue(now: i64, interval_minutes: i32) -> i64 {
    next_due(now, interval_minutes, 1.0)
}

/// The latest time at which a run can be due, if the clock was right.
fn furthest(model: &Model, now: i64) -> i64 {
    now + i64::from(model.sync_interval_minutes) * INTERVAL_AT_MOST + LONGEST_WAIT_MS
}

impl Instances {
    /// Queues a run for every instance that is due.
    pub async fn queue_due(&self) -> Result<()> {
        for _ in 0..BATCHES {
            if self.queue_some().await? < DUE_AT_ONCE {
                break;
            }
        }
        Ok(())
    }

    /// Queues a run for those that have been due the longest, and returns how many these are.
    async fn queue_some(&self) -> Result<u64> {
        let now = self.clock.now();
        let due: Vec<Uuid> = Entity::find()
            .select_only()
            .column(Column::Id)
            .filter(Column::Status.eq(Status::Live))
            .filter(Column::SyncState.eq(SyncState::Idle))
            .filter(Column::NextSyncAt.lte(now))
            .order_by_asc(Column::NextSyncAt)
            .limit(DUE_AT_ONCE)
            .into_tuple()
            .all(self.db.read())
            .await?;
        let count = due.len() as u64;
        for id in due {
            match self.queue_if_due(id, now).await {
                Ok(()) => {}
                // The other instances would fail in the same way.
                Err(error) if error.is_passing() => return Err(error),
                Err(error) => {
                    tracing::error!(instance.id = %id, error = %error.chain(), "a due instance could not be queued; trying again");
                }
            }
        }
        Ok(count)
    }

    /// Repairs schedules that a wrong clock wrote: anything beyond interval plus longest retry is due now.
    pub async fn mend_schedule(&self) -> Result<()> {
        let now = self.clock.now();
        let furthest =
            Expr::col(Column::SyncIntervalMinutes).cast_as("bigint").mul(INTERVAL_AT_MOST).add(now + LONGEST_WAIT_MS);
        let wrong = Entity::find()
            .select_only()
            .column(Column::Id)
            .filter(Column::Status.eq(Status::Live))
            .filter(Column::SyncState.eq(SyncState::Idle))
            .filter(Expr::col(Column::NextSyncAt).gt(furthest));
        let wrong: Vec<Uuid> = wrong.limit(DUE_AT_ONCE).into_tuple().all(self.db.read()).await?;
        if !wrong.is_empty() {
            tracing::warn!(
                instances = wrong.len(),
                "a wrong clock had scheduled syncs too far ahead; they are due now"
            );
        }
        for id in wrong {
            self.queue_if_due(id, now).await?;
        }
        Ok(())
    }

    async fn queue_if_due(&self, id: Uuid, now: i64) -> Result<()> {
        self.db
            .write(|tx| async move {
                let Some(instance) = lock_free(&tx, id).await? else { return Ok(()) };
                let is_due = |at: i64| at <= now || at > furthest(&instance, now);
                // Only a live and idle instance has a schedule. Otherwise it was changed in the meantime.
                if !instance.next_sync_at.is_some_and(is_due) {
                    return Ok(());
                }
                let mut transition = Transition::of(&tx, instance, None, now).await?;
                transition.apply(Change::Queue(RunRequest::guarded(Trigger::Scheduled))).await?;
                transition.commit().await?;
                Ok(())
            })
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::{due, next_due, overdue};

    #[test]
    fn the_next_run_is_due_an_interval_later_give_or_take_a_tenth() {
        for roll in [0.0, 0.3, 0.5, 0.999] {
            let wait = next_due(1_000_000, 60, roll) - 1_000_000;
            assert!((54 * 60_000..=66 * 60_000).contains(&wait), "{wait}");
        }
    }

    #[test]
    fn a_list_may_be_late_by_a_tenth_of_the_interval() {
        assert_eq!(overdue(5, 60), 5 + 66 * 60_000);
    }

    #[test]
    fn after_an_outage_the_next_run_is_due_sooner_and_then_less_and_less_so() {
        let minutes: Vec<_> = (0..6).map(|failures| due(0, 60, failures, 0.5) / 60_000).collect();
        assert_eq!(minutes, [60, 15, 30, 60, 60, 60]);
        assert_eq!(due(0, 1, 1, 0.5), 60_000, "a short interval is not shortened");
    }
}
