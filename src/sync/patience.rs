//! Whether a run waits for its application after an error, and for how long. Pure decisions.
//!
//! In **an outage** (`Transient`, `Timeout`, `RateLimit`), the run waits for growing times, or as long as the
//! application asked, until it has waited for an hour or for half of the sync interval in all. The attempts between the
//! waits count, because each of them takes long if the application does not answer.
//!
//! After **a bare refusal** (401 or 403 without a reason), the run checks again a few times, because applications
//! sometimes refuse a valid credential for a while: during an update, or when one of their parts fails. A password is
//! checked fewer times, because repeated failures may lock the account. After a page of users, the checks are counted
//! anew.

use std::time::Duration;

use entity::run::{self, FailureClass, Trigger};

use super::failure::Failure;
use crate::backoff::{Backoff, jittered};

/// How long runs wait.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// How long a run waits for an outage to end, in all.
    pub outage: Duration,
    /// The first wait for an outage, and the longest.
    pub distance: (Duration, Duration),
    /// How long a refusal is checked again, in all.
    pub looks: Duration,
    /// When the first run of an instance checks a refusal again. It does so only once, because a person is waiting.
    pub first_look: Duration,
}

impl Patience {
    /// No wait is longer.
    pub(super) fn longest(&self) -> Duration {
        self.outage.max(self.looks).max(self.first_look)
    }
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            outage: Duration::from_hours(1),
            distance: (Duration::from_secs(5), Duration::from_mins(5)),
            looks: Duration::from_mins(10),
            first_look: Duration::from_secs(5),
        }
    }
}

/// How much a run has waited so far, with the attempts between its waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Spent {
    pub waits: u32,
    pub waited: Duration,
    pub looks: usize,
}

impl Spent {
    pub fn of(run: &run::Model) -> Self {
        Self {
            waits: run.waits.unsigned_abs(),
            waited: Duration::from_millis(run.waited_ms.unsigned_abs()),
            looks: usize::try_from(run.looks).unwrap_or(usize::MAX),
        }
    }

    pub fn store(self, run: &mut run::Model) {
        run.waits = i32::try_from(self.waits).unwrap_or(i32::MAX);
        run.waited_ms = i64::try_from(self.waited.as_millis()).unwrap_or(i64::MAX);
        run.looks = i32::try_from(self.looks).unwrap_or(i32::MAX);
    }
}

/// The run that may wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiter {
    pub interval: Duration,
    pub trigger: Trigger,
    /// The credential is a password.
    pub guessing_locks: bool,
    pub spent: Spent,
}

/// What to do after an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Wait {
        wait: Duration,
        /// What the run has waited after this wait.
        spent: Spent,
    },
    /// The credential is refused for certain.
    Refused {
        /// The application did not say why.
        bare: bool,
    },
    GiveUp,
}

/// When each check is due, as a fraction of the whole time.
const LOOKS: [f64; 4] = [0.05, 0.17, 0.5, 1.0];
const LOOKS_WITH_PASSWORD: [f64; 2] = [0.17, 1.0];
/// If the application stopped answering, or asked for a pause without a length, the first wait is this many times
/// longer.
const LONGER: u32 = 3;
/// The random part of a wait, as a fraction of it.
const JITTER: f64 = 0.2;

impl Patience {
    /// `random` is from 0 to 1.
    pub(super) fn decide(&self, error: &Failure, waiter: &Waiter, random: f64) -> Decision {
        match error.class {
            FailureClass::Transient | FailureClass::Timeout | FailureClass::RateLimit => {
                self.after_outage(error, waiter, random)
            }
            FailureClass::Token | FailureClass::Permission => {
                if error.explicit {
                    return Decision::Refused { bare: false };
                }
                self.look_again(waiter, random)
            }
            FailureClass::Config
            | FailureClass::RemovalGuard
            | FailureClass::GrowthGuard
            | FailureClass::Overdue
            | FailureClass::Internal
            | FailureClass::Unknown => Decision::GiveUp,
        }
    }

