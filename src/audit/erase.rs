//! Removes what is personal in entries. The chain stays whole.

use entity::audit_entry::{Action, ActorKind, Column, Entity, SubjectKind};
use entity::audit_person::{self, Column as Person};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::{Entry, Subject, ends, record};
use crate::db::{Db, Tx};
use crate::error::Result;

/// How many entries one transaction looks at.
const BATCH: u64 = 1_000;

/// Erases the names and addresses in the entries of what this token or member did, or what was done to it, some at a time.
/// Returns in how many. Each transaction that erases something has an entry.
pub async fn of(db: &Db, now: i64, id: Uuid) -> Result<u64> {
    // The entries of the erasure itself stay.
    let (mut erased, end) = (0, ends::read(db.read()).await?.last_id);
    for column in [Column::ActorId, Column::SubjectId] {
        let mut next = Some(i64::MIN);
        while let Some(after) = next {
            let (count, last) = db.write(|tx| async move { batch(&tx, now, id, column, (after, end)).await }).await?;
            (erased, next) = (erased + count, last);
        }
    }
    Ok(erased)
}

/// Returns how many were erased, and the last entry that was looked at unless there is none left.
async fn batch(tx: &Tx, now: i64, id: Uuid, column: Column, (after, end): (i64, i64)) -> Result<(u64, Option<i64>)> {
    let entries = Entity::find().filter(column.eq(id)).filter(Column::Id.gt(after)).filter(Column::Id.lte(end));
    let entries = entries.order_by_asc(Column::Id).limit(BATCH).all(tx.conn()).await?;
    let Some(last) = entries.last() else { return Ok((0, None)) };
    let ids = entries.iter().map(|entry| entry.id);
    let erase = audit_person::Entity::delete_many().filter(Person::EntryId.is_in(ids));
    let erased = erase.exec(tx.conn()).await?.rows_affected;
    if erased > 0 {
        let detail = format!("The names and addresses in {erased} entries about {id} were erased.");
        let kind = match column {
            Column::ActorId => last.actor_kind().map(|kind| match kind {
                ActorKind::Member => SubjectKind::Member,
                _ => SubjectKind::Token,
            }),
            _ => last.subject_kind(),
        };
        let subject = kind.map(|kind| Subject { kind, id, name: None });
        record(tx, Entry::new(now, Action::NamesErased, detail).about(subject));
    }
    Ok((erased, Some(last.id)))
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
