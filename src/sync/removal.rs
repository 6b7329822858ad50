//! Removing the users that a complete listing no longer has, unless the removal guard holds them.

use std::time::Duration;

use entity::instance::Health;
use entity::run::{FailureClass, Trigger};

use super::Engine;
use super::failure::Failure;
use super::reconcile::{self, Scope};
use crate::db::Tx;
use crate::error::Result;
use crate::instance::transition::Transition;

/// How long the removal may take.
const REMOVAL: Duration = Duration::from_mins(10);

/// Whether a member must accept the removal of `leaving` of `known` users first.
fn is_guarded(leaving: i64, known: i64, percent: i64, minimum: i64) -> bool {
    leaving >= minimum && leaving.saturating_mul(100) > known.saturating_mul(percent)
}

impl Engine {
    /// Removes the users that the current run has not seen. If the guard holds them, nobody is
    /// removed, and the run fails with this error.
    pub(super) async fn remove_leavers(
        &self,
        tx: &Tx,
        transition: &mut Transition<'_>,
        now: i64,
    ) -> Result<Option<Failure>> {
        let (user_count, health) = (transition.instance().user_count, transition.instance().health);
        let run = transition.current_run_mut()?;
        let scope = Scope { instance_id: run.instance_id, run_id: run.id, number: run.number, now };
        // Compares the counts, so that complete listings without removals need not read every user.
        if user_count + run.added == run.seen {
            return Ok(None);
        }
        // All removals are committed with the outcome, so the transaction may take long.
        tx.allow(REMOVAL).await?;
        let leaving = reconcile::count_unseen(tx.conn(), &scope).await?;
        if leaving == 0 {
            return Ok(None);
        }
        let first = run.trigger == Trigger::Initial || health == Health::Pending;
        let known = run.users_before;
        let held = is_guarded(leaving, known, self.limits.guard_percent, self.limits.guard_minimum);
        if held && !first && !run.accept_removals {
            let message = format!(
                "The application no longer lists {leaving} of {known} users. Nobody was removed: if they really left, sync again and accept the removals."
            );
            return Ok(Some(Failure::new(FailureClass::RemovalGuard, message)));
        }
        run.removed = reconcile::remove_unseen(tx.conn(), &scope).await?;
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::is_guarded;

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
            assert_eq!(is_guarded(leaving, known, 20, 10), held, "{leaving} of {known}");
        }
    }
}
