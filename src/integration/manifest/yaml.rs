//! Reads YAML within limits, and explains its faults.

use serde::de::DeserializeOwned;
use serde_saphyr::{Error, Location};

use super::Fault;

/// The size limits of a file.
#[derive(Clone, Copy)]
pub struct Limits {
    /// The size of the text.
    pub bytes: usize,
    /// The number of scalars, lists and mappings, including those that aliases repeat.
    pub nodes: usize,
}

/// How deeply lists and mappings may be nested.
const MAX_DEPTH: usize = 48;
/// The most uses of one anchor.
const MAX_ALIASES: usize = 500;
/// From this similarity on (0 to 1), a word is suggested as a correction.
const SIMILAR: f64 = 0.75;

/// Reads one document. Fails with the first fault; `file` is named in it.
pub fn read<T: DeserializeOwned>(text: &str, file: &str, limits: Limits) -> Result<T, Fault> {
    if text.len() > limits.bytes {
        let message = format!("the file has {} KiB; no more than {} are read", text.len() / 1024, limits.bytes / 1024);
        return Err(Fault::at(file, Location::UNKNOWN, message));
    }
    let budget = serde_saphyr::budget! {
        max_nodes: limits.nodes,
        max_events: limits.nodes * 2,
        max_depth: MAX_DEPTH,
        flow_nesting_limit: MAX_DEPTH,
        max_aliases: MAX_ALIASES,
        max_anchors: MAX_ALIASES,
        max_merge_keys: MAX_ALIASES,
        max_recorded_anchor_events: limits.nodes,
    };
    let aliases = serde_saphyr::alias_limits! {
        max_total_replayed_events: limits.nodes,
        max_replay_stack_depth: 8,
        max_alias_expansions_per_anchor: MAX_ALIASES,
    };
    let options = serde_saphyr::options! {
        budget: budget,
        alias_limits: aliases,
        with_snippet: false,
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| fault(text, file, &error))
}

fn fault(text: &str, file: &str, error: &Error) -> Fault {
    let location = error.location().unwrap_or(Location::UNKNOWN);
    let mut message = explain(error.without_snippet());
    let line = usize::try_from(location.line()).unwrap_or(usize::MAX);
    if let Some(hint) = text.lines().nth(line.saturating_sub(1)).and_then(|line| quoting_hint(line, error)) {
        message = format!("{message}; {hint}");
    }
    if let Some(tabbed) = text.lines().take(line.saturating_add(1)).position(|line| line.starts_with('\t')) {
        message = format!("{message}; line {} begins with a tab, and YAML is indented with spaces only", tabbed + 1);
    }
    Fault::at(file, location, message)
}

fn explain(error: &Error) -> String {
    match error {
        Error::AliasError { error, .. } => explain(error.without_snippet()),
        Error::SerdeUnknownField { field, expected, .. } => {
            let other = || suggestion(field, expected, "there is no other key here");
            format!("unknown key “{field}”{}", renamed(field, expected).map_or_else(other, str::to_owned))
        }
        Error::SerdeUnknownVariant { variant, expected, .. } => {
            format!("“{variant}” is not known here{}", suggestion(variant, expected, "leave it out"))
        }
        Error::SerdeMissingField { field, .. } => format!("the key “{field}” is missing here; it must be written"),
        Error::SerdeInvalidType { unexpected, expected, .. }
        | Error::SerdeInvalidValue { unexpected, expected, .. } => {
            format!("expected {expected}, found {}", unexpected.replace('`', ""))
        }
        Error::Unexpected { expected, .. } => {
            let wanted = match *expected {
                "string scalar" => "a text",
                sequence if sequence.contains("sequence") => "a list",
                mapping if mapping.contains("mapping") => "keys with values",
                other => other,
            };
            format!("expected {wanted}, found something else")
        }
        Error::MultipleDocuments { .. } => "a file must contain one document; remove everything after “---”".to_owned(),
        Error::Budget { .. } | Error::AliasReplayLimitExceeded { .. } | Error::AliasExpansionLimitExceeded { .. } => {
            "the file exceeds a limit: it has too many values or aliases, or is nested too deeply".to_owned()
        }
        Error::NullIntoString { .. } => "expected a text, found nothing; write a text, or leave the key out".to_owned(),
        other => {
            let message = other.to_string();
            match (message.rfind(" at line "), other.location()) {
                (Some(end), Some(_)) => message[..end].to_owned(),
                _ => message,
            }
        }
    }
}

/// What to write in place of a key of an earlier version.
fn renamed(key: &str, known: &[&str]) -> Option<&'static str> {
    match key {
        "variants" if known.contains(&"lists") => Some("; it is called lists now"),
        "status" if known.contains(&"skip_if") => Some("; write map: {status: …}"),
        _ => None,
    }
}

/// Suggests a known word in place of an unknown one.
fn suggestion(word: &str, known: &[&'static str], none: &str) -> String {
    if known.is_empty() {
        return format!("; {none}");
    }
    let likeness = |other: &str| strsim::jaro_winkler(&word.to_lowercase(), other);
    let nearest = known.iter().copied().max_by(|one, other| likeness(one).total_cmp(&likeness(other)));
    let list = known.join(", ");
    match nearest.filter(|nearest| likeness(nearest) >= SIMILAR) {
        Some(nearest) => format!("; did you mean “{nearest}”? Known are: {list}"),
        None => format!("; known are: {list}"),
    }
}

/// A hint about texts that YAML reads as something else unless they are quoted.
fn quoting_hint(line: &str, error: &Error) -> Option<&'static str> {
    let shaped = !matches!(error.without_snippet(), Error::SerdeUnknownField { .. } | Error::SerdeMissingField { .. });
    let bare = |what: &str| [": ", "- ", "[", ", "].iter().any(|before| line.contains(&format!("{before}{what}")));
    if shaped && bare("{{") {
        Some("quote a text that begins with {{: \"{{config.token}}\"")
    } else if shaped && (line.contains('{') || line.contains('[')) && bare("$[") {
        Some("within {…} and […], quote paths and tests: \"$[?@.is_bot == true]\"")
    } else if shaped && (bare("@") || bare("`") || bare("%")) {
        Some("quote a text that begins with @, ` or %")
    } else if shaped && has_colon(line) {
        Some("quote a text that contains a colon and a space: \"Note: …\"")
    } else if shaped && is_bare_time(line) {
        Some("a time is written with its format: {from: $.last_login, format: iso}")
    } else {
        None
    }
}

/// Whether the text behind a key has a colon and a space, which end a key.
fn has_colon(line: &str) -> bool {
    let Some((key, value)) = line.split_once(": ") else { return false };
    let key = key.trim_start().trim_start_matches("- ");
    let plain = key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    let value = value.trim_start();
    plain && value.contains(": ") && !value.starts_with(['"', '\'', '{', '[', '|', '>', '#', '&', '*'])
}

/// Whether a path stands where a time is described.
fn is_bare_time(line: &str) -> bool {
    ["last_active_at:", "created_at:"].iter().any(|key| {
        let value = line.trim_start().strip_prefix(key);
        value.is_some_and(|value| value.trim_start().starts_with(['$', '[']))
    })
}