    fn after_outage(&self, error: &Failure, waiter: &Waiter, random: f64) -> Decision {
        let Waiter { interval, spent, .. } = *waiter;
        let left = self.outage.min(interval / 2).saturating_sub(spent.waited);
        let (first, longest) = self.distance;
        let told = error.retry_after_ms.map(Duration::from_millis);
        let longer = error.class == FailureClass::Timeout || (error.class == FailureClass::RateLimit && told.is_none());
        let first = if longer { first * LONGER } else { first };
        let backoff = Backoff { first, longest, jitter: JITTER };
        let grown = backoff.wait(spent.waits.saturating_add(1), random);
        // Not before the time that the application gave, and not all runs at exactly that time.
        let told = told.map(|told| jittered(told, JITTER / 2.0, 0.5 + random / 2.0));
        let wait = grown.min(left).max(told.unwrap_or_default());
        if error.lasting || left < self.distance.0 / 5 || wait > left {
            return Decision::GiveUp;
        }
        let spent = Spent { waits: spent.waits.saturating_add(1), waited: spent.waited + wait, ..spent };
        Decision::Wait { wait, spent }
    }

    fn look_again(&self, waiter: &Waiter, random: f64) -> Decision {
        let Waiter { interval, trigger, guessing_locks, spent } = *waiter;
        let within = self.looks.min(interval / 2);
        let looks: &[f64] = if guessing_locks { &LOOKS_WITH_PASSWORD } else { &LOOKS };
        let wait = if trigger == Trigger::Initial {
            (spent.looks == 0).then_some(self.first_look)
        } else {
            let before = spent.looks.checked_sub(1).and_then(|last| looks.get(last)).copied().unwrap_or_default();
            looks.get(spent.looks).map(|at| within.mul_f64(at - before))
        };
        match wait {
            None => Decision::Refused { bare: true },
            Some(wait) => Decision::Wait {
                // The jitter only shortens the wait, so that it stays within the limit.
                wait: jittered(wait, JITTER, random / 2.0),
                spent: Spent { looks: spent.looks + 1, ..spent },
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: Duration = Duration::from_hours(1);
    const MINUTE: Duration = Duration::from_mins(1);

    fn error(class: FailureClass) -> Failure {
        Failure::new(class, "")
    }

    fn told(seconds: u64) -> Failure {
        Failure { retry_after_ms: Some(seconds * 1000), ..error(FailureClass::RateLimit) }
    }

    fn waiter(interval: Duration) -> Waiter {
        Waiter { interval, trigger: Trigger::Scheduled, guessing_locks: false, spent: Spent::default() }
    }

    /// The waits in seconds until the last decision, and that decision.
    fn waits(error: &Failure, mut waiter: Waiter, random: f64) -> (Vec<f64>, Decision) {
        let mut waits = Vec::new();
        loop {
            match Patience::default().decide(error, &waiter, random) {
                Decision::Wait { wait, spent } => {
                    waits.push(wait.as_secs_f64());
                    waiter.spent = spent;
                }
                last => return (waits, last),
            }
        }
    }

    #[test]
    fn attempts_between_the_waits_count() {
        let silent = error(FailureClass::Timeout);
        for (attempt, interval) in [(61, HOUR), (240, HOUR), (240, 24 * HOUR), (1, 10 * MINUTE)] {
            let (attempt, budget) = (Duration::from_secs(attempt), HOUR.min(interval / 2));
            let (mut waiter, mut passed) = (waiter(interval), Duration::ZERO);
            while let Decision::Wait { wait, spent } = Patience::default().decide(&silent, &waiter, 0.5) {
                passed += wait;
                assert!(passed <= budget, "{passed:?} of {budget:?}, {attempt:?} each");
                passed += attempt;
                waiter.spent = Spent { waited: spent.waited + attempt, ..spent };
            }
            assert!(passed >= budget.saturating_sub(Duration::from_secs(2)), "{passed:?} of {budget:?}");
        }
    }

    fn seconds(error: &Failure, interval: Duration) -> Vec<u64> {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole seconds")]
        waits(error, waiter(interval), 0.5).0.into_iter().map(|wait| wait.round() as u64).collect()
    }

    #[test]
    fn an_outage_is_waited_for_at_growing_distances() {
        let hourly = seconds(&error(FailureClass::Transient), HOUR);
        assert_eq!(hourly[..7], [5, 10, 20, 40, 80, 160, 300]);
        assert_eq!(hourly.iter().sum::<u64>(), 1800, "half of the interval: {hourly:?}");
        let daily = seconds(&error(FailureClass::Transient), 24 * HOUR);
        assert_eq!(daily.iter().sum::<u64>(), 3600, "an hour: {daily:?}");
        assert_eq!(seconds(&error(FailureClass::Transient), MINUTE), [5, 10, 15]);
        assert_eq!(seconds(&error(FailureClass::Timeout), MINUTE), [15, 15], "who hangs is asked less often");
    }

    #[test]
    fn an_application_that_tells_how_long_is_not_asked_before() {
        for (error, interval, expected) in [
            (told(2), HOUR, &[5, 10, 20, 40, 80, 160, 300][..]),
            (told(140), HOUR, &[147, 147, 147, 147, 147, 160, 300]),
            (told(140), MINUTE, &[]),
            (told(600), 2 * HOUR, &[630, 630, 630, 630, 630]),
            (told(3_599), 24 * HOUR, &[]),
        ] {
            let waits = seconds(&error, interval);
            assert_eq!(
                waits[..expected.len().min(waits.len())],
                *expected,
                "{:?} within {interval:?}",
                error.retry_after_ms
            );
        }
        let unknown = seconds(&error(FailureClass::RateLimit), HOUR);
        assert_eq!(unknown[..3], [15, 30, 60]);
    }

    #[test]
    fn what_does_not_pass_is_not_waited_for() {
        for class in [FailureClass::Config, FailureClass::Internal, FailureClass::RemovalGuard] {
            assert_eq!(waits(&error(class), waiter(HOUR), 0.5), (vec![], Decision::GiveUp));
        }
        let lasting = Failure { lasting: true, ..told(1) };
        assert_eq!(waits(&lasting, waiter(HOUR), 0.5), (vec![], Decision::GiveUp));
    }

    #[test]
    fn a_bare_refusal_is_looked_at_again_and_an_explicit_one_is_not() {
        let bare = Decision::Refused { bare: true };
        for class in [FailureClass::Token, FailureClass::Permission] {
            let (looks, last) = waits(&error(class), waiter(HOUR), 1.0);
            assert_eq!((looks.iter().sum::<f64>().round(), looks.len(), last), (600.0, 4, bare));
            assert!(looks.is_sorted(), "{looks:?}");
            let (looks, last) = waits(&error(class), Waiter { guessing_locks: true, ..waiter(HOUR) }, 1.0);
            assert_eq!((looks.iter().sum::<f64>().round(), looks.len(), last), (600.0, 2, bare));
            let (looks, last) = waits(&error(class), waiter(MINUTE), 1.0);
            assert_eq!((looks.iter().sum::<f64>().round(), looks.len(), last), (30.0, 4, bare));
            let (looks, last) = waits(&error(class), Waiter { trigger: Trigger::Initial, ..waiter(HOUR) }, 1.0);
            assert_eq!((looks, last), (vec![5.0], bare));
            let explicit = Failure { explicit: true, ..error(class) };
            assert_eq!(waits(&explicit, waiter(HOUR), 0.5), (vec![], Decision::Refused { bare: false }));
        }
    }

    proptest! {
        #[test]
        fn no_run_waits_for_longer_than_it_may(
            errors in prop::collection::vec((0..4_usize, prop::option::of(0..4_000_u64)), 1..200),
            minutes in 1..50_000_u64, guessing_locks: bool, random in 0.0..1.0
        ) {
            let interval = Duration::from_mins(minutes);
            let mut waiter = Waiter { guessing_locks, ..waiter(interval) };
            let (mut outage, mut looks, mut attempts) = (Duration::ZERO, Duration::ZERO, 0);
            for (class, told) in errors {
                let class = [FailureClass::Transient, FailureClass::Timeout, FailureClass::RateLimit, FailureClass::Token][class];
                let error = Failure { retry_after_ms: told.map(|told| told * 1_000), ..error(class) };
                let Decision::Wait { wait, spent } = Patience::default().decide(&error, &waiter, random) else { continue };
                attempts += 1;
                if class == FailureClass::Token { looks += wait } else { outage += wait }
                prop_assert!(told.is_none_or(|told| class == FailureClass::Token || wait.as_secs() >= told));
                waiter.spent = spent;
            }
            let second = Duration::from_secs(1);
            prop_assert!(outage <= HOUR.min(interval / 2), "{outage:?}");
            prop_assert!(looks <= Duration::from_mins(10).min(interval / 2) + second, "{looks:?}");
            prop_assert!(attempts < 40, "{attempts}");
        }
    }
}
