//! How a run waits: for an outage to end, or before it checks a refused credential again.
//!
//! The run stays `RUNNING`, and its row says what it waits for and until when. One event reports the beginning of the
//! wait, and one its end; further waits in between only change the row. The row also has how long the run has waited,
//! so that a run that is taken over does not count from zero. A waiting run occupies no place of the worker.

use std::time::Duration;

use entity::run::{self, FailureClass};
use sea_orm::{ActiveModelTrait, ActiveValue::Set};
use tracing::info;

use super::Engine;
use super::failure::Failure;
use super::pages::{Interruption, Work};
use super::patience::{Decision, Spent, Waiter};
use crate::db::Tx;
use crate::error::Result;
use crate::instance::state::Change;
use crate::instance::transition::Transition;
use crate::queue;

/// What a run waits for.
struct Wait {
    class: FailureClass,
    reason: String,
    until: i64,
    spent: Spent,
}

impl Engine {
    /// Waits after an error, if the run may wait. Otherwise returns how the run ends. `attempt` is how long the attempt
    /// took that failed.
    pub(super) async fn wait_out(
        &self,
        work: &Work<'_>,
        run: &mut run::Model,
        error: Failure,
        attempt: Duration,
    ) -> Result<(), Interruption> {
        let mut spent = Spent::of(run);
        if run.waiting_until.is_some() {
            spent.waited += attempt;
        }
        let waiter = Waiter {
            interval: Duration::from_mins(u64::from(work.instance.sync_interval_minutes.unsigned_abs())),
            trigger: run.trigger,
            guessing_locks: work.guessing_locks,
            spent,
        };
        let (wait, spent) = match self.limits.patience.decide(&error, &waiter, fastrand::f64()) {
            Decision::Wait { wait, spent } => (wait, spent),
            Decision::Refused { bare } => return Err(Interruption::Refused { error, bare }),
            Decision::GiveUp => return Err(Interruption::Failed(error)),
        };
        let begun = tokio::time::Instant::now();
        let until = self.instances.clock.now().saturating_add(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX));
        let Failure { class, message, .. } = error;
        // Not the message, which may repeat what the application said.
        info!(class = ?class, wait_ms = wait.as_millis(), "a sync waits for its application");
        let wait_for = &Wait { class, reason: message, until, spent };
        *run = self.at_last(work.stop, || self.note_wait(work, wait_for)).await?;
        // Too many runs already wait in this process. After the wait, a later claim continues from the checkpoint.
        let Ok(_seat) = self.waiting_room.try_acquire() else { return Err(Interruption::Stopped) };
        work.claim.step_aside();
        let back = async {
            tokio::time::sleep_until(begun + wait).await;
            work.claim.step_back(class == FailureClass::Timeout).await;
        };
        work.stop.run_until_cancelled(back).await.ok_or(Interruption::Stopped)
    }

    /// Records that a run continues after a wait.
    pub(super) async fn go_on(&self, work: &Work<'_>, run: &mut run::Model) -> Result<(), Interruption> {
        if run.waiting_until.is_some() {
            *run = self.at_last(work.stop, || self.note_end_of_wait(work)).await?;
        }
        Ok(())
    }

    /// `None`: the claim is lost.
    async fn note_wait(&self, work: &Work<'_>, wait: &Wait) -> Result<Option<run::Model>> {
        let Wait { class, reason, until, spent } = wait;
        self.write(|tx| async move {
            let Some(mut transition) = self.waiting(&tx, work).await? else { return Ok(None) };
            let run = transition.current_run_mut()?;
            let begins = run.waiting_until.is_none();
            run.waiting_for = Some(*class);
            run.waiting_reason = Some(reason.clone());
            run.waiting_until = Some(*until);
            spent.store(run);
            let row = store(&tx, run).await?;
            if begins {
                transition.apply(Change::Wait).await?;
            }
            transition.commit().await?;
            Ok(Some(row))
        })
        .await
    }

    /// `None`: the claim is lost.
    async fn note_end_of_wait(&self, work: &Work<'_>) -> Result<Option<run::Model>> {
        self.write(|tx| async move {
            let Some(mut transition) = self.waiting(&tx, work).await? else { return Ok(None) };
            let run = transition.current_run_mut()?;
            run.end_wait();
            let row = store(&tx, run).await?;
            transition.apply(Change::Resume).await?;
            transition.commit().await?;
            Ok(Some(row))
        })
        .await
    }

    /// The instance, if the run is still ours.
    async fn waiting<'a>(&self, tx: &'a Tx, work: &Work<'_>) -> Result<Option<Transition<'a>>> {
        let now = self.instances.clock.now();
        let transition = Transition::begin(tx, work.instance.id, None, now).await?;
        let ours = queue::renew(tx.conn(), work.claim, now).await?;
        Ok(ours.then_some(transition))
    }
}

/// Writes what a run waits for and has waited, and returns the row.
async fn store(tx: &Tx, run: &run::Model) -> Result<run::Model> {
    let row = run::ActiveModel {
        id: Set(run.id),
        waiting_for: Set(run.waiting_for),
        waiting_reason: Set(run.waiting_reason.clone()),
        waiting_until: Set(run.waiting_until),
        waits: Set(run.waits),
        waited_ms: Set(run.waited_ms),
        looks: Set(run.looks),
        ..Default::default()
    };
    Ok(row.update(tx.conn()).await?)
}
