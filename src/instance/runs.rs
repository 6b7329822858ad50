//! The runs of an instance, as far as commands are concerned: queued, asked for, stopped.

use entity::audit_entry::Action;
use entity::instance::{Column, Entity, Model, Status, SyncState};
use entity::job::Kind as JobKind;
use entity::notification::MailReason;
use entity::run::{self, Outcome, Trigger};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter,
    QueryOrder, QuerySelect,
};
use uuid::Uuid;

use super::state::{Change, State};
use super::{Instances, lock, lock_free, record};
use crate::audit;
use crate::auth::Caller;
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::queue;

/// How long an application may put off the next sync, in milliseconds.
pub const LONGEST_WAIT_MS: i64 = 3_600_000;
/// A minute of a sync interval, with the tenth that it may be longer, in milliseconds.
const INTERVAL_AT_MOST: i64 = 66_000;
/// How many instances one look of the scheduler queues at most.
const DUE_AT_ONCE: u64 = 100;

/// The last and the current run of an instance.
pub async fn of<C: ConnectionTrait>(conn: &C, model: &Model) -> Result<(Option<run::Model>, Option<run::Model>)> {
    let ids: Vec<Uuid> = model.last_run_id.into_iter().chain(model.current_run_id).collect();
    if ids.is_empty() {
        return Ok((None, None));
    }
    let mut runs = run::Entity::find().filter(run::Column::Id.is_in(ids)).all(conn).await?;
    let mut take = |id: Option<Uuid>| runs.iter().position(|run| Some(run.id) == id).map(|at| runs.swap_remove(at));
    let last = take(model.last_run_id);
    let current = take(model.current_run_id);
    Ok((last, current))
}

/// Adds a run and its job; the caller records the step that goes with it.
pub(super) async fn queue(
    tx: &Tx,
    model: &mut Model,
    trigger: Trigger,
    accept_removals: bool,
    now: i64,
) -> Result<run::Model> {
    let run = run::Model {
        id: Uuid::now_v7(),
        instance_id: model.id,
        integration_key: model.integration_key.clone(),
        trigger,
        outcome: None,
        number: 0,
        queued_at: now,
        started_at: None,
        finished_at: None,
        seen: 0,
        added: 0,
        changed: 0,
        removed: 0,
        pages: 0,
        expected: None,
        accept_removals,
        users_before: model.user_count,
        listed: false,
        checkpoint: None,
        failure_class: None,
        failure_message: None,
        http_status: None,
        lost: serde_json::json!([]),
        missing_permissions: serde_json::json!([]),
        mail_kind: None,
        mail_reason: None,
    };
    run.clone().into_active_model().reset_all().insert(tx.conn()).await?;
    queue::enqueue(tx, JobKind::Sync, &[run.id], now).await?;
    model.current_run_id = Some(run.id);
    model.next_sync_at = None;
    Ok(run)
}

/// Ends the active run, if there is one, as cancelled, and records that. The worker finds
/// its claim gone and stops. What the run added stays.
pub(super) async fn cancel(tx: &Tx, model: &mut Model, actor: &str, now: i64) -> Result<Option<run::Model>> {
    let Some(id) = model.current_run_id else { return Ok(None) };
    let before = model.clone();
    let steps = State::of(model).apply(Change::Cancel, now)?;
    queue::cancel(tx, JobKind::Sync, &[id]).await?;
    let run = run::ActiveModel {
        id: Set(id),
        outcome: Set(Some(Outcome::Cancelled)),
        finished_at: Set(Some(now)),
        checkpoint: Set(None),
        mail_reason: Set(Some(MailReason::Cancelled)),
        ..Default::default()
    }
    .update(tx.conn())
    .await?;
    model.current_run_id = None;
    model.last_run_id = Some(id);
    model.user_count += run.added;
    model.next_sync_at = Some(next_due(now, model.sync_interval_minutes, fastrand::f64()));
    record(tx, &before, model, steps, Some(actor), now).await?;
    Ok(Some(run))
}

/// When the next scheduled run is due: the interval, moved by up to a tenth either way,
/// so that instances that were created together do not sync together for ever.
pub fn next_due(now: i64, interval_minutes: i32, roll: f64) -> i64 {
    let interval = i64::from(interval_minutes) * 60_000;
    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "a tenth of 30 days")]
    let moved = (interval as f64 * (roll * 0.2 - 0.1)) as i64;
    now + interval + moved
}

