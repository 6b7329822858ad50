//! The end of a run: outcome, state, event, removals and mail, in one transaction.

use entity::instance::{self, InactiveReason};
use entity::run::{self, FailureClass, Outcome};
use entity::user::UserStatus;
use integration::source::{Capability, Loss};
use sea_orm::EntityTrait;
use tracing::{info, warn};
use uuid::Uuid;

use super::failure::Failure;
use super::reconcile::{self, Scope};
use super::removal::has_seen_everybody;
use super::{Engine, baseline, losses};
use crate::db::{STATEMENT, Tx};
use crate::error::{Context as _, Error, Result};
use crate::instance::capability;
use crate::instance::list;
use crate::instance::recovery;
use crate::instance::runs::schedule::LONGEST_WAIT_MS;
use crate::instance::state::{Change, Completion, Revocation};
use crate::instance::transition::{Committed, Transition};
use crate::queue::{self, Claim};

/// How a listing ended.
pub(super) enum Ending {
    Complete,
    Failed { error: Failure, refusal: Option<Refusal> },
}

/// The application refuses the credential. This is certain enough to switch the instance off.
#[derive(Clone, Copy)]
pub(super) enum Refusal {
    Explicit,
    /// It did not say why, so the server tries the credential again later.
    Bare {
        guessing_locks: bool,
    },
}

impl Ending {
    /// A failure that does not switch the instance off.
    pub(super) fn failed(error: Failure) -> Self {
        Ending::Failed { error, refusal: None }
    }
}

impl Engine {
    /// Records the outcome. If the claim was lost meanwhile, nothing is recorded.
    pub(super) async fn finish(&self, claim: &Claim, run: Uuid, ending: Ending) -> Result<()> {
        let (now, ending) = (self.instances.clock.now(), &ending);
        let ended = self.write(|tx| async move { self.record_end(&tx, claim, run, ending, now).await }).await;
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
        let absent = set_absent_apart(tx, &mut transition, now).await?;
        let (failure, refusal) = match ending {
            Ending::Failed { error, refusal } => (Some(error.clone()), *refusal),
            Ending::Complete => (self.remove_leavers(tx, &mut transition, now).await?, None),
        };
        let too_long = self.limits.is_too_long(transition.current_run_mut()?);
        if too_long || failure.as_ref().is_some_and(|error| error.class == FailureClass::GrowthGuard) {
            self.drop_added(tx, &mut transition, now).await?;
        }
        tx.allow(STATEMENT).await?;
        let tries = transition.instance().tries;
        let run = transition.current_run_mut()?;
        let losses = losses::of(run)?;
        let completion = completion(failure.as_ref(), refusal, !losses.is_empty(), tries, now);
        describe(run, completion, failure, &losses, &absent, now);
        self.record_what_is_known(tx, &mut transition, &losses, &absent).await?;
        let is_failed = matches!(completion, Completion::Failed { .. });
        let failure_class = transition.current_run_mut()?.failure_class.filter(|_| is_failed);
        let instance = transition.instance_mut();
        instance.failure_class = failure_class;
        if !is_failed {
            instance.tries = 0;
        }
        let mail = self.decide_mail(tx, &mut transition, completion, now).await?;
        transition.apply(Change::Complete(completion)).await?;
        if let Some(mail) = mail {
            self.write_mail(tx, &transition, mail, now).await?;
        }
        transition.commit().await.map(Some)
    }

    /// Records when each part of the list was last read, with which manifest, and how many users there are.
    async fn record_what_is_known(
        &self,
        tx: &Tx,
        transition: &mut Transition<'_>,
        losses: &[Loss],
        absent: &[Loss],
    ) -> Result<()> {
        // A list that cannot prove itself whole does not use a new baseline up, unless the one before could not either.
        let before = transition.last_run().map(losses::of).transpose()?;
        let is_whole = !losses::includes_users(losses);
        let uses_baseline = is_whole || before.is_some_and(|before| losses::includes_users(&before));
        let run = transition.current_run_mut()?;
        let is_failed = run.outcome == Some(Outcome::Failed);
        let (at, digest) = (run.started_at.unwrap_or(run.queued_at), run.manifest_digest.clone());
        let grown = run.added - run.removed;
        let instance = transition.instance_mut();
        if !is_failed && uses_baseline {
            instance.manifest_digest = digest;
        }
        if !is_failed {
            instance.known_users = Some(instance.user_count + grown);
        }
        let integration = self.instances.catalog.find(&instance.integration_key);
        let provided = integration.map_or(&[][..], |integration| &integration.capabilities);
        // What a list has, and since when, its delivery says.
        let is_delivered = list::is_delivered(instance);
        let delivery = if is_delivered { list::latest(tx.conn(), instance.id).await? } else { None };
        let delivered = delivery.as_ref().map(list::capabilities).transpose()?;
        let at = delivery.and_then(|delivery| delivery.delivered_at).unwrap_or(at);
        let provided = delivered.as_deref().unwrap_or(provided);
        let lost = [losses, absent].concat();
        let lost = (!is_failed).then_some(&*lost);
        capability::record(tx, instance.id, &capability::Told { at, provided, lost }).await
    }
}

