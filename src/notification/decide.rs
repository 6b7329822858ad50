//! Which mail an outcome calls for.

use entity::instance::Health;
use entity::notification::NotificationKind;

/// How a completed run ended, as far as mail is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Succeeded, or with an optional part missing.
    Well,
    Badly,
    /// Badly, and the server switched the instance off for it.
    Revoked,
}

/// Decides from how the last completed run left the instance (`previous`), how this one
/// ended, and whether an `AUTO_REVOKED` was mailed since the last recovery. `None`:
/// nobody needs to hear it. Cancelled runs are not asked about.
pub fn decide(previous: Health, ended: Ended, revocation_mailed: bool) -> Option<NotificationKind> {
    use NotificationKind as Kind;
    match (previous, ended) {
        (Health::Pending, Ended::Well) => Some(Kind::InitialSyncSucceeded),
        (Health::Pending, Ended::Badly | Ended::Revoked) => Some(Kind::InitialSyncFailed),
        (Health::Ok | Health::Partial, Ended::Badly | Ended::Revoked) => Some(Kind::SyncFailed),
        (Health::Ok | Health::Partial, Ended::Well) => None,
        (Health::Failing, Ended::Well) => Some(Kind::SyncRecovered),
        (Health::Failing, Ended::Revoked) if !revocation_mailed => Some(Kind::AutoRevoked),
        (Health::Failing, Ended::Badly | Ended::Revoked) => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn health(ended: Ended) -> Health {
        if ended == Ended::Well { Health::Ok } else { Health::Failing }
    }

    proptest! {
        #[test]
        fn kinds_come_in_their_order(
            outcomes in prop::collection::vec(prop_oneof![Just(Ended::Well), Just(Ended::Badly), Just(Ended::Revoked)], 1..40)
        ) {
            use NotificationKind::*;
            let (mut previous, mut revocation_mailed, mut kinds) = (Health::Pending, false, Vec::new());
            for ended in outcomes {
                let kind = decide(previous, ended, revocation_mailed);
                previous = health(ended);
                revocation_mailed = ended != Ended::Well && (revocation_mailed || kind == Some(AutoRevoked));
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
                    InitialSyncSucceeded | InitialSyncFailed | Test => prop_assert!(false, "{kind:?} again"),
                }
            }
        }
    }
}
