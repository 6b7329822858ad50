//! How the server switches an instance off, and sets it live again by itself.

use entity::event::Cause;
use entity::instance::{InactiveReason, Status, SyncState};
use entity::run::Trigger;

use super::{Effect, RunRequest, State, Step};

/// The server switches an instance off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revocation {
    pub reason: InactiveReason,
    /// When the server tries the credential again, if it does.
    pub try_at: Option<i64>,
}

impl State {
    pub(super) fn revoke(&self, revocation: Revocation, now: i64) -> Step {
        let Revocation { reason, try_at } = revocation;
        let state = State { recovering: try_at.is_some(), ..self.inactive(reason, now) };
        let tries = try_at.map(|at| Effect::TryCredential { at });
        state.step(Cause::Revoked, [Effect::ClearSchedule].into_iter().chain(tries).collect::<Vec<_>>())
    }

    /// The state without tries, and the effect that ends them, if there are any.
    pub(super) fn without_tries(&self) -> (State, Option<Effect>) {
        (State { recovering: false, ..self.clone() }, self.recovering.then_some(Effect::EndTries))
    }

    pub(super) fn recover(&self) -> Vec<Step> {
        if self.recovering { vec![self.live([])] } else { Vec::new() }
    }

    /// The step that sets an inactive instance live.
    pub(super) fn live(&self, more: impl IntoIterator<Item = Effect>) -> Step {
        let (state, tries) = self.without_tries();
        let state = State {
            status: Status::Live,
            inactive_reason: None,
            inactive_since: None,
            sync_state: SyncState::Queued,
            ..state
        };
        let queue = Effect::QueueRun(RunRequest::guarded(Trigger::Reactivation));
        state.step(Cause::Reactivated, tries.into_iter().chain([queue]).chain(more).collect::<Vec<_>>())
    }

    pub(super) fn activate(&self) -> Vec<Step> {
        if self.status == Status::Live {
            return Vec::new();
        }
        vec![self.live([Effect::Revise])]
    }

    pub(super) fn activate_waiting(&self) -> Vec<Step> {
        let mut steps = self.activate();
        for step in &mut steps {
            step.state.sync_state = SyncState::Idle;
            step.effects.retain(|effect| !matches!(effect, Effect::QueueRun(_)));
            step.effects.push(Effect::ScheduleRun { not_before: None, soon: false });
        }
        steps
    }

    pub(super) fn try_failed(&self, again: Option<i64>) -> Vec<Step> {
        if !self.recovering {
            return Vec::new();
        }
        let effect = again.map_or(Effect::EndTries, |at| Effect::TryCredential { at });
        let state = State { recovering: again.is_some(), ..self.clone() };
        vec![state.step(Cause::CredentialTried, [effect])]
    }
}
