//! What changes of the findings of some accounts: a pure function of what is open and what holds.

use std::collections::{BTreeMap, BTreeSet};

use entity::finding::{CloseReason, Kind, Model, Severity};
use entity::user::UserStatus;
use uuid::Uuid;

use super::code::{Answer, Code};
use super::standard::Standard;

/// A finding that holds.
pub type Key = (Uuid, Kind);

/// What is to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    pub open: Vec<(Key, Severity)>,
    /// Findings that hold, and are stored otherwise, with their severities now.
    pub update: Vec<(Model, Severity)>,
    /// Findings that do not hold, or are unknown.
    pub doubtful: Vec<Model>,
}

/// Compares the findings that are open with those that hold.
pub fn compare(open: Vec<Model>, holds: &BTreeMap<Key, Severity>) -> Changes {
    let mut changes = Changes::default();
    let mut known = BTreeSet::new();
    for row in open {
        let key = (row.user_id, row.kind);
        known.insert(key);
        match holds.get(&key) {
            Some(severity) if *severity != row.severity || !row.confirmed => {
                changes.update.push((row, *severity));
            }
            Some(_) => {}
            None => changes.doubtful.push(row),
        }
    }
    changes.open = holds.iter().filter(|(key, _)| !known.contains(*key)).map(|(key, it)| (*key, *it)).collect();
    changes
}

/// What becomes of a finding that does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The last run could not look at it.
    Unconfirmed,
    Close(CloseReason),
}

/// `account` is what is known of the account; `None` if it is not listed.
pub fn fate(kind: Kind, account: Option<(Code, UserStatus)>, standard: &Standard, rules_changed: bool) -> Fate {
    let Some((code, status)) = account else { return Fate::Close(CloseReason::AccountGone) };
    let answer = code.answer(kind);
    Fate::Close(match answer {
        Answer::NotAsked if standard.disabled.contains(&kind) => CloseReason::RuleOff,
        Answer::Unknown if standard.is_lost(kind) => return Fate::Unconfirmed,
        Answer::Unknown => CloseReason::Reassessed,
        _ if rules_changed => CloseReason::Reassessed,
        Answer::NotAsked if status == UserStatus::Active => CloseReason::Reassessed,
        Answer::NotAsked | Answer::No | Answer::Yes => CloseReason::Fixed,
    })
}
