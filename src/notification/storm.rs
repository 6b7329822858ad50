//! One mail for many instances that fail for the same reason, such as a proxy that is down.
//!
//! Mails about failures that may share a reason wait for a few seconds. If there are three or more to one address by
//! then, only one of them is sent, a minute after the first, and lists all instances. The others are recorded as
//! `INCLUDED`. Mails about recoveries are merged in the same way. The mails wait in the queue, not in memory.

use std::time::Duration;

use entity::job;
use entity::notification::{Column, Entity, Model, NotificationKind, NotificationState};
use entity::{instance, run};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::compose::{self, Storm};
use super::deliver::Delivery;
use super::{order, outbox};
use crate::db::Tx;
use crate::error::Result;
use crate::queue::{self, Claim};

/// How long a mail waits that may be merged with others.
#[derive(Clone, Copy, Debug)]
pub struct Hold {
    /// Before it looks for others.
    pub first: Duration,
    /// From the first of them to the merged mail.
    pub storm: Duration,
}

impl Default for Hold {
    fn default() -> Self {
        Self { first: Duration::from_secs(5), storm: Duration::from_mins(1) }
    }
}

/// From how many mails on they are merged.
const MANY: u64 = 3;
/// How many mails are merged into one at most. Further ones make another.
pub const AT_MOST: u64 = 1_000;
/// How much longer a mail waits that another one is about to include, in milliseconds.
const AGAIN_MS: i64 = 5_000;

/// The failure class that other instances may share, so that their mails can be merged.
pub fn common_reason(kind: NotificationKind, class: Option<run::FailureClass>) -> Option<run::FailureClass> {
    use run::FailureClass as Class;
    let shared = matches!(kind, NotificationKind::SyncFailed | NotificationKind::SyncRecovered);
    class.filter(|class| shared && matches!(class, Class::Transient | Class::Timeout | Class::Internal))
}

/// A queued mail that may be merged with this one: id, instance, Message-ID.
type Alike = (Uuid, Option<Uuid>, String);

/// What to do with a mail that is due.
pub(super) enum Plan {
    /// Send it as it is now.
    Send(Box<Model>),
    /// It was postponed.
    Wait,
}

impl Delivery {
    /// Decides whether the mail is sent alone, or postponed until the mails before it are sent or until it can be merged
    /// with others.
    pub(super) async fn plan(&self, claim: &Claim, mail: Model) -> Result<Plan> {
        if mail.attempts > 0 {
            return Ok(Plan::Send(Box::new(mail)));
        }
        if let Some(at) = order::waits_until(self.db.read(), &mail).await? {
            queue::give_back(&self.db, claim, at.max(self.clock.now()) + AGAIN_MS).await?;
            return Ok(Plan::Wait);
        }
        let Some(reason) = mail.reason else { return Ok(Plan::Send(Box::new(mail))) };
        let mail = &mail;
        self.db.write(|tx| async move { self.plan_in(&tx, claim, mail, reason).await }).await
    }

    async fn plan_in(&self, tx: &Tx, claim: &Claim, mail: &Model, reason: run::FailureClass) -> Result<Plan> {
        let now = self.clock.now();
        if !queue::renew(tx.conn(), claim, now).await? {
            return Ok(Plan::Wait);
        }
        let storm = i64::try_from(self.hold.storm.as_millis()).unwrap_or(i64::MAX);
        let alike = Entity::find()
            .select_only()
            .filter(Column::AddressKey.eq(&mail.address_key))
            .filter(Column::Kind.eq(mail.kind))
            .filter(Column::Reason.eq(reason))
            .filter(Column::CreatedAt.gt(mail.created_at.saturating_sub(storm)));
        let some = alike.clone().column(Column::Id).limit(MANY).into_tuple::<Uuid>().all(tx.conn()).await?;
        let queued = alike
            .filter(Column::State.eq(NotificationState::Queued))
            .filter(Column::Attempts.eq(0))
            .filter(order::in_turn())
            .order_by_asc(Column::Id);
        let first = queued.clone().columns([Column::Id, Column::CreatedAt]).limit(1);
        let first: Option<(Uuid, i64)> = first.into_tuple().one(tx.conn()).await?;
        let Some((first, since)) = first.filter(|_| some.len() as u64 == MANY) else {
            return Ok(Plan::Send(Box::new(mail.clone())));
        };
        // A time that is yet to come was written by a wrong clock.
        let due = if since > now { now } else { since.saturating_add(storm) };
        let is_first = first == mail.id;
        if now < due || !is_first {
            // The others wait a little longer than the first, which includes them.
            let at = if is_first { due } else { due.max(now) + AGAIN_MS };
            queue::release(tx, claim, at).await?;
            return Ok(Plan::Wait);
        }
        // Without their texts, which are large.
        let queued = queued.columns([Column::Id, Column::InstanceId, Column::MessageId]).limit(AT_MOST);
        let queued: Vec<Alike> = queued.into_tuple().all(tx.conn()).await?;
        self.include(tx, mail, reason, queued).await.map(|mail| Plan::Send(Box::new(mail)))
    }

    /// Merges all of `queued` that no worker is sending into the mail.
    async fn include(&self, tx: &Tx, mail: &Model, class: run::FailureClass, queued: Vec<Alike>) -> Result<Model> {
        let others = queued.iter().map(|(id, ..)| *id).filter(|id| *id != mail.id);
        let idle = job::Entity::find().select_only().column(job::Column::Subject);
        let idle = idle.filter(job::Column::Kind.eq(job::Kind::Mail)).filter(job::Column::Subject.is_in(others));
        let idle: Vec<Uuid> = tx.hold_free(idle.filter(job::Column::LeaseUntil.eq(0))).await?;
        if idle.is_empty() {
            return Ok(mail.clone());
        }
        queue::cancel(tx, job::Kind::Mail, &idle).await?;
        let told: Vec<Alike> = queued.into_iter().filter(|(id, ..)| *id == mail.id || idle.contains(id)).collect();
        let instances: Vec<Uuid> = told.iter().filter_map(|(_, instance, _)| *instance).collect();
        let replaced: Vec<String> = told.into_iter().map(|(.., message_id)| message_id).collect();
        outbox::include(tx, mail, &idle, &replaced).await?;
        let rows = instance::Entity::find().filter(instance::Column::Id.is_in(instances.iter().copied()));
        let rows = rows.order_by_asc(instance::Column::NameKey).all(tx.conn()).await?;
        let applications: Vec<Option<String>> =
            rows.iter().map(|row| (self.application)(&row.integration_key)).collect();
        let names: Vec<(&str, &str)> = rows
            .iter()
            .zip(&applications)
            .map(|(row, name)| (name.as_ref().unwrap_or(&row.integration_key).as_str(), row.name.as_str()))
            .collect();
        let rendered = compose::storm(&Storm {
            kind: mail.kind,
            class: Some(class),
            instances: &names,
            at_ms: mail.created_at,
            link: &self.public_url,
        });
        let row = entity::notification::ActiveModel {
            id: Set(mail.id),
            subject: Set(rendered.subject),
            text: Set(rendered.text),
            html: Set(rendered.html),
            reason: Set(None),
            stands_for: Set(Some(serde_json::to_value(&instances)?)),
            ..Default::default()
        };
        Ok(row.update(tx.conn()).await?)
    }
}
