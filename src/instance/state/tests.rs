use proptest::prelude::*;

use super::*;

const MANUAL: Change =
    Change::Queue(RunRequest { trigger: Trigger::Manual, accepted: Accepted { removals: false, growth: false } });
const FAIL: Change = Change::Complete(Completion::Failed { revoke: None, not_before: None, soon: false });
/// When tries of the credential are due.
const TRY_AT: i64 = 500;

/// `bare`: the application did not say why it refuses the credential.
fn revoke(reason: InactiveReason, bare: bool) -> Change {
    let revoke = Some(Revocation { reason, try_at: bare.then_some(TRY_AT) });
    Change::Complete(Completion::Failed { revoke, not_before: None, soon: false })
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let change = prop_oneof![
        4 => Just(MANUAL),
        4 => Just(Change::Start),
        4 => Just(Change::Complete(Completion::Succeeded)),
        1 => Just(Change::Complete(Completion::Partial)),
        4 => Just(FAIL),
        1 => Just(Change::Wait),
        1 => Just(Change::Resume),
        2 => any::<bool>().prop_map(|bare| revoke(InactiveReason::TokenInactive, bare)),
        1 => any::<bool>().prop_map(|bare| revoke(InactiveReason::InsufficientPermissions, bare)),
        1 => Just(Change::Recover),
        2 => prop::option::of(Just(TRY_AT)).prop_map(|again| Change::TryFailed { again }),
        2 => Just(Change::Cancel),
        1 => Just(Change::Edit),
        2 => Just(Change::Deactivate),
        3 => Just(Change::Activate),
        1 => Just(Change::ActivateWaiting),
        1 => Just(Change::DeleteUsers),
        1 => Just(Change::UsersRemoved),
    ];
    (prop::collection::vec(change, 0..60), prop::option::of(Just(Change::Delete)), any::<bool>()).prop_map(
        |(mut changes, delete, gone)| {
            changes.extend(delete);
            if gone {
                changes.extend([Change::UsersRemoved, MANUAL, Change::Activate, Change::Delete]);
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
    let revoked = matches!(state.inactive_reason, Some(reason) if reason != InactiveReason::UserDeactivated);
    assert!(!state.recovering || revoked, "only what the server switched off is tried: {state:?}");
    assert_eq!(state.failing_since.is_some(), state.health == Health::Failing, "{state:?}");
    assert_eq!(state.consecutive_failures > 0, state.health == Health::Failing, "{state:?}");
}

/// What the effects of the steps so far have left behind.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
struct Left {
    /// The run that is active, and whether it has started.
    run: Option<bool>,
    scheduled: bool,
    credential: bool,
    removal: bool,
    tries: bool,
}

impl Left {
    fn after(&mut self, effect: Effect) {
        match effect {
            Effect::QueueRun(_) => {
                assert_eq!(self.run, None, "a second run");
                (self.run, self.scheduled) = (Some(false), false);
            }
            Effect::StartRun => assert_eq!(self.run.replace(true), Some(false), "a run starts once"),
            Effect::CompleteRun => assert_eq!(self.run.take(), Some(true), "only a started run completes"),
            Effect::CancelRun => assert!(self.run.take().is_some(), "no run to cancel"),
            Effect::ScheduleRun { .. } => self.scheduled = true,
            Effect::ClearSchedule => self.scheduled = false,
            Effect::TryCredential { .. } => self.tries = true,
            Effect::EndTries => assert!(std::mem::take(&mut self.tries), "no tries to end"),
            Effect::DestroyCredential => self.credential = false,
            Effect::HideUsers(_) => self.removal = true,
            Effect::EndRemoval => self.removal = false,
            Effect::DropMails | Effect::Revise => {}
        }
    }

    fn agrees_with(&self, state: &State) {
        let run = match state.sync_state {
            SyncState::Idle => None,
            SyncState::Queued => Some(false),
            SyncState::Running => Some(true),
        };
        assert_eq!(self.run, run, "{state:?}");
        let due = state.status == Status::Live && state.sync_state == SyncState::Idle;
        assert_eq!(self.scheduled, due, "{state:?}");
        assert_eq!(self.credential, matches!(state.status, Status::Live | Status::Inactive), "{state:?}");
        assert_eq!(self.tries, state.recovering, "{state:?}");
        assert!(self.removal || state.status != Status::Deleting, "{state:?}");
    }
}

proptest! {
    #[test]
    fn the_invariants_hold_after_every_step(changes in changes()) {
        let mut state = State::create().state;
        holds(&state);
        for (now, change) in (1..).zip(changes) {
            let Ok(steps) = state.apply(change, now) else { continue };
            for Step { state: next, .. } in steps {
                holds(&next);
                if state.status.is_deleted() {
                    prop_assert_eq!(next.status, Status::Deleted);
                }
                state = next;
            }
        }
    }

    #[test]
    fn the_effects_of_every_step_lead_to_its_state(changes in changes()) {
        let Step { mut state, effects, .. } = State::create();
        let mut left = Left { run: None, scheduled: false, credential: true, removal: false, tries: false };
        for effect in effects {
            left.after(effect);
        }
        left.agrees_with(&state);
        for (now, change) in (1..).zip(changes) {
            let Ok(steps) = state.apply(change, now) else { continue };
            for step in steps {
                for effect in step.effects {
                    left.after(effect);
                }
                left.agrees_with(&step.state);
                state = step.state;
            }
        }
    }

    #[test]
    fn a_refusal_or_a_repeat_changes_nothing(changes in changes(), repeat in 0..9usize) {
        let mut state = State::create().state;
        for (now, change) in (1..).zip(changes) {
            if let Ok(steps) = state.apply(change, now)
                && let Some(step) = steps.into_iter().last() { state = step.state }
        }
        let idempotent = [Change::Deactivate, Change::Activate, Change::Delete, MANUAL, Change::Recover];
        let change = idempotent[repeat % idempotent.len()];
        if let Ok(first) = state.apply(change, 1000) {
            let after = first.last().map_or(state.clone(), |step| step.state.clone());
            prop_assert_eq!(after.apply(change, 2000).unwrap(), vec![]);
        }
    }
}

/// The state after these changes, each at its time.
fn after(changes: &[(i64, Change)]) -> State {
    changes
        .iter()
        .fold(State::create().state, |state, (at, change)| state.apply(*change, *at).unwrap().pop().unwrap().state)
}

#[test]
fn an_auto_revoked_instance_that_is_set_inactive_keeps_its_reason() {
    let state = after(&[(5, Change::Start), (5, revoke(InactiveReason::TokenInactive, false))]);
    assert_eq!(state.apply(Change::Deactivate, 9).unwrap(), vec![]);
    assert_eq!(state.inactive_reason, Some(InactiveReason::TokenInactive));
}

#[test]
fn a_member_who_sets_it_inactive_ends_the_tries_and_nothing_else() {
    let state = after(&[(5, Change::Start), (5, revoke(InactiveReason::TokenInactive, true))]);
    let steps = state.apply(Change::Deactivate, 9).unwrap();
    let after = State { recovering: false, ..state };
    assert_eq!(steps, [after.step(Cause::Deactivated, [Effect::EndTries, Effect::Revise])]);
}

#[test]
fn a_credential_that_works_again_brings_the_instance_back_and_one_that_is_refused_does_not() {
    let state = after(&[(5, Change::Start), (5, revoke(InactiveReason::InsufficientPermissions, true))]);
    let [back] = state.apply(Change::Recover, 9).unwrap().try_into().unwrap();
    assert_eq!((back.cause, back.state.status, back.state.recovering), (Cause::Reactivated, Status::Live, false));
    let resync = RunRequest::guarded(Trigger::Reactivation);
    assert_eq!(back.effects, [Effect::EndTries, Effect::QueueRun(resync)], "no change by a member");
    let [again] = state.apply(Change::TryFailed { again: Some(TRY_AT) }, 9).unwrap().try_into().unwrap();
    assert_eq!((again.cause, &again.state), (Cause::CredentialTried, &state));
    let [last] = state.apply(Change::TryFailed { again: None }, 9).unwrap().try_into().unwrap();
    assert_eq!(last.state, State { recovering: false, ..state.clone() });
    for change in [Change::Recover, Change::TryFailed { again: Some(TRY_AT) }] {
        assert_eq!(last.state.apply(change, 10).unwrap(), [], "the tries have ended");
    }
}

#[test]
fn a_repeated_failure_keeps_its_beginning() {
    let state = after(&[(1, Change::Start), (2, FAIL), (3, MANUAL), (4, Change::Start), (5, FAIL)]);
    assert_eq!((state.failing_since, state.consecutive_failures), (Some(2), 2));
}

#[test]
fn what_ends_syncing_cancels_a_running_run_first() {
    let state = after(&[(1, Change::Start)]);
    for (change, cause) in [
        (Change::Deactivate, Cause::Deactivated),
        (Change::DeleteUsers, Cause::UsersDeletionStarted),
        (Change::Delete, Cause::DeletionStarted),
    ] {
        let causes: Vec<_> = state.apply(change, 2).unwrap().into_iter().map(|step| step.cause).collect();
        assert_eq!(causes, [Cause::SyncCancelled, cause]);
    }
}
