//! What may happen to an instance, as a pure function: state and change in, states and
//! causes out. Everything that a transition means for rows, mails and jobs is derived
//! from what this answers; nothing here reads a clock or a row.

use entity::event::Cause;
use entity::instance::{Health, InactiveReason, Model, Status, SyncState};

use crate::error::{Refusal, RefusalCode};

/// The part of an instance that transitions are about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    pub status: Status,
    pub inactive_reason: Option<InactiveReason>,
    pub inactive_since: Option<i64>,
    pub sync_state: SyncState,
    pub health: Health,
    pub failing_since: Option<i64>,
    pub consecutive_failures: i32,
    /// 0 when no run ever succeeded.
    pub last_success_at: i64,
}

/// How a completed run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Succeeded,
    Partial,
    /// With the reason for which the server switches the instance off, if it does.
    Failed {
        revoke: Option<InactiveReason>,
    },
}

/// Something that happens to an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// A run was asked for, or is due.
    Queue,
    /// A worker starts the run that waits.
    Start,
    /// The run that goes on has completed.
    Finish(Verdict),
    /// The run that waits or goes on is stopped.
    Cancel,
    /// A member sets Inactive.
    Deactivate,
    /// A member sets Live, or reconnected; the credential was verified where that is needed.
    Activate,
    /// A member deletes all users.
    DeleteUsers,
    /// The users that left reporting have all been removed.
    UsersGone,
    /// A member deletes the instance.
    Delete,
}

/// One event's worth of change.
pub type Step = (Cause, State);

impl State {
    /// The state of a new instance, whose initial run waits already.
    #[expect(clippy::new_without_default, reason = "a new instance is no default: something was created")]
    pub fn new() -> Self {
        State {
            status: Status::Live,
            inactive_reason: None,
            inactive_since: None,
            sync_state: SyncState::Queued,
            health: Health::Pending,
            failing_since: None,
            consecutive_failures: 0,
            last_success_at: 0,
        }
    }

    pub fn of(model: &Model) -> Self {
        State {
            status: model.status,
            inactive_reason: model.inactive_reason,
            inactive_since: model.inactive_since,
            sync_state: model.sync_state,
            health: model.health,
            failing_since: model.failing_since,
            consecutive_failures: model.consecutive_failures,
            last_success_at: model.last_success_at,
        }
    }

    pub fn store(self, model: &mut Model) {
        let State {
            status,
            inactive_reason,
            inactive_since,
            sync_state,
            health,
            failing_since,
            consecutive_failures,
            last_success_at,
        } = self;
        model.status = status;
        model.inactive_reason = inactive_reason;
        model.inactive_since = inactive_since;
        model.sync_state = sync_state;
        model.health = health;
        model.failing_since = failing_since;
        model.consecutive_failures = consecutive_failures;
        model.last_success_at = last_success_at;
    }

    /// The states that follow, each with its cause, in order. Empty: nothing changes,
    /// because it is so already. `now` is in Unix milliseconds.
    ///
    /// # Errors
    /// A refusal when the change does not go with the state; nothing changes then.
    pub fn apply(&self, change: Change, now: i64) -> Result<Vec<Step>, Refusal> {
        let gone = matches!(self.status, Status::Deleting | Status::Deleted);
        match change {
            Change::Delete if gone => Ok(Vec::new()),
            Change::UsersGone => Ok(self.users_gone()),
            _ if gone => {
                Err(Refusal::new(RefusalCode::InstanceDeleted, "This instance is deleted, or is being deleted."))
            }
            Change::Queue => self.queue(),
            Change::Start => self.start(),
            Change::Finish(verdict) => self.finish(verdict, now),
            Change::Cancel => {
                let (steps, _) = self.cancelled();
                if steps.is_empty() {
                    return Err(Refusal::new(
                        RefusalCode::NothingToCancel,
                        "No sync of this instance is waiting or going on.",
                    ));
                }
                Ok(steps)
            }
            Change::Deactivate => Ok(self.deactivate(now)),
            Change::Activate => Ok(self.activate()),
            Change::DeleteUsers => {
                let (mut steps, state) = self.cancelled();
                steps.push((Cause::UsersDeletionStarted, state));
                Ok(steps)
            }
            Change::Delete => {
                let (mut steps, mut state) = self.cancelled();
                state.status = Status::Deleting;
                state.inactive_reason = None;
                state.inactive_since = None;
                steps.push((Cause::DeletionStarted, state));
                Ok(steps)
            }
        }
    }

