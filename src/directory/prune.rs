//! Retention of removed users and of the changes that runs made to users.

use entity::{run, user, user_change};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::index::SOURCE;
use super::users;
use crate::db::Tx;
use crate::error::Result;

/// Deletes up to `limit` users that were removed before `before` (Unix milliseconds), with their
/// changes and words. Returns how many were deleted. A user that comes back later is a new user.
pub async fn removed(tx: &Tx, before: i64, limit: u64) -> Result<u64> {
    let past = user::Entity::find()
        .select_only()
        .columns(SOURCE)
        .filter(user::Column::RemovedAt.lt(before))
        .order_by_asc(user::Column::RemovedAt)
        .limit(limit);
    users::remove(tx.conn(), tx.hold_free(past).await?).await
}

/// Deletes up to `limit` of the oldest changes whose runs were queued before the time of the id
/// `before` and have ended. Returns how many were deleted.
pub async fn changes(tx: &Tx, before: Uuid, limit: u64) -> Result<u64> {
    let oldest = user_change::Entity::find()
        .select_only()
        .columns([user_change::Column::Id, user_change::Column::RunId])
        .order_by_asc(user_change::Column::Id)
        .limit(limit);
    let oldest: Vec<(i64, Uuid)> = tx.hold_free(oldest).await?;
    let mut past: Vec<_> = oldest.into_iter().take_while(|(_, run)| *run < before).collect();
    if past.is_empty() {
        return Ok(0);
    }
    let mut runs: Vec<Uuid> = past.iter().map(|(_, run)| *run).collect();
    runs.dedup();
    let open: Vec<Uuid> = run::Entity::find()
        .select_only()
        .column(run::Column::Id)
        .filter(run::Column::Id.is_in(runs))
        .filter(run::Column::Outcome.is_null())
        .into_tuple()
        .all(tx.conn())
        .await?;
    if let Some(end) = past.iter().position(|(_, run)| open.contains(run)) {
        past.truncate(end);
    }
    let ids: Vec<i64> = past.into_iter().map(|(id, _)| id).collect();
    if ids.is_empty() {
        return Ok(0);
    }
    Ok(user_change::Entity::delete_many()
        .filter(user_change::Column::Id.is_in(ids))
        .exec(tx.conn())
        .await?
        .rows_affected)
}
