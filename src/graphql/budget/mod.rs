//! What the clients of one token may use: operations at a time, sockets, subscriptions, requests and cost in a
//! minute, and test mails in an hour. So that they cannot take the server from everybody else, and that they get the rest of it when nobody else
//! needs it.
//!
//! An operation waits for its place behind the others of its token, and a dear one until few others are executed. Everything else is refused at once with
//! `RATE_LIMITED`, and the response says when it is worth to try again. The events of a subscription are never refused:
//! they cost what a query of the same selection does, and when the token has nothing left, its subscriptions wait, and
//! go on from the log.
//!
//! The limits are those of one process, and are kept in memory. A token that has used nothing for a while takes none.

mod bucket;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_graphql::ServerError;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use uuid::Uuid;

use self::bucket::Bucket;
use super::error::rate_limited;
use crate::auth::Caller;
use crate::config::Settings;

/// How many operations of a token wait for each one that is executed.
const WAITING_PER_OPERATION: usize = 10;
/// What the operations of a token that are executed at once may cost together. A dearer one is executed alone.
const COST_AT_ONCE: usize = 4_000;
/// How long an operation waits for its place.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// After so many tokens, those that use nothing are forgotten.
const MAX_IDLE: usize = 1_000;

/// The limits of each token. 0 means that there is none.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub operations: usize,
    pub sockets: usize,
    pub subscriptions: usize,
    pub requests_per_minute: u32,
    pub cost_per_minute: u32,
    pub test_mails_per_hour: u32,
}

impl Limits {
    pub fn of(settings: &Settings) -> Self {
        Self {
            operations: settings.token_operations,
            sockets: settings.token_sockets,
            subscriptions: settings.token_subscriptions,
            requests_per_minute: settings.token_requests_per_minute,
            cost_per_minute: settings.token_cost_per_minute,
            test_mails_per_hour: settings.token_test_mails_per_hour,
        }
    }
}

/// The budgets of all tokens.
pub struct Budgets {
    limits: Limits,
    used: Mutex<HashMap<Uuid, Arc<Usage>>>,
}

impl Budgets {
    pub fn new(limits: Limits) -> Self {
        Self { limits, used: Mutex::default() }
    }

    /// The budget of the caller's token, which all its clients share.
    pub fn of(&self, caller: &Caller) -> Budget {
        if caller.unlimited {
            return Budget::default();
        }
        let mut used = self.used.lock();
        if used.len() >= MAX_IDLE && !used.contains_key(&caller.id()) {
            let now = Instant::now();
            used.retain(|_, usage| Arc::strong_count(usage) > 1 || !usage.is_idle(now));
        }
        Budget(Some(used.entry(caller.id()).or_insert_with(|| Arc::new(Usage::new(self.limits))).clone()))
    }
}

/// The budget of one token; without any limit if the token has none.
#[derive(Clone, Default)]
pub struct Budget(Option<Arc<Usage>>);

struct Usage {
    limits: Limits,
    operations: Arc<Semaphore>,
    /// What is left of `COST_AT_ONCE`.
    shares: Arc<Semaphore>,
    waiting: AtomicUsize,
    sockets: Arc<Semaphore>,
    subscriptions: Arc<Semaphore>,
    requests: Option<Bucket>,
    cost: Option<Bucket>,
    test_mails: Option<Bucket>,
}

