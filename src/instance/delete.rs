//! Deleting an instance, or all its users: at once for everybody who looks, and in the
//! background for the rows.

use entity::instance::Model;
use entity::job::Kind as JobKind;
use uuid::Uuid;

use super::runs::cancel::cancel;
use super::state::{Change, State};
use super::{Instances, authorization, grants, lock, record};
use crate::auth::Caller;
use crate::db::Tx;
use crate::error::{Refusal, RefusalCode, Result};
use crate::notification::outbox;
use crate::queue;

fn acknowledged(given: bool, what: &str) -> Result<()> {
    if given {
        return Ok(());
    }
    let message = format!("{what} cannot be undone: repeat the request with acknowledgeIrreversible: true.");
    Err(Refusal::new(RefusalCode::AcknowledgementRequired, message).at(["acknowledgeIrreversible"]).into())
}

impl Instances {
    /// Deletes the instance. Repeating it answers the same.
    pub async fn delete(&self, caller: &Caller, id: Uuid, acknowledge: bool) -> Result<Model> {
        let known = self.get(id).await?;
        acknowledged(acknowledge, "Deleting an instance")?;
        let now = self.clock.now();
        let actor = &caller.label();
        let (model, stopped) = self
            .db
            .write(|tx| async move {
                let mut model = lock(&tx, known.id).await?;
                if State::of(&model).apply(Change::Delete, now)?.is_empty() {
                    return Ok((model, None));
                }
                let stopped = cancel(&tx, &mut model, actor, now).await?;
                let before = model.clone();
                let steps = State::of(&model).apply(Change::Delete, now)?;
                model.secrets = None;
                model.credential_expires_at = None;
                grants::destroy(&tx, id).await?;
                authorization::forget(&tx, id).await?;
                model.next_sync_at = None;
                model.revision += 1;
                hide_users(&tx, &mut model, i64::MAX, now).await?;
                outbox::drop_queued(&tx, id).await?;
                record(&tx, &before, &mut model, steps, Some(actor), now).await?;
                Ok((model, stopped))
            })
            .await?;
        self.stop_run(stopped.as_ref());
        Ok(model)
    }

    /// Deletes all users; the instance, its credential and its history stay.
    pub async fn delete_all_users(&self, caller: &Caller, id: Uuid, acknowledge: bool) -> Result<Model> {
        let known = self.get(id).await?;
        // Whether it can be done at all comes before whether it is meant.
        State::of(&known).apply(Change::DeleteUsers, 0)?;
        acknowledged(acknowledge, "Deleting all users")?;
        let now = self.clock.now();
        let actor = &caller.label();
        let (model, stopped) = self
            .db
            .write(|tx| async move {
                let mut model = lock(&tx, known.id).await?;
                State::of(&model).apply(Change::DeleteUsers, now)?;
                let stopped = cancel(&tx, &mut model, actor, now).await?;
                let before = model.clone();
                let steps = State::of(&model).apply(Change::DeleteUsers, now)?;
                let through = model.run_number;
                hide_users(&tx, &mut model, through, now).await?;
                record(&tx, &before, &mut model, steps, Some(actor), now).await?;
                Ok((model, stopped))
            })
            .await?;
        self.stop_run(stopped.as_ref());
        Ok(model)
    }
}

/// Takes the users last seen by run number `through` out of every report, and queues their removal.
async fn hide_users(tx: &Tx, model: &mut Model, through: i64, now: i64) -> Result<()> {
    model.purge_through = through;
    if !model.purging {
        model.purged_users = 0;
    }
    model.purging = true;
    model.user_count = 0;
    queue::enqueue(tx, JobKind::Purge, &[model.id], now).await
}
