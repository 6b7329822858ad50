//! The worker: plans and sends the messages of one webhook.

use std::sync::Arc;
use std::time::Duration;

use axum::http::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use entity::webhook::{Kind, Model as Webhook, State};
use entity::webhook_delivery::Model as Delivery;
use futures_util::future::join_all;
use integration::engine::{Body, Client, Request, Response};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tracing::warn;
use url::Url;
use uuid::Uuid;

use super::attempt::{Answer, Moment, retry_after, waits};
use super::manage::lock_existing;
use super::plan::Planned;
use super::{Ids, alerts, queries, reply, request, sealed, signature};
use crate::clock::{Clock, SteadyClock};
use crate::db::{Db, Tx};
use crate::error::Result;
use crate::events::Log;
use crate::instance::Instances;
use crate::instance::event::Event;
use crate::queue::{self, Claim, worker::Handler};
use crate::secrets::KeyRing;

/// How many of the webhooks of a process write at once, so that others find a connection to the database.
pub const WRITES_AT_ONCE: usize = 2;
/// How many instances of one webhook are served at once.
const INSTANCES_AT_ONCE: u64 = 4;
/// How much of an answer is kept, in characters.
const KEPT_ANSWER: usize = 500;
/// The pause before an attempt is recorded again after a database error.
const RECORD_AGAIN: Duration = Duration::from_secs(2);
/// How long a stopping server waits for an answer.
const LAST_ANSWERS: Duration = Duration::from_secs(6);
/// The longest rest of a job, in milliseconds.
const LONGEST_REST_MS: i64 = 3_600_000;

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// The worker for the jobs of webhooks.
#[derive(Clone)]
pub struct Sender {
    pub instances: Instances,
    pub db: Db,
    pub clock: Clock,
    /// Measures for how long a receiver has been failing.
    pub age_clock: SteadyClock,
    pub keys: Arc<KeyRing>,
    pub log: Log<Event>,
    pub client: Client,
    /// How long a message to a chat waits for others that it can be reported with.
    pub hold: Duration,
    /// [`WRITES_AT_ONCE`].
    pub writers: Arc<Semaphore>,
    pub ids: Ids,
    /// Where links begin.
    pub public_url: Arc<str>,
    /// The host in Message-IDs.
    pub mail_host: Arc<str>,
}

/// What a round of sending has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Round {
    /// Nothing is due.
    Idle,
    Sent,
    /// Another worker has the job.
    Lost,
}

impl Handler for Sender {
    async fn handle(&self, claim: Claim, stop: CancellationToken) -> Result<()> {
        while !stop.is_cancelled() {
            let Some(hook) = queries::find(self.db.read(), claim.subject).await? else {
                return self.end(&claim).await;
            };
            let planned = match hook.state {
                State::Enabled => self.plan(&claim, &hook).await?,
                State::Disabled => Planned::UpToDate,
            };
            let sent = match planned {
                Planned::Lost => Round::Lost,
                Planned::More | Planned::UpToDate => self.send_due(&claim, &hook, &stop).await?,
            };
            if sent == Round::Lost {
                return Ok(());
            }
            self.repeat(&hook).await?;
            if planned == Planned::UpToDate && sent == Round::Idle && self.rest(&claim).await? {
                return Ok(());
            }
        }
        queue::give_back(&self.db, &claim, self.clock.now()).await
    }
}

/// What the receiver knows a delivery by. It is the same at each attempt.
pub fn message_id(delivery: Uuid) -> String {
    format!("msg_{}", delivery.simple())
}

impl Sender {
    /// Makes the attempts that are due, of some instances at once.
    async fn send_due(&self, claim: &Claim, hook: &Webhook, stop: &CancellationToken) -> Result<Round> {
        let now = self.clock.now();
        let only_tests = hook.state == State::Disabled || waits(hook.retry_at, now);
        // A receiver that fails is asked once.
        let limit = if hook.failures > 0 { 1 } else { INSTANCES_AT_ONCE };
        let mut due = queries::due(self.db.read(), hook, only_tests, now, limit).await?;
        if due.is_empty() {
            return Ok(Round::Idle);
        }
        if due.iter().any(|delivery| delivery.held_until.is_some()) {
            match self.gather(claim, hook, due).await? {
                Some(decided) => due = decided,
                None => return Ok(Round::Lost),
            }
        }
        let mut round = Round::Sent;
        let attempts: Vec<_> = due.iter().map(|delivery| self.serve(claim, hook, delivery, stop)).collect();
        for held in join_all(attempts).await {
            if !held? {
                round = Round::Lost;
            }
        }
        Ok(round)
    }

