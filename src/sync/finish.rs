//! The end of a run: outcome, state, event, removals and mail, in one transaction.

use std::time::Duration;

use entity::instance::{self, InactiveReason, Status};
use entity::notification::{MailReason, NotificationKind};
use entity::run::{self, FailureClass, Outcome, Trigger};
use integration::source::{Capability, Loss};
use sea_orm::{ActiveModelTrait, EntityTrait, IntoActiveModel};
use tracing::{info, warn};

use super::Engine;
use super::failure::Failure;
use super::reconcile::{self, Scope};
use crate::db::{STATEMENT, Tx};
use crate::error::{Error, Result};
use crate::instance::notice::missing_permissions;
use crate::instance::runs::schedule;
use crate::instance::state::{Change, State, Verdict};
use crate::instance::{lock, record};
use crate::notification::compose::{self, Facts, FailureFacts, compose};
use crate::notification::decide::{RunResult, decide};
use crate::notification::outbox::{self, MailRequest};
use crate::queue::{self, Claim};

/// How long the removal of those who left may take.
const REMOVAL: Duration = Duration::from_mins(10);

/// How a listing ended.
pub(super) enum Ending {
    Complete,
    /// With whether the refusal is certain enough to switch the instance off.
    Failed(Failure, bool),
}

/// Whether the removal of `leaving` of `known` users has to be accepted by somebody first.
pub(super) fn guarded(leaving: i64, known: i64, percent: i64, minimum: i64) -> bool {
    leaving >= minimum && leaving.saturating_mul(100) > known.saturating_mul(percent)
}

impl Engine {
    /// Records the outcome. A claim that was lost meanwhile records nothing.
    pub(super) async fn finish(&self, claim: &Claim, run_id: uuid::Uuid, ending: Ending) -> Result<()> {
        let (now, roll, ending) = (self.instances.clock.now(), fastrand::f64(), &ending);
        let ended = self
            .instances
            .db
            .write(|tx| async move { self.record_end(&tx, claim, run_id, ending, now, roll).await })
            .await?;
        if let Some((model, run)) = ended {
            tell(&model, &run);
        }
        Ok(())
    }

    /// `None`: the claim was lost.
    async fn record_end(
        &self,
        tx: &Tx,
        claim: &Claim,
        run_id: uuid::Uuid,
        ending: &Ending,
        now: i64,
        roll: f64,
    ) -> Result<Option<(instance::Model, run::Model)>> {
        let run = run::Entity::find_by_id(run_id).one(tx.conn()).await?;
        let run = run.ok_or_else(|| Error::Internal("a run without a row".into()))?;
        // The instance before its job, as everywhere; and the run as it is once nobody else changes it.
        let before = lock(tx, run.instance_id).await?;
        if !queue::finish(tx, claim).await? {
            return Ok(None);
        }
        let run = run::Entity::find_by_id(run_id).one(tx.conn()).await?;
        let mut run = run.ok_or_else(|| Error::Internal("a run without a row".into()))?;
        let mut model = before.clone();

        let (failure, certain) = match ending {
            Ending::Failed(error, certain) => (Some(error.clone()), *certain),
            Ending::Complete => (self.remove_leavers(tx, &before, &mut run, now).await?, false),
        };
        tx.allow(STATEMENT).await?;
        let losses: Vec<Loss> = serde_json::from_value(run.lost.clone())?;
        let verdict = judge(failure.as_ref(), certain, !losses.is_empty());
        let retry_at = failure.as_ref().and_then(|error| error.retry_after_ms).map_or(0, |wait| {
            now.saturating_add(i64::try_from(wait).unwrap_or(i64::MAX).min(schedule::LONGEST_WAIT_MS))
        });
        describe(&mut run, verdict, failure, &losses, now);
        // What a run added stays, also when it failed: those people are there.
        model.user_count = before.user_count + run.added - run.removed;
        model.current_run_id = None;
        model.last_run_id = Some(run.id);
        let steps = State::of(&before).apply(Change::Finish(verdict), now)?;
        let next = schedule::next_due(now, model.sync_interval_minutes, roll).max(retry_at);
        // The mail tells how it ended; the events, each step on the way.
        let mut ended = model.clone();
        if let Some((_, state)) = steps.last() {
            state.clone().store(&mut ended);
        }
        ended.next_sync_at = (ended.status == Status::Live).then_some(next);
        self.mail(tx, &before, &mut ended, &mut run, verdict, now).await?;
        model.revocation_mailed = ended.revocation_mailed;
        run.clone().into_active_model().reset_all().update(tx.conn()).await?;
        for step in steps {
            let previous = model.clone();
            model.next_sync_at = (step.1.status == Status::Live).then_some(next);
            record(tx, &previous, &mut model, vec![step], None, now).await?;
        }
        Ok(Some((model, run)))
    }

    /// Removes the users that the complete listing left behind, unless the guard holds
    /// them: then the run fails, with this error.
    async fn remove_leavers(
        &self,
        tx: &Tx,
        instance: &instance::Model,
        run: &mut run::Model,
        now: i64,
    ) -> Result<Option<Failure>> {
        let scope = Scope { instance_id: run.instance_id, run_id: run.id, number: run.number, now };
        // The register's own count tells whether anybody is missing, without looking at everybody.
        if instance.user_count + run.added == run.seen {
            return Ok(None);
        }
        // However many there are, they leave with the outcome or not at all.
        tx.allow(REMOVAL).await?;
        let leaving = reconcile::count_unseen(tx.conn(), &scope).await?;
        if leaving == 0 {
            return Ok(None);
        }
        let first = run.trigger == Trigger::Initial || instance.health == instance::Health::Pending;
        let known = run.users_before;
        if !first
            && !run.accept_removals
            && guarded(leaving, known, self.limits.guard_percent, self.limits.guard_minimum)
        {
            let message = format!(
                "The application no longer lists {leaving} of {known} users. Nobody was removed: if they really left, sync again and accept the removals."
            );
            return Ok(Some(Failure::new(FailureClass::RemovalGuard, message)));
        }
        run.removed = reconcile::remove_unseen(tx.conn(), &scope).await?;
        Ok(None)
    }