    fn queue(&self) -> Result<Vec<Step>, Refusal> {
        if self.status != Status::Live {
            return Err(Refusal::new(
                RefusalCode::InstanceInactive,
                "This instance is inactive: set it live before you sync it.",
            ));
        }
        match self.sync_state {
            SyncState::Queued | SyncState::Running => Ok(Vec::new()),
            SyncState::Idle => Ok(vec![(Cause::SyncQueued, State { sync_state: SyncState::Queued, ..self.clone() })]),
        }
    }

    fn start(&self) -> Result<Vec<Step>, Refusal> {
        match (self.status, self.sync_state) {
            (Status::Live, SyncState::Queued) => {
                Ok(vec![(Cause::SyncStarted, State { sync_state: SyncState::Running, ..self.clone() })])
            }
            // A worker that takes a run over finds it running already.
            (Status::Live, SyncState::Running) => Ok(Vec::new()),
            _ => Err(Refusal::new(RefusalCode::NothingToCancel, "No run waits to be started.")),
        }
    }

    fn finish(&self, verdict: Verdict, now: i64) -> Result<Vec<Step>, Refusal> {
        if self.sync_state != SyncState::Running {
            return Err(Refusal::new(RefusalCode::NothingToCancel, "No run is going on."));
        }
        let mut state = State { sync_state: SyncState::Idle, ..self.clone() };
        let revoke = match verdict {
            Verdict::Succeeded | Verdict::Partial => {
                state.health = if verdict == Verdict::Partial { Health::Partial } else { Health::Ok };
                state.failing_since = None;
                state.consecutive_failures = 0;
                state.last_success_at = now;
                let cause = if verdict == Verdict::Partial { Cause::SyncPartial } else { Cause::SyncSucceeded };
                return Ok(vec![(cause, state)]);
            }
            Verdict::Failed { revoke } => revoke,
        };
        state.health = Health::Failing;
        state.failing_since = state.failing_since.or(Some(now));
        state.consecutive_failures = state.consecutive_failures.saturating_add(1);
        let mut steps = vec![(Cause::SyncFailed, state.clone())];
        if let Some(reason) = revoke {
            state.status = Status::Inactive;
            state.inactive_reason = Some(reason);
            state.inactive_since = Some(now);
            steps.push((Cause::Revoked, state));
        }
        Ok(steps)
    }

    /// The steps that stop a run, if one is active, and the state after them.
    fn cancelled(&self) -> (Vec<Step>, State) {
        match self.sync_state {
            SyncState::Idle => (Vec::new(), self.clone()),
            SyncState::Queued | SyncState::Running => {
                let state = State { sync_state: SyncState::Idle, ..self.clone() };
                (vec![(Cause::SyncCancelled, state.clone())], state)
            }
        }
    }

    fn deactivate(&self, now: i64) -> Vec<Step> {
        if self.status == Status::Inactive {
            return Vec::new();
        }
        let (mut steps, mut state) = self.cancelled();
        state.status = Status::Inactive;
        state.inactive_reason = Some(InactiveReason::UserDeactivated);
        state.inactive_since = Some(now);
        steps.push((Cause::Deactivated, state));
        steps
    }

    fn activate(&self) -> Vec<Step> {
        if self.status == Status::Live {
            return Vec::new();
        }
        let state = State {
            status: Status::Live,
            inactive_reason: None,
            inactive_since: None,
            sync_state: SyncState::Queued,
            ..self.clone()
        };
        vec![(Cause::Reactivated, state)]
    }

