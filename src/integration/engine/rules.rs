//! Evaluates the rules of a manifest's `map` on a record.

use std::collections::BTreeMap;

use serde_json::Value;

use super::time;
use crate::manifest::expr::{Document, JOINED, scalar};
use crate::manifest::mapping::{Choice, Flag, FlagTest, Labels, Text, Time};

/// The most texts in a list.
const MAX_TEXTS: usize = 100;

/// Replaces line breaks and tabs by a space, removes other control characters and surrounding spaces, and cuts
/// the text to `longest` characters.
pub(super) fn tidy(text: &str, longest: usize) -> String {
    let separates =
        |letter: char| (letter.is_control() && letter.is_whitespace()) || matches!(letter, '\u{2028}' | '\u{2029}');
    let lines = text.split(separates).map(|line| line.trim_matches(|letter| letter == ' ' || is_invisible(letter)));
    let lines: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
    let clean: String = lines.join(" ").chars().filter(|letter| !is_invisible(*letter)).take(longest).collect();
    clean.trim().to_owned()
}

fn is_invisible(letter: char) -> bool {
    letter.is_control()
}

/// The e-mail address of a user. `None` for the name of a guest in Microsoft Entra: it contains the guest's address,
/// but is none, and seems to be one of the company.
pub(super) fn address(text: &str, longest: usize) -> Option<String> {
    let address = tidy(bare_address(text.trim()), longest);
    (!address.is_empty() && !is_name_of_guest(&address)).then_some(address)
}

/// A further address of a user. Lists of these may have other entries, such as telephone numbers.
pub(super) fn further_address(text: &str, longest: usize) -> Option<String> {
    let is_address = |text: &String| {
        let parts = text.split_once('@');
        let is_part =
            |part: &str| !part.is_empty() && !part.contains([':', '@', '/']) && !part.contains(char::is_whitespace);
        parts.is_some_and(|(local, domain)| is_part(local) && is_part(domain))
    };
    address(text, longest).filter(is_address)
}

fn is_name_of_guest(address: &str) -> bool {
    address.contains('#') && address.to_ascii_uppercase().contains("#EXT#@")
}

/// The address in `Ann Lee <ann@example.com>`, `mailto:ann@example.com` or `smtp:ann@example.com`; any other text as
/// it is.
fn bare_address(text: &str) -> &str {
    let inner = text.strip_suffix('>').and_then(|text| text.rsplit_once('<')).map_or(text, |(_, inner)| inner).trim();
    match inner.split_once(':') {
        Some((scheme, address)) if scheme.eq_ignore_ascii_case("mailto") => {
            address.split('?').next().unwrap_or(address)
        }
        Some((scheme, address)) if scheme.eq_ignore_ascii_case("smtp") => address,
        _ => inner,
    }
}

pub(super) fn text(rule: &Text, record: &Document) -> Option<String> {
    match rule {
        Text::Path(path) => path.text(record),
        Text::First(rules) => rules.iter().find_map(|rule| text(rule, record)),
        Text::Join { parts, with } => {
            let parts: Vec<String> = parts.iter().filter_map(|part| text(part, record)).collect();
            (!parts.is_empty()).then(|| parts.join(with))
        }
        Text::Const(text) => Some(text.clone()),
        Text::When { test, then } => test.holds(record).then(|| text(then, record)).flatten(),
        Text::Lookup { of, values } => text(of, record).map(|raw| shown(values, None, raw)),
    }
}

/// The text that a table shows for a raw value; one that is not in the table is shown as `other`, or as it is.
fn shown(values: &BTreeMap<String, String>, other: Option<&String>, raw: String) -> String {
    values.get(&raw.to_lowercase()).or(other).cloned().unwrap_or(raw)
}

/// The value that the first matching rule gives. A raw value that no table knows is counted in `unknown`.
pub(super) fn choice<T: Copy>(rules: &[Choice<T>], record: &Document, unknown: &mut u64) -> Option<T> {
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

/// `None` if the application did not say.
pub(super) fn flag(rule: &Flag, record: &Document) -> Option<bool> {
    if rule.known_when.as_ref().is_some_and(|test| !test.holds(record)) {
        return None;
    }
    match &rule.test {
        // Of several values that one path finds, one that says yes is enough.
        FlagTest::Paths(paths) => {
            paths.iter().find_map(|path| path.all(record).filter_map(parse_bool).reduce(|one, other| one || other))
        }
        FlagTest::Any(tests) => Some(tests.iter().any(|test| test.holds(record))),
        FlagTest::All(tests) => Some(tests.iter().all(|test| test.holds(record))),
        FlagTest::Not(rule) => flag(rule, record).map(|value| !value),
        FlagTest::PresentIn(join) => Some(is_joined(record, join)),
        FlagTest::AbsentIn(join) => Some(!is_joined(record, join)),
    }
}

fn is_joined(record: &Document, join: &str) -> bool {
    record.value().get(JOINED).is_some_and(|parts| parts.get(join).is_some())
}

/// A yes or no, also as a text or a number.
pub(super) fn parse_bool(value: &Value) -> Option<bool> {
    match scalar(value)?.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" => Some(true),
        "false" | "0" | "no" => Some(false),
        _ => None,
    }
}

/// All texts that the rules find, each once, in the form that `tidied` gives them.
pub(super) fn texts(rules: &[Labels], record: &Document, tidied: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    let raw = rules.iter().flat_map(|rule| rule.path.all(record).filter_map(scalar).map(move |raw| (rule, raw)));
    for (rule, raw) in raw {
        let text = tidied(&shown(&rule.values, rule.other.as_ref(), raw)).unwrap_or_default();
        if !text.is_empty() && !texts.contains(&text) {
            texts.push(text);
        }
        if texts.len() == MAX_TEXTS {
            break;
        }
    }
    texts
}

/// `None` for the beginning of 1970, which means “never”.
pub(super) fn time(rule: &Time, record: &Document) -> Option<i64> {
    if rule.known_when.as_ref().is_some_and(|test| !test.holds(record)) {
        return None;
    }
    let parse = |raw: String| {
        if rule.null_if.contains(&raw) {
            return None;
        }
        time::parse(rule.format, &raw).filter(|time| *time > 0)
    };
    // Of several times that one path finds, the latest.
    rule.from.0.iter().find_map(|path| path.all(record).filter_map(scalar).filter_map(parse).max())
}
