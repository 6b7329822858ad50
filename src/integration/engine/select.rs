//! From the bytes of a page to its users.
//!
//! Pure. A page is read whole or not at all: one record that cannot be read
//! makes the page fail, because a user that is left out looks like one who is gone.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeDelta};
use serde_json::Value;
use serde_json::error::Category;

use super::join::{JOINED, Joined};
use crate::manifest::expr::{Subject, scalar};
use crate::manifest::listing::{List, Listing};
use crate::manifest::mapping::{Column, Flag, FlagTest, Labels, Mapping, StatusRule, Text, Time, TimeFormat};
use crate::source::{SourceUser, UserStatus};

/// The longest external id, in bytes.
const LONGEST_ID: usize = 512;
/// The longest e-mail address, in characters.
const LONGEST_EMAIL: usize = 320;
/// The longest name, in characters.
const LONGEST_NAME: usize = 500;
/// The longest licence, in characters.
const LONGEST_LICENSE: usize = 200;
/// The most licences of a user.
const MOST_LICENSES: usize = 100;
/// The most values in a page. A value takes two bytes of JSON or more, and about 180 bytes of memory.
const MOST_VALUES: usize = 1_250_000;

/// Why a page cannot be read; each is a clause about “the page”.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("it is empty")]
    Nothing,
    #[error("it is a web page (HTML), not JSON")]
    Html,
    #[error("it breaks off in the middle")]
    BreaksOff,
    #[error("it is not JSON that can be read")]
    NotJson,
    #[error("it is too large")]
    TooLarge,
    #[error("the list “{0}” is missing")]
    NoList(String),
    #[error("entry {0} of the list is not an object")]
    NoRecord(usize),
    #[error("entry {0} of the list has no id (external_id)")]
    NoId(usize),
    #[error("entry {0} of the list has an id of more than {LONGEST_ID} bytes (external_id)")]
    LongId(usize),
}

/// A page's users.
#[derive(Debug, Default)]
pub(super) struct Selected {
    pub users: Vec<SourceUser>,
    /// Statuses that the manifest does not know.
    pub unknown_statuses: u64,
    /// Columns that some record carries.
    pub carried: BTreeSet<Column>,
}

/// Reads JSON. The label of an answer does not make it JSON, but HTML is taken at its word.
pub(super) fn parse(body: &[u8], content_type: Option<&str>) -> Result<Subject, Unreadable> {
    let text = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii_start();
    let labelled = content_type.is_some_and(|label| label.trim_start().to_ascii_lowercase().starts_with("text/html"));
    if text.is_empty() {
        return Err(Unreadable::Nothing);
    }
    if labelled || text.starts_with(b"<") {
        return Err(Unreadable::Html);
    }
    if text.iter().filter(|byte| matches!(byte, b',' | b'[' | b'{')).count() > MOST_VALUES {
        return Err(Unreadable::TooLarge);
    }
    serde_json::from_slice(text).map(Subject::new).map_err(|error| match error.classify() {
        Category::Eof => Unreadable::BreaksOff,
        Category::Io | Category::Syntax | Category::Data => Unreadable::NotJson,
    })
}

/// Takes the list out of the page.
pub(super) fn records(list: List<'_>, page: &mut Subject) -> Result<Vec<Value>, Unreadable> {
    let may_be_missing = list.empty_when.is_some_and(|test| test.holds(page));
    match page.take(list.records) {
        Some(Value::Array(records)) => Ok(records),
        Some(Value::Null) | None if may_be_missing => Ok(Vec::new()),
        _ => Err(Unreadable::NoList(list.records.to_string())),
    }
}

/// A user's record, and what is known of it from elsewhere.
#[derive(Debug)]
pub(super) struct Candidate {
    pub id: String,
    pub record: Subject,
    /// Columns that are not known, whatever the record says.
    pub blank: BTreeSet<Column>,
}

/// A page's users, before they are mapped.
#[derive(Debug, Default)]
pub(super) struct Sifted {
    pub users: Vec<Candidate>,
    /// Records, those that are no users included, each counted once.
    pub records: u64,
    /// Records that came a second time.
    pub duplicates: u64,
}

