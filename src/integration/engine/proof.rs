//! Whether a list proved that it was read completely.
//!
//! A user who is missing on a complete list counts as having left the application. So the ids of a list must prove
//! that it is complete:
//!
//! - If the application reports a total, the list must have that many different ids.
//! - If it does not, no id may be on two pages: a list that shifts while it is read shows some entries twice, and
//!   others never.
//! - A list of several pages on which entries may move to another page (`Listing::may_shift`) needs a total, or two
//!   readings with the same ids.
//!
//! A list that could not prove itself is read once more. Two readings with the same ids prove a
//! list without a total. If there is still a [`Doubt`], the pass reports `Capability::Users` as lost.
//!
//! The ids are kept as hashes of 8 bytes: 20 MB for a million entries.

use std::collections::HashSet;

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

/// More ids than this are not kept, and a list with more of them cannot prove itself.
const MAX_IDS: usize = 5_000_000;

/// The ids of one reading of a list.
#[derive(Debug, Default)]
pub(super) struct SeenIds {
    ids: HashSet<u64>,
    /// The number of entries without an id.
    nameless: u64,
    /// The number of entries whose id came on an earlier page.
    repeated: u64,
    /// Pages were read before, and their ids are not known.
    incomplete: bool,
}

impl SeenIds {
    /// For a reading that resumes from a checkpoint, after pages whose ids are not known any more.
    pub fn resumed() -> Self {
        Self { incomplete: true, ..Self::default() }
    }

    /// Adds the entries of a page: their ids, each once, and how many have none.
    pub fn add(&mut self, page: &[u64], nameless: u64) {
        self.nameless += nameless;
        for id in page {
            if self.ids.len() >= MAX_IDS {
                self.incomplete = true;
            } else if !self.ids.insert(*id) {
                self.repeated += 1;
            }
        }
    }

    pub fn is_incomplete(&self) -> bool {
        self.incomplete
    }

    pub fn repeated(&self) -> u64 {
        self.repeated
    }

    fn distinct(&self) -> u64 {
        self.ids.len() as u64 + self.nameless
    }

    /// A summary by which two readings are compared.
    fn summary(&self) -> Summary {
        let sum = self.ids.iter().fold(0_u64, |sum, id| sum.wrapping_add(*id));
        Summary { distinct: self.distinct(), sum }
    }

    /// What is wrong with a list that ended. `total` is the smallest total that the application reported while the
    /// list was read: users who joined meanwhile may be missing. `before` is the same list in an earlier reading.
    pub fn judge(&self, total: Option<u64>, may_shift: bool, before: Option<Summary>) -> Proof {
        let summary = self.summary();
        let doubt = match total {
            Some(total) => Doubt::fewer(summary.distinct, total),
            None if before == Some(summary) => None,
            None if self.repeated > 0 => Some(Doubt::Repeated(self.repeated)),
            None if may_shift => Some(Doubt::Shifting),
            None => None,
        };
        Proof { summary, doubt }
    }
}

/// The result of reading a list to its end.
pub(super) struct Proof {
    pub summary: Summary,
    /// Why the list may be incomplete.
    pub doubt: Option<Doubt>,
}

/// The number and the sum of a reading's ids. Equal for two readings of the same ids in any order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Summary {
    distinct: u64,
    sum: u64,
}

/// Why a list may be incomplete. Each text is a sentence for a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Doubt {
    #[error("The application counts {total} entries and lists {listed} different ones.")]
    Fewer { listed: u64, total: u64 },
    #[error("The application lists {0} entries twice, so others may be missing.")]
    Repeated(u64),
    #[error("The list may have shifted while it was read, and two readings differ.")]
    Shifting,
    #[error("The application lists the same {0} entries on every page, so others may be missing.")]
    SamePage(u64),
    #[error("The sync was interrupted, and cannot compare the pages before with those after it.")]
    Interrupted,
}

impl Doubt {
    pub fn fewer(listed: u64, total: u64) -> Option<Self> {
        (listed < total).then_some(Self::Fewer { listed, total })
    }
}

/// A short hash that is the same in every process; `None` if there are no texts.
pub(super) fn hash<'a>(texts: impl Iterator<Item = &'a str>) -> Option<u64> {
    let mut bytes = Vec::new();
    for text in texts {
        bytes.extend_from_slice(text.as_bytes());
        bytes.push(0);
    }
    let full = digest(&SHA256, &bytes);
    let short: [u8; 8] = full.as_ref().first_chunk().copied()?;
    (!bytes.is_empty()).then(|| u64::from_be_bytes(short))
}
