//! What people are told about an event, in a chat or by an alert. Pure: the mail decision of the run stands in the event.

use entity::event::Cause;
use entity::notification::NotificationKind;
use entity::run::{FailureClass, Outcome};

use crate::instance::event::Event;
use crate::instance::notice::{About, missing_permissions};
use crate::notification::compose::{Brief, Counts, Facts, FailureFacts, MissingFacts, brief};

/// What the types of messages to chats begin with.
const TYPE: &str = "notice.";
/// The end of the type of a message that a guard holds a sync.
const HELD: &str = "sync_held";

/// What people are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notice {
    pub kind: NotificationKind,
    /// The server switched the instance off.
    pub revoked: bool,
    pub class: Option<FailureClass>,
}

impl Notice {
    /// Those of one type are told together, if there are many.
    pub fn message_type(self) -> String {
        match (self.kind, self.class) {
            (NotificationKind::SyncFailed, _) if self.revoked => of_kind(NotificationKind::AutoRevoked),
            (NotificationKind::SyncFailed, Some(FailureClass::RemovalGuard | FailureClass::GrowthGuard)) => {
                format!("{TYPE}{HELD}")
            }
            (kind, _) => of_kind(kind),
        }
    }
}

fn of_kind(kind: NotificationKind) -> String {
    format!("{TYPE}{}", entity::growing::text(&kind))
}

/// The kind that messages of a type are about; `None` if it is no type of messages to chats.
pub fn kind_of(message_type: &str) -> Option<NotificationKind> {
    match message_type.strip_prefix(TYPE)? {
        HELD => Some(NotificationKind::SyncFailed),
        kind => entity::growing::value(kind).ok(),
    }
}

/// Whether the event after this one tells the same, and more: that the failure has switched the instance off. Both have
/// happened at once.
pub fn is_superseded(event: &Event, next: Option<&Event>) -> bool {
    event.cause == Cause::SyncFailed
        && next
            .is_some_and(|next| next.cause == Cause::Revoked && next.snapshot.instance.id == event.snapshot.instance.id)
}

/// What people are told about an event: the same as by mail, and at the same event.
pub fn of_event(event: &Event, next: Option<&Event>) -> Option<Notice> {
    let tells = matches!(event.cause, Cause::SyncSucceeded | Cause::SyncPartial | Cause::SyncFailed | Cause::Revoked);
    if !tells || is_superseded(event, next) {
        return None;
    }
    let run = event.snapshot.last_run.as_ref()?;
    let class = run.failure_class.filter(|_| run.outcome == Some(Outcome::Failed));
    Some(Notice { kind: run.mail_kind?, revoked: event.cause == Cause::Revoked, class })
}

/// The text of it. It has nothing that an application wrote, and names nobody.
pub fn text(event: &Event, notice: Notice, about: About, link: String) -> Brief {
    let (instance, run) = (&event.snapshot.instance, event.snapshot.last_run.as_ref());
    let missing = run.map(missing_permissions).unwrap_or_default();
    let count = |number: fn(&entity::run::Model) -> i64| run.map_or(0, number).unsigned_abs();
    let failed_before = event.snapshot.before.as_ref().and_then(|before| before.failing_since);
    let is_partial = run.is_some_and(|run| run.outcome == Some(Outcome::Partial));
    brief(&Facts {
        kind: notice.kind,
        uses_consent: about.consents,
        secret: about.secret,
        integration: about.integration,
        instance: &instance.name,
        outcome_at_ms: event.at,
        since_ms: instance.failing_since.or(failed_before),
        data_as_of_ms: (instance.last_success_at > 0).then_some(instance.last_success_at),
        failure: notice.class.map(|class| FailureFacts { class, message: "", missing_permissions: &missing }),
        revoked: notice.revoked,
        counts: Counts {
            seen: count(|run| run.seen),
            added: count(|run| run.added),
            changed: count(|run| run.changed),
            removed: count(|run| run.removed),
        },
        user_count: instance.user_count.unsigned_abs(),
        next_sync_ms: instance.next_sync_at,
        next_try_ms: instance.next_try_at,
        link,
        missing: is_partial.then_some(MissingFacts { message: "", permissions: &missing }),
    })
}

#[cfg(test)]
mod tests {
    use sea_orm::Iterable;

    use super::*;

    #[test]
    fn a_type_tells_what_it_is_about() {
        for kind in NotificationKind::iter() {
            let notice = Notice { kind, revoked: false, class: None };
            assert_eq!(kind_of(&notice.message_type()), Some(kind), "{kind:?}");
        }
        let failed = Notice { kind: NotificationKind::SyncFailed, revoked: false, class: None };
        let held = Notice { class: Some(FailureClass::GrowthGuard), ..failed };
        assert_eq!(held.message_type(), "notice.sync_held");
        assert_eq!(Notice { revoked: true, ..held }.message_type(), "notice.auto_revoked");
        assert_eq!(kind_of("notice.sync_held"), Some(NotificationKind::SyncFailed));
        assert_eq!(kind_of("instance.sync_failed"), None);
    }
}