/// Joins further lists to the records, and tells users from other records.
pub(super) fn sift(
    listing: &Listing,
    joined: &Joined,
    lost: &BTreeSet<Column>,
    records: Vec<Value>,
) -> Result<Sifted, Unreadable> {
    let mut sifted = Sifted { users: Vec::with_capacity(records.len()), ..Sifted::default() };
    let mut seen = HashSet::with_capacity(records.len());
    for (index, record) in records.into_iter().enumerate() {
        if !record.is_object() {
            return Err(Unreadable::NoRecord(index + 1));
        }
        let record = joined.join(listing, Subject::new(record));
        let map = &listing.map.value;
        let id = text(&map.external_id, &record).map(|id| tidy(&id, usize::MAX)).filter(|id| !id.is_empty());
        if id.as_ref().is_some_and(|id| !seen.insert(id.clone())) {
            sifted.duplicates += 1;
            continue;
        }
        sifted.records += 1;
        if listing.skip_if.iter().any(|test| test.holds(&record)) {
            continue;
        }
        let id = id.ok_or(Unreadable::NoId(index + 1))?;
        if id.len() > LONGEST_ID {
            return Err(Unreadable::LongId(index + 1));
        }
        sifted.users.push(Candidate { id, record, blank: lost.clone() });
    }
    Ok(sifted)
}

/// Maps a page's users.
pub(super) fn map(listing: &Listing, users: Vec<Candidate>) -> Selected {
    let mut selected = Selected { users: Vec::with_capacity(users.len()), ..Selected::default() };
    for Candidate { id, record, blank } in users {
        let mut user = user(&listing.map.value, &record, id, &mut selected.unknown_statuses);
        // A path into a part that is not there comes to nothing by itself; a test and a list do not.
        for column in blank {
            match column {
                Column::IsAdmin => user.is_admin = None,
                Column::MfaEnabled => user.mfa_enabled = None,
                Column::Licenses => user.licenses = None,
                Column::Email | Column::DisplayName | Column::LastActiveAt => {}
            }
        }
        selected.carried.extend(carried(&user));
        selected.users.push(user);
    }
    selected
}

fn user(map: &Mapping, record: &Subject, external_id: String, unknown_statuses: &mut u64) -> SourceUser {
    let short = |rule: &Option<Text>, longest| {
        let text = text(rule.as_ref()?, record)?;
        Some(tidy(&text, longest)).filter(|text| !text.is_empty())
    };
    SourceUser {
        external_id,
        email: short(&map.email, LONGEST_EMAIL),
        display_name: short(&map.display_name, LONGEST_NAME),
        status: status(&map.status.0, record, unknown_statuses),
        is_admin: map.is_admin.as_ref().and_then(|rule| flag(rule, record)),
        mfa_enabled: map.mfa_enabled.as_ref().and_then(|rule| flag(rule, record)),
        licenses: map.licenses.as_ref().map(|rules| licenses(&rules.0, record)),
        last_active_at: map.last_active_at.as_ref().and_then(|rule| time(rule, record)),
    }
}

fn carried(user: &SourceUser) -> impl Iterator<Item = Column> {
    [
        (user.email.is_some(), Column::Email),
        (user.display_name.is_some(), Column::DisplayName),
        (user.is_admin.is_some(), Column::IsAdmin),
        (user.mfa_enabled.is_some(), Column::MfaEnabled),
        (user.licenses.as_ref().is_some_and(|list| !list.is_empty()), Column::Licenses),
        (user.last_active_at.is_some(), Column::LastActiveAt),
    ]
    .into_iter()
    .filter_map(|(there, column)| there.then_some(column))
}

/// Without control characters, trimmed, and cut to so many characters.
fn tidy(text: &str, longest: usize) -> String {
    let clean: String = text.chars().filter(|letter| !letter.is_control()).take(longest).collect();
    clean.trim().to_owned()
}

fn text(rule: &Text, record: &Subject) -> Option<String> {
    match rule {
        Text::Path(path) => path.text(record),
        Text::First(rules) => rules.iter().find_map(|rule| text(rule, record)),
        Text::Join { parts, with } => {
            let parts: Vec<String> = parts.iter().filter_map(|part| text(part, record)).collect();
            (!parts.is_empty()).then(|| parts.join(with))
        }
        Text::Const(text) => Some(text.clone()),
        Text::When { test, then } => test.holds(record).then(|| text(then, record)).flatten(),
        Text::Lookup { of, values } => text(of, record).map(|raw| shown(values, raw)),
    }
}

