//! Queues runs.

use entity::audit_entry::Action;
use entity::instance::Model;
use entity::job::Kind as JobKind;
use entity::run::{self, Trigger};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, IntoActiveModel};
use uuid::Uuid;

use crate::audit::{self, Entry, Subject};
use crate::auth::Caller;
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::instance::state::{Accepted, Change, RunRequest};
use crate::instance::transition::{Committed, Transition};
use crate::instance::{Instances, list};
use crate::queue::{self, Priority};

impl Instances {
    /// Requests a sync now. Returns the active run if there is one already.
    pub async fn sync(&self, caller: &Caller, id: Uuid, accepted: Accepted) -> Result<run::Model> {
        let (now, actor) = (self.clock.now(), &caller.label());
        self.db
            .write(|tx| async move {
                let mut transition = Transition::begin(&tx, id, Some(actor), now).await?;
                if transition.current_run().is_none() {
                    list::check_sync(&tx, transition.instance()).await?;
                }
                let request = RunRequest { trigger: Trigger::Manual, accepted };
                transition.apply(Change::Queue(request)).await?;
                let Committed { current_run: run, instance, .. } = transition.commit().await?;
                let subject = || Subject::instance(id).named(&instance.name);
                let run = run.ok_or_else(|| Error::Internal("an active run without a row".into()))?;
                if accepted.removals {
                    let detail = "This run may remove any number of users.";
                    audit::record(&tx, Entry::new(now, Action::RemovalsAccepted, detail).about(subject()));
                }
                if accepted.growth {
                    let detail = "This run may add any number of users.";
                    audit::record(&tx, Entry::new(now, Action::GrowthAccepted, detail).about(subject()));
                }
                accept(&tx, run, accepted).await
            })
            .await
    }
}

/// Disables guards for an active run.
async fn accept(tx: &Tx, run: run::Model, accepted: Accepted) -> Result<run::Model> {
    let (removals, growth) = (run.accept_removals || accepted.removals, run.accept_growth || accepted.growth);
    if (removals, growth) == (run.accept_removals, run.accept_growth) {
        return Ok(run);
    }
    let row =
        run::ActiveModel { accept_removals: Set(removals), accept_growth: Set(growth), ..run.into_active_model() };
    Ok(row.update(tx.conn()).await?)
}

/// Adds a run and its job.
pub(in crate::instance) async fn insert(
    tx: &Tx,
    instance: &Model,
    request: RunRequest,
    priority: Priority,
    now: i64,
) -> Result<run::Model> {
    let RunRequest { trigger, accepted: Accepted { removals, growth } } = request;
    let run = run::Model {
        id: Uuid::now_v7(),
        instance_id: instance.id,
        integration_key: instance.integration_key.clone(),
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
        accept_removals: removals,
        accept_growth: growth,
        manifest_digest: None,
        new_baseline: false,
        users_before: instance.user_count,
        listed: false,
        checkpoint: None,
        waiting_for: None,
        waiting_reason: None,
        waiting_until: None,
        waits: 0,
        waited_ms: 0,
        looks: 0,
        failure_class: None,
        failure_message: None,
        remark: None,
        http_status: None,
        lost: serde_json::json!([]),
        missing_permissions: serde_json::json!([]),
        mail_kind: None,
        mail_reason: None,
    };
    run.clone().into_active_model().reset_all().insert(tx.conn()).await?;
    queue::enqueue_with(tx, JobKind::Sync, priority, &[run.id], now).await?;
    Ok(run)
}
