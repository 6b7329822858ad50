//! The audit log: actions of members that do not change an instance's state and so have no event.

use entity::audit_entry::{Action, ActiveModel, Column, Entity, Model};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
};
use uuid::Uuid;

use crate::db::{self, Reader, Total, Tx};
use crate::error::Result;

/// Adds an entry in the transaction of the action. `detail` is a sentence for a person,
/// without addresses or secrets.
pub async fn record(
    tx: &Tx,
    at: i64,
    actor: &str,
    action: Action,
    instance_id: Option<Uuid>,
    detail: &str,
) -> Result<()> {
    ActiveModel {
        at: Set(at),
        actor: Set(actor.to_owned()),
        action: Set(action),
        instance_id: Set(instance_id),
        detail: Set(detail.to_owned()),
        ..Default::default()
    }
    .insert(tx.conn())
    .await?;
    Ok(())
}

/// One page, newest first.
pub async fn page(reader: &Reader, before: Option<i64>, limit: u64) -> Result<Vec<Model>> {
    let mut select = Entity::find();
    if let Some(before) = before {
        select = select.filter(Column::Id.lt(before));
    }
    reader.rows(select.order_by_desc(Column::Id).limit(limit).into_query()).await
}

/// Deletes up to `limit` of the oldest entries if they are from before `before` (Unix
/// milliseconds). Returns how many were deleted.
pub async fn prune(tx: &Tx, before: i64, limit: u64) -> Result<u64> {
    let oldest = Entity::find().select_only().columns([Column::Id, Column::At]).order_by_asc(Column::Id).limit(limit);
    let oldest: Vec<(i64, i64)> = tx.hold_free(oldest).await?;
    let expired: Vec<i64> = oldest.into_iter().take_while(|(_, at)| *at < before).map(|(id, _)| id).collect();
    if expired.is_empty() {
        return Ok(0);
    }
    Ok(Entity::delete_many().filter(Column::Id.is_in(expired)).exec(tx.conn()).await?.rows_affected)
}

/// How many entries there are.
pub async fn total(reader: &Reader) -> Result<Total> {
    db::total(reader, Entity::find()).await
}
