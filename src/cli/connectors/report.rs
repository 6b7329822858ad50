//! The output of a trial.

use std::collections::{BTreeMap, HashMap};

use integration::engine::RawPage;
use integration::manifest::Manifest;
use integration::source::{ErrorClass, Loss, Page, SourceError};
use integration::user::{FieldValue, SourceUser, Timestamp, UserField};
use serde::Serialize;
use serde_json::{Value, json};

use super::super::output::say;

/// How many users are printed by default.
const DEFAULT_LIMIT: usize = 100;
/// The maximum width of a table cell, in characters.
const MAX_CELL_WIDTH: usize = 40;

/// The output options of a trial.
#[derive(Clone, Copy)]
pub struct OutputOptions {
    /// Print one JSON document at the end instead of a table for each page.
    pub json: bool,
    /// Print the original record of each user too.
    pub raw: bool,
    /// How many users to print.
    pub limit: Option<usize>,
}

/// The results so far.
pub struct Report<'a> {
    manifest: &'a Manifest,
    options: OutputOptions,
    /// The users of the JSON document.
    users: Vec<Value>,
    pages: u64,
    skipped: u64,
    /// The statuses of all users by their ids. A list that cannot prove itself is read twice.
    statuses: HashMap<String, String>,
    unknown_statuses: u64,
    lost: Vec<Loss>,
    credential_expires_at: Option<i64>,
    error: Option<SourceError>,
    /// The list was read to its end.
    complete: bool,
}

impl<'a> Report<'a> {
    pub fn new(manifest: &'a Manifest, options: OutputOptions) -> Self {
        Self {
            manifest,
            options,
            users: Vec::new(),
            pages: 0,
            skipped: 0,
            statuses: HashMap::new(),
            unknown_statuses: 0,
            lost: Vec::new(),
            credential_expires_at: None,
            error: None,
            complete: false,
        }
    }

    pub fn pages(&self) -> u64 {
        self.pages
    }

    /// Adds a page of users.
    pub fn add_page(&mut self, mut page: Page, raw: RawPage) {
        self.pages += 1;
        self.skipped += raw.skipped;
        self.unknown_statuses += raw.unknown_statuses;
        self.credential_expires_at = page.credential_expires_at.or(self.credential_expires_at);
        self.complete = page.next.is_none();
        for loss in page.lost {
            if !self.lost.contains(&loss) {
                self.lost.push(loss);
            }
        }
        let found = self.statuses.len();
        let listed = page.users.len();
        page.users.retain(|user| self.statuses.insert(user.external_id.clone(), wire_name(user.status)).is_none());
        let again = (listed - page.users.len()) as u64;
        let default = if self.options.json { usize::MAX } else { DEFAULT_LIMIT };
        let left = self.options.limit.unwrap_or(default).saturating_sub(found);
        let records: BTreeMap<String, Value> = raw.records.into_iter().collect();
        let shown = page.users.get(..left).unwrap_or(&page.users);
        if self.options.json {
            self.users
                .extend(shown.iter().map(|user| document(user, records.get(&user.external_id), self.options.raw)));
            return;
        }
        let more = [
            (raw.skipped, "record", " skipped (skip_if)"),
            (raw.duplicates, "record", " repeated"),
            (again, "user", " of earlier pages"),
            (raw.unknown_statuses, "status", " that the manifest does not know"),
        ];
        let more = more.iter().filter(|(count, ..)| *count > 0);
        let more = more.map(|(count, what, how)| format!("{}{how}", count_of(*count, what)));
        let counts: Vec<String> = [count_of(page.users.len() as u64, "user")].into_iter().chain(more).collect();
        say!("Page {}: {}", raw.page, counts.join(", "));
        self.table(shown, &records);
        if shown.len() < page.users.len() {
            say!("  … and {} more (--limit)", page.users.len() - shown.len());
        }
        say!("");
    }

