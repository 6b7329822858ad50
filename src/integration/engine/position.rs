//! Finds the position of the next page in a list, or that the list has ended.

use serde::{Deserialize, Serialize};

use super::page_info::PageInfo;
use crate::manifest::expr::Path;
use crate::manifest::paging::Paging;

/// An offset list ends after so many empty pages in a row.
const MAX_EMPTY_LOOKS: u32 = 10;

/// The position of a page in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Position {
    Start,
    /// A start index, an offset or the number of a page.
    Number(u64),
    Cursor(String),
    Url(String),
}

impl Position {
    /// Whether a list with this paging can have such a position.
    pub fn fits(&self, paging: &Paging) -> bool {
        matches!(
            (paging, self),
            (_, Self::Start)
                | (Paging::Scim, Self::Number(_) | Self::Cursor(_))
                | (Paging::Page(_) | Paging::Offset(_), Self::Number(_))
                | (Paging::Cursor(_), Self::Cursor(_))
                | (Paging::LinkHeader(_) | Paging::NextUrl(_), Self::Url(_))
        )
    }

    fn number_or(&self, start: u64) -> u64 {
        match self {
            Self::Number(number) => *number,
            Self::Start | Self::Cursor(_) | Self::Url(_) => start,
        }
    }
}

/// What is known of a page, and of the pages before it.
pub(super) struct Page {
    /// The number of records on the page.
    pub records: u64,
    /// The number of records on all pages so far.
    pub received: u64,
    /// The number of all records, if the application reports it.
    pub total: Option<u64>,
    /// Whether the page may have been cut: it has as many records as were asked for, or
    /// the round number that the largest page has.
    pub is_full: bool,
    /// The number of empty pages in a row, with this one.
    pub empty_pages: u32,
    /// By how much an offset advances after an empty page.
    pub step: u64,
    /// How many records were asked for.
    pub asked: u64,
    /// How many entries the application counts, by a request of its own.
    pub counted: Option<u64>,
}

/// The position of the next page; `None` after the last page. Fails with a clause for a person
/// if a page does not say what it must say.
pub(super) fn next_position(
    paging: &Paging,
    current: &Position,
    info: &PageInfo,
    page: &Page,
) -> Result<Option<Position>, String> {
    if let Some(fault) = &info.fault {
        return Err(fault.clone());
    }
    let following = |position: fn(String) -> Position| match (info.more, &info.next) {
        (Some(false), _) | (None, None) => Ok(None),
        (_, Some(next)) => Ok(Some(position(next.clone()))),
        (Some(true), None) => Err("it says that there are more users, but not where".to_owned()),
    };
    let after = |start: u64| {
        let step = if page.records == 0 { page.step } else { page.records };
        Position::Number(current.number_or(start) + step)
    };
    let skipped = |start: u64| Some(current.number_or(start).saturating_sub(start));
    match paging {
        Paging::None => Ok(None),
        Paging::LinkHeader(_) | Paging::NextUrl(_) => following(Position::Url),
        Paging::Cursor(_) => following(Position::Cursor),
        Paging::Scim => {
            if let Some(next) = following(Position::Cursor)? {
                return Ok(Some(next));
            }
            if matches!(current, Position::Cursor(_)) {
                return Ok(None);
            }
            info.total.ok_or("“totalResults” is missing")?;
            Ok((!has_ended(None, page, skipped(1))).then(|| after(1)))
        }
        Paging::Offset(rule) => {
            require(info.total.is_some() || info.more.is_some(), rule.total.as_ref())?;
            Ok((!has_ended(info.more, page, skipped(rule.start))).then(|| after(rule.start)))
        }
        Paging::Page(rule) => {
            require(info.total.is_some() || info.more.is_some(), rule.total.as_ref())?;
            require(info.last_page.is_some(), rule.last.as_ref())?;
            let number = current.number_or(rule.start);
            let ended = match info.last_page {
                Some(last) => number >= last,
                None => has_ended(info.more, page, None),
            };
            Ok((!ended).then_some(Position::Number(number + 1)))
        }
    }
}

fn require(found: bool, path: Option<&Path>) -> Result<(), String> {
    match path {
        Some(path) if !found => Err(format!("“{path}” is missing")),
        _ => Ok(()),
    }
}

/// Whether a list that is paged by number has ended. `skipped` is how many entries come before the page, if the
/// request says so.
///
/// A total ends it, but not at a full page: some applications stop counting at a limit. An empty page does not end it
/// by itself, because some applications cut a page before they take out whom they do not show. So the empty pages
/// together must cover what was asked for, or reach the end by the application's own count.
fn has_ended(more: Option<bool>, page: &Page, skipped: Option<u64>) -> bool {
    match (more, page.total) {
        (Some(more), _) => return !more,
        (None, Some(total)) if page.received >= total => return !page.is_full,
        (None, _) if page.empty_pages <= 1 => return false,
        (None, _) => {}
    }
    let Some(skipped) = skipped else { return true };
    let covers = u64::from(page.empty_pages) * page.step >= page.asked;
    let passes = page.total.or(page.counted).is_some_and(|all| skipped + page.step >= all);
    covers || passes || page.empty_pages >= MAX_EMPTY_LOOKS
}
