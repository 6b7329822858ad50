//! One call, made with as many attempts as the policy allows, and judged.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde_saphyr::Spanned;
use tokio::time::Instant;

use super::HttpSource;
use super::classify::{Evidence, is_spent, no_answer, plain_error, refusal};
use super::client::{Answer, Call};
use super::retry::{Attempts, RetryPolicy, asked_wait};
use super::select::{self, Unreadable, moment};
use crate::manifest::answers::ErrorRule;
use crate::manifest::expr::Subject;
use crate::source::{ErrorClass, SourceError};

/// A body of more bytes is read on a thread of its own, so that other work goes on.
const LARGE_BODY: usize = 256 * 1024;

/// What a call is for, as errors say it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place<'a> {
    /// Pages are counted from 1.
    Users {
        page: u64,
    },
    Join {
        name: &'a str,
        page: u64,
    },
    Detail {
        name: &'a str,
    },
    Identify,
}

impl Place<'_> {
    /// The beginning of a sentence.
    fn subject(self) -> String {
        match self {
            Self::Users { page } => format!("Page {page} of the user list"),
            Self::Join { name, page } => format!("Page {page} of the list “{name}”"),
            Self::Detail { name } => format!("The answer “{name}” about a user"),
            Self::Identify => "The answer to whose credential it is".to_owned(),
        }
    }

    /// Where a refusal came, unless it came at the very beginning.
    fn told(self) -> Option<String> {
        Some(match self {
            Self::Users { page: 1 } => return None,
            Self::Users { page } => format!("This was at page {page} of the user list."),
            Self::Join { name, .. } => format!("This was at the list “{name}”."),
            Self::Detail { name } => format!("This was at the call “{name}” about a user."),
            Self::Identify => "This was at the question whose credential it is.".to_owned(),
        })
    }

    /// An answer that does not fit; the clause tells why.
    pub fn misfit(self, clause: &str, class: ErrorClass, http_status: Option<u16>) -> SourceError {
        let message = format!("{} does not fit: {clause}.", self.subject());
        SourceError { http_status, ..plain_error(class, message) }
    }

    /// A call that cannot be made; the clause tells why.
    pub fn unasked(self, clause: &str) -> SourceError {
        plain_error(ErrorClass::Config, format!("{} cannot be read: {clause}.", self.subject()))
    }
}

/// An answer that is no refusal.
pub(super) struct Heard {
    pub http_status: u16,
    pub headers: HeaderMap,
    pub size: usize,
    body: Result<Subject, Unreadable>,
}

impl Heard {
    pub fn json(self, place: &Place<'_>) -> Result<Subject, SourceError> {
        let http_status = self.http_status;
        self.body.map_err(|fault| unreadable(*place, &fault, http_status))
    }
}

pub(super) fn unreadable(place: Place<'_>, fault: &Unreadable, http_status: u16) -> SourceError {
    let class = if *fault == Unreadable::BreaksOff { ErrorClass::Transient } else { ErrorClass::Config };
    place.misfit(&fault.to_string(), class, Some(http_status))
}

/// A call that did not give an answer of use, and how long the application asked to wait.
struct Failure {
    error: SourceError,
    asked: Option<Duration>,
}

impl HttpSource {
    /// How patient calls are; `hurried` where a person waits.
    pub(super) fn policy(&self, hurried: bool) -> RetryPolicy {
        let mut policy = self.client.settings().retry.clone();
        if let Some(seconds) = self.manifest.rate_limit.max_wait_seconds {
            policy.max_wait = Duration::from_secs(seconds.into());
        }
        if hurried { policy.hurried() } else { policy }
    }

    /// Makes a call that is not signed yet. The answer may be unreadable, and is no refusal.
    pub(super) async fn ask(&self, place: &Place<'_>, call: Call, hurried: bool) -> Result<Heard, SourceError> {
        let policy = self.policy(hurried);
        let mut attempts = Attempts::new(&policy);
        let mut renewed = false;
        loop {
            self.pause(&policy).await;
            let token = self.tokens.current(&policy).await?;
            let Failure { mut error, asked } = match self.attempt(place, call.clone(), token.as_deref()).await {
                Ok(heard) => return Ok(heard),
                Err(failure) => failure,
            };
            if error.class == ErrorClass::Token
                && let Some(refused) = token
                && !renewed
            {
                renewed = true;
                if self.tokens.renew(&refused, &policy).await?.is_some() {
                    continue;
                }
            }
            let Some(wait) = attempts.after(error.class, asked, (self.client.settings().random)()) else {
                if error.class == ErrorClass::RateLimit {
                    error.retry_after_ms = asked.and_then(|asked| u64::try_from(asked.as_millis()).ok());
                }
                return Err(error);
            };
            let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            tracing::debug!(class = ?error.class, http.status = error.http_status, wait_ms, "A call is tried again");
            policy.wait(wait).await;
        }
    }

