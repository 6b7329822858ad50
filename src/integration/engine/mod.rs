//! The engine: carries a connector manifest out against an application over HTTP.
//!
//! **Promises.** A listing ends well only if it ended by its own stop rule;
//! whatever else happens is an error with a class, a sentence for a person and,
//! where it is about a page, that page's number and the field. A page is read whole or not
//! at all: there is no answer, however broken, that makes the list shorter
//! without an error. Memory holds one page at a time, and what `join` keeps. Calls go only to the
//! application's own origin and to addresses that the operator permits
//! (`address`); no error, log line or checkpoint holds a credential.
//!
//! **What is tried again.** Trouble that may pass, with growing, jittered waits,
//! and requests to slow down, as long as the application asks for, both bounded
//! per page ([`RetryPolicy`]). Refusals are never tried again here.
//!
//! **Does not promise** that a user comes once in a listing: an application
//! whose list shifts between pages repeats some. Within a page, repetitions are
//! dropped. Nor, where the application tells no total, that an account is seen which
//! moves up to a page already read because another one left: it is missing in that
//! run, and back in the next. Lists that tell their total are read again from there.
//!
//! **Cut in the middle,** nothing is left behind: dropping the stream drops the
//! call. A page's `next` resumes in another process, with the counts and the
//! memory of places seen. If the application no longer knows that place, the
//! list is begun anew, once.
//!
//! | file | what it does |
//! | --- | --- |
//! | `client`, `address` | one bounded call, to a permitted address |
//! | `request`, `auth` | from a place in a list to a signed call |
//! | `token`, `code_flow` | obtained tokens, and a person's consent |
//! | `call` | one call with its attempts, and what came of it |
//! | `list` | all pages of a listing |
//! | `join`, `detail` | further lists, and calls per user |
//! | `classify` | what an answer that is no page means |
//! | `select` | from the bytes of a page to its users |
//! | `paginate` | where the list goes on, when it has ended, checkpoints |
//! | `watch` | what the author of a manifest sees of a page |
//! | `retry` | what is tried again, and after which wait |

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures_util::stream::{BoxStream, StreamExt as _};
use serde_json::Value;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use crate::grant::GrantStore;
use crate::manifest::Manifest;
use crate::manifest::listing::List;
use crate::manifest::template::Part;
use crate::source::{Checkpoint, Config, ErrorClass, Page, Source, SourceError, Verified};

mod address;
mod auth;
mod call;
mod classify;
mod client;
mod code_flow;
mod detail;
mod join;
mod list;
mod paginate;
mod request;
mod retry;
mod select;
mod token;
mod watch;

#[cfg(test)]
mod tests;

pub use client::{Answer, Body, Call, CallError, Client, ClientSettings, Transport};
pub use code_flow::CodeFlow;
pub use retry::RetryPolicy;
pub use watch::{Seen, Watch};

use auth::Credential;
use call::Place;
use classify::plain_error;
use join::{Joined, Losses};
use paginate::{Position, Signs, Walk, next_place};
use request::Requests;
use token::Tokens;

/// An application that a manifest describes, with one connection's settings.
pub struct HttpSource {
    manifest: Arc<Manifest>,
    config: Arc<Config>,
    client: Client,
    credential: Credential,
    tokens: Tokens,
    /// The calls, once it is known whose credential it is.
    opened: OnceCell<Requests>,
    /// When the next call may be made.
    hold: Mutex<Option<Instant>>,
    /// When the credential ends, as far as answers have told.
    ends: Mutex<Option<i64>>,
    watch: Option<Watch>,
}

/// A page of a list, as far as it has been understood.
struct Reading {
    records: Vec<Value>,
    signs: Signs,
    http_status: u16,
    /// Of the answer, in bytes.
    size: usize,
}

impl HttpSource {
    /// Fails with class `Config` if the settings do not fit the manifest. `grants` is where the
    /// grant of a person's consent is kept.
    pub fn new(
        manifest: Arc<Manifest>,
        config: Config,
        client: &Client,
        grants: Option<Arc<dyn GrantStore>>,
    ) -> Result<Self, SourceError> {
        let wrong = |message: String| plain_error(ErrorClass::Config, message);
        let config = manifest.complete(config).map_err(|faults| {
            let sentences: Vec<String> = faults.into_iter().map(|fault| fault.message).collect();
            wrong(sentences.join(" "))
        })?;
        let credential = Credential::new(&manifest, &config).map_err(|_| {
            wrong("The credential has characters in it that cannot be sent; paste it again.".to_owned())
        })?;
        if !matches!(manifest.base_url.value.parts(), [Part::Found(_), ..]) {
            Requests::new(&manifest, &config, BTreeMap::new()).map_err(wrong)?;
        }
        let config = Arc::new(config);
        let tokens = Tokens::new(Arc::clone(&manifest), Arc::clone(&config), client.clone(), grants);
        Ok(Self {
            manifest,
            config,
            client: client.clone(),
            credential,
            tokens,
            opened: OnceCell::new(),
            hold: Mutex::default(),
            ends: Mutex::default(),
            watch: None,
        })
    }

    /// Whose data the connection sees, once a listing or a check has begun.
    pub fn tenant(&self) -> Option<&str> {
        self.opened.get()?.tenant()
    }

