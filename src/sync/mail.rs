//! The mail about a run's outcome. It is decided before the outcome is applied, so that the event contains the
//! decision. It is written afterwards, because it describes the new state.

use entity::notification::{MailReason, NotificationKind};
use entity::run::{FailureClass, Outcome};

use super::Engine;
use crate::db::Tx;
use crate::error::Result;
use crate::instance::notice::missing_permissions;
use crate::instance::state::Completion;
use crate::instance::transition::Transition;
use crate::notification::compose::{self, Facts, FailureFacts, MissingFacts, compose};
use crate::notification::decide::{RunResult, decide};
use crate::notification::outbox::{self, MailRequest};
use crate::notification::storm::common_reason;

/// A mail to be written.
pub(super) struct Mail {
    kind: NotificationKind,
    addresses: Vec<String>,
    /// The server switched the instance off.
    revoked: bool,
    /// When the failures began, for a mail about a recovery.
    failing_since: Option<i64>,
    /// Of the failure, or of the failure that a recovery ends.
    class: Option<FailureClass>,
}

impl Engine {
    /// Decides about mail, and writes the decision into the current run.
    pub(super) async fn decide_mail(
        &self,
        tx: &Tx,
        transition: &mut Transition<'_>,
        completion: Completion,
        now: i64,
    ) -> Result<Option<Mail>> {
        let result = match completion {
            Completion::Succeeded | Completion::Partial => RunResult::Succeeded,
            Completion::Failed { revoke: None, .. } => RunResult::Failed,
            Completion::Failed { revoke: Some(_), .. } => RunResult::FailedAndRevoked,
        };
        let failed_before = transition.last_run().and_then(|run| run.failure_class);
        let instance = transition.instance_mut();
        let kind = decide(instance.health, result, instance.revocation_mailed);
        instance.revocation_mailed = result != RunResult::Succeeded
            && (instance.revocation_mailed || kind == Some(NotificationKind::AutoRevoked));
        let failing_since = instance.failing_since;
        let addresses = match kind {
            Some(_) => outbox::addresses(tx, instance.created_by_email.clone(), now).await?,
            None => Vec::new(),
        };
        let run = transition.current_run_mut()?;
        let class = if result == RunResult::Succeeded { failed_before } else { run.failure_class };
        run.mail_kind = kind;
        run.mail_reason = Some(match kind {
            None => MailReason::NoChange,
            Some(_) if addresses.is_empty() => MailReason::NoRecipient,
            Some(_) => MailReason::Edge,
        });
        Ok(kind.map(|kind| Mail {
            kind,
            addresses,
            revoked: result == RunResult::FailedAndRevoked,
            failing_since,
            class,
        }))
    }

    /// Writes a mail for each address, about the run that has just completed.
    pub(super) async fn write_mail(&self, tx: &Tx, transition: &Transition<'_>, mail: Mail, now: i64) -> Result<()> {
        let Mail { kind, addresses, revoked, failing_since, class } = mail;
        let instance = transition.instance();
        let Some(run) = transition.last_run() else { return Ok(()) };
        let about = self.instances.about(instance);
        let missing = missing_permissions(run);
        let message = run.failure_message.as_deref().unwrap_or_default();
        let count = |number: i64| number.unsigned_abs();
        let rendered = compose(&Facts {
            kind,
            uses_consent: about.consents,
            secret: about.secret,
            integration: about.integration,
            instance: &instance.name,
            outcome_at_ms: now,
            since_ms: instance.failing_since.or(failing_since),
            data_as_of_ms: (instance.last_success_at > 0).then_some(instance.last_success_at),
            failure: run.failure_class.filter(|_| run.outcome == Some(Outcome::Failed)).map(|class| FailureFacts {
                class,
                message,
                missing_permissions: &missing,
            }),
            revoked,
            counts: compose::Counts {
                seen: count(run.seen),
                added: count(run.added),
                changed: count(run.changed),
                removed: count(run.removed),
            },
            user_count: count(instance.user_count),
            next_sync_ms: instance.next_sync_at,
            next_try_ms: instance.next_try_at,
            link: format!("{}/{}", self.public_url, (self.page_of)(instance.id)),
            missing: (run.outcome == Some(Outcome::Partial)).then_some(MissingFacts { message, permissions: &missing }),
        });
        let reason = common_reason(kind, class);
        let hold = reason.map_or(0, |_| i64::try_from(self.limits.hold.first.as_millis()).unwrap_or(i64::MAX));
        let request = MailRequest {
            kind,
            instance_id: instance.id,
            run_id: run.id,
            host: &self.mail_host,
            now,
            reason,
            hold_ms: hold,
        };
        outbox::enqueue(tx, &request, addresses, &rendered).await
    }
}
