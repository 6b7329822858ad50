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
use crate::manifest::mapping::{Choice, Flag, FlagTest, Labels, Mapping, Text, Time, TimeFormat};
use crate::manifest::template::OneOrMany;
use crate::user::{SourceUser, Timestamp, UserField, UserStatus};
use crate::with_user_fields;

/// The longest external id, in bytes.
const LONGEST_ID: usize = 512;
/// The largest number of texts in a list.
const MOST_TEXTS: usize = 100;
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
    /// Fields that some record has.
    pub carried: BTreeSet<UserField>,
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
    /// Fields that are not known, whatever the record says.
    pub blank: BTreeSet<UserField>,
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
    lost: &BTreeSet<UserField>,
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
        let mut context = Context { record: &record, blank: &blank, unknown_statuses: &mut selected.unknown_statuses };
        let user = user(&listing.map.value, id, &mut context);
        let carried = user.values().filter(|(_, value)| value.is_some_and(|value| !value.is_empty()));
        selected.carried.extend(carried.map(|(field, _)| field));
        selected.users.push(user);
    }
    selected
}

macro_rules! define {
    ($( #[$doc:meta] $name:ident: $Variant:ident($Type:ty) { $($info:tt)* } rehearsal($($rehearsal:tt)*) )*) => {
        fn user(map: &Mapping, external_id: String, context: &mut Context<'_>) -> SourceUser {
            SourceUser { external_id, $($name: map.$name.evaluate(UserField::$Variant, context),)* }
        }
    };
}

with_user_fields!(define);

/// What the value of a field depends on, besides its rule.
struct Context<'a> {
    record: &'a Subject,
    blank: &'a BTreeSet<UserField>,
    unknown_statuses: &'a mut u64,
}

/// A rule that gives the value of a field.
trait Evaluate {
    type Value;
    fn evaluate(&self, field: UserField, context: &mut Context<'_>) -> Self::Value;
}

impl Evaluate for OneOrMany<Choice<UserStatus>> {
    type Value = UserStatus;

    fn evaluate(&self, field: UserField, context: &mut Context<'_>) -> UserStatus {
        self.extract(field, context).unwrap_or(UserStatus::Unknown)
    }
}

impl<R: Extract> Evaluate for Option<R> {
    type Value = Option<R::Value>;

    fn evaluate(&self, field: UserField, context: &mut Context<'_>) -> Option<R::Value> {
        if context.blank.contains(&field) && field.info().kind.has_value_without_data() {
            return None;
        }
        self.as_ref()?.extract(field, context)
    }
}

/// A rule that may have no result.
trait Extract {
    type Value;
    fn extract(&self, field: UserField, context: &mut Context<'_>) -> Option<Self::Value>;
}

impl Extract for Text {
    type Value = String;

    fn extract(&self, field: UserField, context: &mut Context<'_>) -> Option<String> {
        let text = text(self, context.record)?;
        Some(tidy(&text, field.info().longest)).filter(|text| !text.is_empty())
    }
}

impl Extract for Flag {
    type Value = bool;

    fn extract(&self, _: UserField, context: &mut Context<'_>) -> Option<bool> {
        flag(self, context.record)
    }
}

impl Extract for OneOrMany<Labels> {
    type Value = Vec<String>;

    fn extract(&self, field: UserField, context: &mut Context<'_>) -> Option<Vec<String>> {
        Some(texts(&self.0, context.record, field.info().longest))
    }
}

impl Extract for Time {
    type Value = Timestamp;

    fn extract(&self, _: UserField, context: &mut Context<'_>) -> Option<Timestamp> {
        time(self, context.record).map(Timestamp)
    }
}

impl<T: Copy> Extract for OneOrMany<Choice<T>> {
    type Value = T;

    fn extract(&self, _: UserField, context: &mut Context<'_>) -> Option<T> {
        choice(&self.0, context.record, context.unknown_statuses)
    }
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

fn choice<T: Copy>(rules: &[Choice<T>], record: &Subject, unknown: &mut u64) -> Option<T> {
    let found = rules.iter().find_map(|rule| match rule {
        Choice::Always(value) => Some(Some(*value)),
        Choice::When { test, then } => test.holds(record).then_some(Some(*then)),
        Choice::Lookup { of, values } => text(of, record).map(|raw| values.get(&raw.to_lowercase()).copied()),
    });
    if matches!(found, Some(None)) {
        *unknown += 1;
    }
    found.flatten()
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

fn texts(rules: &[Labels], record: &Subject, longest: usize) -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    let raw = rules.iter().flat_map(|rule| rule.path.all(record).filter_map(scalar).map(move |raw| (rule, raw)));
    for (rule, raw) in raw {
        let text = tidy(&shown(&rule.values, raw), longest);
        if !text.is_empty() && !texts.contains(&text) {
            texts.push(text);
        }
        if texts.len() == MOST_TEXTS {
            break;
        }
    }
    texts
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
