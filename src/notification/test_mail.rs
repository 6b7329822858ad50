//! Test mails: one mail to one address to try the mail settings. It is attempted only once.

use std::sync::Arc;
use std::time::Duration;

use entity::audit_entry::Action;
use entity::notification::{Model, NotificationKind, NotificationState};

use super::compose::{Counts, Facts, compose};
use super::{history, outbox};
use crate::audit::{self, Entry};
use crate::clock::Clock;
use crate::db::Db;
use crate::error::{Error, Refusal, RefusalCode, Result};
use crate::mail::EmailAddress;

/// How long the caller waits for the attempt.
pub const TIMEOUT: Duration = Duration::from_secs(20);
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Sends test mails through the same outbox as all other mails.
#[derive(Clone)]
pub struct TestMail {
    pub db: Db,
    pub clock: Clock,
    pub public_url: Arc<str>,
    pub mail_host: Arc<str>,
}

impl TestMail {
    /// Sends a mail. Returns it as it is after the attempt, with a refusal if the server rejected it.
    pub async fn send(&self, address: &str) -> Result<(Model, Option<Refusal>)> {
        let address: EmailAddress =
            address.trim().parse().map_err(|reason| Error::from(Refusal::invalid(format!("{reason}"), ["address"])))?;
        let now = self.clock.now();
        let rendered = compose(&Facts {
            kind: NotificationKind::Test,
            uses_consent: false,
            secret: "token",
            integration: "",
            instance: "",
            outcome_at_ms: now,
            since_ms: None,
            data_as_of_ms: None,
            failure: None,
            revoked: false,
            counts: Counts::default(),
            user_count: 0,
            next_sync_ms: None,
            next_try_ms: None,
            link: format!("{}/", self.public_url),
            missing: None,
        });
        let (address, rendered) = (address.as_str(), &rendered);
        let mut mail = self
            .db
            .write(|tx| async move {
                let entry = Entry::new(now, Action::TestMailSent, "A test mail was requested.");
                audit::record(&tx, entry.naming(address));
                outbox::enqueue_test(&tx, address.to_owned(), &self.mail_host, rendered, now).await
            })
            .await?;
        let attempted = tokio::time::timeout(TIMEOUT, async {
            while mail.state == NotificationState::Queued {
                tokio::time::sleep(POLL_INTERVAL).await;
                if let Some(found) = history::find(self.db.read(), mail.id).await? {
                    mail = found;
                }
            }
            Ok::<_, Error>(())
        });
        // After the timeout the mail is still queued, which the caller sees in its state.
        if let Ok(result) = attempted.await {
            result?;
        }
        let refusal = (mail.state == NotificationState::Failed).then(|| {
            let reason = mail.last_error.clone().unwrap_or_default();
            Refusal::new(RefusalCode::MailNotAccepted, format!("The mail server did not accept the mail: {reason}"))
                .at(["address"])
        });
        Ok((mail, refusal))
    }
}
