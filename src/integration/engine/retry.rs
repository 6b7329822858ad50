//! When a request is repeated, and how long to wait before it.

use std::time::Duration;

use chrono::DateTime;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use tokio::time::Instant;

use crate::backoff::Backoff;
use crate::manifest::errors::RateLimit;
use crate::manifest::expr::Document;
use crate::source::{ErrorClass, SourceError};

/// The wait when the application asks to slow down and does not say for how long.
const DEFAULT_RATE_LIMIT_WAIT: Duration = Duration::from_mins(1);
/// Widely used headers that hold a time or a number of seconds.
const RESET_HEADERS: [&str; 3] = ["x-ratelimit-reset", "ratelimit-reset", "x-rate-limit-reset"];

/// How often a request is repeated, and how long it may wait. It applies to each request separately.
#[derive(Clone, Copy, Debug)]
pub struct RetryPolicy {
    /// How many attempts are made when an error may pass by itself.
    pub attempts: u32,
    /// The longest wait after the first failed attempt; it doubles with each further one. The shortest is half of it.
    pub base: Duration,
    /// The longest total wait of one request.
    pub max_wait: Duration,
    /// The longest time that a request for an optional part is repeated, however many attempts that takes.
    pub part_wait: Duration,
    /// Whether to really wait. Replayed samples only add the waits up.
    pub waits: bool,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 5,
            base: Duration::from_secs(1),
            max_wait: Duration::from_mins(2),
            part_wait: Duration::from_mins(1),
            waits: true,
        }
    }
}

impl RetryPolicy {
    /// A shorter policy, for a check that a person waits for.
    #[must_use]
    pub fn interactive(&self) -> Self {
        Self {
            attempts: self.attempts.min(2),
            max_wait: self.max_wait.min(Duration::from_secs(10)),
            part_wait: self.part_wait.min(Duration::from_secs(5)),
            ..*self
        }
    }

    /// The policy for a request whose failure loses only an optional part, and not the listing.
    #[must_use]
    pub(super) fn for_part(&self) -> Self {
        Self { attempts: u32::MAX, max_wait: self.part_wait, ..*self }
    }

    /// After each attempt, the mean is three quarters of the longest wait, and the jitter is a third of that: from
    /// half of the longest wait to all of it.
    fn backoff(&self) -> Backoff {
        Backoff { first: self.base * 3 / 4, longest: self.max_wait, jitter: 1.0 / 3.0 }
    }

    pub(super) async fn wait(&self, wait: Duration) {
        if self.waits {
            tokio::time::sleep(wait).await;
        }
    }
}

/// The attempts made for one request.
pub(super) struct Attempts {
    policy: RetryPolicy,
    made: u32,
    waited: Duration,
    /// When the first attempt failed.
    failing_since: Option<Instant>,
}

impl Attempts {
    pub fn new(policy: RetryPolicy) -> Self {
        Self { policy, made: 0, waited: Duration::ZERO, failing_since: None }
    }

    /// How long to wait before the next attempt, after one that failed with `class`. `None`: give up.
    /// `retry_after` is the wait that the application asked for; `random` is from 0 to 1.
    pub fn next_wait(&mut self, class: ErrorClass, retry_after: Option<Duration>, random: f64) -> Option<Duration> {
        self.made += 1;
        let failing_since = *self.failing_since.get_or_insert_with(Instant::now);
        let wait = match class {
            ErrorClass::Transient | ErrorClass::Timeout if self.made < self.policy.attempts => {
                // Attempts that hang count too, and not only the waits between them.
                self.waited = self.waited.max(failing_since.elapsed());
                let left = self.policy.max_wait.checked_sub(self.waited).filter(|left| !left.is_zero())?;
                self.policy.backoff().wait(self.made, random).min(left).max(retry_after.unwrap_or_default())
            }
            ErrorClass::RateLimit => retry_after.unwrap_or(DEFAULT_RATE_LIMIT_WAIT).max(self.policy.base),
            ErrorClass::Transient
            | ErrorClass::Timeout
            | ErrorClass::Token
            | ErrorClass::Permission
            | ErrorClass::Config
            | ErrorClass::Overdue
            | ErrorClass::Internal => return None,
        };
        self.waited += wait;
        (self.waited <= self.policy.max_wait).then_some(wait)
    }
}

/// The wait that the application asks for after an error of this class, if any. A time is compared with the
/// application's own clock if it sends one (`Date`), else with `now`, in Unix milliseconds.
///
/// Many applications say in each response when the number of requests is reset, which has nothing to do with an outage.
pub(super) fn retry_after(
    class: ErrorClass,
    rules: &RateLimit,
    headers: &HeaderMap,
    body: Option<&Document>,
    now: i64,
) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let now = text(DATE.as_str()).and_then(parse_date).unwrap_or(now);
    let in_body = || {
        let rule = rules.in_body.as_ref()?;
        rule.at.number(body?).map(|amount| rule.unit.of(amount))
    };
    let mut named = rules.reset_header.0.iter().map(String::as_str).chain(RESET_HEADERS);
    let mut reset = || named.find_map(|name| wait_until(text(name)?, now));
    text(RETRY_AFTER.as_str())
        .and_then(|value| wait_until(value, now))
        .or_else(in_body)
        .or_else(|| if class == ErrorClass::RateLimit { reset() } else { None })
}

/// Keeps the wait in the error, if waiting helps.
pub(super) fn keep_wait(error: &mut SourceError, retry_after: Option<Duration>) {
    if matches!(error.class, ErrorClass::RateLimit | ErrorClass::Transient) {
        error.retry_after_ms = retry_after.and_then(|wait| u64::try_from(wait.as_millis()).ok());
    }
}

/// In Unix milliseconds.
pub(super) fn parse_date(text: &str) -> Option<i64> {
    let parsed = DateTime::parse_from_rfc2822(text).or_else(|_| DateTime::parse_from_rfc3339(text)).ok()?;
    Some(parsed.timestamp_millis())
}

/// A number from here on is a time in seconds since 1970, not a duration in seconds.
pub(super) const EPOCH_SECONDS: f64 = 1e9;
/// A number from here on is a time in milliseconds since 1970.
pub(super) const EPOCH_MILLISECONDS: f64 = 1e11;

/// Reads seconds to wait, epoch seconds, epoch milliseconds or a date; numbers are told apart by magnitude.
fn wait_until(text: &str, now: i64) -> Option<Duration> {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 fit into 53 bits")]
    let now = now as f64;
    let wait_ms = match text.parse::<f64>() {
        Ok(number) if !number.is_finite() || number < 0.0 => return None,
        Ok(number) if number >= EPOCH_MILLISECONDS => number - now,
        Ok(number) if number >= EPOCH_SECONDS => number * 1000.0 - now,
        Ok(number) => number * 1000.0,
        #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 fit into 53 bits")]
        Err(_) => parse_date(text)? as f64 - now,
    };
    Duration::try_from_secs_f64(wait_ms.max(0.0) / 1000.0).ok()
}
