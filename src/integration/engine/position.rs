//! Finds the position of the next page in a list, or that the list has ended.

use serde::{Deserialize, Serialize};

use super::page_info::PageInfo;
use crate::manifest::expr::Path;
use crate::manifest::paging::Paging;

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

/// The position of the next page; `None` after the last page. `records` is the number of
/// records on the page at `current`, and `received` the number on all pages so far. Fails with
/// a clause for a person if the list does not prove that it is complete.
pub(super) fn next_position(
    paging: &Paging,
    current: &Position,
    info: &PageInfo,
    records: u64,
    received: u64,
) -> Result<Option<Position>, String> {
    if let Some(fault) = &info.fault {
        return Err(fault.clone());
    }
    let following = |position: fn(String) -> Position| match (info.more, &info.next) {
        (Some(false), _) | (None, None) => Ok(None),
        (_, Some(next)) => Ok(Some(position(next.clone()))),
        (Some(true), None) => Err("it says that there are more users, but not where".to_owned()),
    };
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
            let total = info.total.ok_or("“totalResults” is missing")?;
            let next = current.number_or(1) + records;
            Ok((!has_ended(Some(total), None, records, received)?).then_some(Position::Number(next)))
        }
        Paging::Offset(rule) => {
            require(info.total.is_some(), rule.total.as_ref())?;
            let next = current.number_or(rule.start) + records;
            Ok((!has_ended(info.total, info.more, records, received)?).then_some(Position::Number(next)))
        }
        Paging::Page(rule) => {
            require(info.total.is_some(), rule.total.as_ref())?;
            require(info.last_page.is_some(), rule.last.as_ref())?;
            let page = current.number_or(rule.start);
            let ended = match info.last_page {
                Some(last) => page >= last,
                None => has_ended(info.total, info.more, records, received)?,
            };
            Ok((!ended).then_some(Position::Number(page + 1)))
        }
    }
}

fn require(found: bool, path: Option<&Path>) -> Result<(), String> {
    match path {
        Some(path) if !found => Err(format!("“{path}” is missing")),
        _ => Ok(()),
    }
}

/// Whether a list that is paged by number has ended.
fn has_ended(total: Option<u64>, more: Option<bool>, records: u64, received: u64) -> Result<bool, String> {
    match (more, total) {
        (Some(false), _) => Ok(true),
        (None, Some(total)) if received >= total => Ok(true),
        (None, Some(total)) if records == 0 => {
            Err(format!("it is empty, although only {received} of {total} users have come"))
        }
        (Some(true), _) if records == 0 => Err("it is empty, although it says that there are more users".to_owned()),
        (None, None) => Ok(records == 0),
        (None, Some(_)) | (Some(true), _) => Ok(false),
    }
}
