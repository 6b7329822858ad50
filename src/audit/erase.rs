//! Removes what is personal in entries. The chain stays whole.

use entity::audit_entry::{Column, Entity};
use entity::audit_person::{self, Column as Person};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait};
use uuid::Uuid;

use crate::db::Tx;
use crate::error::Result;

/// Erases the names and addresses in the entries of what this token or member did, or what was done to it. Returns in how
/// many.
pub async fn of(tx: &Tx, id: Uuid) -> Result<u64> {
    let about = Condition::any().add(Column::ActorId.eq(id)).add(Column::SubjectId.eq(id));
    let entries = Entity::find().select_only().column(Column::Id).filter(about).into_query();
    let erase = audit_person::Entity::delete_many().filter(Person::EntryId.in_subquery(entries));
    Ok(erase.exec(tx.conn()).await?.rows_affected)
}

/// Erases up to `limit` of the oldest names and addresses if they are from before `before` (Unix milliseconds). Returns
/// how many were erased.
pub async fn expired(tx: &Tx, before: i64, limit: u64) -> Result<u64> {
    let end = Entity::find().select_only().column(Column::Id).filter(Column::At.gte(before));
    let end = end.order_by_asc(Column::At).order_by_asc(Column::Id).limit(1);
    let end: Option<i64> = end.into_tuple().one(tx.conn()).await?;
    let oldest = audit_person::Entity::find().select_only().column(Person::EntryId);
    let oldest = oldest.order_by_asc(Person::EntryId).limit(limit);
    let oldest: Vec<i64> = tx.hold_free::<_, (i64,)>(oldest).await?.into_iter().map(|(id,)| id).collect();
    let expired: Vec<i64> = oldest.into_iter().take_while(|id| end.is_none_or(|end| *id < end)).collect();
    if expired.is_empty() {
        return Ok(0);
    }
    let erase = audit_person::Entity::delete_many().filter(Person::EntryId.is_in(expired));
    Ok(erase.exec(tx.conn()).await?.rows_affected)
}