    fn table(&mut self, users: &[SourceUser], records: &BTreeMap<String, Value>) {
        if users.is_empty() {
            return;
        }
        let rows: Vec<Vec<String>> = users.iter().map(|user| self.row(user)).collect();
        let shown = UserField::ALL.iter().filter(|field| self.is_provided(**field));
        let headings = shown.map(|field| field.info().heading.to_lowercase());
        let head: Vec<String> = ["external_id".to_owned()].into_iter().chain(headings).collect();
        let width =
            |column: usize| rows.iter().chain([&head]).map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..head.len()).map(width).collect();
        let line = |row: &[String]| {
            let cells: Vec<String> =
                row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}", width = *width)).collect();
            format!("  {}", cells.join("  ").trim_end())
        };
        say!("{}", line(&head));
        for (user, row) in users.iter().zip(&rows) {
            say!("{}", line(row));
            if let Some(record) = records.get(&user.external_id).filter(|_| self.options.raw) {
                for text in format!("{record:#}").lines() {
                    say!("      {text}");
                }
            }
        }
    }

    fn row(&self, user: &SourceUser) -> Vec<String> {
        let cell = |(_, value): (UserField, Option<FieldValue<'_>>)| match value {
            Some(value) => cell(value),
            None => "?".to_owned(),
        };
        let provided = user.values().filter(|(field, _)| self.is_provided(*field));
        [truncate(&user.external_id)].into_iter().chain(provided.map(cell)).collect()
    }

    /// Whether the manifest maps a field. The others have no column.
    fn is_provided(&self, field: UserField) -> bool {
        self.manifest.users.maps(field)
    }

    /// Records that the listing failed.
    pub fn fail(&mut self, error: SourceError) {
        self.complete = false;
        self.error = Some(error);
    }

    /// The class of the error of the listing, if there was one.
    pub fn failure(&self) -> Option<ErrorClass> {
        self.error.as_ref().map(|error| error.class)
    }

    /// Records that the listing is complete.
    pub fn complete(&mut self) {
        self.complete = true;
    }

    /// Prints the summary. Returns the error of the listing, if there was one.
    pub fn finish(self, tenant: Option<&str>, took_ms: i64) -> Result<(), String> {
        if self.options.json {
            let document = self.as_document(tenant);
            say!("{document:#}");
            return match self.error {
                Some(error) => Err(format!("the listing failed ({})", wire_name(error.class))),
                None => Ok(()),
            };
        }
        let mut by_status: BTreeMap<&str, usize> = BTreeMap::new();
        for status in self.statuses.values() {
            *by_status.entry(status).or_default() += 1;
        }
        let statuses: Vec<String> = by_status.iter().map(|(status, count)| format!("{count} {status}")).collect();
        let statuses = if statuses.is_empty() { String::new() } else { format!(": {}", statuses.join(", ")) };
        let seconds = format!("{}.{:01} s", took_ms / 1000, took_ms % 1000 / 100);
        let (users, pages) = (count_of(self.statuses.len() as u64, "user"), count_of(self.pages, "page"));
        say!("{users} on {pages} in {seconds}{statuses}");
        if self.skipped > 0 {
            say!("{} skipped (skip_if)", count_of(self.skipped, "record"));
        }
        if self.unknown_statuses > 0 {
            let statuses = count_of(self.unknown_statuses, "status");
            say!("{statuses} that the manifest does not know; use --raw to see them");
        }
        for Loss { capability, missing_permission, reason, is_absent: _ } in &self.lost {
            let missing = missing_permission.as_ref().map(|name| format!("; missing: {name}")).unwrap_or_default();
            let reason = reason.as_ref().map(|reason| format!(". {reason}")).unwrap_or_default();
            say!("Not read: {}{missing}{reason}", wire_name(capability));
        }
        say!("Tenant: {}", tenant.unwrap_or("not reported"));
        let expires_at = self.credential_expires_at.map(|time| Timestamp(time).to_string());
        let expires_at = expires_at.as_deref().unwrap_or("not reported");
        say!("Credential expires: {expires_at}");
        if let Some(error) = &self.error {
            return Err(self.explain(error));
        }
        if !self.complete {
            say!("There are more pages; stopped because of --pages.");
        }
        Ok(())
    }

    fn as_document(&self, tenant: Option<&str>) -> Value {
        let lost = self.lost.iter().map(|loss| {
            json!({
                "capability": wire_name(loss.capability),
                "missingPermission": loss.missing_permission,
                "reason": loss.reason,
            })
        });
        let error = self.error.as_ref().map(|error| {
            json!({
                "class": wire_name(error.class),
                "message": error.message,
                "definite": error.definite,
                "missingPermissions": error.missing_permissions,
                "retryAfterMs": error.retry_after_ms,
            })
        });
        json!({
            "users": self.users,
            "pages": self.pages,
            "skipped": self.skipped,
            "unknownStatuses": self.unknown_statuses,
            "lost": lost.collect::<Vec<_>>(),
            "tenant": tenant,
            "credentialExpiresAt": self.credential_expires_at.map(Timestamp),
            "whole": self.complete,
            "error": error,
        })
    }

    /// Describes an error and what to do about it.
    fn explain(&self, error: &SourceError) -> String {
        let missing = if error.missing_permissions.is_empty() {
            &self.manifest.required_permissions
        } else {
            &error.missing_permissions
        };
        let documentation = self.manifest.documentation_url.as_ref().map_or("", |url| url.value.as_str());
        let advice = match error.class {
            ErrorClass::Token => "Make a new credential as the manifest's setup says, and give that one.".to_owned(),
            ErrorClass::Permission => format!("Give the credential what it lacks: {}.", missing.join(", ")),
            ErrorClass::RateLimit => match error.retry_after_ms {
                Some(wait) => format!("Try again in {} seconds.", wait.div_ceil(1000)),
                None => "Try again later.".to_owned(),
            },
            ErrorClass::Transient | ErrorClass::Timeout => {
                "Try again; if it stays so, check the address and the application's own status.".to_owned()
            }
            ErrorClass::Config | ErrorClass::Overdue | ErrorClass::Internal => {
                let place = if documentation.is_empty() { String::new() } else { format!(": {documentation}") };
                format!("Compare the settings and the manifest with what the vendor says{place}")
            }
        };
        format!("{}: {}\n{advice}", wire_name(error.class), error.message)
    }
}

/// A value in a cell of the table.
fn cell(value: FieldValue<'_>) -> String {
    match value {
        FieldValue::Text(text) => truncate(text),
        FieldValue::Flag(true) => "yes".to_owned(),
        FieldValue::Flag(false) => "no".to_owned(),
        FieldValue::Texts([]) => "none".to_owned(),
        FieldValue::Texts(texts) => truncate(&texts.join(", ")),
        FieldValue::Time(time) => time.to_string(),
        FieldValue::Word(word) => word.to_owned(),
    }
}

/// A user in the JSON document.
fn document(user: &SourceUser, record: Option<&Value>, raw: bool) -> Value {
    let mut document = json!(user);
    if let (true, Some(record)) = (raw, record) {
        document["raw"] = record.clone();
    }
    document
}

fn count_of(count: u64, what: &str) -> String {
    let ending = match count {
        1 => "",
        _ if what.ends_with('s') => "es",
        _ => "s",
    };
    format!("{count} {what}{ending}")
}

fn truncate(text: &str) -> String {
    if text.chars().count() <= MAX_CELL_WIDTH {
        text.to_owned()
    } else {
        text.chars().take(MAX_CELL_WIDTH - 1).chain(['…']).collect()
    }
}

fn wire_name<T: Serialize>(value: T) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}
