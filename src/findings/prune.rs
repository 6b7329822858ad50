//! Retention of closed findings.

use entity::finding::{Column, Entity};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use crate::db::Tx;
use crate::error::Result;

/// Deletes up to `limit` findings that were closed before `before` (Unix milliseconds). Returns how many were deleted.
pub async fn closed(tx: &Tx, before: i64, limit: u64) -> Result<u64> {
    let past = Entity::find().select_only().column(Column::Id).filter(Column::ClosedAt.lt(before));
    let past: Vec<Uuid> = tx.hold_free(past.order_by_asc(Column::ClosedAt).limit(limit)).await?;
    if past.is_empty() {
        return Ok(0);
    }
    Ok(Entity::delete_many().filter(Column::Id.is_in(past)).exec(tx.conn()).await?.rows_affected)
}