    /// Decides about mail, and writes it down.
    async fn mail(
        &self,
        tx: &Tx,
        before: &instance::Model,
        model: &mut instance::Model,
        run: &mut run::Model,
        verdict: Verdict,
        now: i64,
    ) -> Result<()> {
        let ended = match verdict {
            Verdict::Succeeded | Verdict::Partial => RunResult::Succeeded,
            Verdict::Failed { revoke: None } => RunResult::Failed,
            Verdict::Failed { revoke: Some(_) } => RunResult::FailedAndRevoked,
        };
        let kind = decide(before.health, ended, before.revocation_mailed);
        model.revocation_mailed =
            ended != RunResult::Succeeded && (before.revocation_mailed || kind == Some(NotificationKind::AutoRevoked));
        run.mail_kind = kind;
        run.mail_reason = Some(MailReason::NoChange);
        let Some(kind) = kind else { return Ok(()) };
        let about = self.instances.about(model);
        let missing = missing_permissions(run);
        let lost: Vec<Loss> = serde_json::from_value(run.lost.clone())?;
        let lost: Vec<String> = lost.iter().map(|loss| words(loss.capability).to_owned()).collect();
        let count = |number: i64| number.unsigned_abs();
        let rendered = compose(&Facts {
            kind,
            uses_consent: about.consents,
            integration: about.integration,
            instance: &model.name,
            outcome_at_ms: now,
            since_ms: model.failing_since.or(before.failing_since),
            data_as_of_ms: (model.last_success_at > 0).then_some(model.last_success_at),
            failure: run.failure_class.filter(|_| run.outcome == Some(Outcome::Failed)).map(|class| FailureFacts {
                class,
                message: run.failure_message.as_deref().unwrap_or_default(),
                missing_permissions: &missing,
            }),
            revoked: ended == RunResult::FailedAndRevoked,
            counts: compose::Counts {
                seen: count(run.seen),
                added: count(run.added),
                changed: count(run.changed),
                removed: count(run.removed),
            },
            user_count: count(model.user_count),
            next_sync_ms: model.next_sync_at,
            link: format!("{}/?instance={}", self.public_url, model.id),
            lost: &lost,
        });
        let request = MailRequest {
            kind,
            instance_id: model.id,
            run_id: run.id,
            creator_email: model.created_by_email.as_deref(),
            host: &self.mail_host,
            now,
        };
        let mails = outbox::enqueue(tx, &request, &rendered).await?;
        run.mail_reason = Some(if mails == 0 { MailReason::NoRecipient } else { MailReason::Edge });
        Ok(())
    }
}

fn judge(failure: Option<&Failure>, certain: bool, lost: bool) -> Verdict {
    let Some(error) = failure else { return if lost { Verdict::Partial } else { Verdict::Succeeded } };
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
    Verdict::Failed { revoke }
}

/// Writes the outcome into the run's row.
fn describe(run: &mut run::Model, verdict: Verdict, failure: Option<Failure>, losses: &[Loss], now: i64) {
    run.finished_at = Some(now);
    run.checkpoint = None;
    run.outcome = Some(match verdict {
        Verdict::Succeeded => Outcome::Succeeded,
        Verdict::Partial => Outcome::Partial,
        Verdict::Failed { .. } => Outcome::Failed,
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

/// A capability in the middle of a sentence.
fn words(capability: Capability) -> &'static str {
    match capability {
        Capability::Users => "the users",
        Capability::LastActivity => "last activity",
        Capability::Mfa => "second factors",
        Capability::AdminRoles => "administrator roles",
        Capability::Licenses => "licences",
    }
}

fn tell(model: &instance::Model, run: &run::Model) {
    metrics::counter!("muster_sync_runs_total", "outcome" => format!("{:?}", run.outcome.unwrap_or(Outcome::Failed)).to_lowercase()).increment(1);
    let (instance, id) = (model.id, run.id);
    if run.outcome == Some(Outcome::Failed) {
        let revoked = model.inactive_reason.is_some();
        warn!(instance.id = %instance, sync_run.id = %id, class = ?run.failure_class, revoked, "a sync failed");
    } else {
        let (seen, added, changed, removed) = (run.seen, run.added, run.changed, run.removed);
        info!(instance.id = %instance, sync_run.id = %id, seen, added, changed, removed, "a sync succeeded");
    }
}

#[cfg(test)]
mod tests {
    use super::guarded;

    #[test]
    fn the_guard_needs_more_than_a_fifth_and_ten_at_least() {
        for (leaving, known, held) in [
            (9, 9, false),
            (10, 10, true),
            (10, 50, false),
            (11, 50, true),
            (20, 100, false),
            (21, 100, true),
            (0, 0, false),
        ] {
            assert_eq!(guarded(leaving, known, 20, 10), held, "{leaving} of {known}");
        }
    }
}
