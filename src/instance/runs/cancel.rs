//! Stopping a run.

use entity::instance::Model;
use entity::job::Kind as JobKind;
use entity::notification::MailReason;
use entity::run::{self, Outcome};
use sea_orm::{ActiveModelTrait, ActiveValue::Set};
use uuid::Uuid;

use super::schedule::next_due;
use crate::auth::Caller;
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::instance::state::{Change, State};
use crate::instance::{Instances, lock, record};
use crate::queue;

/// Ends the active run, if there is one, as cancelled, and records that. The worker finds
/// its claim gone and stops. What the run added stays.
pub(in crate::instance) async fn cancel(
    tx: &Tx,
    model: &mut Model,
    actor: &str,
    now: i64,
) -> Result<Option<run::Model>> {
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

impl Instances {
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

    pub(in crate::instance) fn stop_run(&self, run: Option<&run::Model>) {
        if let Some(run) = run {
            self.running.stop(run.id);
        }
    }
}
