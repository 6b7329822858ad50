//! Tests, and messages that are sent again.

use std::time::Duration;

use entity::audit_entry::Action;
use entity::webhook::{self, Kind, State};
use entity::webhook_delivery::{ActiveModel, Column, Entity, Model, State as DeliveryState};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QuerySelect, QueryTrait};
use uuid::Uuid;

use super::kind::{Family, family};
use super::manage::{lock, note, wake};
use super::plan::queued;
use super::{Webhooks, alert, chat, payload, queries};
use crate::db::Tx;
use crate::error::{Error, Refusal, RefusalCode, Result};

/// How long the caller waits for the result of a test: longer than an attempt.
const TEST_RESULT: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(50);

/// There is no delivery with this id.
pub fn no_delivery() -> Error {
    Refusal::new(RefusalCode::NotFound, "There is no delivery with this id.").into()
}

impl Webhooks {
    /// Sends a test, also to a webhook that is switched off. Returns it as it is after the attempt, or still queued if no
    /// worker is running.
    pub async fn test(&self, id: Uuid) -> Result<Model> {
        let (db, now) = (&self.instances.db, self.instances.clock.now());
        let mut test = db
            .write(|tx| async move {
                let hook = lock(&tx, id).await?;
                let test = Uuid::now_v7();
                let body = self.test_body(hook.kind, test, now)?;
                let row = ActiveModel {
                    id: Set(test),
                    webhook_id: Set(id),
                    position: Set(None),
                    instance_id: Set(None),
                    message_type: Set(payload::TEST.to_owned()),
                    body: Set(body),
                    ..queued(now)
                };
                let row = row.insert(tx.conn()).await?;
                wake(&tx, id, now).await?;
                note(&tx, &hook, Action::WebhookTested, "A test was sent to a webhook.", now);
                Ok(row)
            })
            .await?;
        let attempted = tokio::time::timeout(TEST_RESULT, async {
            while test.state == DeliveryState::Queued {
                tokio::time::sleep(LOOK).await;
                test = queries::find_delivery(db.read(), test.id).await?.ok_or_else(no_delivery)?;
            }
            Ok::<_, Error>(())
        });
        // After the timeout the test is still queued, which the caller sees in its state.
        if let Ok(result) = attempted.await {
            result?;
        }
        Ok(test)
    }

    fn test_body(&self, kind: Kind, test: Uuid, now: i64) -> Result<String> {
        let link = format!("{}/settings/webhooks", self.public_url);
        Ok(match family(kind) {
            Family::Standard => {
                payload::of_test(now).map_err(|error| Error::internal("writing the body of a message", error))?
            }
            Family::Chat => chat::body(kind, &chat::of_test(link)).to_string(),
            Family::Alert => alert::test(kind, test, &link, now).to_string(),
        })
    }

    /// Sends one message again.
    pub async fn retry(&self, id: Uuid) -> Result<Model> {
        let (db, now) = (&self.instances.db, self.instances.clock.now());
        let webhook = queries::find_delivery(db.read(), id).await?.ok_or_else(no_delivery)?.webhook_id;
        db.write(|tx| async move {
            let hook = lock_enabled(&tx, webhook).await?;
            let delivery = queries::find_delivery(tx.conn(), id).await?.ok_or_else(no_delivery)?;
            if delivery.position.is_none() {
                return Err(Refusal::invalid("A test is not sent again. Send another one.", ["id"]).into());
            }
            if delivery.state == DeliveryState::Included {
                let message = "This message is not sent by itself: send the one again that reports it with others.";
                return Err(Refusal::invalid(message, ["id"]).into());
            }
            if delivery.state == DeliveryState::Dropped {
                let message = "The instance was deleted before this message was sent, so nobody waits for it.";
                return Err(Refusal::invalid(message, ["id"]).into());
            }
            if delivery.state == DeliveryState::Queued {
                return Ok(delivery);
            }
            if family(hook.kind) == Family::Alert && !is_last(&tx, &delivery).await? {
                let message = "A later message has told how this instance is. This one would make the alert wrong.";
                return Err(Refusal::invalid(message, ["id"]).into());
            }
            requeue(&tx, Column::Id.eq(id), now).await?;
            wake(&tx, webhook, now).await?;
            note(&tx, &hook, Action::DeliveriesRetried, "One message of a webhook is sent again.", now);
            queries::find_delivery(tx.conn(), id).await?.ok_or_else(no_delivery)
        })
        .await
    }

    /// Sends everything again that was made since a time, and has failed. Returns how many messages that are.
    pub async fn retry_failed(&self, id: Uuid, since: i64) -> Result<u64> {
        let now = self.instances.clock.now();
        self.instances
            .db
            .write(|tx| async move {
                let hook = lock_enabled(&tx, id).await?;
                let count = requeue(&tx, failed(&hook).and(Column::CreatedAt.gte(since)), now).await?;
                if count > 0 {
                    wake(&tx, id, now).await?;
                    note(
                        &tx,
                        &hook,
                        Action::DeliveriesRetried,
                        "The failed messages of a webhook are sent again.",
                        now,
                    );
                }
                Ok(count)
            })
            .await
    }
}

/// The messages of a webhook that failed. Of those about one alert, only the last one says how the instance is, and only if
/// it failed.
pub(super) fn failed(hook: &webhook::Model) -> Expr {
    let own = Column::WebhookId.eq(hook.id).and(Column::Position.is_not_null());
    let failed = own.clone().and(Column::State.eq(DeliveryState::Failed));
    if family(hook.kind) != Family::Alert {
        return failed;
    }
    let last = Entity::find().select_only().expr(Column::Position.max()).filter(own).group_by(Column::InstanceId);
    failed.and(Column::Position.in_subquery(last.into_query()))
}

/// Whether no message of a webhook about the same instance is later.
async fn is_last(tx: &Tx, delivery: &Model) -> Result<bool> {
    let later = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::WebhookId.eq(delivery.webhook_id))
        .filter(Column::InstanceId.eq(delivery.instance_id))
        .filter(Column::Position.gt(delivery.position))
        .limit(1);
    Ok(later.into_tuple::<Uuid>().one(tx.conn()).await?.is_none())
}

/// Queues deliveries again. They keep their places in the order, and their ids.
pub(super) async fn requeue(tx: &Tx, which: Expr, now: i64) -> Result<u64> {
    let row = ActiveModel {
        state: Set(DeliveryState::Queued),
        attempts: Set(0),
        queued_at: Set(now),
        next_try_at: Set(now),
        delivered_at: Set(None),
        ..Default::default()
    };
    Ok(Entity::update_many().set(row).filter(which).exec(tx.conn()).await?.rows_affected)
}

async fn lock_enabled(tx: &Tx, id: Uuid) -> Result<webhook::Model> {
    let hook = lock(tx, id).await?;
    if hook.state == State::Disabled {
        let message = "The webhook is switched off. Switch it on, and send again then.";
        return Err(Refusal::new(RefusalCode::WebhookDisabled, message).into());
    }
    Ok(hook)
}
