//! Where a list goes on after a page, when it has ended, and how far a listing has come.
//!
//! Pure: a page's [`Signs`] and the place it was read at give the next place.

use std::collections::{BTreeSet, VecDeque};

use reqwest::header::{HeaderMap, LINK};
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use crate::manifest::expr::{Path, Predicate, Subject};
use crate::manifest::paging::{Cursor, LinkHeader, NextUrl, Paging};
use crate::source::Checkpoint;
use crate::user::UserField;

/// A list that goes on for longer than this is taken to have no end.
pub(super) const MOST_PAGES: u64 = 100_000;
/// More pages in a row with nobody on them are taken for a list without an end.
const MOST_EMPTY: u32 = 1000;
/// How often a list may get shorter while it is read.
const MOST_SHRINKS: u32 = 100;
/// How many of the last pages and cursors a repetition is looked for among.
const REMEMBERED: usize = 64;

/// A place in the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Position {
    Start,
    /// A start index, an offset or a page's number.
    Number(u64),
    Cursor(String),
    Url(String),
}

/// What a page says about the pages after it.
#[derive(Debug, Default)]
pub(super) struct Signs {
    /// How many records there are in all.
    pub total: Option<u64>,
    last_page: Option<u64>,
    /// A cursor or an address.
    next: Option<String>,
    more: Option<bool>,
    /// Why the page does not tell what it must tell; a clause for a person.
    fault: Option<String>,
}

impl Signs {
    pub fn read(paging: &Paging, body: &Subject, headers: &HeaderMap) -> Self {
        let number = |path: &Option<Path>| path.as_ref().and_then(|path| path.number(body));
        let field = |name: &str| body.value().get(name);
        let mut fault = None;
        let mut holds = |test: &Option<Predicate>| {
            let test = test.as_ref()?;
            if !test.finds_something(body) {
                fault = Some("what `more` asks for is missing".to_owned());
            }
            Some(test.holds(body))
        };
        let mut signs = match paging {
            Paging::None => Self::default(),
            Paging::Scim => Self {
                total: field("totalResults").and_then(serde_json::Value::as_u64),
                next: field("nextCursor")
                    .and_then(|next| next.as_str())
                    .filter(|next| !next.is_empty())
                    .map(str::to_owned),
                ..Self::default()
            },
            Paging::LinkHeader(rule) => Self { next: linked(headers, rule), ..Self::default() },
            Paging::NextUrl(NextUrl { at, more }) | Paging::Cursor(Cursor { at, more, .. }) => {
                let next = at.token(body);
                let more = holds(more);
                match next {
                    Ok(next) => Self { next, more, ..Self::default() },
                    Err(fault) => Self { more, fault: Some(fault), ..Self::default() },
                }
            }
            Paging::Page(rule) => Self {
                total: number(&rule.total),
                last_page: number(&rule.last),
                more: holds(&rule.more),
                ..Self::default()
            },
            Paging::Offset(rule) => Self { total: number(&rule.total), more: holds(&rule.more), ..Self::default() },
        };
        signs.fault = signs.fault.or(fault);
        signs
    }
}

impl Signs {
    /// The address of the next page, as the application gave it, where pages have addresses.
    pub fn next_url(&self, paging: &Paging) -> Option<String> {
        matches!(paging, Paging::LinkHeader(_) | Paging::NextUrl(_)).then(|| self.next.clone()).flatten()
    }

    /// The same address, resolved and found to be the application's own.
    pub fn set_next_url(&mut self, url: String) {
        self.next = Some(url);
    }
}

/// The place of the next page, `None` after the last one. `records` came on this
/// page and `received` in all, this page included, each counted once. An error is
/// a clause for a person: the list is not provably complete.
pub(super) fn next_place(
    paging: &Paging,
    at: &Position,
    signs: &Signs,
    records: u64,
    received: u64,
) -> Result<Option<Position>, String> {
    if let Some(fault) = &signs.fault {
        return Err(fault.clone());
    }
    let told = |place: fn(String) -> Position| match (signs.more, &signs.next) {
        (Some(false), _) | (None, None) => Ok(None),
        (_, Some(next)) => Ok(Some(place(next.clone()))),
        (Some(true), None) => Err("it says that there are more users, and not where".to_owned()),
    };
    let ended = |at_total: bool| has_ended(signs.total.filter(|_| at_total), signs.more, records, received);
    match paging {
        Paging::None => Ok(None),
        Paging::LinkHeader(_) | Paging::NextUrl(_) => told(Position::Url),
        Paging::Cursor(_) => told(Position::Cursor),
        Paging::Scim => {
            if let Some(next) = told(Position::Cursor)? {
                return Ok(Some(next));
            }
            if matches!(at, Position::Cursor(_)) {
                return Ok(None);
            }
            let total = signs.total.ok_or("“totalResults” is missing")?;
            let next = number(at, 1) + records;
            Ok((!has_ended(Some(total), None, records, received)?).then_some(Position::Number(next)))
        }
        Paging::Offset(rule) => {
            require(signs.total.is_some(), rule.total.as_ref())?;
            let next = number(at, rule.start) + records;
            Ok((!ended(true)?).then_some(Position::Number(next)))
        }
        Paging::Page(rule) => {
            require(signs.total.is_some(), rule.total.as_ref())?;
            require(signs.last_page.is_some(), rule.last.as_ref())?;
            let page = number(at, rule.start);
            let over = match signs.last_page {
                Some(last) => page >= last,
                None => ended(true)?,
            };
            Ok((!over).then_some(Position::Number(page + 1)))
        }
    }
}

