//! One connection to an application: signs requests, sends them, repeats them and classifies the responses.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use tokio::time::Instant;

use super::body::{self, BodyError};
use super::classify::{self, Asked, Evidence};
use super::client::{Client, Request, Response};
use super::credential::{Credential, Token};
use super::memory::Share;
use super::purpose::Purpose;
use super::retry::{Attempts, RetryPolicy, keep_wait, retry_after};
use super::spelling::Spelling;
use super::time;
use super::token::Tokens;
use crate::grant::GrantStore;
use crate::manifest::Manifest;
use crate::manifest::expr::Document;
use crate::source::{Advice, Config, ErrorClass, SourceError};

/// A larger body is parsed on a thread of its own, so that it does not block other tasks. In bytes.
const LARGE_BODY: usize = 256 * 1024;
/// How often one request obtains a new token after a refusal. More than once only if others renew the same grant at the
/// same time, and the application then refuses the tokens that it gave before.
const MAX_RENEWALS: u32 = 3;

/// The application that a manifest describes, with the settings of one connection.
pub(super) struct Connection {
    manifest: Arc<Manifest>,
    config: Arc<Config>,
    client: Client,
    credential: Credential,
    pub(super) tokens: Tokens,
    /// Set when the application says that no requests are left; the next one waits until then.
    paused_until: Mutex<Option<Instant>>,
    /// In Unix milliseconds; from the latest response that says so.
    credential_expires_at: Mutex<Option<i64>>,
    /// How the manifest spells the names of attributes; for SCIM.
    spelling: Spelling,
}

/// A successful response. Its body may still be unreadable.
pub(super) struct Success {
    pub http_status: u16,
    pub headers: HeaderMap,
    /// The size of the body, in bytes.
    pub size: usize,
    /// To be held as long as what was read.
    pub share: Share,
    pub body: Result<Document, BodyError>,
}

impl Success {
    pub fn json(self, purpose: Purpose<'_>) -> Result<Document, SourceError> {
        let http_status = self.http_status;
        self.body.map_err(|error| purpose.unreadable(&error, http_status))
    }
}

/// A failed attempt, and how long the application asked to wait before the next one.
struct Failure {
    error: SourceError,
    retry_after: Option<Duration>,
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        Self { error, retry_after: None }
    }
}

impl Connection {
    /// `config` must be complete. Fails if the credential contains characters that cannot be sent.
    pub fn new(
        manifest: Arc<Manifest>,
        config: Arc<Config>,
        client: Client,
        grants: Option<Arc<dyn GrantStore>>,
    ) -> Result<Self, SourceError> {
        let credential = Credential::new(&manifest, &config).map_err(|_| unsendable("paste it again"))?;
        let spelling = Spelling::of(&manifest);
        let tokens = Tokens::new(Arc::clone(&manifest), Arc::clone(&config), client.clone(), grants);
        Ok(Self {
            manifest,
            config,
            client,
            credential,
            tokens,
            paused_until: Mutex::default(),
            credential_expires_at: Mutex::default(),
            spelling,
        })
    }

