//! When a call is tried again, and how long it waits before.

use std::time::Duration;

use chrono::DateTime;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

use crate::manifest::answers::RateLimit;
use crate::manifest::expr::Subject;
use crate::source::ErrorClass;

/// The wait when the application asks to slow down and does not say for how long.
const UNSAID: Duration = Duration::from_mins(1);
/// Headers with a moment or with seconds, in wide use.
const RESET_HEADERS: [&str; 3] = ["x-ratelimit-reset", "ratelimit-reset", "x-rate-limit-reset"];

/// How patient a call is. It starts afresh with every page that came.
#[derive(Clone, Debug)]
pub struct RetryPolicy {
    /// How often a call is made when trouble may pass by itself.
    pub attempts: u32,
    /// The wait after the first such attempt; it doubles from then on.
    pub base: Duration,
    /// The longest that all waits of a call may take together.
    pub max_wait: Duration,
    /// Whether waits are waited for; a rehearsal with recorded answers only counts them.
    pub waits: bool,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { attempts: 5, base: Duration::from_secs(1), max_wait: Duration::from_mins(2), waits: true }
    }
}

impl RetryPolicy {
    /// For a check that a person waits for.
    #[must_use]
    pub fn hurried(&self) -> Self {
        Self { attempts: self.attempts.min(2), max_wait: self.max_wait.min(Duration::from_secs(10)), ..self.clone() }
    }
}

impl RetryPolicy {
    /// Waits, if this policy does.
    pub(super) async fn wait(&self, wait: Duration) {
        if self.waits {
            tokio::time::sleep(wait).await;
        }
    }
}

/// The attempts at one call.
pub(super) struct Attempts<'a> {
    policy: &'a RetryPolicy,
    made: u32,
    waited: Duration,
}

impl<'a> Attempts<'a> {
    pub fn new(policy: &'a RetryPolicy) -> Self {
        Self { policy, made: 0, waited: Duration::ZERO }
    }

    /// How long to wait before the next attempt after one that failed like this;
    /// `None`: give up. `asked` is what the application asked for, `random` from 0 to 1.
    pub fn after(&mut self, class: ErrorClass, asked: Option<Duration>, random: f64) -> Option<Duration> {
        self.made += 1;
        let wait = match class {
            ErrorClass::Transient | ErrorClass::Timeout if self.made < self.policy.attempts => {
                let doubled = self.policy.base * 2_u32.saturating_pow(self.made - 1);
                // From half to the whole, so that many clients do not come back at once.
                doubled.mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0).max(asked.unwrap_or_default())
            }
            ErrorClass::RateLimit => asked.unwrap_or(UNSAID).max(self.policy.base),
            ErrorClass::Transient
            | ErrorClass::Timeout
            | ErrorClass::Token
            | ErrorClass::Permission
            | ErrorClass::Config
            | ErrorClass::Internal => return None,
        };
        self.waited += wait;
        (self.waited <= self.policy.max_wait).then_some(wait)
    }
}

/// How long the application asks to wait, if it says so. Moments are compared
/// with its own clock where it shows it (`Date`), else with `now`, in Unix milliseconds.
pub(super) fn asked_wait(rules: &RateLimit, headers: &HeaderMap, body: Option<&Subject>, now: i64) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let now = text(DATE.as_str()).and_then(moment).unwrap_or(now);
    let in_body = || {
        let rule = rules.in_body.as_ref()?;
        rule.at.number(body?).map(|amount| rule.unit.of(amount))
    };
    let mut named = rules.reset_header.0.iter().map(String::as_str).chain(RESET_HEADERS);
    text(RETRY_AFTER.as_str())
        .and_then(|value| wait_until(value, now))
        .or_else(in_body)
        .or_else(|| named.find_map(|name| wait_until(text(name)?, now)))
}

/// A moment as Unix milliseconds.
fn moment(text: &str) -> Option<i64> {
    let parsed = DateTime::parse_from_rfc2822(text).or_else(|_| DateTime::parse_from_rfc3339(text)).ok()?;
    Some(parsed.timestamp_millis())
}

/// Seconds to wait, epoch seconds, epoch milliseconds or a date: told apart by magnitude.
fn wait_until(text: &str, now: i64) -> Option<Duration> {
    const EPOCH_SECONDS: f64 = 1e9;
    const EPOCH_MILLISECONDS: f64 = 1e11;
    #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 fit into 53 bits")]
    let now = now as f64;
    let wait_ms = match text.parse::<f64>() {
        Ok(number) if !number.is_finite() || number < 0.0 => return None,
        Ok(number) if number >= EPOCH_MILLISECONDS => number - now,
        Ok(number) if number >= EPOCH_SECONDS => number * 1000.0 - now,
        Ok(number) => number * 1000.0,
        #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 fit into 53 bits")]
        Err(_) => moment(text)? as f64 - now,
    };
    Duration::try_from_secs_f64(wait_ms.max(0.0) / 1000.0).ok()
}
