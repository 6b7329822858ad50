//! How far a list has been read, and whether it repeats itself.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::page_info::PageInfo;
use super::position::{Page, Position, next_position};
use super::proof::{Doubt, Summary, hash};
use super::total::Total;
use crate::manifest::listing::UserList;
use crate::manifest::paging::Paging;
use crate::source::{Capability, Checkpoint};
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
    /// The number of records on the largest page.
    #[serde(default)]
    largest_page: u64,
    /// The number of pages with records.
    #[serde(default)]
    filled_pages: u64,
    /// Why the next page may be one too many.
    #[serde(default)]
    beyond: Beyond,
    /// The number of records on the only page, if the application sends it again for every position and may have cut
    /// it.
    #[serde(default)]
    same_page: Option<u64>,
    /// By how much the total shrank, in a list that cannot be read again from an earlier position.
    #[serde(default)]
    lost_track_of: u64,
    #[serde(default)]
    total: Total,
    shrinks: u32,
    visited: Visited,
    /// How many records to ask for, once the application found pages of the usual size too large; `UNSIZED` once it
    /// took no size at all.
    #[serde(default, rename = "page_size", skip_serializing_if = "Option::is_none")]
    pub size: Option<u32>,
}

/// Why the next page may be one too many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Beyond {
    /// There is no reason to think so.
    #[default]
    No,
    /// As many records have come as the total says.
    Total,
    /// The first page has as many records as the total says, but the total may be that of the page.
    FirstPage,
}

/// What follows after a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Page,
    End,
}

impl ListProgress {
    /// The size of pages that are asked for without a size.
    pub const UNSIZED: u32 = 0;

    /// How many records to ask for, of the usual size; `None` to ask without a size.
    pub fn size_to_ask(&self, usual: Option<u32>) -> Option<u32> {
        let size = usual.map(|usual| self.size.map_or(usual, |smaller| smaller.min(usual)));
        size.filter(|size| *size != Self::UNSIZED)
    }

    pub fn start() -> Self {
        Self {
            position: Position::Start,
            pages: 0,
            received: 0,
            empty_pages: 0,
            largest_page: 0,
            filled_pages: 0,
            beyond: Beyond::No,
            same_page: None,
            lost_track_of: 0,
            total: Total::default(),
            shrinks: 0,
            visited: Visited::default(),
            size: None,
        }
    }

    /// The beginning of the same list.
    pub fn restarted(&self) -> Self {
        Self { size: self.size, ..Self::start() }
    }

    fn count_page(&mut self, records: u64) -> Result<(), String> {
        self.pages += 1;
        if self.pages >= MAX_PAGES {
            return Err("the list does not end".to_owned());
        }
        self.empty_pages = if records == 0 { self.empty_pages + 1 } else { 0 };
        if self.empty_pages > MAX_EMPTY_PAGES {
            return Err(format!("it is the last of {MAX_EMPTY_PAGES} empty pages in a row, and the list does not end"));
        }
        Ok(())
    }