    pub fn manifest(&self) -> &Arc<Manifest> {
        &self.manifest
    }

    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }

    pub fn credential(&self) -> &Credential {
        &self.credential
    }

    pub fn spelling(&self) -> &Spelling {
        &self.spelling
    }

    /// Whether a request waits until other requests have ended.
    pub fn is_queued(&self) -> bool {
        self.client.is_queued()
    }

    /// In Unix milliseconds, if a response has said so.
    pub fn credential_expires_at(&self) -> Option<i64> {
        *self.credential_expires_at.lock()
    }

    pub fn set_credential_expiry(&self, expires_at: i64) {
        *self.credential_expires_at.lock() = Some(expires_at);
    }

    /// How often requests are repeated during a listing.
    pub fn retry_policy(&self) -> RetryPolicy {
        let policy = self.client.settings().retry;
        match self.manifest.rate_limit.max_wait_seconds {
            Some(seconds) => RetryPolicy { max_wait: Duration::from_secs(seconds.into()), ..policy },
            None => policy,
        }
    }

    /// The values that the token response gave (`keep`). Obtains a token if there is none yet.
    pub async fn found_with_token(&self, retry: &RetryPolicy) -> Result<BTreeMap<String, String>, SourceError> {
        let token = self.tokens.current(retry).await?;
        Ok(token.map(|token| token.found.clone()).unwrap_or_default())
    }

    /// Every form in which a secret of this connection may appear in a response.
    pub async fn secrets(&self, retry: &RetryPolicy) -> Result<Vec<String>, SourceError> {
        let token = self.tokens.current(retry).await?;
        Ok(self.credential.secrets(token.as_deref()))
    }

    /// Ends the session, if the connection has opened one.
    pub async fn close(&self) {
        self.tokens.close().await;
    }

    /// Sends a request, which is not signed yet, until it succeeds or the policy is exhausted.
    pub async fn send(
        &self,
        purpose: Purpose<'_>,
        request: Request,
        retry: &RetryPolicy,
    ) -> Result<Success, SourceError> {
        let mut attempts = Attempts::new(*retry);
        let mut renewals = 0;
        loop {
            self.wait_if_paused(retry).await;
            let token = self.tokens.current(retry).await.map_err(at_sign_in)?;
            let Failure { mut error, retry_after } =
                match self.attempt(purpose, request.clone(), token.as_deref()).await {
                    Ok(success) => return Ok(success),
                    Err(failure) => failure,
                };
            if error.class == ErrorClass::Token
                && let Some(refused) = token
            {
                if renewals < MAX_RENEWALS {
                    renewals += 1;
                    if self.tokens.renew(&refused, retry).await.map_err(at_sign_in)?.is_some() {
                        continue;
                    }
                }
                // The application gave this token just now, so what it renews the token with is valid.
                error.definite &= refused.after_refusal.is_none();
            }
            // The same request would fail again.
            if error.advice != Advice::None {
                return Err(error);
            }
            let Some(wait) = attempts.next_wait(error.class, retry_after, (self.client.settings().random)()) else {
                keep_wait(&mut error, retry_after);
                return Err(error);
            };
            let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            tracing::debug!(class = ?error.class, http.status = error.http_status, wait_ms, "A request is repeated");
            retry.wait(wait).await;
        }
    }

    async fn wait_if_paused(&self, retry: &RetryPolicy) {
        let until = *self.paused_until.lock();
        let wait = until.map(|until| until.saturating_duration_since(Instant::now()));
        if let Some(wait) = wait.filter(|wait| *wait <= retry.max_wait) {
            retry.wait(wait).await;
        }
    }

    async fn attempt(
        &self,
        purpose: Purpose<'_>,
        mut request: Request,
        token: Option<&Token>,
    ) -> Result<Success, Failure> {
        let auth = &self.manifest.chosen(&self.config).auth;
        self.credential
            .sign(auth, &self.config, &mut request, token)
            .map_err(|_| unsendable("connect the application again"))?;
        let (response, share) = self.client.fetch(request).await.map_err(classify::transport)?;
        let Response { status, headers, body } = response;
        let http_status = status.as_u16();
        let size = body.len();
        let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let parse = move || (body::parse(&body, status, content_type.as_deref()), body);
        let (parsed, body) = offload(size, parse).await?;

        let evidence = Evidence { status, headers: &headers, json: parsed.as_ref().ok(), raw: &body };
        let limits = &self.manifest.rate_limit;
        let now = (self.client.settings().now)();
        let retry_after = |class| retry_after(class, limits, &headers, evidence.json, now);
        let secrets = || self.credential.secrets(token);
        let credential = self.manifest.credential_name(&self.config);
        let asked = Asked { manifest: &self.manifest, purpose, credential, now };
        if let Some(mut error) = classify::response(&asked, secrets, &evidence) {
            if let Some(location) = purpose.location() {
                error.message = format!("{} {location}", error.message);
            }
            // Every further request would be one more failed sign-in, which may lock the account.
            if error.class == ErrorClass::Token && self.manifest.has_password(&self.config) {
                error.advice = Advice::SignIn;
            }
            return Err(Failure { retry_after: retry_after(error.class), error });
        }
        if classify::is_exhausted(limits, &headers) {
            *self.paused_until.lock() = retry_after(ErrorClass::RateLimit).map(|wait| Instant::now() + wait);
        }
        self.read_expiry(&headers);
        // An incomplete body is an error of this attempt, because the next attempt may be complete.
        if parsed.as_ref().is_err_and(|error| *error == BodyError::Incomplete) {
            return Err(purpose.unreadable(&BodyError::Incomplete, http_status).into());
        }
        Ok(Success { http_status, headers, size, share, body: parsed })
    }

    /// Reads the expiry of the credential from a response's headers.
    fn read_expiry(&self, headers: &HeaderMap) {
        let Some(rule) = self.manifest.credential_expires_at.as_ref().map(|rule| &rule.value) else { return };
        let value = rule.header.as_ref().and_then(|name| headers.get(name)?.to_str().ok());
        if let Some(expires_at) = value.and_then(|text| time::parse(rule.format, text.trim())) {
            self.set_credential_expiry(expires_at);
        }
    }
}

/// Runs work on a body of this size: on a thread of its own if the body is large.
pub(super) async fn offload<T: Send + 'static>(
    size: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, SourceError> {
    if size <= LARGE_BODY {
        return Ok(work());
    }
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        tracing::error!(%error, "Reading a response failed");
        let message = "This server failed to read a response of the application.";
        SourceError::new(ErrorClass::Internal, message)
    })
}

pub(super) fn at_sign_in(error: SourceError) -> SourceError {
    SourceError { advice: Advice::SignIn, ..error }
}

fn unsendable(remedy: &str) -> SourceError {
    let message = format!("The credential contains characters that cannot be sent; {remedy}.");
    SourceError::new(ErrorClass::Config, message)
}