/// One operation, socket or subscription. It counts until this is dropped.
pub struct Permit(#[expect(dead_code, reason = "its end is what counts")] Option<OwnedSemaphorePermit>);

/// A limit of a token that is exhausted.
#[derive(Debug)]
pub struct Exhausted {
    limit: &'static str,
    message: String,
    /// After how many seconds it is worth to try again.
    pub seconds: u32,
}

impl Usage {
    fn new(limits: Limits) -> Self {
        let (now, minute) = (Instant::now(), Duration::from_mins(1));
        let places = |count| Arc::new(Semaphore::new(if count == 0 { Semaphore::MAX_PERMITS } else { count }));
        Self {
            limits,
            operations: places(limits.operations),
            shares: places(COST_AT_ONCE),
            waiting: AtomicUsize::new(0),
            sockets: places(limits.sockets),
            subscriptions: places(limits.subscriptions),
            requests: Bucket::of(limits.requests_per_minute, minute, now),
            cost: Bucket::of(limits.cost_per_minute, minute, now),
            test_mails: Bucket::of(limits.test_mails_per_hour, 60 * minute, now),
        }
    }

    fn is_idle(&self, now: Instant) -> bool {
        [&self.requests, &self.cost, &self.test_mails].into_iter().flatten().all(|bucket| bucket.is_full(now))
    }
}

impl Budget {
    /// Counts a request.
    pub fn request(&self) -> Result<(), Exhausted> {
        let Some(usage) = &self.0 else { return Ok(()) };
        let counted = usage.requests.as_ref().map_or(Ok(()), |requests| requests.take(1.0, Instant::now()));
        counted.map_err(|wait| {
            let limit = usage.limits.requests_per_minute;
            Exhausted::new("requests", format!("A token or member may send at most {limit} requests per minute."), wait)
        })
    }

    /// Counts the price of an operation that is about to be executed.
    pub fn spend(&self, price: usize) -> Result<(), Exhausted> {
        let Some(usage) = &self.0 else { return Ok(()) };
        let spent = usage.cost.as_ref().map_or(Ok(()), |cost| cost.take(amount(price), Instant::now()));
        spent.map_err(|wait| {
            let limit = usage.limits.cost_per_minute;
            let message = format!(
                "The operations of a token or member may cost at most {limit} per minute. This one costs {price}."
            );
            Exhausted::new("cost", message, wait)
        })
    }

    /// Counts test mails that are about to be sent.
    pub fn test_mails(&self, count: usize) -> Result<(), Exhausted> {
        let Some(usage) = &self.0 else { return Ok(()) };
        let Some(mails) = &usage.test_mails else { return Ok(()) };
        let limit = usage.limits.test_mails_per_hour;
        // More than the whole would be taken from a full bucket.
        if amount(count) > f64::from(limit) {
            let message = format!("A token or member may send at most {limit} test mails per hour. These are {count}.");
            return Err(Exhausted::new("test_mails", message, Duration::from_hours(1)));
        }
        mails
            .take(amount(count), Instant::now())
            .map_err(|wait| Exhausted::new("test_mails", "Too many test mails were sent within an hour.".into(), wait))
    }

    /// Gives back a test mail that was not sent, because it has no address.
    pub fn test_mail_unsent(&self) {
        if let Some(mails) = self.0.as_ref().and_then(|usage| usage.test_mails.as_ref()) {
            mails.give_back(1.0, Instant::now());
        }
    }

    /// Counts the price of an event that is delivered in any case.
    pub fn owe(&self, price: usize) {
        if let Some(cost) = self.0.as_ref().and_then(|usage| usage.cost.as_ref()) {
            cost.owe(amount(price), Instant::now());
        }
    }

    /// Waits until nothing is owed.
    pub async fn solvent(&self) {
        let Some(cost) = self.0.as_ref().and_then(|usage| usage.cost.as_ref()) else { return };
        while let Some(wait) = cost.debt(Instant::now()) {
            tokio::time::sleep(wait).await;
        }
    }

    /// Waits for the place of an operation.
    pub async fn operation(&self) -> Result<Permit, Exhausted> {
        let Some(usage) = &self.0 else { return Ok(Permit(None)) };
        if let Ok(permit) = usage.operations.clone().try_acquire_owned() {
            return Ok(Permit(Some(permit)));
        }
        let waiting = Waiting::begin(&usage.waiting);
        let limit = usage.limits.operations;
        let acquired = if waiting.before < limit * WAITING_PER_OPERATION {
            tokio::time::timeout(LONGEST_WAIT, usage.operations.clone().acquire_owned()).await.ok().and_then(Result::ok)
        } else {
            None
        };
        acquired.map(|permit| Permit(Some(permit))).ok_or_else(|| {
            let message = format!("At most {limit} operations of a token or member are executed at once, and too many of yours wait already.");
            Exhausted::new("operations", message, Duration::ZERO)
        })
    }

    /// Waits for the place of the next event of a subscription, however long that takes. What waits must be polled, or it
    /// keeps the place from others.
    pub async fn event(&self) -> Permit {
        let Some(usage) = &self.0 else { return Permit(None) };
        Permit(usage.operations.clone().acquire_owned().await.ok())
    }

    /// Waits until what is executed for the token leaves room for something of this price.
    pub async fn share(&self, price: usize) -> Permit {
        let Some(usage) = &self.0 else { return Permit(None) };
        let share = u32::try_from(price.min(COST_AT_ONCE)).unwrap_or(u32::MAX);
        Permit(usage.shares.clone().acquire_many_owned(share).await.ok())
    }

    /// A place for an event that may be lost.
    pub fn lossy_event(&self) -> Option<Permit> {
        let Some(usage) = &self.0 else { return Some(Permit(None)) };
        usage.operations.clone().try_acquire_owned().ok().map(|permit| Permit(Some(permit)))
    }

    /// Whether the two are one budget.
    pub fn is(&self, other: &Budget) -> bool {
        match (&self.0, &other.0) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (one, other) => one.is_none() && other.is_none(),
        }
    }

    /// Counts a WebSocket.
    pub fn socket(&self) -> Result<Permit, Exhausted> {
        let Some(usage) = &self.0 else { return Ok(Permit(None)) };
        permit("sockets", &usage.sockets, usage.limits.sockets, "open WebSockets")
    }

    /// Counts a subscription, over all transports.
    pub fn subscription(&self) -> Result<Permit, Exhausted> {
        let Some(usage) = &self.0 else { return Ok(Permit(None)) };
        permit("subscriptions", &usage.subscriptions, usage.limits.subscriptions, "active subscriptions")
    }
}

fn permit(limit: &'static str, places: &Arc<Semaphore>, count: usize, what: &str) -> Result<Permit, Exhausted> {
    let permit = places.clone().try_acquire_owned();
    permit.map(|permit| Permit(Some(permit))).map_err(|_| {
        Exhausted::new(limit, format!("A token or member may have at most {count} {what} at a time."), Duration::ZERO)
    })
}

/// An operation that waits for its place.
struct Waiting<'a> {
    count: &'a AtomicUsize,
    before: usize,
}

impl<'a> Waiting<'a> {
    fn begin(count: &'a AtomicUsize) -> Self {
        Self { count, before: count.fetch_add(1, Ordering::Relaxed) }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

fn amount(price: usize) -> f64 {
    f64::from(u32::try_from(price).unwrap_or(u32::MAX))
}

impl Exhausted {
    fn new(limit: &'static str, message: String, wait: Duration) -> Self {
        metrics::counter!("muster_budgets_exhausted_total", "limit" => limit).increment(1);
        let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
        Self { limit, message, seconds }
    }
}

impl From<Exhausted> for ServerError {
    fn from(exhausted: Exhausted) -> Self {
        tracing::debug!(limit = exhausted.limit, "a token has exhausted a limit");
        rate_limited(exhausted.seconds, exhausted.message)
    }
}

#[cfg(test)]
mod tests;
