//! Handing the mails of the outbox to the mail server.

use std::time::Duration;

use entity::notification::{Entity, Model, NotificationKind, NotificationState};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, EntityTrait, IntoActiveModel};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::clock::{Clock, Steady};
use crate::db::Db;
use crate::error::Result;
use crate::mail::{Mailer, Outgoing, SendError};
use crate::queue::{self, Claim, worker::Handler};

/// How many mails are handed over at once.
pub const CONCURRENCY: usize = 4;
/// For how long a mail is tried.
const PATIENCE_MS: i64 = 48 * 3600 * 1000;
/// How long to wait before the record of an attempt is tried again.
const RECORDING_PAUSE: Duration = Duration::from_secs(2);
/// How long a stopping server waits for a mail that is on the wire.
const GRACE: Duration = Duration::from_secs(7);

/// The worker that delivers.
pub struct Delivery {
    pub db: Db,
    pub clock: Clock,
    pub mailer: Mailer,
    /// By which the age of a mail is measured.
    pub ages: Steady,
}

impl Handler for Delivery {
    async fn handle(&self, claim: Claim, stop: CancellationToken) -> Result<()> {
        let Some(mail) = Entity::find_by_id(claim.subject).one(self.db.read()).await? else {
            return self.settle(&claim, None).await;
        };
        if mail.state != NotificationState::Queued {
            return self.settle(&claim, None).await;
        }
        // Also what a backup that was restored still had to send: to its readers it is old news.
        if self.ages.now() - mail.created_at > PATIENCE_MS {
            let result = Attempt::Expired;
            return self.settle(&claim, Some((mail, result, self.clock.now()))).await;
        }
        let outgoing = Outgoing {
            to: mail.address.clone(),
            subject: mail.subject.clone(),
            text: mail.text.clone(),
            html: mail.html.clone(),
            message_id: mail.message_id.clone(),
            in_reply_to: mail.in_reply_to.clone(),
            date_ms: mail.created_at,
        };
        let ours = || claim.is_held();
        let sent = tokio::select! {
            sent = self.mailer.send(&outgoing, &ours) => sent,
            () = async { stop.cancelled().await; tokio::time::sleep(GRACE).await } => {
                return queue::give_back(&self.db, &claim, self.clock.now()).await;
            }
        };
        let now = self.clock.now();
        let waited = self.ages.now() - mail.created_at;
        let result = after_attempt(&mail, sent, now, waited, fastrand::f64());
        // What the server said must not be forgotten, or the mail would be sent again.
        loop {
            match self.settle(&claim, Some((mail.clone(), result.clone(), now))).await {
                Err(error) if error.is_passing() && !stop.is_cancelled() => {
                    warn!(notification.id = %mail.id, error = %error, "an attempt could not be recorded; trying again");
                }
                settled => return settled,
            }
            tokio::time::sleep(RECORDING_PAUSE).await;
        }
    }
}

/// What an attempt leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Attempt {
    Sent,
    GivenUp(String),
    /// None was made: it is too old.
    Expired,
    /// Not before this time.
    Again(i64, String),
}

/// `waited`: how long ago the mail was written, in milliseconds.
fn after_attempt(mail: &Model, sent: Result<(), SendError>, now: i64, waited: i64, roll: f64) -> Attempt {
    match sent {
        Ok(()) => Attempt::Sent,
        // A test mail is an answer to the person who waits for it.
        Err(error) if error.permanent || mail.kind == NotificationKind::Test => Attempt::GivenUp(error.message),
        Err(error) => {
            let wait = retry_wait_ms(mail.attempts, roll);
            if waited + wait > PATIENCE_MS {
                Attempt::GivenUp(format!("Given up after 48 hours. {}", error.message))
            } else {
                Attempt::Again(now + wait, error.message)
            }
        }
    }
}

/// 5 s, doubling to 15 min, moved by up to a fifth so that mails do not come back all at once.
fn retry_wait_ms(attempts: i32, roll: f64) -> i64 {
    let wait = 5_000_i64.saturating_mul(1 << attempts.clamp(0, 10)).min(15 * 60 * 1000);
    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "below a million")]
    let moved = (wait as f64 * (0.8 + 0.4 * roll)) as i64;
    moved
}

impl Delivery {
    async fn settle(&self, claim: &Claim, attempt: Option<(Model, Attempt, i64)>) -> Result<()> {
        let Some((mail, result, now)) = attempt else {
            return self
                .db
                .write(|tx| async move {
                    let _lost_is_fine = queue::finish(&tx, claim).await?;
                    Ok(())
                })
                .await;
        };
        let (id, kind) = (mail.id, mail.kind);
        let attempts = mail.attempts + i32::from(result != Attempt::Expired);
        let mut row = mail.into_active_model();
        row.attempts = Set(attempts);
        let mut again = None;
        let (outcome, word) = match result {
            Attempt::Sent => {
                row.state = Set(NotificationState::Sent);
                row.sent_at = Set(Some(now));
                row.last_error = Set(None);
                ("sent", "a mail was sent")
            }
            Attempt::GivenUp(message) => {
                row.state = Set(NotificationState::Failed);
                row.last_error = Set(Some(message));
                ("failed", "a mail could not be sent and is given up")
            }
            Attempt::Expired => {
                row.state = Set(NotificationState::Failed);
                let before = row.last_error.take().flatten().map(|error| format!(" {error}")).unwrap_or_default();
                row.last_error = Set(Some(format!("Given up: it is older than 48 hours.{before}")));
                ("failed", "a mail is older than 48 hours and is given up")
            }
            Attempt::Again(at, message) => {
                again = Some(at);
                row.last_error = Set(Some(message));
                ("retried", "a mail could not be sent and is tried again")
            }
        };
        let row = &row;
        let recorded = self
            .db
            .write(|tx| async move {
                let held = match again {
                    None => queue::finish(&tx, claim).await?,
                    Some(at) => {
                        let held = queue::renew(tx.conn(), claim, now).await?;
                        queue::release(&tx, claim, at).await?;
                        held
                    }
                };
                // Dropped, or taken over, while it was on the wire: the other's record stands.
                if held {
                    row.clone().update(tx.conn()).await?;
                }
                Ok(held)
            })
            .await?;
        if recorded {
            metrics::counter!("muster_mails_total", "outcome" => outcome).increment(1);
            info!(notification.id = %id, attempts, kind = ?kind, outcome, "{word}");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_from_five_seconds_to_fifteen_minutes() {
        let waits: Vec<_> = (0..12).map(|attempts| retry_wait_ms(attempts, 0.5)).collect();
        assert_eq!(waits[0], 5_000);
        assert_eq!(waits[11], 900_000);
        assert!(waits.is_sorted());
        assert!((4_000..=6_000).contains(&retry_wait_ms(0, 0.0)) && (4_000..=6_000).contains(&retry_wait_ms(0, 1.0)));
    }
}
