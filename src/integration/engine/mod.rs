//! The engine: carries a connector manifest out against an application over HTTP.
//!
//! **Promises.** A listing ends well only if it ended by its own stop rule;
//! whatever else happens is an error with a class, a sentence for a person and,
//! where it is about a page, that page's number and the field. A page is read whole or not
//! at all: there is no answer, however broken, that makes the list shorter
//! without an error. Memory holds one page at a time. Calls go only to the
//! application's own origin and to addresses that the operator permits
//! (`address`); no error, log line or checkpoint holds a credential.
//!
//! **What is tried again.** Trouble that may pass, with growing, jittered waits,
//! and requests to slow down, as long as the application asks for, both bounded
//! per page ([`RetryPolicy`]). Refusals are never tried again here.
//!
//! **Does not promise** that a user comes once in a listing: an application
//! whose list shifts between pages repeats some. Within a page, repetitions are
//! dropped. Nor that an account which moves from a page not yet read to one
//! already read is seen at all; the register's rules for removal allow for it.
//!
//! **Cut in the middle,** nothing is left behind: dropping the stream drops the
//! call. A page's `next` resumes in another process, with the counts and the
//! memory of places seen. If the application no longer knows that place, the
//! list is begun anew, once.
//!
//! | file | what it does |
//! | --- | --- |
//! | `client`, `address` | one bounded call, to a permitted address |
//! | `request`, `auth` | from a place in the list to a signed call |
//! | `classify` | what an answer that is no page means |
//! | `select` | from the bytes of a page to its users |
//! | `paginate` | where the list goes on, when it has ended, checkpoints |
//! | `retry` | what is tried again, and after which wait |

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use entity::run::FailureClass;
use futures_util::stream::BoxStream;
use reqwest::header::CONTENT_TYPE;

use crate::integration::grant::GrantStore;
use crate::integration::manifest::Manifest;
use crate::integration::manifest::mapping::Column;
use crate::integration::source::{Capability, Checkpoint, Config, Loss, Page, Source, SourceError, Verified};

mod address;
mod auth;
mod classify;
mod client;
mod code_flow;
mod paginate;
mod request;
mod retry;
mod select;

#[cfg(test)]
mod tests;

pub use client::{Client, ClientSettings};
pub use code_flow::CodeFlow;
pub use retry::RetryPolicy;

use classify::{Evidence, no_answer, plain_error, refusal};
use client::Answer;
use paginate::{Position, Progress, Signs, next_place};
use request::Requests;
use retry::{Attempts, asked_wait};
use select::{Selected, Unreadable};

/// A body of more bytes is read on a thread of its own, so that other work goes on.
const LARGE_BODY: usize = 256 * 1024;

/// An application that a manifest describes, with one connection's settings.
pub struct HttpSource {
    manifest: Arc<Manifest>,
    requests: Requests,
    client: Client,
    #[expect(dead_code, reason = "the kinds of auth that need it are being written")]
    grants: Option<Arc<dyn GrantStore>>,
}

/// The page to be read.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    at: &'a Position,
    /// How many records to ask for.
    size: Option<u32>,
    /// Counted from 1.
    number: u64,
}

/// A page, as far as it has been understood.
struct Reading {
    selected: Selected,
    signs: Signs,
    number: u64,
    http_status: u16,
}

/// A call that did not give a page, and how long the application asked to wait.
struct Failure {
    error: SourceError,
    asked: Option<Duration>,
}

impl HttpSource {
    /// Fails with class `Config` if the settings do not fit the manifest.
    pub fn new(
        manifest: Arc<Manifest>,
        config: Config,
        client: &Client,
        grants: Option<Arc<dyn GrantStore>>,
    ) -> Result<Self, SourceError> {
        let complete = manifest.complete(config).map_err(|faults| {
            let sentences: Vec<String> = faults.into_iter().map(|fault| fault.message).collect();
            plain_error(FailureClass::Config, sentences.join(" "))
        })?;
        let requests =
            Requests::new(&manifest, &complete).map_err(|message| plain_error(FailureClass::Config, message))?;
        Ok(Self { manifest, requests, client: client.clone(), grants })
    }