    /// Obtains a token and asks whose credential it is, where the manifest says so; once.
    async fn open(&self, hurried: bool) -> Result<&Requests, SourceError> {
        self.opened.get_or_try_init(|| self.first_call(hurried)).await
    }

    /// Asks for one record of each list.
    async fn first_records(&self) -> Result<Verified, SourceError> {
        // Asked anew each time: a second look must not trust the first.
        let requests = &self.first_call(true).await?;
        let (mut joined, mut losses) = (Joined::default(), Losses::default());
        for (name, join) in &self.manifest.users.joins {
            let kept = (&mut joined, &mut losses);
            self.join_page(requests, (name, &join.value), &mut Walk::start(), kept, true).await?;
        }
        let place = Place::Users { page: 1 };
        let list = self.manifest.users.pass(0);
        let reading = self.read(requests, &place, list, &Position::Start, Some(1), true).await?;
        let records = reading.records.len() as u64;
        next_place(list.pages, &Position::Start, &reading.signs, records, records)
            .map_err(|clause| place.misfit(&clause, ErrorClass::Config, Some(reading.http_status)))?;
        Ok(Verified {
            tenant: requests.tenant().map(str::to_owned),
            lost: losses.parts,
            credential_expires_at: self.ends(),
        })
    }

    async fn first_call(&self, hurried: bool) -> Result<Requests, SourceError> {
        let wrong = |message: String| plain_error(ErrorClass::Config, message);
        let token = self.tokens.current(&self.policy(hurried)).await?;
        let mut found = token.as_ref().map(|token| token.found.clone()).unwrap_or_default();
        if let Some(identify) = self.manifest.identify.as_ref().map(|call| &call.value) {
            let place = Place::Identify;
            let call = request::identify(&self.manifest, identify, &self.config, &found).map_err(wrong)?;
            match self.ask(&place, call, hurried).await.and_then(|heard| heard.json(&place)) {
                Ok(body) => {
                    found.extend(
                        identify.keep.iter().filter_map(|(name, path)| Some((name.clone(), path.text(&body)?))),
                    );
                }
                Err(error) if identify.optional && is_refusal(&error) => {
                    tracing::debug!(
                        http.status = error.http_status,
                        "The application does not tell whose credential it is"
                    );
                }
                Err(error) => return Err(error),
            }
        }
        let expiry = self.manifest.credential_expires_at.as_ref().map(|rule| &rule.value);
        let raw = expiry.and_then(|rule| Some((rule.format, found.get(rule.found.as_ref()?)?)));
        self.note_end(raw.and_then(|(format, raw)| select::moment(format, raw)));
        let optional = self.manifest.identify.as_ref().is_some_and(|call| call.value.optional);
        if let Some(name) = self.manifest.needed.iter().find(|name| !optional && !found.contains_key(*name)) {
            let message = format!("The application does not say “{name}”, which the calls for its users need.");
            return Err(wrong(message));
        }
        Requests::new(&self.manifest, &self.config, found).map_err(wrong)
    }

    fn note_end(&self, end: Option<i64>) {
        if let (Some(end), Ok(mut ends)) = (end, self.ends.lock()) {
            *ends = Some(end);
        }
    }

    fn ends(&self) -> Option<i64> {
        self.ends.lock().ok().and_then(|ends| *ends)
    }

    /// Reads one page of a list.
    async fn read(
        &self,
        requests: &Requests,
        place: &Place<'_>,
        list: List<'_>,
        at: &Position,
        size: Option<u32>,
        hurried: bool,
    ) -> Result<Reading, SourceError> {
        let call = requests.page(list, &self.config, at, size).map_err(|clause| place.unasked(&clause))?;
        let url = call.url.clone();
        let heard = self.ask(place, call, hurried).await?;
        let (http_status, size, headers) = (heard.http_status, heard.size, heard.headers.clone());
        let misfit = |clause: &str| place.misfit(clause, ErrorClass::Config, Some(http_status));
        let mut body = heard.json(place)?;
        let mut signs = Signs::read(list.pages, &body, &headers);
        if let Some(next) = signs.next_url(list.pages) {
            let mut next = requests.own_address(&url, &next).map_err(|clause| misfit(&clause))?;
            self.credential.strip(&mut next);
            signs.set_next_url(next.into());
        }
        let records =
            select::records(list, &mut body).map_err(|fault| call::unreadable(*place, &fault, http_status))?;
        Ok(Reading { records, signs, http_status, size })
    }
}

#[async_trait]
impl Source for HttpSource {
    async fn check(&self) -> Result<Verified, SourceError> {
        let verified = self.first_records().await;
        self.tokens.close().await;
        verified
    }

    fn pages(&self, from: Option<Checkpoint>) -> BoxStream<'_, Result<Page, SourceError>> {
        Box::pin(async_stream::stream! {
            let mut pages = std::pin::pin!(self.list(from));
            while let Some(page) = pages.next().await {
                let last = page.as_ref().map_or(true, |page| page.next.is_none());
                if last {
                    self.tokens.close().await;
                }
                yield page;
            }
        })
    }
}

/// Whether the application answered that it does not tell. A refused credential is another matter.
fn is_refusal(error: &SourceError) -> bool {
    matches!(error.class, ErrorClass::Config | ErrorClass::Permission) && error.http_status.is_some()
}