fn shown(values: &BTreeMap<String, String>, raw: String) -> String {
    values.get(&raw.to_lowercase()).cloned().unwrap_or(raw)
}

fn status(rules: &[StatusRule], record: &Subject, unknown: &mut u64) -> UserStatus {
    let found = rules.iter().find_map(|rule| match rule {
        StatusRule::Always(status) => Some(Some(*status)),
        StatusRule::When { test, then } => test.holds(record).then_some(Some(*then)),
        StatusRule::Lookup { of, values } => text(of, record).map(|raw| values.get(&raw.to_lowercase()).copied()),
    });
    if found == Some(None) {
        *unknown += 1;
    }
    found.flatten().unwrap_or(UserStatus::Unknown)
}

fn flag(rule: &Flag, record: &Subject) -> Option<bool> {
    if rule.known_when.as_ref().is_some_and(|test| !test.holds(record)) {
        return None;
    }
    match &rule.test {
        FlagTest::Paths(paths) => paths.iter().flat_map(|path| path.all(record)).find_map(truth),
        FlagTest::Any(tests) => Some(tests.iter().any(|test| test.holds(record))),
        FlagTest::All(tests) => Some(tests.iter().all(|test| test.holds(record))),
        FlagTest::Not(rule) => flag(rule, record).map(|truth| !truth),
        FlagTest::PresentIn(join) => Some(is_joined(record, join)),
        FlagTest::AbsentIn(join) => Some(!is_joined(record, join)),
    }
}

fn is_joined(record: &Subject, join: &str) -> bool {
    record.value().get(JOINED).is_some_and(|parts| parts.get(join).is_some())
}

fn truth(value: &Value) -> Option<bool> {
    match scalar(value)?.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" => Some(true),
        "false" | "0" | "no" => Some(false),
        _ => None,
    }
}

fn licenses(rules: &[Labels], record: &Subject) -> Vec<String> {
    let mut licenses: Vec<String> = Vec::new();
    let raw = rules.iter().flat_map(|rule| rule.path.all(record).filter_map(scalar).map(move |raw| (rule, raw)));
    for (rule, raw) in raw {
        let license = tidy(&shown(&rule.values, raw), LONGEST_LICENSE);
        if !license.is_empty() && !licenses.contains(&license) {
            licenses.push(license);
        }
        if licenses.len() == MOST_LICENSES {
            break;
        }
    }
    licenses
}

fn time(rule: &Time, record: &Subject) -> Option<i64> {
    let mut raw = rule.from.0.iter().filter_map(|path| path.text(record));
    raw.find_map(|raw| {
        if rule.null_if.contains(&raw) {
            return None;
        }
        moment(rule.format, &raw).filter(|moment| *moment > 0)
    })
}

/// A moment as Unix milliseconds.
pub(super) fn moment(format: TimeFormat, raw: &str) -> Option<i64> {
    match format {
        TimeFormat::Iso => iso(raw),
        TimeFormat::EpochS => seconds(raw),
        TimeFormat::EpochMs => raw.parse::<i64>().ok(),
        TimeFormat::Rfc1123 => DateTime::parse_from_rfc2822(raw).ok().map(|moment| moment.timestamp_millis()),
    }
}

fn seconds(raw: &str) -> Option<i64> {
    let (whole, fraction) = raw.split_once('.').unwrap_or((raw, ""));
    let whole = TimeDelta::try_seconds(whole.parse().ok()?)?;
    let milliseconds = if fraction.is_empty() { 0 } else { format!("{fraction:0<3}").get(..3)?.parse().ok()? };
    whole.checked_add(&TimeDelta::milliseconds(milliseconds)).map(|moment| moment.num_milliseconds())
}

fn iso(raw: &str) -> Option<i64> {
    let zoned = ["%Y-%m-%dT%H:%M:%S%.f%z", "%Y-%m-%d %H:%M:%S%.f %z"];
    let zoned = zoned.iter().find_map(|format| DateTime::parse_from_str(raw, format).ok());
    if let Some(moment) = DateTime::parse_from_rfc3339(raw).ok().or(zoned) {
        return Some(moment.timestamp_millis());
    }
    let local = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M:%S UTC"];
    let local = local.iter().find_map(|format| NaiveDateTime::parse_from_str(raw, format).ok());
    let moment = local.or_else(|| NaiveDate::parse_from_str(raw, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0))?;
    Some(moment.and_utc().timestamp_millis())
}