fn number(at: &Position, start: u64) -> u64 {
    match at {
        Position::Number(number) => *number,
        Position::Start | Position::Cursor(_) | Position::Url(_) => start,
    }
}

fn require(found: bool, path: Option<&Path>) -> Result<(), String> {
    match path {
        Some(path) if !found => Err(format!("“{path}” is missing")),
        _ => Ok(()),
    }
}

/// Whether a list that counts is at its end.
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

/// The address of the `Link` with the wanted relation, unless its parameters stop it.
fn linked(headers: &HeaderMap, rule: &LinkHeader) -> Option<String> {
    let values: Vec<_> = headers.get_all(LINK).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
    for link in values.iter().flat_map(|value| split_outside(value, ',')) {
        let Some((address, params)) = link.trim().strip_prefix('<').and_then(|rest| rest.split_once('>')) else {
            continue;
        };
        let params: Vec<(String, &str)> = split_outside(params, ';')
            .into_iter()
            .filter_map(|param| param.split_once('='))
            .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().trim_matches('"')))
            .collect();
        let param = |name: &str| params.iter().find(|(own, _)| own == name).map(|(_, value)| *value);
        let wanted =
            param("rel").is_some_and(|rel| rel.split_whitespace().any(|one| one.eq_ignore_ascii_case(&rule.rel)));
        if wanted {
            let stopped = rule.stop_param.iter().any(|(name, value)| param(&name.to_ascii_lowercase()) == Some(value));
            return (!stopped).then(|| address.to_owned());
        }
    }
    None
}

/// Splits where the separator stands outside of `<…>` and `"…"`.
fn split_outside(text: &str, separator: char) -> Vec<&str> {
    let (mut pieces, mut start, mut angled, mut quoted) = (Vec::new(), 0, false, false);
    for (at, letter) in text.char_indices() {
        match letter {
            '"' if !angled => quoted = !quoted,
            '<' if !quoted => angled = true,
            '>' if !quoted => angled = false,
            _ if letter == separator && !quoted && !angled => {
                pieces.push(&text[start..at]);
                start = at + letter.len_utf8();
            }
            _ => {}
        }
    }
    pieces.push(&text[start..]);
    pieces
}

/// How far a list has been read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Walk {
    pub position: Position,
    /// Pages read so far.
    pub pages: u64,
    /// Records read so far, those that are no users included.
    pub received: u64,
    /// Pages in a row with nobody on them.
    empty: u32,
    /// The last total that a counting list told, and the least.
    total: Option<u64>,
    least: Option<u64>,
    shrinks: u32,
    visited: Visited,
}

impl Walk {
    pub fn start() -> Self {
        Self {
            position: Position::Start,
            pages: 0,
            received: 0,
            empty: 0,
            total: None,
            least: None,
            shrinks: 0,
            visited: Visited::default(),
        }
    }

