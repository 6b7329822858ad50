//! Removes old deliveries.

use entity::webhook_delivery::{Column, Entity, State};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use crate::db::Tx;
use crate::error::Result;

/// Deletes up to `limit` deliveries that were created before the id `before` and do not wait. Returns how many were
/// deleted.
pub async fn deliveries(tx: &Tx, before: Uuid, limit: u64) -> Result<u64> {
    let expired = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::Id.lt(before))
        .filter(Column::State.ne(State::Queued))
        .order_by_asc(Column::Id)
        .limit(limit);
    let expired: Vec<Uuid> = tx.hold_free(expired).await?;
    if expired.is_empty() {
        return Ok(0);
    }
    Ok(Entity::delete_many().filter(Column::Id.is_in(expired)).exec(tx.conn()).await?.rows_affected)
}
