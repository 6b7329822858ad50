//! Records an attempt, and switches off a webhook whose receiver has gone.

use entity::audit_entry::Action;
use entity::notification::NotificationKind;
use entity::webhook::{self, DisabledReason, State};
use entity::webhook_delivery::{ActiveModel, Column, Entity, Model as Delivery, State as DeliveryState};
use sea_orm::sea_query::Expr;
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter};
use tracing::{info, warn};
use url::Url;
use uuid::Uuid;

use super::attempt::{Answer, Fate, Moment, Outcome, outcome};
use super::manage;
use super::send::Sender;
use crate::audit::{self, Entry, Subject};
use crate::db::Tx;
use crate::error::Result;
use crate::notification::compose::{DisabledWebhook, disabled_webhook};
use crate::notification::outbox;
use crate::queue::{self, Claim};

/// What a delivery says that waited when its webhook was switched off.
const SWITCHED_OFF: &str = "The webhook was switched off before this message was accepted.";

impl Sender {
    /// Records an attempt. False if another worker has the job: its record counts.
    pub(super) async fn record(&self, claim: &Claim, delivery: &Delivery, answer: &Answer, at: Moment) -> Result<bool> {
        let _turn = self.writers.acquire().await.ok();
        let recorded =
            self.db.write(|tx| async move { self.record_in(&tx, claim, delivery, answer, at).await }).await?;
        let Some((Outcome { fate, disable, .. }, given_up)) = recorded else { return Ok(false) };
        let result = match fate {
            Fate::Delivered => "delivered",
            Fate::Failed => "failed",
            Fate::Retried(_) => "retried",
        };
        // Somebody watches a test.
        if delivery.position.is_some() {
            metrics::counter!("muster_webhook_deliveries_total", "outcome" => result).increment(1);
        }
        metrics::counter!("muster_webhook_deliveries_total", "outcome" => "failed").increment(given_up);
        info!(delivery.id = %delivery.id, outcome = result, "a message was sent to a webhook");
        if let Some(reason) = disable {
            warn!(reason = ?reason, "a webhook was switched off, because its receiver accepts nothing");
        }
        Ok(true)
    }

    async fn record_in(
        &self,
        tx: &Tx,
        claim: &Claim,
        delivery: &Delivery,
        answer: &Answer,
        at: Moment,
    ) -> Result<Option<(Outcome, u64)>> {
        if !queue::renew(tx.conn(), claim, at.now).await? {
            return Ok(None);
        }
        let Some(hook) = manage::lock_existing(tx, delivery.webhook_id).await? else { return Ok(None) };
        let mut outcome = outcome(answer, delivery, &hook, at);
        if hook.state == State::Disabled {
            outcome.disable = None;
        }
        store(tx, delivery, answer, outcome.fate, at.now).await?;
        if let Some(pulse) = outcome.pulse {
            let accepted = outcome.fate == Fate::Delivered;
            let row = webhook::ActiveModel {
                id: Set(hook.id),
                failing_since: Set(pulse.failing_since),
                failures: Set(pulse.failures),
                retry_at: Set(pulse.retry_at),
                last_error: Set(answer.error()),
                last_success_at: Set(if accepted { Some(at.now) } else { hook.last_success_at }),
                ..Default::default()
            };
            row.update(tx.conn()).await?;
        }
        if delivery.position.is_none() && outcome.fate == Fate::Delivered {
            manage::try_now(tx, hook.id, at.now).await?;
        }
        let given_up = match outcome.disable {
            Some(reason) => self.switch_off(tx, &hook, reason, answer, at.now).await?,
            None => 0,
        };
        Ok(Some((outcome, given_up)))
    }

    /// Returns how many messages that waited are given up.
    async fn switch_off(
        &self,
        tx: &Tx,
        hook: &webhook::Model,
        reason: DisabledReason,
        answer: &Answer,
        now: i64,
    ) -> Result<u64> {
        let row = webhook::ActiveModel {
            id: Set(hook.id),
            state: Set(State::Disabled),
            disabled_reason: Set(Some(reason)),
            disabled_at: Set(Some(now)),
            updated_at: Set(now),
            revision: Set(hook.revision + 1),
            ..Default::default()
        };
        row.update(tx.conn()).await?;
        let given_up = fail_queued(tx, hook.id).await?;
        let detail = match reason {
            DisabledReason::Gone => "A webhook was switched off: its receiver answered that it is gone.",
            DisabledReason::Failing | DisabledReason::Member => {
                "A webhook was switched off: its receiver accepted nothing for three days."
            }
        };
        let entry = Entry::new(now, Action::WebhookUpdated, detail);
        audit::record(tx, entry.about(Subject::webhook(hook.id).named(place_of(&hook.url))));
        let addresses = outbox::addresses(tx, hook.created_by_email.clone(), now).await?;
        let rendered = disabled_webhook(&DisabledWebhook {
            description: &hook.description,
            place: &place_of(&hook.url),
            is_gone: reason == DisabledReason::Gone,
            since_ms: hook.failing_since.unwrap_or(now),
            error: &answer.error().unwrap_or_default(),
            link: format!("{}/settings/webhooks", self.public_url),
        });
        let name = format!("{} {now}", hook.id);
        let about = (NotificationKind::WebhookDisabled, None);
        outbox::enqueue_report(tx, about, (&name, &self.mail_host), addresses, &rendered, now).await?;
        Ok(given_up)
    }
}

async fn store(tx: &Tx, delivery: &Delivery, answer: &Answer, fate: Fate, now: i64) -> Result<()> {
    let (state, next_try_at) = match fate {
        Fate::Delivered => (DeliveryState::Delivered, delivery.next_try_at),
        Fate::Failed => (DeliveryState::Failed, delivery.next_try_at),
        Fate::Retried(at) => (DeliveryState::Queued, at),
    };
    let (status, text) = match answer {
        Answer::Status { status, text, .. } => (Some(i32::from(*status)), Some(text.clone())),
        Answer::None(_) => (None, None),
    };
    let row = ActiveModel {
        state: Set(state),
        attempts: Set(delivery.attempts.saturating_add(1)),
        next_try_at: Set(next_try_at),
        last_try_at: Set(Some(now)),
        delivered_at: Set((fate == Fate::Delivered).then_some(now)),
        status: Set(status),
        last_error: Set(answer.error()),
        answer: Set(text),
        ..Default::default()
    };
    let mut update = Entity::update_many().set(row).filter(Column::Id.eq(delivery.id));
    // What was switched off meanwhile stays failed, unless it was accepted all the same.
    if fate != Fate::Delivered {
        update = update.filter(Column::State.eq(DeliveryState::Queued));
    }
    update.exec(tx.conn()).await?;
    Ok(())
}

/// Everything that waits for a webhook has failed, because it is switched off. Returns how many messages that are.
pub(super) async fn fail_queued(tx: &Tx, webhook: Uuid) -> Result<u64> {
    let failed = Entity::update_many()
        .col_expr(Column::State, Expr::value(DeliveryState::Failed))
        .col_expr(Column::LastError, Expr::value(SWITCHED_OFF))
        .filter(Column::WebhookId.eq(webhook))
        .filter(Column::State.eq(DeliveryState::Queued))
        .exec(tx.conn())
        .await?;
    Ok(failed.rows_affected)
}

/// The host of an address, with its scheme. The rest of it may be a secret.
pub(super) fn place_of(url: &str) -> String {
    Url::parse(url).map_or_else(|_| "an unknown address".to_owned(), |url| url.origin().ascii_serialization())
}
