//! Shows the author of a manifest what a page contained besides its users.

use std::sync::{Arc, LazyLock};

use regex::Regex;
use serde_json::Value;

use super::classify::{MASK, mask_text};
use super::record::Record;

/// The names of members in which applications show secrets of a user.
static SECRET_NAME: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?i)passw|passphrase|passcode|secret|token|hash|salt|credential|cookie|recovery|otp|(api|private|access|signing|encryption|rss|feed|ssh)[ _-]?key").ok()
});
/// A hash of a password, or a private key, whatever its name.
static SECRET_TEXT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"^\$(1|2[abxy]?|5|6|y|argon2\w*|pbkdf2[\w-]*|scrypt)\$|^\{[A-Z0-9-]+\}[A-Za-z0-9+/=]{16,}|^pbkdf2\w*[$:]|^-----BEGIN [A-Z ]*PRIVATE KEY").ok()
});

/// Whether a member of this name shows a secret.
pub(crate) fn is_secret_name(name: &str) -> bool {
    SECRET_NAME.as_ref().is_some_and(|pattern| pattern.is_match(name))
}

/// Whether a text is a hash of a password, or a private key.
pub(crate) fn is_secret_text(text: &str) -> bool {
    SECRET_TEXT.as_ref().is_some_and(|pattern| pattern.is_match(text))
}

/// A page of users as the application sent it.
#[derive(Debug, Default)]
pub struct RawPage {
    /// Counted from 1.
    pub page: u64,
    /// The users' records by external id, with joined parts and details. Secrets are masked.
    pub records: Vec<(String, Value)>,
    /// The number of entries that are no users (`skip_if`).
    pub skipped: u64,
    /// The number of entries that repeat an id of the same page.
    pub duplicates: u64,
    /// The number of users with a status that the manifest does not know.
    pub unknown_statuses: u64,
}

/// Called with each page of users before it is returned.
pub type PageObserver = Arc<dyn Fn(RawPage) + Send + Sync>;

impl RawPage {
    /// Shows the records of a page, without the secrets.
    pub(super) fn new(page: u64, users: &[Record], secrets: &[String]) -> Self {
        let shown = |user: &Record| {
            let mut record = user.document.value().clone();
            mask(&mut record, secrets, false);
            (user.id.clone(), record)
        };
        Self { page, records: users.iter().map(shown).collect(), ..Self::default() }
    }
}

/// Masks the secrets in all texts of a value: the connection's own, and those that the application shows. `secret`:
/// the value is a member whose name says that it is secret.
fn mask(value: &mut Value, secrets: &[String], secret: bool) {
    match value {
        Value::String(text) if !text.is_empty() && (secret || is_secret_text(text)) => MASK.clone_into(text),
        Value::Number(_) if secret => *value = MASK.into(),
        Value::String(text) => *text = mask_text(text, secrets),
        Value::Array(items) => items.iter_mut().for_each(|item| mask(item, secrets, secret)),
        Value::Object(members) => {
            members.iter_mut().for_each(|(name, member)| mask(member, secrets, secret || is_secret_name(name)));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::mask;

    #[test]
    fn what_an_application_shows_of_secrets_is_masked() {
        let mut record = json!({
            "id": 7,
            "name": "Ann",
            "note": "it is t0p-s3cret",
            "password_hash": "abc",
            "apiKey": 1234,
            "two_factor_token": true,
            "crypt": "$2b$12$abcdefghijklmnopqrstuv",
            "credentials": [{"type": "otp", "value": "JBSWY3DP"}],
            "tokens": [],
        });
        mask(&mut record, &["t0p-s3cret".to_owned()], false);
        let expected = json!({
            "id": 7,
            "name": "Ann",
            "note": "it is •••",
            "password_hash": "•••",
            "apiKey": "•••",
            "two_factor_token": true,
            "crypt": "•••",
            "credentials": [{"type": "•••", "value": "•••"}],
            "tokens": [],
        });
        assert_eq!(record, expected);
    }
}
