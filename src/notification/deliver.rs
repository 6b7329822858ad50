//! Delivers the mails of the outbox to the mail server.

use std::sync::Arc;
use std::time::Duration;

use entity::notification::{Entity, Model, NotificationKind, NotificationState};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, EntityTrait, IntoActiveModel};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::storm::{Hold, Plan};
use crate::backoff::Backoff;
use crate::clock::{Clock, SteadyClock};
use crate::db::Db;
use crate::error::Result;
use crate::mail::{Mailer, Outgoing, SendError};
use crate::queue::{self, Claim, worker::Handler};

/// How many mails are delivered at the same time.
pub const CONCURRENCY: usize = 4;
/// For how long delivery is tried.
const MAX_AGE_MS: i64 = 48 * 3600 * 1000;
/// The pause before the next attempt.
const BACKOFF: Backoff = Backoff { first: Duration::from_secs(5), longest: Duration::from_mins(15), jitter: 0.2 };
/// The pause before recording an attempt again after a database error.
const RECORD_RETRY_PAUSE: Duration = Duration::from_secs(2);
/// How long a stopping server waits for a mail that is being sent.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(7);

/// Tells the name of an application by the key of its integration.
pub type NameOf = Box<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// The worker for mail jobs.
pub struct Delivery {
    pub db: Db,
    pub clock: Clock,
    pub mailer: Mailer,
    /// Measures the age of mails.
    pub age_clock: SteadyClock,
    pub hold: Hold,
    pub application: NameOf,
    /// Where the links of mails begin.
    pub public_url: Arc<str>,
}

impl Handler for Delivery {
    async fn handle(&self, claim: Claim, stop: CancellationToken) -> Result<()> {
        let Some(mail) = Entity::find_by_id(claim.subject).one(self.db.read()).await? else {
            return self.finish_job(&claim).await;
        };
        if mail.state != NotificationState::Queued {
            return self.finish_job(&claim).await;
        }
        // Mails in a restored backup expire too: their content is out of date.
        if self.age_clock.now() - mail.created_at > MAX_AGE_MS {
            return self.record(&claim, mail, Attempt::Expired, self.clock.now()).await;
        }
        let mail = match self.plan(&claim, mail).await? {
            Plan::Send(mail) => *mail,
            Plan::Wait => return Ok(()),
        };
        let outgoing = Outgoing {
            to: mail.address.clone(),
            subject: mail.subject.clone(),
            text: mail.text.clone(),
            html: mail.html.clone(),
            message_id: mail.message_id.clone(),
            in_reply_to: mail.in_reply_to.clone(),
            date_ms: mail.created_at,
        };
        let may_send = || claim.is_held();
        let sent = tokio::select! {
            sent = self.mailer.send(&outgoing, &may_send) => sent,
            () = async { stop.cancelled().await; tokio::time::sleep(SHUTDOWN_GRACE).await } => {
                return queue::give_back(&self.db, &claim, self.clock.now()).await;
            }
        };
        let now = self.clock.now();
        let waited = self.age_clock.now() - mail.created_at;
        let attempt = after_attempt(&mail, sent, now, waited, fastrand::f64());
        // The result must be recorded, or the mail would be sent again.
        loop {
            match self.record(&claim, mail.clone(), attempt.clone(), now).await {
                Err(error) if error.is_passing() && !stop.is_cancelled() => {
                    warn!(error = %error.chain(), "an attempt could not be recorded; trying again");
                }
                recorded => return recorded,
            }
            tokio::time::sleep(RECORD_RETRY_PAUSE).await;
        }
    }
}

/// The result of a delivery attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Attempt {
    Sent,
    GivenUp(String),
    /// No attempt was made, because the mail is too old.
    Expired,
    /// Retry not before this time.
    Retry(i64, String),
}

/// `waited` is the age of the mail in milliseconds.
fn after_attempt(mail: &Model, sent: Result<(), SendError>, now: i64, waited: i64, roll: f64) -> Attempt {
    match sent {
        Ok(()) => Attempt::Sent,
        // A person is waiting for the result of a test mail, so it is not retried.
        Err(error) if error.permanent || mail.kind == NotificationKind::Test => Attempt::GivenUp(error.message),
        Err(error) => {
            let wait = BACKOFF.wait(mail.attempts.unsigned_abs() + 1, roll);
            let wait = i64::try_from(wait.as_millis()).unwrap_or(MAX_AGE_MS);
            if waited + wait > MAX_AGE_MS {
                Attempt::GivenUp(format!("Given up after 48 hours. {}", error.message))
            } else {
                Attempt::Retry(now + wait, error.message)
            }
        }
    }
}

impl Delivery {
    /// Ends a job that has nothing to deliver.
    async fn finish_job(&self, claim: &Claim) -> Result<()> {
        self.db
            .write(|tx| async move {
                let _lost_is_fine = queue::finish(&tx, claim).await?;
                Ok(())
            })
            .await
    }

    /// Records an attempt, and ends or reschedules the job in the same transaction.
    async fn record(&self, claim: &Claim, mail: Model, attempt: Attempt, now: i64) -> Result<()> {
        let kind = mail.kind;
        let attempts = mail.attempts + i32::from(attempt != Attempt::Expired);
        let mut row = mail.into_active_model();
        row.attempts = Set(attempts);
        let mut retry_at = None;
        let (outcome, message) = match attempt {
            Attempt::Sent => {
                row.state = Set(NotificationState::Sent);
                row.sent_at = Set(Some(now));
                row.last_error = Set(None);
                ("sent", "a mail was sent")
            }
            Attempt::GivenUp(error) => {
                row.state = Set(NotificationState::Failed);
                row.last_error = Set(Some(error));
                ("failed", "a mail could not be sent and will not be retried")
            }
            Attempt::Expired => {
                row.state = Set(NotificationState::Failed);
                let before = row.last_error.take().flatten().map(|error| format!(" {error}")).unwrap_or_default();
                row.last_error = Set(Some(format!("Given up: it is older than 48 hours.{before}")));
                ("failed", "a mail is older than 48 hours and will not be sent")
            }
            Attempt::Retry(at, error) => {
                retry_at = Some(at);
                row.last_error = Set(Some(error));
                ("retried", "a mail could not be sent and will be retried")
            }
        };
        let row = &row;
        let recorded = self
            .db
            .write(|tx| async move {
                let held = match retry_at {
                    None => queue::finish(&tx, claim).await?,
                    Some(at) => {
                        let held = queue::renew(tx.conn(), claim, now).await?;
                        queue::release(&tx, claim, at).await?;
                        held
                    }
                };
                // If the lease was lost while the mail was being sent, another worker's record is kept.
                if held {
                    row.clone().update(tx.conn()).await?;
                }
                Ok(held)
            })
            .await?;
        if recorded {
            metrics::counter!("muster_mails_total", "outcome" => outcome).increment(1);
            info!(attempts, kind = ?kind, outcome, "{message}");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_from_five_seconds_to_fifteen_minutes() {
        let waits: Vec<_> = (1..=12).map(|failures| BACKOFF.wait(failures, 0.5)).collect();
        assert_eq!(waits[0], Duration::from_secs(5));
        assert_eq!(waits[11], Duration::from_mins(15));
        assert!(waits.is_sorted());
        for random in [0.0, 1.0] {
            assert!((4_000..=6_000).contains(&BACKOFF.wait(1, random).as_millis()));
        }
    }
}
