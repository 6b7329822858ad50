//! How far a list has been read, and whether it repeats itself.

use std::collections::{BTreeSet, VecDeque};

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use super::page_info::PageInfo;
use super::position::{Position, next_position};
use crate::manifest::paging::Paging;
use crate::source::Checkpoint;
use crate::user::UserField;

/// A list of more pages is assumed to have no end.
const MAX_PAGES: u64 = 100_000;
/// A list with more empty pages in a row is assumed to have no end.
const MAX_EMPTY_PAGES: u32 = 1000;
/// How often a list may get shorter while it is read.
const MAX_SHRINKS: u32 = 100;
/// How many of the latest pages and cursors are remembered, to find repetitions.
const REMEMBERED: usize = 64;

/// How far one list has been read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListProgress {
    /// The position of the next page.
    pub position: Position,
    /// The number of pages read.
    pub pages: u64,
    /// The number of records read, including those that are no users.
    pub received: u64,
    /// The number of empty pages in a row.
    #[serde(rename = "empty")]
    empty_pages: u32,
    /// The total that the latest page told.
    #[serde(rename = "total")]
    last_total: Option<u64>,
    /// The smallest total that any page told.
    #[serde(rename = "least")]
    least_total: Option<u64>,
    shrinks: u32,
    visited: Visited,
}

/// What follows after a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Page,
    End,
}

impl ListProgress {
    pub fn start() -> Self {
        Self {
            position: Position::Start,
            pages: 0,
            received: 0,
            empty_pages: 0,
            last_total: None,
            least_total: None,
            shrinks: 0,
            visited: Visited::default(),
        }
    }

    /// Counts a page and moves on to the next position. `records` is the number of records on
    /// the page, and `ids` are their ids. The error is a clause for a person.
    pub fn advance<'a>(
        &mut self,
        paging: &Paging,
        info: &PageInfo,
        records: u64,
        ids: impl Iterator<Item = &'a str>,
    ) -> Result<Next, String> {
        self.pages += 1;
        if self.pages >= MAX_PAGES {
            return Err("the list does not end".to_owned());
        }
        self.empty_pages = if records == 0 { self.empty_pages + 1 } else { 0 };
        if self.empty_pages > MAX_EMPTY_PAGES {
            return Err(format!("it is the last of {MAX_EMPTY_PAGES} pages with nobody on them, and there is no end"));
        }
        if let Some(position) = self.position_after_shrink(paging, info) {
            if self.shrinks > MAX_SHRINKS {
                return Err("the list gets shorter again and again while it is read".to_owned());
            }
            self.position = position;
            return Ok(Next::Page);
        }
        self.received += records;
        let next = next_position(paging, &self.position, info, records, self.received)?;
        if hash(ids).is_some_and(|page| self.visited.insert(page).is_err()) {
            return Err("it holds the same users as an earlier page".to_owned());
        }
        let Some(next) = next else {
            // A total that grew is no reason to fail: users who joined during the listing may be missing.
            return match self.least_total {
                Some(least) if self.received < least => {
                    Err(format!("the list ends, although only {} of {least} users have come", self.received))
                }
                _ => Ok(Next::End),
            };
        };
        // The empty text tells a cursor apart from a page with one user of that id, because no id is empty.
        if let Position::Cursor(token) | Position::Url(token) = &next
            && hash(["", token.as_str()].into_iter()).is_some_and(|token| self.visited.insert(token).is_err())
        {
            return Err("it leads back to a page that was read before".to_owned());
        }
        self.position = next;
        Ok(Next::Page)
    }

    /// The offset to read again after the total shrank, so that nobody who moved up is missed.
    /// `None` if it did not shrink.
    fn position_after_shrink(&mut self, paging: &Paging, info: &PageInfo) -> Option<Position> {
        let before = std::mem::replace(&mut self.last_total, info.total);
        self.least_total = self.least_total.into_iter().chain(info.total).min();
        let lost = before?.checked_sub(info.total?).filter(|lost| *lost > 0)?;
        let Position::Number(current) = self.position else { return None };
        let position = match paging {
            Paging::Scim => Position::Number(current.saturating_sub(lost).max(1)),
            Paging::Offset(rule) => Position::Number(current.saturating_sub(lost).max(rule.start)),
            // Pages may be smaller than was asked for, so the number of pages to go back is unknown.
            Paging::Page(_) => Position::Start,
            Paging::None | Paging::LinkHeader(_) | Paging::NextUrl(_) | Paging::Cursor(_) => return None,
        };
        self.shrinks += 1;
        self.visited = Visited::default();
        // The records that are read again will be counted again.
        self.received = match position {
            Position::Number(position) => self.received.saturating_sub(current - position),
            _ => 0,
        };
        Some(position)
    }
}