    fn users_gone(&self) -> Vec<Step> {
        match self.status {
            Status::Deleting => vec![(Cause::Deleted, State { status: Status::Deleted, ..self.clone() })],
            Status::Live | Status::Inactive => vec![(Cause::UsersDeleted, self.clone())],
            Status::Deleted => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn changes() -> impl Strategy<Value = Vec<Change>> {
        let change = prop_oneof![
            4 => Just(Change::Queue),
            4 => Just(Change::Start),
            4 => Just(Change::Finish(Verdict::Succeeded)),
            1 => Just(Change::Finish(Verdict::Partial)),
            4 => Just(Change::Finish(Verdict::Failed { revoke: None })),
            2 => Just(Change::Finish(Verdict::Failed { revoke: Some(InactiveReason::TokenInactive) })),
            1 => Just(Change::Finish(Verdict::Failed { revoke: Some(InactiveReason::InsufficientPermissions) })),
            2 => Just(Change::Cancel),
            2 => Just(Change::Deactivate),
            3 => Just(Change::Activate),
            1 => Just(Change::DeleteUsers),
            1 => Just(Change::UsersGone),
        ];
        (prop::collection::vec(change, 0..60), prop::option::of(Just(Change::Delete)), any::<bool>()).prop_map(
            |(mut changes, delete, gone)| {
                changes.extend(delete);
                if gone {
                    changes.extend([Change::UsersGone, Change::Queue, Change::Activate, Change::Delete]);
                }
                changes
            },
        )
    }

    fn holds(state: &State) {
        let active = state.sync_state != SyncState::Idle;
        assert!(!active || state.status == Status::Live, "an active run needs a live instance: {state:?}");
        assert_eq!(state.inactive_reason.is_some(), state.status == Status::Inactive, "{state:?}");
        assert_eq!(state.inactive_since.is_some(), state.status == Status::Inactive, "{state:?}");
        assert_eq!(state.failing_since.is_some(), state.health == Health::Failing, "{state:?}");
        assert_eq!(state.consecutive_failures > 0, state.health == Health::Failing, "{state:?}");
    }

    proptest! {
        #[test]
        fn the_invariants_hold_after_every_step(changes in changes()) {
            let mut state = State::new();
            holds(&state);
            for (now, change) in (1..).zip(changes) {
                let Ok(steps) = state.apply(change, now) else { continue };
                for (_, next) in steps {
                    holds(&next);
                    if matches!(state.status, Status::Deleting | Status::Deleted) {
                        prop_assert_eq!(next.status, Status::Deleted);
                    }
                    state = next;
                }
            }
        }

        #[test]
        fn a_refusal_or_a_repeat_changes_nothing(changes in changes(), repeat in 0..9usize) {
            let mut state = State::new();
            for (now, change) in (1..).zip(changes) {
                if let Ok(steps) = state.apply(change, now)
                    && let Some((_, next)) = steps.into_iter().last() { state = next }
            }
            let idempotent = [Change::Deactivate, Change::Activate, Change::Delete, Change::Queue];
            let change = idempotent[repeat % idempotent.len()];
            if let Ok(first) = state.apply(change, 1000) {
                let after = first.last().map_or(state.clone(), |(_, s)| s.clone());
                prop_assert_eq!(after.apply(change, 2000).unwrap(), vec![]);
            }
        }
    }

    #[test]
    fn an_auto_revoked_instance_that_is_set_inactive_keeps_its_reason() {
        let mut state = State::new();
        for change in [Change::Start, Change::Finish(Verdict::Failed { revoke: Some(InactiveReason::TokenInactive) })] {
            state = state.apply(change, 5).unwrap().pop().unwrap().1;
        }
        assert_eq!(state.apply(Change::Deactivate, 9).unwrap(), vec![]);
        assert_eq!(state.inactive_reason, Some(InactiveReason::TokenInactive));
    }

    #[test]
    fn a_repeated_failure_keeps_its_beginning() {
        let mut state = State::new();
        let fail = Change::Finish(Verdict::Failed { revoke: None });
        for (at, change) in [(1, Change::Start), (2, fail), (3, Change::Queue), (4, Change::Start), (5, fail)] {
            state = state.apply(change, at).unwrap().pop().unwrap().1;
        }
        assert_eq!((state.failing_since, state.consecutive_failures), (Some(2), 2));
    }

    #[test]
    fn deactivating_a_running_instance_cancels_the_run_first() {
        let state = State::new().apply(Change::Start, 1).unwrap().pop().unwrap().1;
        let causes: Vec<_> = state.apply(Change::Deactivate, 2).unwrap().into_iter().map(|(cause, _)| cause).collect();
        assert_eq!(causes, [Cause::SyncCancelled, Cause::Deactivated]);
    }
}