    /// Reads one page, with as many attempts as the policy allows.
    async fn read(&self, wanted: Wanted<'_>, policy: &RetryPolicy) -> Result<Reading, SourceError> {
        let settings = self.client.settings();
        let mut attempts = Attempts::new(policy);
        loop {
            let failure = match self.attempt(wanted).await {
                Ok(reading) => return Ok(reading),
                Err(failure) => failure,
            };
            let Failure { mut error, asked } = failure;
            let Some(wait) = attempts.after(error.class, asked, (settings.random)()) else {
                if error.class == FailureClass::RateLimit {
                    error.retry_after_ms = asked.and_then(|asked| u64::try_from(asked.as_millis()).ok());
                }
                return Err(error);
            };
            let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            tracing::debug!(class = ?error.class, http.status = error.http_status, wait_ms, "A call is tried again");
            tokio::time::sleep(wait).await;
        }
    }

    async fn attempt(&self, wanted: Wanted<'_>) -> Result<Reading, Failure> {
        let plain = |error| Failure { error, asked: None };
        let Wanted { at, size, number } = wanted;
        let (url, headers) = (self.requests.at(&self.manifest.users, at, size)).map_err(|clause| {
            plain(plain_error(
                FailureClass::Config,
                format!("Page {number} of the user list cannot be read: {clause}."),
            ))
        })?;
        let answer = self.client.get(url.clone(), headers).await.map_err(|error| plain(no_answer(error)))?;
        let (manifest, secrets) = (Arc::clone(&self.manifest), self.requests.credential.secrets().to_vec());
        let now = (self.client.settings().now)();
        let mut reading = if answer.body.len() > LARGE_BODY {
            let task = tokio::task::spawn_blocking(move || understand(&manifest, &secrets, number, &answer, now));
            task.await.unwrap_or_else(|_| {
                let message = "This server failed to read a page of users.".to_owned();
                Err(plain(plain_error(FailureClass::Internal, message)))
            })?
        } else {
            understand(&manifest, &secrets, number, &answer, now)?
        };
        if let Some(next) = reading.signs.next_url(&self.manifest.users.pages) {
            let next = self.requests.same_origin(&url, &next).map_err(|clause| plain(misfit(&clause, &reading)))?;
            reading.signs.set_next_url(next.into());
        }
        Ok(reading)
    }

    /// Reads the page that `progress` is at, and moves it on. The flag is false after the last page.
    async fn step(&self, progress: &mut Progress) -> Result<(Page, bool), SourceError> {
        let listing = &self.manifest.users;
        let size = listing.page_size.as_ref().map(|size| size.value.count);
        let number = progress.pages + 1;
        let wanted = Wanted { at: &progress.position, size, number };
        let mut reading = self.read(wanted, &self.client.settings().retry).await?;
        let selected = std::mem::take(&mut reading.selected);

        progress.pages = number;
        progress.received += selected.records;
        progress.users += selected.users.len() as u64;
        progress.unknown_statuses += selected.unknown_statuses;
        let required = selected.carried.iter().filter(|column| listing.require_some.contains_key(*column));
        progress.carried.extend(required);
        if selected.duplicates > 0 {
            tracing::warn!(page = number, duplicates = selected.duplicates, "A page held the same user more than once");
        }
        let next = next_place(&listing.pages, &progress.position, &reading.signs, selected.records, progress.received)
            .map_err(|clause| misfit(&clause, &reading))?;
        let ids = selected.users.iter().map(|user| user.external_id.as_str());
        let more = progress.advance(next, ids).map_err(|clause| misfit(clause, &reading))?.is_some();

        let mut page = Page { users: selected.users, expected: reading.signs.total, ..Page::default() };
        if more {
            page.next = Some(progress.checkpoint());
        } else {
            page.lost = self.judge_columns(progress)?;
            if progress.unknown_statuses > 0 {
                let count = progress.unknown_statuses;
                tracing::warn!(count, "The application gave statuses that the connector does not know");
            }
        }
        Ok((page, more))
    }