/// How far the user list has been read. This is what a checkpoint stores.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Progress {
    /// Which variant of the list is being read, from 0.
    #[serde(rename = "pass")]
    pub variant: usize,
    #[serde(rename = "walk")]
    pub list: ListProgress,
    /// The number of pages of the variants before this one.
    #[serde(rename = "earlier_pages")]
    pages_before: u64,
    /// The number of users so far.
    pub users: u64,
    /// Of the fields that some record must have (`require_some`), those that one did have.
    pub carried: BTreeSet<UserField>,
    /// The number of users with a status that the manifest does not know.
    pub unknown_statuses: u64,
}

impl Progress {
    pub fn start() -> Self {
        Self {
            variant: 0,
            list: ListProgress::start(),
            pages_before: 0,
            users: 0,
            carried: BTreeSet::new(),
            unknown_statuses: 0,
        }
    }

    /// The progress in a checkpoint. Starts from the beginning if the checkpoint does not fit
    /// the manifest, which may have changed.
    pub fn resume(paging: &Paging, variants: usize, from: Option<Checkpoint>) -> Self {
        let fits = |progress: &Self| progress.list.position.fits(paging) && progress.variant < variants;
        let Some(checkpoint) = from else { return Self::start() };
        serde_json::from_value(checkpoint).ok().filter(fits).unwrap_or_else(|| {
            tracing::warn!("A checkpoint does not fit the manifest, so the listing starts again");
            Self::start()
        })
    }

    /// The number of the next page, from 1, counted over all variants.
    pub fn page_number(&self) -> u64 {
        self.pages_before + self.list.pages + 1
    }

    /// Moves on to the next variant, if there is one.
    pub fn next_variant(&mut self, variants: usize) -> Next {
        if self.variant + 1 >= variants {
            return Next::End;
        }
        self.variant += 1;
        self.pages_before += self.list.pages;
        self.list = ListProgress::start();
        Next::Page
    }

    pub fn checkpoint(&self) -> Checkpoint {
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// Hashes of the pages and cursors seen, in bounded memory: the latest ones, and one older
/// anchor. The anchor moves whenever the count has doubled, so that a cycle of any length is found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Visited {
    count: u64,
    anchor: u64,
    latest: VecDeque<u64>,
}

/// The hash was seen before.
struct Repeated;

impl Visited {
    fn insert(&mut self, seen: u64) -> Result<(), Repeated> {
        if self.count > 0 && (self.anchor == seen || self.latest.contains(&seen)) {
            return Err(Repeated);
        }
        self.count += 1;
        if self.count.is_power_of_two() {
            self.anchor = seen;
        }
        if self.latest.len() == REMEMBERED {
            self.latest.pop_front();
        }
        self.latest.push_back(seen);
        Ok(())
    }
}

/// A short hash that is the same in every process; `None` if there are no texts.
fn hash<'a>(texts: impl Iterator<Item = &'a str>) -> Option<u64> {
    let mut bytes = Vec::new();
    for text in texts {
        bytes.extend_from_slice(text.as_bytes());
        bytes.push(0);
    }
    let full = digest(&SHA256, &bytes);
    let short: [u8; 8] = full.as_ref().first_chunk().copied()?;
    (!bytes.is_empty()).then(|| u64::from_be_bytes(short))
}
