//! The end of a run: outcome, state, event, removals and mail, in one transaction.

use entity::instance::{self, InactiveReason};
use entity::run::{self, FailureClass, Outcome};
use integration::source::Loss;
use sea_orm::EntityTrait;
use tracing::{info, warn};
use uuid::Uuid;

use super::failure::Failure;
use super::{Engine, words};
use crate::db::{STATEMENT, Tx};
use crate::error::{Context as _, Error, Result};
use crate::instance::runs::schedule::LONGEST_WAIT_MS;
use crate::instance::state::{Change, Completion};
use crate::instance::transition::{Committed, Transition};
use crate::queue::{self, Claim};

/// How a listing ended.
pub(super) enum Ending {
    Complete,
    Failed {
        error: Failure,
        /// The refusal is certain enough to switch the instance off.
        certain: bool,
    },
}

impl Ending {
    /// A failure that does not switch the instance off.
    pub(super) fn failed(error: Failure) -> Self {
        Ending::Failed { error, certain: false }
    }
}

impl Engine {
    /// Records the outcome. If the claim was lost meanwhile, nothing is recorded.
    pub(super) async fn finish(&self, claim: &Claim, run: Uuid, ending: Ending) -> Result<()> {
        let (now, ending) = (self.instances.clock.now(), &ending);
        let ended =
            self.instances.db.write(|tx| async move { self.record_end(&tx, claim, run, ending, now).await }).await;
        let ended = ended.context("recording the end of the run")?;
        if let Some(Committed { instance, last_run: Some(run), .. }) = ended {
            report(&instance, &run);
        }
        Ok(())
    }

    /// `None` if the claim was lost.
    async fn record_end(
        &self,
        tx: &Tx,
        claim: &Claim,
        run: Uuid,
        ending: &Ending,
        now: i64,
    ) -> Result<Option<Committed>> {
        let row = run::Entity::find_by_id(run).one(tx.conn()).await?;
        let row = row.ok_or_else(|| Error::Internal("a run without a row".into()))?;
        let mut transition = Transition::begin(tx, row.instance_id, None, now).await?;
        if !queue::finish(tx, claim).await? {
            return Ok(None);
        }
        let (failure, certain) = match ending {
            Ending::Failed { error, certain } => (Some(error.clone()), *certain),
            Ending::Complete => (self.remove_leavers(tx, &mut transition, now).await?, false),
        };
        tx.allow(STATEMENT).await?;
        let run = transition.current_run_mut()?;
        let losses: Vec<Loss> = serde_json::from_value(run.lost.clone())?;
        let completion = completion(failure.as_ref(), certain, !losses.is_empty(), now);
        describe(run, completion, failure, &losses, now);
        let mail = self.decide_mail(tx, &mut transition, completion).await?;
        transition.apply(Change::Complete(completion)).await?;
        if let Some(mail) = mail {
            self.write_mail(tx, &transition, mail, now).await?;
        }
        transition.commit().await.map(Some)
    }
}

fn completion(failure: Option<&Failure>, certain: bool, lost: bool, now: i64) -> Completion {
    let Some(error) = failure else { return if lost { Completion::Partial } else { Completion::Succeeded } };
    let revoke = match error.class {
        FailureClass::Token if certain => Some(InactiveReason::TokenInactive),
        FailureClass::Permission if certain => Some(InactiveReason::InsufficientPermissions),
        FailureClass::Token
        | FailureClass::Permission
        | FailureClass::RateLimit
        | FailureClass::Transient
        | FailureClass::Config
        | FailureClass::RemovalGuard
        | FailureClass::Timeout
        | FailureClass::Internal => None,
    };
    let wait = error.retry_after_ms.map(|wait| i64::try_from(wait).unwrap_or(i64::MAX).min(LONGEST_WAIT_MS));
    Completion::Failed { revoke, not_before: wait.map(|wait| now.saturating_add(wait)) }
}

/// Writes the outcome into the run's row.
fn describe(run: &mut run::Model, completion: Completion, failure: Option<Failure>, losses: &[Loss], now: i64) {
    run.finished_at = Some(now);
    run.checkpoint = None;
    run.outcome = Some(match completion {
        Completion::Succeeded => Outcome::Succeeded,
        Completion::Partial => Outcome::Partial,
        Completion::Failed { .. } => Outcome::Failed,
    });
    match failure {
        Some(Failure { class, message, http_status, missing_permissions, definite: _, retry_after_ms: _ }) => {
            run.failure_class = Some(class);
            run.failure_message = Some(message);
            run.http_status = http_status.map(i32::from);
            run.missing_permissions = missing_permissions.into();
        }
        None if losses.is_empty() => {}
        None => {
            let lost: Vec<_> = losses.iter().map(|loss| words(loss.capability)).collect();
            let missing: Vec<_> = losses.iter().filter_map(|loss| loss.missing_permission.clone()).collect();
            let permission =
                if missing.is_empty() { String::new() } else { format!(" Missing: {}.", missing.join(", ")) };
            run.failure_class = Some(FailureClass::Permission);
            run.failure_message = Some(format!(
                "The application refused a part of the list: {}. It keeps its old data.{permission}",
                lost.join(", ")
            ));
            run.missing_permissions = missing.into();
        }
    }
}

/// One metric and one log line for each run.
fn report(instance: &instance::Model, run: &run::Model) {
    metrics::counter!("muster_sync_runs_total", "outcome" => format!("{:?}", run.outcome.unwrap_or(Outcome::Failed)).to_lowercase()).increment(1);
    if run.outcome == Some(Outcome::Failed) {
        let revoked = instance.inactive_reason.is_some();
        warn!(class = ?run.failure_class, revoked, "a sync failed");
    } else {
        let (seen, added, changed, removed) = (run.seen, run.added, run.changed, run.removed);
        info!(seen, added, changed, removed, "a sync succeeded");
    }
}
