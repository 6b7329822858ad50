//! One message to a chat about many instances to which the same happened.
//!
//! Each message waits for a minute. If there are three or more of its type by then, one of them reports all, and the
//! others are recorded as included in it. They wait in the database, and what was decided is stored before it is sent.

use entity::instance;
use entity::notification::NotificationKind;
use entity::run::FailureClass;
use entity::webhook::Model as Webhook;
use entity::webhook_delivery::{ActiveModel, Column, Entity, Model as Delivery, State};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::manage::lock_existing;
use super::queries::{Lanes, heads};
use super::send::Sender;
use super::{chat, notice};
use crate::db::Tx;
use crate::error::Result;
use crate::notification::compose::{Storm, brief_storm};
use crate::notification::storm::AT_MOST;
use crate::queue::{self, Claim};

/// From how many messages on they become one.
const MANY: usize = 3;

const INCLUDED: &str = "Another message to this chat reports it together with others.";
const DELETED: &str = "The instance was deleted before this message was sent.";

impl Sender {
    /// Decides about those messages of `due` that wait for others. Returns those that are sent now; `None` if another worker
    /// has the job.
    pub(super) async fn gather(
        &self,
        claim: &Claim,
        hook: &Webhook,
        due: Vec<Delivery>,
    ) -> Result<Option<Vec<Delivery>>> {
        let mut decided = Vec::new();
        for delivery in due {
            if delivery.held_until.is_none() {
                decided.push(delivery);
                continue;
            }
            let _turn = self.writers.acquire().await.ok();
            let (now, delivery) = (self.clock.now(), &delivery);
            let one = self.db.write(|tx| async move {
                if !queue::renew(tx.conn(), claim, now).await? || lock_existing(&tx, hook.id).await?.is_none() {
                    return Ok(None);
                }
                self.decide(&tx, hook, delivery).await.map(Some)
            });
            match one.await? {
                Some(one) => decided.extend(one),
                None => return Ok(None),
            }
        }
        Ok(Some(decided))
    }

    /// The message as it is sent; `None` if its instance was deleted.
    async fn decide(&self, tx: &Tx, hook: &Webhook, delivery: &Delivery) -> Result<Option<Delivery>> {
        let alike = heads(hook.id, Lanes::Instances, false)
            .filter(Column::MessageType.eq(&delivery.message_type))
            .filter(Column::HeldUntil.is_not_null())
            .select_only()
            .columns([Column::Id, Column::InstanceId])
            .order_by_asc(Column::Position)
            .limit(AT_MOST);
        let alike: Vec<(Uuid, Option<Uuid>)> = alike.into_tuple().all(tx.conn()).await?;
        let ids: Vec<Uuid> = alike.iter().filter_map(|(_, instance)| *instance).collect();
        let rows = instance::Entity::find()
            .filter(instance::Column::Id.is_in(ids))
            .filter(instance::Column::Status.is_in(instance::Status::KEPT))
            .order_by_asc(instance::Column::NameKey);
        let rows = rows.all(tx.conn()).await?;
        let is_kept = |instance: Option<Uuid>| rows.iter().any(|row| Some(row.id) == instance);
        let (kept, gone): (Vec<_>, Vec<_>) = alike.into_iter().partition(|(_, instance)| is_kept(*instance));
        let ids = |of: &[(Uuid, Option<Uuid>)]| -> Vec<Uuid> { of.iter().map(|(id, _)| *id).collect() };
        end(tx, ids(&gone), State::Dropped, DELETED).await?;
        if !is_kept(delivery.instance_id) {
            return Ok(None);
        }
        let mut row = ActiveModel { id: Set(delivery.id), held_until: Set(None), ..Default::default() };
        if kept.len() >= MANY
            && let Some(kind) = notice::kind_of(&delivery.message_type)
        {
            row.body = Set(self.together(hook, kind, &rows, delivery.created_at));
            let others = ids(&kept).into_iter().filter(|id| *id != delivery.id).collect();
            end(tx, others, State::Included, INCLUDED).await?;
        }
        Ok(Some(row.update(tx.conn()).await?))
    }

    fn together(&self, hook: &Webhook, kind: NotificationKind, rows: &[instance::Model], at_ms: i64) -> String {
        let names: Vec<(&str, &str)> =
            rows.iter().map(|row| (self.instances.about(row).integration, row.name.as_str())).collect();
        let said = brief_storm(&Storm {
            kind,
            class: common_class(rows),
            instances: &names,
            at_ms,
            link: &format!("{}/", self.public_url),
        });
        chat::body(hook.kind, &said).to_string()
    }
}

/// The reason that all have, if it is one that instances can share.
fn common_class(rows: &[instance::Model]) -> Option<FailureClass> {
    use FailureClass as Class;
    let class = rows.first()?.failure_class?;
    let is_shared =
        matches!(class, Class::Transient | Class::Timeout | Class::Internal | Class::RemovalGuard | Class::GrowthGuard);
    (is_shared && rows.iter().all(|row| row.failure_class == Some(class))).then_some(class)
}

async fn end(tx: &Tx, ids: Vec<Uuid>, state: State, why: &str) -> Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    let row = ActiveModel {
        state: Set(state),
        held_until: Set(None),
        last_error: Set(Some(why.to_owned())),
        ..Default::default()
    };
    Entity::update_many().set(row).filter(Column::Id.is_in(ids)).exec(tx.conn()).await?;
    Ok(())
}