    /// Counts a page's records and goes on to the next place; false after the last page. `ids`
    /// are those of the page's records. An error is a clause for a person.
    pub fn advance<'a>(
        &mut self,
        paging: &Paging,
        signs: &Signs,
        records: u64,
        ids: impl Iterator<Item = &'a str>,
    ) -> Result<bool, String> {
        self.pages += 1;
        if self.pages >= MOST_PAGES {
            return Err("the list does not end".to_owned());
        }
        self.empty = if records == 0 { self.empty + 1 } else { 0 };
        if self.empty > MOST_EMPTY {
            return Err(format!("it is the last of {MOST_EMPTY} pages with nobody on them, and there is no end"));
        }
        if let Some(place) = self.shrunk(paging, signs) {
            if self.shrinks > MOST_SHRINKS {
                return Err("the list gets shorter again and again while it is read".to_owned());
            }
            self.position = place;
            return Ok(true);
        }
        self.received += records;
        let next = next_place(paging, &self.position, signs, records, self.received)?;
        let page = hash(ids);
        if page.is_some_and(|page| self.visited.again(page)) {
            return Err("it holds the same users as a page before".to_owned());
        }
        let Some(next) = next else {
            // Who joins while the list is read may be missing in it, nobody else.
            return match self.least {
                Some(least) if self.received < least => {
                    Err(format!("the list ends, although only {} of {least} users have come", self.received))
                }
                _ => Ok(false),
            };
        };
        // No id is empty, so that a cursor is never taken for a page of one user with that id.
        if let Position::Cursor(token) | Position::Url(token) = &next
            && hash(["", token.as_str()].into_iter()).is_some_and(|token| self.visited.again(token))
        {
            return Err("it leads back to a page that was read before".to_owned());
        }
        self.position = next;
        Ok(true)
    }

    /// Where to read again when a list that is counted got shorter since the page before: whoever
    /// moved up from this page to the one before has not been seen. `None` if it did not.
    fn shrunk(&mut self, paging: &Paging, signs: &Signs) -> Option<Position> {
        let before = std::mem::replace(&mut self.total, signs.total);
        self.least = self.least.into_iter().chain(signs.total).min();
        let lost = before?.checked_sub(signs.total?).filter(|lost| *lost > 0)?;
        let Position::Number(at) = self.position else { return None };
        let place = match paging {
            Paging::Scim => Position::Number(at.saturating_sub(lost).max(1)),
            Paging::Offset(rule) => Position::Number(at.saturating_sub(lost).max(rule.start)),
            // How many pages that is, nobody can tell: a page may hold fewer than were asked for.
            Paging::Page(_) => Position::Start,
            Paging::None | Paging::LinkHeader(_) | Paging::NextUrl(_) | Paging::Cursor(_) => return None,
        };
        self.shrinks += 1;
        self.visited = Visited::default();
        // What is read again is counted again.
        self.received = match place {
            Position::Number(place) => self.received.saturating_sub(at - place),
            _ => 0,
        };
        Some(place)
    }
}

/// How far a listing has come; what a checkpoint is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Progress {
    /// Which pass over the list, from 0.
    pub pass: usize,
    pub walk: Walk,
    /// Pages of passes before this one.
    pub earlier_pages: u64,
    /// Users so far.
    pub users: u64,
    /// Columns that some record has carried, of those that one must.
    pub carried: BTreeSet<UserField>,
    /// Statuses that the manifest does not know.
    pub unknown_statuses: u64,
}

impl Progress {
    /// From a checkpoint if there is one that fits; a list that is begun anew is complete all the same.
    pub fn resume(paging: &Paging, passes: usize, from: Option<Checkpoint>) -> Self {
        let fits = |progress: &Self| {
            let position = matches!(
                (paging, &progress.walk.position),
                (_, Position::Start)
                    | (Paging::Scim, Position::Number(_) | Position::Cursor(_))
                    | (Paging::Page(_) | Paging::Offset(_), Position::Number(_))
                    | (Paging::Cursor(_), Position::Cursor(_))
                    | (Paging::LinkHeader(_) | Paging::NextUrl(_), Position::Url(_))
            );
            position && progress.pass < passes
        };
        let Some(checkpoint) = from else { return Self::start() };
        serde_json::from_value(checkpoint).ok().filter(fits).unwrap_or_else(|| {
            tracing::warn!("A checkpoint does not fit the connector any more, so the listing begins anew");
            Self::start()
        })
    }

    pub fn start() -> Self {
        Self { pass: 0, walk: Walk::start(), earlier_pages: 0, users: 0, carried: BTreeSet::new(), unknown_statuses: 0 }
    }

    /// The number of the page that is read next, from 1.
    pub fn number(&self) -> u64 {
        self.earlier_pages + self.walk.pages + 1
    }

    /// Goes on to the next pass; false after the last one.
    pub fn next_pass(&mut self, passes: usize) -> bool {
        if self.pass + 1 >= passes {
            return false;
        }
        self.pass += 1;
        self.earlier_pages += self.walk.pages;
        self.walk = Walk::start();
        true
    }

    pub fn checkpoint(&self) -> Checkpoint {
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// What has been seen, in bounded memory: the latest, and one from long ago that
/// is moved up each time the count has doubled, so that a circle of any length is found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Visited {
    count: u64,
    anchor: u64,
    latest: VecDeque<u64>,
}

impl Visited {
    fn again(&mut self, seen: u64) -> bool {
        if self.count > 0 && (self.anchor == seen || self.latest.contains(&seen)) {
            return true;
        }
        self.count += 1;
        if self.count.is_power_of_two() {
            self.anchor = seen;
        }
        if self.latest.len() == REMEMBERED {
            self.latest.pop_front();
        }
        self.latest.push_back(seen);
        false
    }
}

/// A short hash that stays the same in another process; `None` of nothing.
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
