//! Asking for a run.

use entity::audit_entry::Action;
use entity::instance::Model;
use entity::job::Kind as JobKind;
use entity::run::{self, Trigger};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, EntityTrait, IntoActiveModel};
use uuid::Uuid;

use crate::audit;
use crate::auth::Caller;
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::instance::state::{Change, State};
use crate::instance::{Instances, lock, record};
use crate::queue;

/// Adds a run and its job; the caller records the step that goes with it.
pub(in crate::instance) async fn queue(
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
}
