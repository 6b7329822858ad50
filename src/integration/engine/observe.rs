//! Shows the author of a manifest what a page contained besides its users.

use std::sync::Arc;

use serde_json::Value;

use super::classify::mask_text;
use super::record::Record;

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
            mask(&mut record, secrets);
            (user.id.clone(), record)
        };
        Self { page, records: users.iter().map(shown).collect(), ..Self::default() }
    }
}

/// Masks the secrets in all texts of a value.
fn mask(value: &mut Value, secrets: &[String]) {
    match value {
        Value::String(text) => *text = mask_text(text, secrets),
        Value::Array(items) => items.iter_mut().for_each(|item| mask(item, secrets)),
        Value::Object(members) => members.values_mut().for_each(|member| mask(member, secrets)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