    /// Counts a page and moves on to the next position. `asked` is how many records were asked
    /// for, `records` the number on the page, `ids` are their ids, and `counted` is how many entries the application
    /// counts by a request of its own. The error is a clause for a person.
    pub fn advance<'a>(
        &mut self,
        paging: &Paging,
        info: &PageInfo,
        asked: Option<u32>,
        records: u64,
        ids: impl Iterator<Item = &'a str>,
        counted: Option<u64>,
    ) -> Result<Next, String> {
        let after_empty_page = self.empty_pages > 0;
        self.count_page(records)?;
        let asked = self.size_to_ask(asked).map(u64::from);
        self.largest_page = self.largest_page.max(records);
        self.filled_pages += u64::from(records > 0);
        let beyond = std::mem::take(&mut self.beyond);
        let shrunk = self.total.observe(info.total, records, self.received, asked);
        if !matches!(self.position, Position::Number(_)) {
            self.lost_track_of += shrunk;
        }
        if let Some(position) = self.position_after_shrink(paging, shrunk) {
            if self.shrinks > MAX_SHRINKS {
                return Err("the list gets shorter again and again while it is read".to_owned());
            }
            self.position = position;
            return Ok(Next::Page);
        }
        let mut ids: Vec<&str> = ids.collect();
        ids.sort_unstable();
        let repeats = hash(ids.into_iter()).is_some_and(|page| self.visited.insert(page).is_err());
        // Beyond its end, an application may begin again.
        let looked_beyond = beyond != Beyond::No || after_empty_page;
        if (repeats && looked_beyond) || (records == 0 && beyond == Beyond::Total) {
            let may_be_cut = beyond == Beyond::FirstPage && asked.is_some_and(|asked| records >= asked);
            self.same_page = may_be_cut.then_some(records);
            self.filled_pages -= u64::from(repeats);
            return Ok(Next::End);
        }
        let total = self.total.all(self.received);
        self.received += records;
        // Limits of applications are usually round numbers.
        let is_limit = self.filled_pages > 1 && records >= self.largest_page && records.is_multiple_of(10);
        let page = Page {
            records,
            received: self.received,
            total,
            is_full: records > 0 && (is_limit || asked.is_some_and(|asked| records >= asked)),
            empty_pages: self.empty_pages,
            step: if self.largest_page > 0 { self.largest_page } else { asked.unwrap_or(1) },
            asked: asked.unwrap_or(0),
            counted,
        };
        let next = next_position(paging, &self.position, info, &page)?;
        if repeats {
            return Err("it has the same users as an earlier page".to_owned());
        }
        let Some(next) = next else { return Ok(Next::End) };
        // The empty text distinguishes a cursor from a page with one user of that id, because no id is empty.
        if let Position::Cursor(token) | Position::Url(token) = &next
            && hash(["", token.as_str()].into_iter()).is_some_and(|token| self.visited.insert(token).is_err())
        {
            return Err("it leads back to a page that was read before".to_owned());
        }
        if matches!(next, Position::Number(_)) && self.total.may_be_of_page() {
            self.beyond = Beyond::FirstPage;
        } else if matches!(next, Position::Number(_)) && total.is_some_and(|total| self.received >= total) {
            self.beyond = Beyond::Total;
        }
        self.position = next;
        Ok(Next::Page)
    }

    /// Whether the latest page was empty.
    pub fn is_at_empty_page(&self) -> bool {
        self.empty_pages > 0
    }

    /// Whether the next page may be one too many: an application that refuses it has no more records.
    pub fn may_be_at_end(&self) -> bool {
        self.beyond != Beyond::No
    }

    /// Whether the list has more than one page with records.
    pub fn has_several_pages(&self) -> bool {
        self.filled_pages > 1
    }

    /// The number of records on the only page, if the application sends it for every position and may have cut it.
    pub fn same_page(&self) -> Option<u64> {
        self.same_page
    }

    /// The number of records that the whole list must have, if the application reported it.
    pub fn total(&self) -> Option<u64> {
        self.total.least().map(|least| least + self.lost_track_of)
    }

    /// Why a list that has ended is incomplete; a clause for a person. Repeated records count too, so a list without
    /// a shortfall may still be incomplete.
    pub fn shortfall(&self) -> Option<String> {
        let total = self.total.least().filter(|total| self.received < *total)?;
        Some(format!("the list ends, although only {} of {total} entries have come", self.received))
    }

    /// The offset to read again after the total shrank, so that nobody who moved up is missed.
    fn position_after_shrink(&mut self, paging: &Paging, shrunk: u64) -> Option<Position> {
        let Position::Number(current) = self.position else { return None };
        let position = match paging {
            _ if shrunk == 0 => return None,
            Paging::Scim => Position::Number(current.saturating_sub(shrunk).max(1)),
            Paging::Offset(rule) => Position::Number(current.saturating_sub(shrunk).max(rule.start)),
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
    /// Which list of users is being read, from 0.
    #[serde(rename = "pass")]
    pub number: usize,
    #[serde(rename = "walk")]
    pub list: ListProgress,
    /// The number of pages of the lists before this one.
    #[serde(rename = "earlier_pages")]
    pages_before: u64,
    /// The number of users so far.
    pub users: u64,
    /// Of the fields that some record must have (`require_some`), those that one did have.
    pub carried: BTreeSet<UserField>,
    /// The number of users with a status that the manifest does not know.
    pub unknown_statuses: u64,
    /// What the reading before this one saw, by list. `None` in the first reading.
    #[serde(default)]
    before: Option<Vec<Summary>>,
    /// What this reading has seen of the lists before this one.
    #[serde(default)]
    summaries: Vec<Summary>,
    /// Why this reading may be incomplete, by what may be; a sentence for a person.
    #[serde(default)]
    doubts: BTreeMap<Capability, String>,
}

impl Progress {
    pub fn start() -> Self {
        Self {
            number: 0,
            list: ListProgress::start(),
            pages_before: 0,
            users: 0,
            carried: BTreeSet::new(),
            unknown_statuses: 0,
            before: None,
            summaries: Vec::new(),
            doubts: BTreeMap::new(),
        }
    }

    /// Goes back to the beginning of the current reading.
    pub fn restart(&mut self) {
        let carried = std::mem::take(&mut self.carried);
        let list = if self.number == 0 { self.list.restarted() } else { ListProgress::start() };
        *self = Self { carried, list, before: self.before.take(), ..Self::start() };
    }

    pub fn is_second_reading(&self) -> bool {
        self.before.is_some()
    }

    /// What the reading before this one saw of the current list.
    pub fn before(&self) -> Option<Summary> {
        self.before.as_ref()?.get(self.number).copied()
    }

    /// Ends the current list, and moves on: to the next list, or to a second reading if the
    /// first one could not prove itself. `doubt` comes with what may be incomplete.
    pub fn end_list(&mut self, lists: usize, summary: Summary, doubt: Option<(Capability, Doubt)>) -> Next {
        self.summaries.push(summary);
        if let Some((capability, doubt)) = doubt {
            self.doubts.entry(capability).or_insert_with(|| doubt.to_string());
        }
        if self.next_list(lists) == Next::Page {
            return Next::Page;
        }
        if self.doubts.is_empty() || self.is_second_reading() {
            return Next::End;
        }
        self.before = Some(std::mem::take(&mut self.summaries));
        self.restart();
        Next::Page
    }

    /// What may be incomplete, once all readings have ended, and why; a sentence for a person.
    pub fn doubts(&self) -> impl Iterator<Item = (Capability, &str)> {
        self.doubts.iter().map(|(capability, doubt)| (*capability, doubt.as_str()))
    }

    /// The progress in a checkpoint. Starts from the beginning if the checkpoint does not fit
    /// the manifest, which may have changed.
    pub fn resume(lists: &[UserList], from: Option<Checkpoint>) -> Self {
        let list = |progress: &Self| lists.get(progress.number);
        let fits = |progress: &Self| list(progress).is_some_and(|list| progress.list.position.fits(&list.pages.value));
        let Some(checkpoint) = from else { return Self::start() };
        serde_json::from_value(checkpoint).ok().filter(fits).unwrap_or_else(|| {
            tracing::warn!("A checkpoint does not fit the manifest, so the listing starts again");
            Self::start()
        })
    }

    /// The number of the next page, from 1, counted over all lists.
    pub fn page_number(&self) -> u64 {
        self.pages_before + self.list.pages + 1
    }

    /// Moves on to the next list, if there is one.
    fn next_list(&mut self, lists: usize) -> Next {
        if self.number + 1 >= lists {
            return Next::End;
        }
        self.number += 1;
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
