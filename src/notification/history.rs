//! The history of mails: queries, and the removal of old mails.

use std::collections::HashMap;

use entity::instance;
use entity::notification::{Column, Entity, Model, NotificationKind, NotificationState};
use sea_orm::prelude::Json;
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, Order, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    Select,
};
use uuid::Uuid;

use crate::auth::Seen;
use crate::db::{self, Reader, Total, Tx, keyset};
use crate::error::Result;

/// A filter for mails. `None` matches all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub instance_id: Option<Uuid>,
    pub kinds: Option<Vec<NotificationKind>>,
    pub states: Option<Vec<NotificationState>>,
    /// What the caller sees.
    pub seen: Seen,
}

impl Filter {
    fn select(&self) -> Select<Entity> {
        let mut select = Entity::find();
        if let Some(kinds) = &self.kinds {
            select = select.filter(Column::Kind.is_in(kinds.iter().copied()));
        }
        if let Some(states) = &self.states {
            select = select.filter(Column::State.is_in(states.iter().copied()));
        }
        if let Some(scope) = &self.seen {
            let own = instance::Entity::find().select_only().column(instance::Column::Id);
            let own = own.filter(scope.condition(instance::Column::IntegrationKey, instance::Column::Id));
            select = select.filter(Column::InstanceId.in_subquery(own.into_query()));
        }
        select
    }
}

/// One page, newest first.
pub async fn page(reader: &Reader, filter: &Filter, before: Option<Uuid>, limit: u64) -> Result<Vec<Model>> {
    let mut select = filter.select();
    if let Some(before) = before {
        select = select.filter(Column::Id.lt(before));
    }
    let backend = reader.get_database_backend();
    let select = match filter.instance_id {
        Some(id) => keyset::of_parent(select, (Column::InstanceId, id), Column::Id, Order::Desc, backend),
        None => select.order_by_desc(Column::Id),
    };
    reader.rows(select.limit(limit).into_query()).await
}

/// The instances that each of `mails` reports, in the order of the mail.
pub async fn stands_for(reader: &Reader, mails: &[Uuid]) -> Result<HashMap<Uuid, Vec<Uuid>>> {
    let columns = [Column::Id, Column::InstanceId, Column::StandsFor];
    let own = keyset::among((Entity, Column::Id), mails, reader.get_database_backend());
    let found = Entity::find().select_only().columns(columns).filter(own).into_query();
    let found: Vec<(Uuid, Option<Uuid>, Option<Json>)> = reader.rows(found).await?;
    let told = |(mail, instance, many): (Uuid, Option<Uuid>, Option<Json>)| match many {
        Some(many) => Ok((mail, serde_json::from_value(many)?)),
        None => Ok((mail, instance.into_iter().collect())),
    };
    found.into_iter().map(told).collect()
}

/// How many mails match.
pub async fn total(reader: &Reader, filter: &Filter) -> Result<Total> {
    let own = filter.instance_id.map(|id| Column::InstanceId.eq(id));
    db::total(reader, filter.select().filter(Condition::all().add_option(own))).await
}

/// One mail.
pub async fn find(reader: &Reader, id: Uuid) -> Result<Option<Model>> {
    reader.row(Entity::find_by_id(id).into_query()).await
}

/// Deletes up to `limit` mails that were created before the id `before` and are not queued.
/// Returns how many were deleted.
pub async fn prune(tx: &Tx, before: Uuid, limit: u64) -> Result<u64> {
    let expired = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::Id.lt(before))
        .filter(Column::State.ne(NotificationState::Queued))
        .order_by_asc(Column::Id)
        .limit(limit);
    let expired: Vec<Uuid> = tx.hold_free(expired).await?;
    if expired.is_empty() {
        return Ok(0);
    }
    Ok(Entity::delete_many().filter(Column::Id.is_in(expired)).exec(tx.conn()).await?.rows_affected)
}

/// Why there is a mail, and what became of it.
pub fn reason(mail: &Model) -> String {
    let why = match mail.kind {
        NotificationKind::InitialSyncSucceeded => "The first sync of the instance succeeded.",
        NotificationKind::InitialSyncFailed => "The first sync of the instance failed.",
        NotificationKind::SyncFailed => "A sync failed after one that had succeeded.",
        NotificationKind::SyncRecovered => "A sync succeeded after one that had failed.",
        NotificationKind::AutoRevoked => "The server set the instance inactive, whose syncs were already failing.",
        NotificationKind::RenewalReminder => "The last day for notice of a contract comes nearer.",
        NotificationKind::WeeklyDigest => "What was found in a week.",
        NotificationKind::WebhookDisabled => "The server switched a webhook off, because its receiver accepts nothing.",
        NotificationKind::Test => "A member asked for it, to try the mail settings.",
        NotificationKind::Unknown => "A newer version of the server decided to send it.",
    };
    let became = match mail.state {
        NotificationState::Queued if mail.attempts == 0 => "It waits to be sent.",
        NotificationState::Queued => "The mail server has not accepted it yet, and it is tried again.",
        NotificationState::Sent => "The mail server accepted it.",
        NotificationState::Failed => "It was not sent: the mail server refused it, or did not accept it in time.",
        NotificationState::Dropped => "It was not sent, because the instance was deleted first.",
        NotificationState::Included => {
            "It was not sent by itself: another mail to this address reports it together with others."
        }
    };
    format!("{why} {became}")
}