    /// At the end of a list: are there columns that not a single record carried,
    /// although one must? That is how some applications refuse a permission.
    fn judge_columns(&self, progress: &Progress) -> Result<Vec<Loss>, SourceError> {
        let required = &self.manifest.users.require_some;
        let absent = required.iter().filter(|(column, _)| progress.users > 0 && !progress.carried.contains(column));
        let mut lost = Vec::new();
        for (column, permission) in absent {
            let permission = permission.value.clone();
            let Some(capability) = capability(*column) else {
                let message = format!("The list came without a part that every user has. Missing: {permission}.");
                let error = plain_error(FailureClass::Permission, message);
                return Err(SourceError { missing_permissions: vec![permission], ..error });
            };
            lost.push(Loss { capability, missing_permission: Some(permission) });
        }
        Ok(lost)
    }
}

/// The optional part that a column belongs to; the other columns are not optional.
fn capability(column: Column) -> Option<Capability> {
    match column {
        Column::Email | Column::DisplayName => None,
        Column::IsAdmin => Some(Capability::AdminRoles),
        Column::MfaEnabled => Some(Capability::Mfa),
        Column::Licenses => Some(Capability::Licenses),
        Column::LastActiveAt => Some(Capability::LastActivity),
    }
}

/// A page that does not fit; the clause tells why.
fn misfit(clause: &str, reading: &Reading) -> SourceError {
    unfit(reading.number, clause, FailureClass::Config, reading.http_status)
}

fn unfit(number: u64, clause: &str, class: FailureClass, http_status: u16) -> SourceError {
    let message = format!("Page {number} of the user list does not fit: {clause}.");
    SourceError { http_status: Some(http_status), ..plain_error(class, message) }
}

/// From an answer to a page, or to what is wrong with it.
fn understand(
    manifest: &Manifest,
    secrets: &[String],
    number: u64,
    answer: &Answer,
    now: i64,
) -> Result<Reading, Failure> {
    let Answer { status, headers, body } = answer;
    let label = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let mut parsed = select::parse(body, label);
    let evidence = Evidence { status: *status, headers, json: parsed.as_ref().ok(), raw: body };
    if let Some(mut error) = refusal(manifest, secrets, &evidence) {
        if number > 1 {
            error.message = format!("{} This was at page {number} of the user list.", error.message);
        }
        return Err(Failure { asked: asked_wait(&manifest.rate_limit, headers, evidence.json, now), error });
    }
    let unreadable = |fault: Unreadable| {
        let class = if fault == Unreadable::BreaksOff { FailureClass::Transient } else { FailureClass::Config };
        Failure { error: unfit(number, &fault.to_string(), class, status.as_u16()), asked: None }
    };
    let page = parsed.as_mut().map_err(|fault| unreadable(fault.clone()))?;
    let signs = Signs::read(&manifest.users.pages, page, headers);
    let selected = select::select(&manifest.users, page).map_err(unreadable)?;
    Ok(Reading { selected, signs, number, http_status: status.as_u16() })
}

#[async_trait]
impl Source for HttpSource {
    async fn check(&self) -> Result<Verified, SourceError> {
        let policy = self.client.settings().retry.hurried();
        let reading = self.read(Wanted { at: &Position::Start, size: Some(1), number: 1 }, &policy).await?;
        let records = reading.selected.records;
        next_place(&self.manifest.users.pages, &Position::Start, &reading.signs, records, records)
            .map_err(|clause| misfit(&clause, &reading))?;
        Ok(Verified { tenant: self.requests.tenant().map(str::to_owned), ..Verified::default() })
    }

    fn pages(&self, from: Option<Checkpoint>) -> BoxStream<'_, Result<Page, SourceError>> {
        let mut progress = Progress::resume(&self.manifest.users.pages, from);
        Box::pin(async_stream::try_stream! {
            let mut resumed = progress.position != Position::Start;
            loop {
                let step = match self.step(&mut progress).await {
                    Err(error) if resumed && forgotten(&error) => {
                        tracing::warn!("The application no longer knows the checkpoint, so the listing begins anew");
                        resumed = false;
                        progress = Progress::start();
                        continue;
                    }
                    step => step,
                };
                resumed = false;
                let (page, more) = step?;
                yield page;
                if !more {
                    break;
                }
            }
        })
    }
}

/// Whether the application answered that the place to resume from does not exist (any more).
fn forgotten(error: &SourceError) -> bool {
    error.class == FailureClass::Config && error.http_status.is_some_and(|status| (400..500).contains(&status))
}