/// Takes those losses out of the run that are none, because the application never had the part, and returns them.
async fn set_absent_apart(tx: &Tx, transition: &mut Transition<'_>, now: i64) -> Result<Vec<Loss>> {
    let (instance, user_count) = (transition.instance().id, transition.instance().user_count);
    let run = transition.current_run_mut()?;
    let mut losses = losses::of(run)?;
    if !losses.iter().any(|loss| loss.is_absent) {
        return Ok(Vec::new());
    }
    // What was read of them before would be missed: as a whole, or by a run that failed later.
    if capability::as_of(tx.conn(), instance).await?.contains_key(&Capability::Invitations) {
        return Ok(Vec::new());
    }
    if !has_seen_everybody(run, user_count) {
        let scope = Scope::of(run, now);
        let unseen = reconcile::count_unseen(tx.conn(), &scope, None).await?;
        if unseen > reconcile::count_unseen(tx.conn(), &scope, Some(UserStatus::Invited)).await? {
            return Ok(Vec::new());
        }
    }
    let absent = losses::take_absent(&mut losses);
    run.lost = serde_json::to_value(losses)?;
    Ok(absent)
}

/// `tries` is how often the server has tried the credential by itself.
fn completion(failure: Option<&Failure>, refusal: Option<Refusal>, lost: bool, tries: i32, now: i64) -> Completion {
    let Some(error) = failure else { return if lost { Completion::Partial } else { Completion::Succeeded } };
    let reason = match error.class {
        FailureClass::Token => Some(InactiveReason::TokenInactive),
        FailureClass::Permission => Some(InactiveReason::InsufficientPermissions),
        FailureClass::RateLimit
        | FailureClass::Transient
        | FailureClass::Config
        | FailureClass::RemovalGuard
        | FailureClass::GrowthGuard
        | FailureClass::Timeout
        | FailureClass::Overdue
        | FailureClass::Internal
        | FailureClass::Unknown => None,
    };
    let revoke = refusal.zip(reason).map(|(refusal, reason)| Revocation {
        reason,
        try_at: match refusal {
            Refusal::Explicit => None,
            Refusal::Bare { guessing_locks } => recovery::next_try(now, tries, guessing_locks, fastrand::f64()),
        },
    });
    let soon = matches!(error.class, FailureClass::Transient | FailureClass::Timeout | FailureClass::RateLimit);
    let wait = error.retry_after_ms.map(|wait| i64::try_from(wait).unwrap_or(i64::MAX).min(LONGEST_WAIT_MS));
    Completion::Failed { revoke, not_before: wait.map(|wait| now.saturating_add(wait)), soon }
}

/// Writes the outcome into the run's row.
fn describe(
    run: &mut run::Model,
    completion: Completion,
    failure: Option<Failure>,
    losses: &[Loss],
    absent: &[Loss],
    now: i64,
) {
    run.finished_at = Some(now);
    run.checkpoint = None;
    run.end_wait();
    run.outcome = Some(match completion {
        Completion::Succeeded => Outcome::Succeeded,
        Completion::Partial => Outcome::Partial,
        Completion::Failed { .. } => Outcome::Failed,
    });
    if let Some(failure) = failure {
        let Failure { class, message, http_status, missing_permissions, explicit: _, retry_after_ms: _, lasting: _ } =
            failure;
        run.failure_class = Some(class);
        run.failure_message = Some(message);
        run.http_status = http_status.map(i32::from);
        run.missing_permissions = missing_permissions.into();
        return;
    }
    run.remark = remark(run, absent);
    if !losses.is_empty() {
        run.failure_class = Some(losses::class(losses));
        run.failure_message = Some(losses::describe(losses));
        run.missing_permissions = losses::permissions(losses).into();
    }
}

/// A remark for people about a run that did not fail.
fn remark(run: &run::Model, absent: &[Loss]) -> Option<String> {
    let nobody =
        (run.seen == 0).then_some("The application listed nobody. If it has users, the credential may not see them.");
    let baseline = run.new_baseline.then_some(baseline::REMARK);
    let absent = losses::describe_absent(absent);
    let remarks: Vec<_> = nobody.into_iter().chain(baseline).chain(absent.as_deref()).collect();
    (!remarks.is_empty()).then(|| remarks.join(" "))
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