    /// Makes one attempt and records it. False if another worker has the job.
    async fn serve(
        &self,
        claim: &Claim,
        hook: &Webhook,
        delivery: &Delivery,
        stop: &CancellationToken,
    ) -> Result<bool> {
        if !claim.is_held() {
            return Ok(false);
        }
        let begun = self.clock.now();
        let answer = tokio::select! {
            answer = self.attempt(hook, delivery) => answer,
            () = async { stop.cancelled().await; tokio::time::sleep(LAST_ANSWERS).await } => return Ok(true),
        };
        let at = Moment { begun, now: self.clock.now(), steady: self.age_clock.now(), roll: fastrand::f64() };
        // The answer must be recorded, or the message would be sent again.
        loop {
            match self.record(claim, delivery, &answer, at).await {
                Err(error) if error.is_passing() && !stop.is_cancelled() => {
                    warn!(error = %error.chain(), "an attempt could not be recorded; trying again");
                }
                recorded => return recorded,
            }
            tokio::time::sleep(RECORD_AGAIN).await;
        }
    }

    /// Sends a message once.
    async fn attempt(&self, hook: &Webhook, delivery: &Delivery) -> Answer {
        let request = match self.request(hook, delivery) {
            Ok(request) => request,
            Err(reason) => return Answer::None(reason),
        };
        match self.client.send_at_once(request).await {
            Ok(response) => answer(hook.kind, &response, self.clock.now()),
            Err(error) => Answer::None(format!("The message was not accepted: {error}.")),
        }
    }

    fn request(&self, hook: &Webhook, delivery: &Delivery) -> Result<Request, String> {
        match hook.kind {
            Kind::Standard => self.signed(hook, delivery),
            kind => {
                let address = sealed::open_address(&self.keys, hook)
                    .map_err(|error| format!("The address cannot be used: {error}. Enter it again."))?;
                request::message(kind, &address, &delivery.body, self.clock.now())
            }
        }
    }

    fn signed(&self, hook: &Webhook, delivery: &Delivery) -> Result<Request, String> {
        let url = Url::parse(&hook.url).map_err(|error| format!("The address cannot be used: {error}."))?;
        let now = self.clock.now();
        let secrets = sealed::in_force(&self.keys, hook, now)
            .map_err(|error| format!("The secret cannot be used: {error}. Make a new one."))?;
        let (id, timestamp) = (message_id(delivery.id), now / 1_000);
        let header = signature::header(&secrets, &id, timestamp, &delivery.body);
        let mut headers = HeaderMap::new();
        for (name, value) in [(ID, id), (TIMESTAMP, timestamp.to_string()), (SIGNATURE, header)] {
            let value =
                HeaderValue::from_str(&value).map_err(|error| format!("The message cannot be sent: {error}."))?;
            headers.insert(name, value);
        }
        Ok(Request::with_body(url, headers, Some(Body::WrittenJson(delivery.body.clone()))))
    }

    /// Ends the job of a webhook that was deleted.
    async fn end(&self, claim: &Claim) -> Result<()> {
        self.db
            .write(|tx| async move {
                let _lost_is_fine = queue::finish(&tx, claim).await?;
                Ok(())
            })
            .await
    }

    /// Ends a job that has nothing to do now, or postpones it. False if something has become due meanwhile.
    async fn rest(&self, claim: &Claim) -> Result<bool> {
        let _turn = self.writers.acquire().await.ok();
        let now = self.clock.now();
        self.db
            .write(|tx| async move {
                // Lock order: the job, then the webhook. Whoever queues deliveries has both, so none is overlooked.
                if !queue::renew(tx.conn(), claim, now).await? {
                    return Ok(true);
                }
                let next = match lock_existing(&tx, claim.subject).await? {
                    Some(hook) => next_try(&tx, &hook, now).await?,
                    None => None,
                };
                match next {
                    Some(at) if at <= now => return Ok(false),
                    Some(at) => queue::release(&tx, claim, at.min(now + LONGEST_REST_MS)).await?,
                    None => {
                        let _ours = queue::finish(&tx, claim).await?;
                    }
                }
                Ok(true)
            })
            .await
    }
}

/// When something is to be sent next to a webhook; `None` if nothing is queued.
async fn next_try(tx: &Tx, hook: &Webhook, now: i64) -> Result<Option<i64>> {
    let tests = queries::next_try(tx.conn(), hook, true).await?;
    let others = match hook.state {
        State::Enabled => queries::next_try(tx.conn(), hook, false).await?,
        State::Disabled => None,
    };
    let waits_until = hook.retry_at.filter(|_| waits(hook.retry_at, now));
    let others = others.map(|at| at.max(waits_until.unwrap_or(at)));
    let repeat = alerts::next_repeat(tx.conn(), hook, now).await?;
    Ok(tests.into_iter().chain(others).chain(repeat).min())
}

fn answer(kind: Kind, response: &Response, now: i64) -> Answer {
    let asked = response.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let text: String = String::from_utf8_lossy(&response.body).chars().take(KEPT_ANSWER).collect();
    let status = response.status.as_u16();
    let meaning = if response.status.is_success() { None } else { reply::meaning(kind, status, &text) };
    // A service may repeat what it got: the topic or the key, which nobody may read again.
    let text = if kind == Kind::Standard { text } else { String::new() };
    Answer::Status {
        status,
        meaning,
        text: text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect(),
        retry_after: asked.and_then(|text| retry_after(text, now)),
    }
}
