//! The result of a case, and how it differs from the expected one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use serde::Serialize;
use serde_json::Value;
use serde_saphyr::{Location, Spanned};

use super::format::{Case, SampleError};
use crate::source::{Capability, SourceError};
use crate::user::{FieldValue, SourceUser, Timestamp};

/// The result of a case.
#[derive(Default)]
pub(super) struct Outcome {
    /// By id. If a user comes several times, the last page counts.
    pub users: BTreeMap<String, SourceUser>,
    pub lost: BTreeSet<Capability>,
    pub tenant: Option<String>,
    pub credential_expires_at: Option<i64>,
    pub error: Option<SourceError>,
}

impl Outcome {
    /// All differences, with their locations in the file.
    pub fn differences(&self, case: &Spanned<Case>) -> Vec<(Location, String)> {
        let Spanned { value: case, referenced: at, .. } = case;
        let mut found = Vec::new();
        match (&case.error, &self.error) {
            (Some(expected), Some(got)) => {
                found.extend(error(&expected.value, got).into_iter().map(|message| (expected.referenced, message)));
            }
            (Some(expected), None) => {
                let class = word(expected.value.class);
                found.push((expected.referenced, format!("error: expected one of class {class}, got none")));
            }
            (None, Some(got)) => {
                let message = format!("error: expected none, got class {}: {}", word(got.class), got.message);
                found.push((*at, message));
                return found;
            }
            (None, None) => {}
        }
        if let Some(users) = &case.users {
            self.users(users, &mut found);
        }
        let (lost, place) =
            case.lost.as_ref().map_or((BTreeSet::new(), *at), |lost| (lost.value.clone(), lost.referenced));
        if self.error.is_none() && lost != self.lost {
            let listed = |set: &BTreeSet<Capability>| set.iter().map(word).collect::<Vec<_>>().join(", ");
            found.push((place, format!("lost: expected [{}], got [{}]", listed(&lost), listed(&self.lost))));
        }
        if let Some(expected) = &case.tenant
            && !self.tenant.as_ref().is_some_and(|got| got.eq_ignore_ascii_case(&expected.value))
        {
            let got = self.tenant.as_deref().unwrap_or("nothing");
            found.push((expected.referenced, format!("tenant: expected {}, got {got}", expected.value)));
        }
        if let Some(expected) = &case.credential_expires_at
            && self.credential_expires_at != Some(expected.value.0)
        {
            let got = self.credential_expires_at.map_or("nothing".to_owned(), |time| Timestamp(time).to_string());
            let message = format!("credential_expires_at: expected {}, got {got}", expected.value);
            found.push((expected.referenced, message));
        }
        found
    }

    fn users(&self, expected: &Spanned<Vec<Spanned<SourceUser>>>, found: &mut Vec<(Location, String)>) {
        let mut left = self.users.clone();
        for Spanned { value: user, referenced: at, .. } in &expected.value {
            match left.remove(&user.external_id) {
                Some(got) => {
                    let differences = differing_fields(user, &got);
                    found.extend(
                        differences.into_iter().map(|message| (*at, format!("user {}, {message}", user.external_id))),
                    );
                }
                None => found.push((*at, format!("user {}: expected, but not listed", user.external_id))),
            }
        }
        for user in left.into_values() {
            let message = format!("user {}: not expected, but listed: {}", user.external_id, written(&user));
            found.push((expected.referenced, message));
        }
    }
}

/// The fields that differ. A list without entries is written in samples like one that is not provided.
fn differing_fields(expected: &SourceUser, got: &SourceUser) -> Vec<String> {
    let shown = |value: Option<FieldValue<'_>>| value.map_or("nothing".to_owned(), |value| plain(&value));
    let pairs = expected.values().zip(got.values());
    let pairs = pairs.map(|((field, expected), (_, got))| (field, without_empty(expected), without_empty(got)));
    pairs
        .filter(|(_, expected, got)| expected != got)
        .map(|(field, expected, got)| format!("{field}: expected {}, got {}", shown(expected), shown(got)))
        .collect()
}

fn without_empty(value: Option<FieldValue<'_>>) -> Option<FieldValue<'_>> {
    value.filter(|value| !value.is_empty())
}

fn error(expected: &SampleError, got: &SourceError) -> Vec<String> {
    let mut found = Vec::new();
    let mut compare = |what: &str, expected: String, given: String| {
        if expected != given {
            found.push(format!("error {what}: expected {expected}, got {given} (“{}”)", got.message));
        }
    };
    compare("class", word(expected.class), word(got.class));
    if let Some(definite) = expected.definite {
        compare("definite", definite.to_string(), got.definite.to_string());
    }
    if let Some(permissions) = &expected.permissions {
        let listed = |set: &BTreeSet<String>| format!("[{}]", set.iter().cloned().collect::<Vec<_>>().join(", "));
        compare("permissions", listed(permissions), listed(&got.missing_permissions.iter().cloned().collect()));
    }
    if let Some(seconds) = expected.retry_after_seconds {
        #[expect(clippy::cast_precision_loss, reason = "waits are short")]
        let given = got.retry_after_ms.map_or("nothing".to_owned(), |wait| (wait as f64 / 1000.0).to_string());
        compare("retry_after_seconds", seconds.to_string(), given);
    }
    if let Some(part) = &expected.message
        && !got.message.contains(part.as_str())
    {
        found.push(format!("error message: expected a part “{part}”, got “{}”", got.message));
    }
    found
}

/// A user as samples have it, to be pasted.
pub(super) fn written(user: &SourceUser) -> String {
    let mut parts = vec![format!("external_id: {}", plain(&user.external_id))];
    for (field, value) in user.values() {
        let text = match value {
            None | Some(FieldValue::Texts([])) => continue,
            Some(FieldValue::Word(word)) => word.to_owned(),
            Some(FieldValue::Time(time)) => time.to_string(),
            Some(value @ (FieldValue::Text(_) | FieldValue::Flag(_) | FieldValue::Texts(_))) => plain(&value),
        };
        parts.push(format!("{field}: {text}"));
    }
    format!("{{{}}}", parts.join(", "))
}

/// A value as YAML takes it.
fn plain<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// One of a fixed set of words.
pub(super) fn word<T: Serialize + Debug>(value: T) -> String {
    match serde_json::to_value(&value) {
        Ok(Value::String(word)) => word,
        _ => format!("{value:?}"),
    }
}