/// When the next scheduled run is due at the latest, if the clock was right.
fn furthest(model: &Model, now: i64) -> i64 {
    now + i64::from(model.sync_interval_minutes) * INTERVAL_AT_MOST + LONGEST_WAIT_MS
}

impl Instances {
    /// Asks for a sync now. An instance that has an active run answers with that one.
    pub async fn sync(&self, caller: &Caller, id: Uuid, accept_removals: bool) -> Result<run::Model> {
        let (now, actor) = (self.clock.now(), &caller.label());
        self.db
            .write(|tx| async move {
                let before = lock(&tx, id).await?;
                let mut model = before.clone();
                let steps = State::of(&model).apply(Change::Queue, now)?;
                let run = match model.current_run_id {
                    Some(current) if steps.is_empty() => {
                        let run = run::Entity::find_by_id(current).one(tx.conn()).await?;
                        let run = run.ok_or_else(|| Error::Internal("an active run without a row".into()))?;
                        if accept_removals && !run.accept_removals {
                            let mut row = run.into_active_model();
                            row.accept_removals = Set(true);
                            row.update(tx.conn()).await?
                        } else {
                            run
                        }
                    }
                    _ => {
                        let run = queue(&tx, &mut model, Trigger::Manual, accept_removals, now).await?;
                        record(&tx, &before, &mut model, steps, Some(actor), now).await?;
                        run
                    }
                };
                if accept_removals {
                    let detail = "This run may remove any number of users.";
                    audit::record(&tx, now, actor, Action::RemovalsAccepted, Some(id), detail).await?;
                }
                Ok(run)
            })
            .await
    }

    /// Stops the run that waits or goes on. It counts as no outcome.
    pub async fn cancel_sync(&self, caller: &Caller, id: Uuid) -> Result<run::Model> {
        let (now, actor) = (self.clock.now(), &caller.label());
        let stopped = self
            .db
            .write(|tx| async move {
                let mut model = lock(&tx, id).await?;
                // Refused when there is none.
                State::of(&model).apply(Change::Cancel, now)?;
                cancel(&tx, &mut model, actor, now).await
            })
            .await?;
        self.stop_run(stopped.as_ref());
        stopped.ok_or_else(|| Error::Internal("an active run without a row".into()))
    }

    /// Queues a run for every instance whose time has come.
    pub async fn queue_due(&self) -> Result<()> {
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
        for id in due {
            match self.queue_if_due(id, now).await {
                Ok(()) => {}
                // The others would find the same.
                Err(error) if error.is_passing() => return Err(error),
                Err(error) => {
                    tracing::error!(instance.id = %id, error = %error, "a due instance could not be queued; trying again");
                }
            }
        }
        Ok(())
    }

    /// Makes due what waits for longer than it can have been told to: a clock was wrong when it
    /// was written down.
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
            tracing::warn!(instances = wrong.len(), "syncs were planned by a clock that was wrong; they are due now");
        }
        for id in wrong {
            self.queue_if_due(id, now).await?;
        }
        Ok(())
    }

    async fn queue_if_due(&self, id: Uuid, now: i64) -> Result<()> {
        self.db
            .write(|tx| async move {
                let Some(before) = lock_free(&tx, id).await? else { return Ok(()) };
                let mut model = before.clone();
                // Refused or empty: somebody was faster.
                let steps = State::of(&model).apply(Change::Queue, now).unwrap_or_default();
                let due = |at: i64| at <= now || at > furthest(&model, now);
                if steps.is_empty() || !model.next_sync_at.is_some_and(due) {
                    return Ok(());
                }
                queue(&tx, &mut model, Trigger::Scheduled, false, now).await?;
                record(&tx, &before, &mut model, steps, None, now).await
            })
            .await
    }

    pub(super) fn stop_run(&self, run: Option<&run::Model>) {
        if let Some(run) = run {
            self.running.stop(run.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::next_due;

    #[test]
    fn the_next_run_is_due_an_interval_later_give_or_take_a_tenth() {
        for roll in [0.0, 0.3, 0.5, 0.999] {
            let wait = next_due(1_000_000, 60, roll) - 1_000_000;
            assert!((54 * 60_000..=66 * 60_000).contains(&wait), "{wait}");
        }
    }
}
