//! YAML in bounds, and what is wrong with it in words that lead out.

use serde::de::DeserializeOwned;
use serde_saphyr::{Error, Location};

use super::Fault;

/// How much a file may hold.
#[derive(Clone, Copy)]
pub struct Limits {
    /// Of the whole text.
    pub bytes: usize,
    /// Texts, lists and mappings, those that aliases repeat among them.
    pub nodes: usize,
}

/// Lists and mappings within each other.
const DEEPEST: usize = 48;
/// The most repetitions of what an anchor names.
const MOST_ALIASES: usize = 500;
/// From this likeness on (0 to 1), a word is taken for a slip of another.
const ALIKE: f64 = 0.75;

/// Reads one document. `file` stands in the fault, which is the first that was found.
pub fn read<T: DeserializeOwned>(text: &str, file: &str, limits: Limits) -> Result<T, Fault> {
    if text.len() > limits.bytes {
        let message = format!("the file has {} KiB; no more than {} are read", text.len() / 1024, limits.bytes / 1024);
        return Err(Fault::at(file, Location::UNKNOWN, message));
    }
    let budget = serde_saphyr::budget! {
        max_nodes: limits.nodes,
        max_events: limits.nodes * 2,
        max_depth: DEEPEST,
        flow_nesting_limit: DEEPEST,
        max_aliases: MOST_ALIASES,
        max_anchors: MOST_ALIASES,
        max_merge_keys: MOST_ALIASES,
        max_recorded_anchor_events: limits.nodes,
    };
    let aliases = serde_saphyr::alias_limits! {
        max_total_replayed_events: limits.nodes,
        max_replay_stack_depth: 8,
        max_alias_expansions_per_anchor: MOST_ALIASES,
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
    if let Some(hint) = text.lines().nth(line.saturating_sub(1)).and_then(|line| quoting(line, error)) {
        message = format!("{message}; {hint}");
    }
    Fault::at(file, location, message)
}

fn explain(error: &Error) -> String {
    match error {
        Error::AliasError { error, .. } => explain(error.without_snippet()),
        Error::SerdeUnknownField { field, expected, .. } => {
            format!("unknown key “{field}”{}", instead(field, expected, "there is no other key here"))
        }
        Error::SerdeUnknownVariant { variant, expected, .. } => {
            format!("“{variant}” is not known here{}", instead(variant, expected, "leave it out"))
        }
        Error::SerdeMissingField { field, .. } => format!("the key “{field}” is missing here; it must be written"),
        Error::SerdeInvalidType { unexpected, expected, .. }
        | Error::SerdeInvalidValue { unexpected, expected, .. } => {
            format!("here stands {}, and what is wanted is {expected}", unexpected.replace('`', ""))
        }
        Error::Unexpected { expected, .. } => {
            let wanted = match *expected {
                "string scalar" => "a text",
                sequence if sequence.contains("sequence") => "a list",
                mapping if mapping.contains("mapping") => "keys with values",
                other => other,
            };
            format!("something else stands here than {wanted}; write {wanted}")
        }
        Error::MultipleDocuments { .. } => "one file holds one document; take out what follows “---”".to_owned(),
        Error::Budget { .. } | Error::AliasReplayLimitExceeded { .. } | Error::AliasExpansionLimitExceeded { .. } => {
            "the file holds more than is read: too many values, aliases, or lists within lists; write less".to_owned()
        }
        Error::NullIntoString { .. } => {
            "here stands nothing, and a text is wanted; write one, or leave the key out".to_owned()
        }
        other => {
            let message = other.to_string();
            match (message.rfind(" at line "), other.location()) {
                (Some(end), Some(_)) => message[..end].to_owned(),
                _ => message,
            }
        }
    }
}

/// What could be written in place of an unknown word.
fn instead(word: &str, known: &[&'static str], none: &str) -> String {
    if known.is_empty() {
        return format!("; {none}");
    }
    let likeness = |other: &str| strsim::jaro_winkler(&word.to_lowercase(), other);
    let nearest = known.iter().copied().max_by(|one, other| likeness(one).total_cmp(&likeness(other)));
    let list = known.join(", ");
    match nearest.filter(|nearest| likeness(nearest) >= ALIKE) {
        Some(nearest) => format!("; did you mean “{nearest}”? Known are: {list}"),
        None => format!("; known are: {list}"),
    }
}

/// Texts that YAML takes for something else, as long as they are not quoted.
fn quoting(line: &str, error: &Error) -> Option<&'static str> {
    let shaped = !matches!(error.without_snippet(), Error::SerdeUnknownField { .. } | Error::SerdeMissingField { .. });
    let bare = |what: &str| [": ", "- ", "[", ", "].iter().any(|before| line.contains(&format!("{before}{what}")));
    if shaped && bare("{{") {
        Some("quote a text that begins with {{: \"{{config.token}}\"")
    } else if shaped && (line.contains('{') || line.contains('[')) && bare("$[") {
        Some("within {…} and […], quote paths and tests: \"$[?@.is_bot == true]\"")
    } else if shaped && (bare("@") || bare("`") || bare("%")) {
        Some("quote a text that begins with @, ` or %")
    } else {
        None
    }
}
