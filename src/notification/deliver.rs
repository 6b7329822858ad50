//! Handing the mails of the outbox to the mail server.

use std::time::Duration;

use entity::notification::{Entity, Model, NotificationKind, NotificationState};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, EntityTrait, IntoActiveModel};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::clock::Clock;
use crate::db::Db;
use crate::error::Result;
use crate::mail::{Mailer, Outgoing, SendError};
use crate::queue::{self, Claim, worker::Handler};

/// How many mails are handed over at once.
pub const CONCURRENCY: usize = 4;
/// For how long a mail is tried.
const PATIENCE_MS: i64 = 48 * 3600 * 1000;
/// How often the record of an attempt is tried before the job fails.
const RECORDINGS: usize = 5;
const RECORDING_PAUSE: Duration = Duration::from_secs(2);
/// How long a stopping server waits for a mail that is on the wire.
const GRACE: Duration = Duration::from_secs(7);

/// The worker that delivers.
pub struct Delivery {
    pub db: Db,
    pub clock: Clock,
    pub mailer: Mailer,
}

impl Handler for Delivery {
    async fn handle(&self, claim: Claim, stop: CancellationToken) -> Result<()> {
        let Some(mail) = Entity::find_by_id(claim.subject).one(self.db.read()).await? else {
            return self.settle(&claim, None).await;
        };
        if mail.state != NotificationState::Queued {
            return self.settle(&claim, None).await;
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
        let sent = tokio::select! {
            sent = self.mailer.send(&outgoing) => sent,
            () = async { stop.cancelled().await; tokio::time::sleep(GRACE).await } => {
                let tx = self.db.begin().await?;
                queue::release(&tx, &claim, self.clock.now()).await?;
                return tx.commit().await;
            }
        };
        let now = self.clock.now();
        let result = after_attempt(&mail, sent, now, fastrand::f64());
        // What the server said must not be forgotten, or the mail would be sent again.
        for _ in 0..RECORDINGS {
            match self.settle(&claim, Some((mail.clone(), result.clone(), now))).await {
                Ok(()) => return Ok(()),
                Err(error) => {
                    warn!(notification.id = %mail.id, error = %error, "an attempt could not be recorded; trying again");
                }
            }
            tokio::time::sleep(RECORDING_PAUSE).await;
        }
        self.settle(&claim, Some((mail, result, now))).await
    }
}

/// What an attempt leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Attempt {
    Sent,
    GivenUp(String),
    /// Not before this time.
    Again(i64, String),
}

fn after_attempt(mail: &Model, sent: Result<(), SendError>, now: i64, roll: f64) -> Attempt {
    match sent {
        Ok(()) => Attempt::Sent,
        // A test mail is an answer to the person who waits for it.
        Err(error) if error.permanent || mail.kind == NotificationKind::Test => Attempt::GivenUp(error.message),
        Err(error) => {
            let at = now + retry_wait_ms(mail.attempts, roll);
            if at - mail.created_at > PATIENCE_MS {
                Attempt::GivenUp(format!("Given up after 48 hours. {}", error.message))
            } else {
                Attempt::Again(at, error.message)
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
        let tx = self.db.begin().await?;
        let Some((mail, result, now)) = attempt else {
            let _lost_is_fine = queue::finish(&tx, claim).await?;
            return tx.commit().await;
        };
        let (id, attempts, kind) = (mail.id, mail.attempts + 1, mail.kind);
        let mut row = mail.into_active_model();
        row.attempts = Set(attempts);
        let held = match result {
            Attempt::Sent => {
                info!(notification.id = %id, attempts, "a mail was sent");
                metrics::counter!("muster_mails_total", "outcome" => "sent").increment(1);
                row.state = Set(NotificationState::Sent);
                row.sent_at = Set(Some(now));
                row.last_error = Set(None);
                queue::finish(&tx, claim).await?
            }
            Attempt::GivenUp(message) => {
                warn!(notification.id = %id, attempts, kind = ?kind, "a mail could not be sent and is given up");
                metrics::counter!("muster_mails_total", "outcome" => "failed").increment(1);
                row.state = Set(NotificationState::Failed);
                row.last_error = Set(Some(message));
                queue::finish(&tx, claim).await?
            }
            Attempt::Again(at, message) => {
                warn!(notification.id = %id, attempts, "a mail could not be sent and is tried again");
                metrics::counter!("muster_mails_total", "outcome" => "retried").increment(1);
                row.last_error = Set(Some(message));
                let held = queue::renew(tx.conn(), claim, now).await?;
                queue::release(&tx, claim, at).await?;
                held
            }
        };
        // Dropped, or taken over, while it was on the wire: the other's record stands.
        if !held {
            return Ok(());
        }
        row.update(tx.conn()).await?;
        tx.commit().await
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