    /// Waits, if an answer said that no calls are left for now.
    async fn pause(&self, policy: &RetryPolicy) {
        let until = self.hold.lock().ok().and_then(|hold| *hold);
        let wait = until.map(|until| until.saturating_duration_since(Instant::now()));
        if let Some(wait) = wait.filter(|wait| *wait <= policy.max_wait) {
            policy.wait(wait).await;
        }
    }

    /// The rules that this call has besides the manifest's.
    fn own_rules(&self, place: &Place<'_>) -> &[Spanned<ErrorRule>] {
        let users = &self.manifest.users;
        match place {
            Place::Join { name, .. } => users.joins.get(*name).map_or(&[], |join| &join.value.errors),
            Place::Detail { name } => users.details.get(*name).map_or(&[], |detail| &detail.value.errors),
            Place::Users { .. } | Place::Identify => &[],
        }
    }

    async fn attempt(
        &self,
        place: &Place<'_>,
        mut call: Call,
        token: Option<&super::token::Token>,
    ) -> Result<Heard, Failure> {
        let plain = |error| Failure { error, asked: None };
        let auth = &self.manifest.chosen(&self.config).auth;
        self.credential.sign(auth, &self.config, &mut call, token).map_err(|_| {
            let message = "The credential has characters in it that cannot be sent; connect it again.";
            plain(plain_error(ErrorClass::Config, message.to_owned()))
        })?;
        let answer = self.client.send(call).await.map_err(|error| plain(no_answer(error)))?;
        let Answer { status, headers, body } = answer;
        let size = body.len();
        let label = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let parse = move || (select::parse(&body, label.as_deref()), body);
        let (parsed, body) = self.apart(size, parse).await.map_err(plain)?;
        let now = (self.client.settings().now)();
        let rules = &self.manifest.rate_limit;
        let evidence = Evidence { status, headers: &headers, json: parsed.as_ref().ok(), raw: &body };
        let asked = || asked_wait(rules, &headers, evidence.json, now);
        let secrets = || self.credential.secrets(token);
        if let Some(mut error) = refusal(&self.manifest, self.own_rules(place), secrets, &evidence) {
            if let Some(told) = place.told() {
                error.message = format!("{} {told}", error.message);
            }
            return Err(Failure { asked: asked(), error });
        }
        if is_spent(rules, &headers)
            && let Ok(mut hold) = self.hold.lock()
        {
            *hold = asked().map(|wait| Instant::now() + wait);
        }
        self.note_expiry(&headers);
        // What breaks off may be whole next time.
        if parsed.as_ref().is_err_and(|fault| *fault == Unreadable::BreaksOff) {
            return Err(plain(unreadable(*place, &Unreadable::BreaksOff, status.as_u16())));
        }
        Ok(Heard { http_status: status.as_u16(), headers, size, body: parsed })
    }

    /// Works on an answer of this size: on a thread of its own if it is large.
    pub(super) async fn apart<T: Send + 'static>(
        &self,
        size: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, SourceError> {
        if size > LARGE_BODY { tokio::task::spawn_blocking(work).await.map_err(|_| self.broken()) } else { Ok(work()) }
    }

    /// This server's own failure.
    fn broken(&self) -> SourceError {
        let key = &self.manifest.key;
        tracing::error!(integration.key = %key, "Reading an answer failed");
        plain_error(ErrorClass::Internal, "This server failed to read an answer of the application.".to_owned())
    }

    /// Takes the end of the credential from an answer's headers.
    fn note_expiry(&self, headers: &HeaderMap) {
        let Some(rule) = self.manifest.credential_expires_at.as_ref().map(|rule| &rule.value) else { return };
        let value = rule.header.as_ref().and_then(|name| headers.get(name)?.to_str().ok());
        self.note_end(value.and_then(|raw| moment(rule.format, raw.trim())));
    }
}
