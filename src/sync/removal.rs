//! Removes the users that a complete listing no longer contains. The guards stop a run that would remove or add too
//! many.

use std::time::Duration;

use entity::instance::{self, Health};
use entity::run::{self, FailureClass, Trigger};
use entity::user::UserStatus;

use super::failure::Failure;
use super::reconcile::{self, Scope};
use super::{Engine, Limits, losses};
use crate::db::Tx;
use crate::error::Result;
use crate::instance::transition::Transition;

/// How long the removal may take.
const REMOVAL: Duration = Duration::from_mins(10);

/// What the guards look at.
#[derive(Clone, Copy)]
struct Listed {
    seen: i64,
    /// How many users were known before.
    known: i64,
    new_baseline: bool,
}

impl Limits {
    /// Whether a member must first accept that so many users are removed. On a new baseline, only an empty list has
    /// to be accepted.
    fn holds_removal(&self, Listed { seen, known, new_baseline }: Listed, leaving: i64) -> bool {
        let is_large =
            leaving >= self.guard_minimum && leaving.saturating_mul(100) > known.saturating_mul(self.guard_percent);
        known > 0 && (seen == 0 || (!new_baseline && (leaving >= known || is_large)))
    }

    /// Whether a run has listed more users than an instance may have.
    pub(super) fn is_too_long(&self, run: &run::Model) -> bool {
        run.seen > self.max_users
    }

    /// Whether a member must first accept that so many users are listed.
    fn holds_growth(&self, Listed { seen, known, new_baseline }: Listed) -> bool {
        let is_large =
            seen > known.saturating_mul(self.growth_factor) && seen.saturating_sub(known) >= self.growth_minimum;
        known > 0 && is_large && !new_baseline
    }
}

impl Engine {
    /// Removes the users that the current run has not seen. If a guard stops the run, nobody is removed, and the run
    /// fails with this error.
    pub(super) async fn remove_leavers(
        &self,
        tx: &Tx,
        transition: &mut Transition<'_>,
        now: i64,
    ) -> Result<Option<Failure>> {
        let failure = transition.current_run().and_then(|run| self.hold_growth(run, transition.instance()));
        if failure.is_some() {
            return Ok(failure);
        }
        let instance = transition.instance();
        let (user_count, health, known_users) = (instance.user_count, instance.health, instance.known_users);
        let run = transition.current_run_mut()?;
        let losses = losses::of(run)?;
        if losses::includes_users(&losses) || has_seen_everybody(run, user_count) {
            return Ok(None);
        }
        // All are removed in the transaction of the outcome, however many there are.
        tx.allow(REMOVAL).await?;
        let scope = Scope::of(run, now);
        let spared = losses::includes_invitations(&losses).then_some(UserStatus::Invited);
        let leaving = reconcile::count_unseen(tx.conn(), &scope, spared).await?;
        if leaving == 0 {
            return Ok(None);
        }
        let is_first = run.trigger == Trigger::Initial || health == Health::Pending;
        // As for growth. If no run has succeeded, there are only those whom failed runs have added.
        let known = known_users.filter(|known| *known > 0).unwrap_or(run.users_before);
        let listed = Listed { seen: run.seen, known, new_baseline: run.new_baseline };
        if !run.accept_removals && !is_first && self.limits.holds_removal(listed, leaving) {
            // Those whom failed runs have added may be among the missing.
            let before = if leaving > known { run.users_before } else { known };
            let message = format!(
                "The application no longer lists {leaving} of {before} users. Nobody was removed: if they really left, sync again and accept the removals."
            );
            // The next run is compared with the same number, whomever this one has added.
            transition.instance_mut().known_users = Some(known);
            return Ok(Some(Failure::new(FailureClass::RemovalGuard, message)));
        }
        run.removed = reconcile::remove_unseen(tx.conn(), &scope, spared).await?;
        Ok(None)
    }

    /// The failure of a run that has listed too many users. It is compared with the last run that did not fail: runs
    /// that failed since may have added a part of them.
    pub(super) fn hold_growth(&self, run: &run::Model, instance: &instance::Model) -> Option<Failure> {
        if self.limits.is_too_long(run) {
            let message = format!(
                "The application lists more than {} users, which is the most that this server keeps of one instance (MUSTER_MAX_USERS_PER_INSTANCE). None of the new ones was kept.",
                self.limits.max_users
            );
            return Some(Failure::new(FailureClass::Config, message));
        }
        let known = instance.known_users.unwrap_or(run.users_before);
        let listed = Listed { seen: run.seen, known, new_baseline: run.new_baseline };
        if run.accept_growth || !self.limits.holds_growth(listed) {
            return None;
        }
        let message = format!(
            "The application lists {seen} users or more, and this instance had {known}. None of the new ones was kept: if they all belong to it, sync again and accept the growth.",
            seen = run.seen
        );
        Some(Failure::new(FailureClass::GrowthGuard, message))
    }

    /// Deletes the users that the current run has added.
    pub(super) async fn drop_added(&self, tx: &Tx, transition: &mut Transition<'_>, now: i64) -> Result<()> {
        tx.allow(REMOVAL).await?;
        let run = transition.current_run_mut()?;
        run.added -= reconcile::drop_added(tx.conn(), &Scope::of(run, now)).await?;
        Ok(())
    }
}

/// Whether nobody of an instance with so many users is missing in a run. The counts show it, without reading every user.
pub(super) const fn has_seen_everybody(run: &run::Model, user_count: i64) -> bool {
    user_count + run.added == run.seen
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Settings;

    fn limits() -> Limits {
        Limits::new(&Settings::defaults(Path::new("data")))
    }

    #[test]
    fn the_removal_guard_needs_more_than_a_fifth_and_ten_at_least_or_everybody() {
        for (leaving, seen, known, held, held_on_a_baseline) in [
            (9, 10, 19, false, false),
            (10, 10, 20, true, false),
            (10, 40, 50, false, false),
            (11, 39, 50, true, false),
            (20, 80, 100, false, false),
            (21, 79, 100, true, false),
            (1, 0, 1, true, true),
            (3, 0, 3, true, true),
            (3, 3, 3, true, false),
            (2, 1, 3, false, false),
            (0, 0, 0, false, false),
        ] {
            for (new_baseline, held) in [(false, held), (true, held_on_a_baseline)] {
                let listed = Listed { seen, known, new_baseline };
                assert_eq!(limits().holds_removal(listed, leaving), held, "{leaving} of {known}, {seen} seen");
            }
        }
    }

    #[test]
    fn the_growth_guard_needs_more_than_three_times_as_many_and_a_thousand_more() {
        for (seen, known, held) in [
            (1_000_000, 0, false),
            (1_000, 1, false),
            (1_001, 1, true),
            (1_099, 100, false),
            (1_100, 100, true),
            (1_500, 500, false),
            (1_501, 500, true),
            (30_000, 10_000, false),
            (30_001, 10_000, true),
        ] {
            let listed = Listed { seen, known, new_baseline: false };
            assert_eq!(limits().holds_growth(listed), held, "{seen} instead of {known}");
            assert!(!limits().holds_growth(Listed { new_baseline: true, ..listed }), "{seen} instead of {known}");
        }
    }
}
