//! What a trial prints.

use std::collections::BTreeMap;

use integration::engine::Seen;
use integration::manifest::Manifest;
use integration::manifest::mapping::Column;
use integration::source::{ErrorClass, Loss, Page, SourceError, SourceUser};
use serde::Serialize;
use serde_json::{Value, json};

use crate::clock::date_time;

/// How many users are printed if nothing is said.
const USERS: usize = 100;
/// The widest cell of the table, in characters.
const WIDEST: usize = 40;
const COLUMNS: [&str; 8] = ["external_id", "e-mail", "name", "status", "admin", "mfa", "licences", "last active"];

/// How a trial prints.
#[derive(Clone, Copy)]
pub struct Form {
    /// One document at the end, in place of tables as pages come.
    pub json: bool,
    /// Each record beside its user.
    pub raw: bool,
    /// How many users are printed.
    pub limit: Option<usize>,
}

/// What has come so far.
pub struct Report<'a> {
    manifest: &'a Manifest,
    form: Form,
    /// For the document.
    users: Vec<Value>,
    pages: u64,
    found: usize,
    skipped: u64,
    by_status: BTreeMap<String, usize>,
    unknown_statuses: u64,
    lost: Vec<Loss>,
    credential_expires_at: Option<i64>,
    error: Option<SourceError>,
    /// Whether the list was read to its end.
    whole: bool,
}

impl<'a> Report<'a> {
    pub fn new(manifest: &'a Manifest, form: Form) -> Self {
        Self {
            manifest,
            form,
            users: Vec::new(),
            pages: 0,
            found: 0,
            skipped: 0,
            by_status: BTreeMap::new(),
            unknown_statuses: 0,
            lost: Vec::new(),
            credential_expires_at: None,
            error: None,
            whole: false,
        }
    }

    pub fn pages(&self) -> u64 {
        self.pages
    }

    /// A page of users came.
    pub fn page(&mut self, page: Page, seen: Seen) {
        self.pages += 1;
        self.skipped += seen.skipped;
        self.unknown_statuses += seen.unknown_statuses;
        self.credential_expires_at = page.credential_expires_at.or(self.credential_expires_at);
        self.whole = page.next.is_none();
        self.lost.extend(page.lost);
        for user in &page.users {
            *self.by_status.entry(word(user.status)).or_default() += 1;
        }
        let usual = if self.form.json { usize::MAX } else { USERS };
        let left = self.form.limit.unwrap_or(usual).saturating_sub(self.found);
        self.found += page.users.len();
        let records: BTreeMap<String, Value> = seen.records.into_iter().collect();
        let shown = page.users.get(..left).unwrap_or(&page.users);
        if self.form.json {
            self.users.extend(shown.iter().map(|user| document(user, records.get(&user.external_id), self.form.raw)));
            return;
        }
        let more = [
            (seen.skipped, "record", " skipped (skip_if)"),
            (seen.duplicates, "record", " repeated"),
            (seen.unknown_statuses, "status", " that the manifest does not know"),
        ];
        let more = more.iter().filter(|(count, ..)| *count > 0);
        let more = more.map(|(count, what, how)| format!("{}{how}", counted(*count, what)));
        let counts: Vec<String> = [counted(page.users.len() as u64, "user")].into_iter().chain(more).collect();
        println!("Page {}: {}", seen.page, counts.join(", "));
        self.table(shown, &records);
        if shown.len() < page.users.len() {
            println!("  … and {} more (--limit)", page.users.len() - shown.len());
        }
        println!();
    }

