//! What may happen to an instance, as a pure function: a state and a change go in, steps
//! come out. A [`Step`] is one event: its cause, the state after it, and the [`Effect`]s
//! that it has on rows and jobs. Nothing here reads a clock or a row.
//!
//! The [transition](super::transition) carries the steps out. A new change or effect is
//! added here first; the compiler then names every place that has to know it.

use entity::event::Cause;
use entity::instance::{Health, InactiveReason, Model, Status, SyncState};
use entity::run::Trigger;

use crate::error::{Refusal, RefusalCode};

mod recovery;
#[cfg(test)]
mod tests;

pub use recovery::Revocation;

/// The columns of an instance that belong to the state machine.
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
    /// The server has set it inactive, and tries its credential again by itself.
    pub recovering: bool,
}

/// Something that happens to an instance that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// A run was requested, or is due.
    Queue(RunRequest),
    /// A worker starts the run that waits.
    Start,
    /// The run in progress waits for its application.
    Wait,
    /// The run in progress continues after a wait.
    Resume,
    /// The run in progress has completed.
    Complete(Completion),
    /// The active run is stopped.
    Cancel,
    /// A member changes the name, the interval or the configuration.
    Edit,
    /// A member sets Inactive.
    Deactivate,
    /// A member sets Live, or reconnected; the credential was verified where that is needed.
    Activate,
    /// The same for an instance of which nothing can be read before something is delivered.
    ActivateWaiting,
    /// The credential that the server tried works again.
    Recover,
    /// The credential that the server tried is still not accepted, or the application could not be asked.
    TryFailed {
        /// When it is tried the next time.
        again: Option<i64>,
    },
    /// A member deletes all users.
    DeleteUsers,
    /// The rows of all users that left reporting are removed.
    UsersRemoved,
    /// A member deletes the instance.
    Delete,
}

/// A requested run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunRequest {
    pub trigger: Trigger,
    pub accepted: Accepted,
}

/// What a run may do although a guard would stop it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    /// It may remove any number of users.
    pub removals: bool,
    /// It may add any number of users.
    pub growth: bool,
}

impl RunRequest {
    /// A run that the guards check.
    pub fn guarded(trigger: Trigger) -> Self {
        Self { trigger, accepted: Accepted::default() }
    }
}

/// How a run completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completion {
    Succeeded,
    Partial,
    Failed {
        /// Why the server switches the instance off, if it does.
        revoke: Option<Revocation>,
        /// The application does not want to be asked again before this time.
        not_before: Option<i64>,
        /// The application may recover soon, so the next run is due before a whole interval has passed.
        soon: bool,
    },
}

/// One event of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub cause: Cause,
    /// The state after it.
    pub state: State,
    /// In the order in which they are carried out.
    pub effects: Vec<Effect>,
}

/// What a step does besides changing the [`State`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Adds a run with its job. No other run is scheduled meanwhile.
    QueueRun(RunRequest),
    /// Gives the waiting run the instance's next run number.
    StartRun,
    /// Ends the run in progress with the outcome in its row.
    CompleteRun,
    /// Ends the active run as cancelled, and takes its job from the worker.
    CancelRun,
    /// Schedules the next run after an interval, or earlier if `soon`, but not before `not_before`.
    ScheduleRun { not_before: Option<i64>, soon: bool },
    /// Schedules no run.
    ClearSchedule,
    /// Queues a job that tries the credential at this time.
    TryCredential { at: i64 },
    /// Ends the tries of the credential.
    EndTries,
    /// Destroys the stored secrets and the grant, and forgets consents in progress.
    DestroyCredential,
    /// Takes users out of reporting, and queues the removal of their rows.
    HideUsers(HiddenUsers),
    /// The removal of hidden users has finished.
    EndRemoval,
    /// Drops the mails that wait to be sent.
    DropMails,
    /// Increments the revision, because a member changed the instance. Several steps of one transition count once.
    Revise,
}

/// Which users leave reporting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HiddenUsers {
    /// Those that a run has seen so far.
    SeenSoFar,
    /// All, including those that a run in progress may still add.
    All,
}

