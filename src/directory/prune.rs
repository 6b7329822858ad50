//! Retention of removed users and of the changes that runs made to users.

use entity::{run, user, user_change};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::index::SOURCE;
use super::{delete, follow_up, history};
use crate::clock::id_at;
use crate::db::Tx;
use crate::error::Result;

/// Deletes up to `limit` users that were removed before `before` (Unix milliseconds), with their
/// changes and words. Returns how many were deleted. A user that comes back later is a new user.
pub async fn removed(tx: &Tx, before: i64, now: i64, limit: u64) -> Result<u64> {
    let past = user::Entity::find()
        .select_only()
        .columns(SOURCE)
        .filter(user::Column::RemovedAt.lt(before))
        .order_by_asc(user::Column::RemovedAt)
        .limit(limit);
    let removed = delete::remove(tx.conn(), tx.hold_free(past).await?).await?;
    if removed > 0 {
        history::cut(tx, before).await?;
        follow_up::after_retention(tx, now).await?;
    }
    Ok(removed)
}

/// Deletes up to `limit` of the oldest changes that were stored before `before` (Unix milliseconds), and whose runs have
/// ended. Returns how many were deleted.
pub async fn changes(tx: &Tx, before: i64, limit: u64) -> Result<u64> {
    let oldest = user_change::Entity::find()
        .select_only()
        .columns([user_change::Column::Id, user_change::Column::RunId, user_change::Column::At])
        .order_by_asc(user_change::Column::Id)
        .limit(limit);
    let oldest: Vec<(i64, Uuid, i64)> = tx.hold_free(oldest).await?;
    // Those that an earlier release wrote have no time. The id of their run has one.
    let first_run = id_at(before, &[0; 10]);
    let is_past = |run: Uuid, at: i64| if at > 0 { at < before } else { run < first_run };
    let past = oldest.into_iter().take_while(|(_, run, at)| is_past(*run, *at));
    let mut past: Vec<_> = past.map(|(id, run, _)| (id, run)).collect();
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
    history::cut(tx, before).await?;
    Ok(user_change::Entity::delete_many()
        .filter(user_change::Column::Id.is_in(ids))
        .exec(tx.conn())
        .await?
        .rows_affected)
}
