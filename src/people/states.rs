//! Whether a person is with the company: a pure function of what the sources say, and of which of them are believed.

use entity::person::State;
use entity::source_account::Presence;

/// An account of the person in a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    pub rank: i32,
    pub presence: Presence,
    /// Whether the source is up to date, and its last run has not failed.
    pub is_believed: bool,
}

/// The state of a person. The sources of the lowest rank that ever had the person decide. One that is not believed
/// changes nothing, so that a source that is late, held or switched off never makes anybody a leaver.
pub fn state(before: State, accounts: &[Held]) -> State {
    let Some(rank) = accounts.iter().map(|account| account.rank).min() else { return State::Unknown };
    let deciding = || accounts.iter().filter(|account| account.rank == rank);
    if deciding().any(|account| account.is_believed && account.presence == Presence::Present) {
        return State::Current;
    }
    if deciding().any(|account| !account.is_believed) {
        return before;
    }
    State::Left
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(rank: i32, presence: Presence) -> Held {
        Held { rank, presence, is_believed: true }
    }

    fn doubted(rank: i32, presence: Presence) -> Held {
        Held { is_believed: false, ..held(rank, presence) }
    }

    #[test]
    fn the_sources_of_the_lowest_rank_decide_if_they_are_believed() {
        use Presence::{Absent, Present, Suspended};
        use State::{Current, Left, Unknown};
        for (accounts, from_unknown, from_current, from_left) in [
            (vec![], Unknown, Unknown, Unknown),
            (vec![held(1, Present)], Current, Current, Current),
            (vec![held(1, Suspended)], Left, Left, Left),
            (vec![held(1, Absent)], Left, Left, Left),
            // The personnel records come before the identity provider.
            (vec![held(1, Absent), held(2, Present)], Left, Left, Left),
            (vec![held(1, Present), held(2, Absent)], Current, Current, Current),
            // Two companies with records of their own.
            (vec![held(1, Absent), held(1, Present)], Current, Current, Current),
            (vec![held(1, Absent), held(1, Suspended)], Left, Left, Left),
            // Not believed.
            (vec![doubted(1, Present)], Unknown, Current, Left),
            (vec![doubted(1, Absent)], Unknown, Current, Left),
            (vec![doubted(1, Absent), held(2, Absent)], Unknown, Current, Left),
            (vec![held(1, Absent), doubted(1, Present)], Unknown, Current, Left),
            (vec![held(1, Present), doubted(1, Absent)], Current, Current, Current),
            (vec![held(1, Absent), doubted(2, Present)], Left, Left, Left),
        ] {
            for (before, expected) in [(Unknown, from_unknown), (Current, from_current), (Left, from_left)] {
                assert_eq!(state(before, &accounts), expected, "{before:?} {accounts:?}");
            }
        }
    }
}