    fn table(&self, users: &[SourceUser], records: &BTreeMap<String, Value>) {
        if users.is_empty() {
            return;
        }
        let rows: Vec<[String; 8]> = users.iter().map(|user| self.row(user)).collect();
        let head = COLUMNS.map(str::to_owned);
        let width =
            |column: usize| rows.iter().chain([&head]).map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..COLUMNS.len()).map(width).collect();
        let line = |row: &[String; 8]| {
            let cells: Vec<String> =
                row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}", width = *width)).collect();
            println!("  {}", cells.join("  ").trim_end());
        };
        line(&head);
        for (user, row) in users.iter().zip(&rows) {
            line(row);
            if let Some(record) = records.get(&user.external_id).filter(|_| self.form.raw) {
                for text in format!("{record:#}").lines() {
                    println!("      {text}");
                }
            }
        }
    }

    fn row(&self, user: &SourceUser) -> [String; 8] {
        let cell = |column: Column, value: Option<String>| match value {
            _ if !self.manifest.users.map.value.has(column) => "-".to_owned(),
            Some(value) => cut(&value),
            None => "?".to_owned(),
        };
        let flag = |value: Option<bool>| value.map(|yes| if yes { "yes" } else { "no" }.to_owned());
        let licenses =
            user.licenses.as_ref().map(|list| if list.is_empty() { "none".to_owned() } else { list.join(", ") });
        [
            cut(&user.external_id),
            cell(Column::Email, user.email.clone()),
            cell(Column::DisplayName, user.display_name.clone()),
            word(user.status),
            cell(Column::IsAdmin, flag(user.is_admin)),
            cell(Column::MfaEnabled, flag(user.mfa_enabled)),
            cell(Column::Licenses, licenses),
            cell(Column::LastActiveAt, user.last_active_at.map(moment)),
        ]
    }

    /// The listing failed.
    pub fn fail(&mut self, error: SourceError) {
        self.whole = false;
        self.error = Some(error);
    }

    /// The listing came to its end.
    pub fn end(&mut self) {
        self.whole = true;
    }

    /// Prints what there is to say at the end. The error is that of the listing.
    pub fn finish(self, tenant: Option<&str>, took_ms: i64) -> Result<(), String> {
        if self.form.json {
            println!("{:#}", self.as_document(tenant));
            return match self.error {
                Some(error) => Err(format!("the listing failed ({})", word(error.class))),
                None => Ok(()),
            };
        }
        let statuses: Vec<String> = self.by_status.iter().map(|(status, count)| format!("{count} {status}")).collect();
        let statuses = if statuses.is_empty() { String::new() } else { format!(": {}", statuses.join(", ")) };
        let seconds = format!("{}.{:01} s", took_ms / 1000, took_ms % 1000 / 100);
        let (users, pages) = (counted(self.found as u64, "user"), counted(self.pages, "page"));
        println!("{users} on {pages} in {seconds}{statuses}");
        if self.skipped > 0 {
            println!("{} skipped (skip_if)", counted(self.skipped, "record"));
        }
        if self.unknown_statuses > 0 {
            let statuses = counted(self.unknown_statuses, "status");
            println!("{statuses} that the manifest does not know; see them with --raw");
        }
        for Loss { capability, missing_permission } in &self.lost {
            let missing = missing_permission.as_ref().map(|name| format!("; missing: {name}")).unwrap_or_default();
            println!("Refused: {}{missing}", word(capability));
        }
        println!("Tenant: {}", tenant.unwrap_or("not told"));
        println!("Credential ends: {}", self.credential_expires_at.map_or("not told".to_owned(), moment));
        if let Some(error) = &self.error {
            return Err(self.explain(error));
        }
        if !self.whole {
            println!("The list goes on; this is where --pages ends it.");
        }
        Ok(())
    }

    fn as_document(&self, tenant: Option<&str>) -> Value {
        let lost = self
            .lost
            .iter()
            .map(|loss| json!({"capability": word(loss.capability), "missingPermission": loss.missing_permission}));
        let error = self.error.as_ref().map(|error| {
            json!({
                "class": word(error.class),
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
            "credentialExpiresAt": self.credential_expires_at.map(moment),
            "whole": self.whole,
            "error": error,
        })
    }

    /// An error, and what to do about it.
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
            ErrorClass::Config | ErrorClass::Internal => {
                let place = if documentation.is_empty() { String::new() } else { format!(": {documentation}") };
                format!("Compare the settings and the manifest with what the vendor says{place}")
            }
        };
        format!("{}: {}\n{advice}", word(error.class), error.message)
    }
}

/// A user as the document has it.
fn document(user: &SourceUser, record: Option<&Value>, raw: bool) -> Value {
    let mut document = json!({
        "external_id": user.external_id,
        "email": user.email,
        "display_name": user.display_name,
        "status": word(user.status),
        "is_admin": user.is_admin,
        "mfa_enabled": user.mfa_enabled,
        "licenses": user.licenses,
        "last_active_at": user.last_active_at.map(moment),
    });
    if let (true, Some(record)) = (raw, record) {
        document["raw"] = record.clone();
    }
    document
}

fn counted(count: u64, what: &str) -> String {
    let ending = match count {
        1 => "",
        _ if what.ends_with('s') => "es",
        _ => "s",
    };
    format!("{count} {what}{ending}")
}

fn cut(text: &str) -> String {
    if text.chars().count() <= WIDEST {
        text.to_owned()
    } else {
        text.chars().take(WIDEST - 1).chain(['…']).collect()
    }
}

fn word<T: Serialize>(value: T) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn moment(milliseconds: i64) -> String {
    date_time(milliseconds).format("%Y-%m-%dT%H:%M:%SZ").to_string()
}
