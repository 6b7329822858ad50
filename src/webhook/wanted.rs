//! Which messages an event makes for a webhook. Pure.

use entity::event::Cause;
use entity::instance::Model as Instance;
use entity::user_change::Kind as AccountChange;
use entity::webhook::Model;

use crate::auth::Scope;
use crate::error::Result;
use crate::events::findings::PLACES;
use crate::instance::event::Event;
use crate::instance::event::history::ENDS;

/// The place of the first message about an event.
pub fn first_position(seq: i64) -> i64 {
    seq * PLACES
}

/// The place of a message that is sent because a webhook was switched on when this event was the newest one.
pub fn position_at_switch(seq: i64) -> i64 {
    first_position(seq) + 1
}

/// The place of what is sent because a webhook was changed, after a message that is the first about its event, or was sent
/// [because the webhook was switched on](position_at_switch). It is before those about the next event.
pub fn position_after(position: i64) -> i64 {
    if position.rem_euclid(PLACES) == 0 { position + PLACES - 1 } else { position + 1 }
}

/// What a webhook wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// `None` for every cause.
    pub causes: Option<Vec<Cause>>,
    /// Only events that change the status or the health of an instance.
    pub only_changes: bool,
    pub account_changes: Vec<AccountChange>,
    /// What evaluations have opened and closed.
    pub finding_changes: bool,
    /// `None` for all instances.
    pub scope: Option<Scope>,
}

/// A message about an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// What happened to the instance.
    Instance,
    /// How many accounts a run changed in this way.
    Accounts(AccountChange, i64),
}

impl Message {
    /// Its place in the order of all messages to a webhook.
    pub fn position(self, seq: i64) -> i64 {
        let own = match self {
            Message::Instance => 0,
            Message::Accounts(AccountChange::Added, _) => 1,
            Message::Accounts(AccountChange::Removed, _) => 2,
            Message::Accounts(AccountChange::Changed, _) => 3,
        };
        first_position(seq) + own
    }

    /// What the receiver sees as its type.
    pub fn message_type(self, cause: Cause) -> String {
        match self {
            Message::Instance => format!("instance.{}", entity::growing::text(&cause)),
            Message::Accounts(AccountChange::Added, _) => "accounts.joined".into(),
            Message::Accounts(AccountChange::Removed, _) => "accounts.left".into(),
            Message::Accounts(AccountChange::Changed, _) => "accounts.changed".into(),
        }
    }
}

impl Wanted {
    pub fn of(row: &Model) -> Result<Self> {
        Ok(Self {
            causes: row.causes.as_deref().map(serde_json::from_str).transpose()?,
            only_changes: row.only_changes,
            account_changes: serde_json::from_str(&row.account_changes)?,
            finding_changes: row.finding_changes,
            scope: row.scope.as_deref().map(serde_json::from_str).transpose()?,
        })
    }

    /// Whether the webhook is for an instance.
    pub fn is_for(&self, instance: &Instance) -> bool {
        self.scope.as_ref().is_none_or(|scope| scope.has(&instance.integration_key, instance.id))
    }

    /// Whether the webhook is for the instance of an event.
    pub fn is_about(&self, event: &Event) -> bool {
        self.is_for(&event.snapshot.instance)
    }

    /// The messages that an event makes, in their order.
    pub fn messages(&self, event: &Event) -> Vec<Message> {
        if !self.is_about(event) {
            return Vec::new();
        }
        let mut messages = Vec::new();
        if self.wants_event(event) {
            messages.push(Message::Instance);
        }
        if ENDS.contains(&event.cause)
            && let Some(run) = &event.snapshot.last_run
        {
            let counts = [
                (AccountChange::Added, run.added),
                (AccountChange::Removed, run.removed),
                // After a change of the manifest, the accounts have not changed, but how they are read.
                (AccountChange::Changed, if run.new_baseline { 0 } else { run.changed }),
            ];
            let wanted = counts.into_iter().filter(|(kind, count)| *count > 0 && self.account_changes.contains(kind));
            messages.extend(wanted.map(|(kind, count)| Message::Accounts(kind, count)));
        }
        messages
    }

    fn wants_event(&self, event: &Event) -> bool {
        if self.causes.as_ref().is_some_and(|causes| !causes.contains(&event.cause)) {
            return false;
        }
        let now = &event.snapshot.instance;
        // An instance that is new has no state before.
        let is_change = event.cause == Cause::Created
            || event.snapshot.before.as_ref().is_none_or(|it| it.status != now.status || it.health != now.health);
        is_change || !self.only_changes
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::events::findings::OF_EVENT;

    #[test]
    fn no_two_messages_have_one_place() {
        let first = [first_position(-1), first_position(0), first_position(7)];
        let switched = [-1, 0, 7].map(position_at_switch);
        let places: BTreeSet<i64> = first.into_iter().chain(switched).flat_map(|at| [at, position_after(at)]).collect();
        assert_eq!(places.len(), 12);
        assert!(
            [7 * PLACES, 7 * PLACES + 1, 7 * PLACES + 2, 8 * PLACES - 1].iter().all(|place| places.contains(place))
        );
    }

    #[test]
    fn the_messages_of_an_event_are_between_its_number_and_the_next_one() {
        let all = [
            Message::Instance,
            Message::Accounts(AccountChange::Added, 1),
            Message::Accounts(AccountChange::Removed, 1),
            Message::Accounts(AccountChange::Changed, 1),
        ];
        let positions: BTreeSet<i64> = all.into_iter().map(|message| message.position(7)).collect();
        assert_eq!(positions.len(), all.len());
        assert!(positions.iter().all(|position| (7 * PLACES..7 * PLACES + OF_EVENT).contains(position)));
        assert!(position_after(first_position(7)) < first_position(8));
        assert_eq!(Message::Instance.message_type(Cause::SyncFailed), "instance.sync_failed");
    }
}