impl State {
    /// The first step of a new instance, whose initial run is queued at once.
    pub fn create() -> Step {
        let state = State {
            status: Status::Live,
            inactive_reason: None,
            inactive_since: None,
            sync_state: SyncState::Queued,
            health: Health::Pending,
            failing_since: None,
            consecutive_failures: 0,
            last_success_at: 0,
            recovering: false,
        };
        let effects = vec![Effect::QueueRun(RunRequest::guarded(Trigger::Initial))];
        Step { cause: Cause::Created, state, effects }
    }

    /// The first step of a new instance to which the users are delivered: nothing can be read yet.
    pub fn create_waiting() -> Step {
        let Step { cause, state, .. } = Self::create();
        Step { cause, state: State { sync_state: SyncState::Idle, ..state }, effects: Vec::new() }
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
            recovering: model.next_try_at.is_some(),
        }
    }

    /// Writes the state into a row, except for `recovering`: the effects write the time of the next try.
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
            recovering: _,
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

    /// The steps of a change, in order. Empty when it would change nothing. `now` is in
    /// Unix milliseconds.
    ///
    /// # Errors
    /// A refusal when the change is not possible in this state.
    pub fn apply(&self, change: Change, now: i64) -> Result<Vec<Step>, Refusal> {
        let gone = self.status.is_deleted();
        match change {
            Change::Delete if gone => Ok(Vec::new()),
            Change::UsersRemoved => Ok(self.users_removed()),
            _ if gone => {
                Err(Refusal::new(RefusalCode::InstanceDeleted, "This instance is deleted, or is being deleted."))
            }
            Change::Queue(request) => self.queue(request),
            Change::Start => self.start(),
            Change::Wait => self.in_progress(Cause::SyncWaiting),
            Change::Resume => self.in_progress(Cause::SyncResumed),
            Change::Complete(completion) => self.complete(completion, now),
            Change::Cancel => self.cancel(),
            Change::Edit => Ok(vec![self.step(Cause::Updated, [Effect::Revise])]),
            Change::Deactivate => Ok(self.deactivate(now)),
            Change::Activate => Ok(self.activate()),
            Change::ActivateWaiting => Ok(self.activate_waiting()),
            Change::Recover => Ok(self.recover()),
            Change::TryFailed { again } => Ok(self.try_failed(again)),
            Change::DeleteUsers => Ok(self.delete_users()),
            Change::Delete => Ok(self.delete()),
        }
    }

    /// A step after which the state is this one.
    fn step(&self, cause: Cause, effects: impl Into<Vec<Effect>>) -> Step {
        Step { cause, state: self.clone(), effects: effects.into() }
    }

    fn queue(&self, request: RunRequest) -> Result<Vec<Step>, Refusal> {
        if self.status != Status::Live {
            return Err(Refusal::new(
                RefusalCode::InstanceInactive,
                "This instance is inactive: set it live before you sync it.",
            ));
        }
        match self.sync_state {
            SyncState::Queued | SyncState::Running => Ok(Vec::new()),
            SyncState::Idle => {
                let state = State { sync_state: SyncState::Queued, ..self.clone() };
                Ok(vec![state.step(Cause::SyncQueued, [Effect::QueueRun(request)])])
            }
        }
    }

    fn start(&self) -> Result<Vec<Step>, Refusal> {
        match (self.status, self.sync_state) {
            (Status::Live, SyncState::Queued) => {
                let state = State { sync_state: SyncState::Running, ..self.clone() };
                Ok(vec![state.step(Cause::SyncStarted, [Effect::StartRun])])
            }
            // Nothing to do if a worker takes over a run that was started before.
            (Status::Live, SyncState::Running) => Ok(Vec::new()),
            _ => Err(Refusal::new(RefusalCode::NothingToCancel, "No run waits to be started.")),
        }
    }

    /// A step of the run in progress that changes no column of the state.
    fn in_progress(&self, cause: Cause) -> Result<Vec<Step>, Refusal> {
        if self.sync_state != SyncState::Running {
            return Err(Refusal::new(RefusalCode::NothingToCancel, "No run is in progress."));
        }
        Ok(vec![self.step(cause, [])])
    }

    fn complete(&self, completion: Completion, now: i64) -> Result<Vec<Step>, Refusal> {
        if self.sync_state != SyncState::Running {
            return Err(Refusal::new(RefusalCode::NothingToCancel, "No run is in progress."));
        }
        let idle = State { sync_state: SyncState::Idle, ..self.clone() };
        Ok(match completion {
            Completion::Succeeded => vec![idle.success(Cause::SyncSucceeded, Health::Ok, now)],
            Completion::Partial => vec![idle.success(Cause::SyncPartial, Health::Partial, now)],
            Completion::Failed { revoke, not_before, soon } => {
                let failing = State {
                    health: Health::Failing,
                    failing_since: idle.failing_since.or(Some(now)),
                    consecutive_failures: idle.consecutive_failures.saturating_add(1),
                    ..idle
                };
                let schedule = Effect::ScheduleRun { not_before, soon };
                let failed = failing.step(Cause::SyncFailed, [Effect::CompleteRun, schedule]);
                let revoked = revoke.map(|revocation| failing.revoke(revocation, now));
                [failed].into_iter().chain(revoked).collect()
            }
        })
    }

    fn success(self, cause: Cause, health: Health, now: i64) -> Step {
        let state = State { health, failing_since: None, consecutive_failures: 0, last_success_at: now, ..self };
        state.step(cause, [Effect::CompleteRun, Effect::ScheduleRun { not_before: None, soon: false }])
    }

    fn inactive(&self, reason: InactiveReason, since: i64) -> State {
        State { status: Status::Inactive, inactive_reason: Some(reason), inactive_since: Some(since), ..self.clone() }
    }

    fn cancel(&self) -> Result<Vec<Step>, Refusal> {
        let (steps, _) = self.without_run();
        if steps.is_empty() {
            let message = "This instance has no queued or running sync.";
            return Err(Refusal::new(RefusalCode::NothingToCancel, message));
        }
        Ok(steps)
    }

    /// The step that cancels the active run, if there is one, and the state after it.
    fn without_run(&self) -> (Vec<Step>, State) {
        match self.sync_state {
            SyncState::Idle => (Vec::new(), self.clone()),
            SyncState::Queued | SyncState::Running => {
                let state = State { sync_state: SyncState::Idle, ..self.clone() };
                let effects = [Effect::CancelRun, Effect::ScheduleRun { not_before: None, soon: false }];
                (vec![state.step(Cause::SyncCancelled, effects)], state)
            }
        }
    }

    fn deactivate(&self, now: i64) -> Vec<Step> {
        if self.status == Status::Inactive {
            // If the server set it inactive, the reason stays, and only the tries end.
            let (state, tries) = self.without_tries();
            return tries.map(|end| state.step(Cause::Deactivated, [end, Effect::Revise])).into_iter().collect();
        }
        let (mut steps, state) = self.without_run();
        let state = state.inactive(InactiveReason::UserDeactivated, now);
        steps.push(state.step(Cause::Deactivated, [Effect::ClearSchedule, Effect::Revise]));
        steps
    }

    fn delete_users(&self) -> Vec<Step> {
        let (mut steps, state) = self.without_run();
        steps.push(state.step(Cause::UsersDeletionStarted, [Effect::HideUsers(HiddenUsers::SeenSoFar)]));
        steps
    }

    fn delete(&self) -> Vec<Step> {
        let (mut steps, state) = self.without_run();
        let (state, tries) = state.without_tries();
        let state = State { status: Status::Deleting, inactive_reason: None, inactive_since: None, ..state };
        let effects = [
            Effect::ClearSchedule,
            Effect::DestroyCredential,
            Effect::HideUsers(HiddenUsers::All),
            Effect::DropMails,
            Effect::Revise,
        ];
        steps.push(state.step(Cause::DeletionStarted, tries.into_iter().chain(effects).collect::<Vec<_>>()));
        steps
    }

    fn users_removed(&self) -> Vec<Step> {
        match self.status {
            Status::Deleting => {
                let state = State { status: Status::Deleted, ..self.clone() };
                vec![state.step(Cause::Deleted, [Effect::EndRemoval])]
            }
            Status::Live | Status::Inactive => vec![self.step(Cause::UsersDeleted, [Effect::EndRemoval])],
            Status::Deleted => Vec::new(),
        }
    }
}
