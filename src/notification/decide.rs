//! The mail decision: which mail, if any, the outcome of a run causes.

use entity::instance::Health;
use entity::notification::NotificationKind;

/// How a completed run ended, as far as the mail decision needs to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunResult {
    /// It succeeded, perhaps without a part of the list.
    Succeeded,
    Failed,
    /// It failed, and the server set the instance inactive because of it.
    FailedAndRevoked,
}

/// Decides from the health after the previous completed run, the result of this run, and whether
/// an `AUTO_REVOKED` mail was sent since the last recovery. `None` means that no mail is sent.
/// Not called for cancelled runs, which are never mailed.
pub fn decide(previous: Health, result: RunResult, revocation_mailed: bool) -> Option<NotificationKind> {
    use NotificationKind as Kind;
    match (previous, result) {
        (Health::Pending, RunResult::Succeeded) => Some(Kind::InitialSyncSucceeded),
        (Health::Pending, RunResult::Failed | RunResult::FailedAndRevoked) => Some(Kind::InitialSyncFailed),
        (Health::Ok | Health::Partial, RunResult::Failed | RunResult::FailedAndRevoked) => Some(Kind::SyncFailed),
        (Health::Ok | Health::Partial, RunResult::Succeeded) => None,
        (Health::Failing, RunResult::Succeeded) => Some(Kind::SyncRecovered),
        (Health::Failing, RunResult::FailedAndRevoked) if !revocation_mailed => Some(Kind::AutoRevoked),
        (Health::Failing, RunResult::Failed | RunResult::FailedAndRevoked) => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn health(result: RunResult) -> Health {
        if result == RunResult::Succeeded { Health::Ok } else { Health::Failing }
    }

    proptest! {
        #[test]
        fn kinds_are_in_the_allowed_order(
            outcomes in prop::collection::vec(prop_oneof![Just(RunResult::Succeeded), Just(RunResult::Failed), Just(RunResult::FailedAndRevoked)], 1..40)
        ) {
            use NotificationKind::*;
            let (mut previous, mut revocation_mailed, mut kinds) = (Health::Pending, false, Vec::new());
            for result in outcomes {
                let kind = decide(previous, result, revocation_mailed);
                previous = health(result);
                revocation_mailed = result != RunResult::Succeeded && (revocation_mailed || kind == Some(AutoRevoked));
                kinds.extend(kind);
            }
            prop_assert!(matches!(kinds[0], InitialSyncSucceeded | InitialSyncFailed));
            let mut failing = kinds[0] == InitialSyncFailed;
            let mut revoked = false;
            for kind in &kinds[1..] {
                match kind {
                    SyncFailed => { prop_assert!(!failing); failing = true; }
                    SyncRecovered => { prop_assert!(failing); failing = false; revoked = false; }
                    AutoRevoked => { prop_assert!(failing && !revoked); revoked = true; }
                    InitialSyncSucceeded | InitialSyncFailed | RenewalReminder | WeeklyDigest | WebhookDisabled | Test | Unknown => {
                        prop_assert!(false, "{kind:?} again");
                    }
                }
            }
        }
    }
}
