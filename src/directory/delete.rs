//! Deletes rows of users, with all that belongs to them.

use entity::user::{Column, Entity};
use entity::{account_link, user_change};
use sea_orm::sea_query::LockType;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, Order, QueryFilter, QuerySelect};
use uuid::Uuid;

use super::index::{self, SOURCE, Source};
use crate::db::keyset;
use crate::error::Result;

/// Deletes the rows of up to `limit` deleted users of an instance, with their changes, words and links. Returns how
/// many there were.
pub async fn remove_batch<C: ConnectionTrait>(conn: &C, instance: Uuid, purge_through: i64, limit: u64) -> Result<u64> {
    let left = Entity::find().select_only().columns(SOURCE).filter(Column::Generation.lte(purge_through));
    let left =
        keyset::of_parent(left, (Column::InstanceId, instance), Column::Id, Order::Asc, conn.get_database_backend());
    // Locked, so that nobody writes their words meanwhile.
    remove(conn, left.limit(limit).lock(LockType::Update).into_tuple().all(conn).await?).await
}

/// Deletes rows of users, which are locked, with their changes, words and links. Returns how many there were.
pub async fn remove<C: ConnectionTrait>(conn: &C, rows: Vec<Source>) -> Result<u64> {
    if rows.is_empty() {
        return Ok(0);
    }
    let ids: Vec<Uuid> = rows.iter().map(|(id, ..)| *id).collect();
    index::remove(conn, &index::indexed(rows)).await?;
    user_change::Entity::delete_many()
        .filter(user_change::Column::UserId.is_in(ids.iter().copied()))
        .exec(conn)
        .await?;
    account_link::Entity::delete_many()
        .filter(account_link::Column::UserId.is_in(ids.iter().copied()))
        .exec(conn)
        .await?;
    Ok(Entity::delete_many().filter(Column::Id.is_in(ids)).exec(conn).await?.rows_affected)
}
