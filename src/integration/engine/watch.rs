//! What a page held besides its users, for the author of a manifest.

use std::sync::Arc;

use serde_json::Value;

use super::HttpSource;
use super::classify::masked;
use super::select::Candidate;
use crate::source::SourceError;

/// A page of users as it came.
#[derive(Debug, Default)]
pub struct Seen {
    /// Counted from 1.
    pub page: u64,
    /// The records of those who are users by external id, with what was joined to them.
    /// Secrets are masked.
    pub records: Vec<(String, Value)>,
    /// Records that are no users (`skip_if`).
    pub skipped: u64,
    /// Records that came a second time on the page.
    pub duplicates: u64,
    /// Users with a status that the manifest does not know.
    pub unknown_statuses: u64,
}

/// Is told of each page before it is handed out.
pub type Watch = Arc<dyn Fn(Seen) + Send + Sync>;

impl HttpSource {
    /// Has each page of a listing told to `watch`.
    #[must_use]
    pub fn watched(mut self, watch: Watch) -> Self {
        self.watch = Some(watch);
        self
    }

    /// The records of a page, if somebody watches.
    pub(super) async fn seen(&self, page: u64, users: &[Candidate]) -> Result<Option<Seen>, SourceError> {
        if self.watch.is_none() {
            return Ok(None);
        }
        let token = self.tokens.current(&self.policy(false)).await?;
        let secrets = self.credential.secrets(token.as_deref());
        let shown = |user: &Candidate| {
            let mut record = user.record.value().clone();
            mask(&mut record, &secrets);
            (user.id.clone(), record)
        };
        Ok(Some(Seen { page, records: users.iter().map(shown).collect(), ..Seen::default() }))
    }
}

/// Masks the secrets in all texts of a value.
fn mask(value: &mut Value, secrets: &[String]) {
    match value {
        Value::String(text) => *text = masked(text, secrets),
        Value::Array(items) => items.iter_mut().for_each(|item| mask(item, secrets)),
        Value::Object(members) => members.values_mut().for_each(|member| mask(member, secrets)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
