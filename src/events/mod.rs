//! The durable event log, and the part of it that a process has in memory.
//!
//! The log is the source of truth. An event is a row that is written in the transaction that
//! changes the state. Events are numbered in the order in which the changes become visible.
//! One reader per process follows the log ([`log`]) and wakes all listeners. A listener takes the
//! events after its last number. They are read from the database if the process does not have them
//! any more, so that no listener misses one. Nothing is published from memory, so a crash after the commit
//! loses nothing.

use entity::event::{ActiveModel, Cause, Column, Entity, Model};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
};
use uuid::Uuid;

use crate::db::{Reader, Tx};
use crate::error::Result;

mod cache;
pub mod findings;
mod latest;
pub mod log;
pub mod position;

pub use cache::Entry;
pub use log::Log;

/// An event to be written.
pub struct NewEvent {
    pub instance_id: Uuid,
    pub at: i64,
    pub cause: Cause,
    pub actor: Option<String>,
    /// The instance after the change.
    pub record: Vec<u8>,
}

/// Appends an event to the log when the transaction is committed.
pub fn append(tx: &Tx, event: NewEvent) {
    let NewEvent { instance_id, at, cause, actor, record } = event;
    tx.log(ActiveModel {
        instance_id: Set(instance_id),
        at: Set(at),
        cause: Set(cause),
        actor: Set(actor),
        uncompressed: Set(serde_json::Value::Null),
        record: Set(Some(record)),
        ..Default::default()
    });
}

/// The number of the newest event; 0 if there is none.
pub async fn newest<C: ConnectionTrait>(conn: &C) -> Result<i64> {
    let newest: Option<i64> = Entity::find()
        .select_only()
        .column(Column::Seq)
        .order_by_desc(Column::Seq)
        .limit(1)
        .into_tuple()
        .one(conn)
        .await?;
    Ok(newest.unwrap_or(0))
}

/// The number of the oldest event in the log; 0 if there is none.
pub async fn oldest<C: ConnectionTrait>(conn: &C) -> Result<i64> {
    let oldest: Option<i64> = Entity::find()
        .select_only()
        .column(Column::Seq)
        .order_by_asc(Column::Seq)
        .limit(1)
        .into_tuple()
        .one(conn)
        .await?;
    Ok(oldest.unwrap_or(0))
}

/// The next events after `seq`, oldest first.
async fn read_after(reader: &Reader, seq: i64, limit: u64) -> Result<Vec<Model>> {
    let page = Entity::find().filter(Column::Seq.gt(seq)).order_by_asc(Column::Seq).limit(limit);
    reader.rows(page.into_query()).await
}

/// Deletes up to `limit` of the oldest events that are from before `before` (Unix milliseconds)
/// and not the newest. Returns how many were deleted. The rest of the log has no gap.
pub async fn prune(tx: &Tx, before: i64, limit: u64) -> Result<u64> {
    let newest = newest(tx.conn()).await?;
    // Waits for other pruners instead of skipping locked rows, which would briefly leave a gap.
    let oldest: Vec<(i64, i64)> = Entity::find()
        .select_only()
        .columns([Column::Seq, Column::At])
        .order_by_asc(Column::Seq)
        .limit(limit)
        .lock_exclusive()
        .into_tuple()
        .all(tx.conn())
        .await?;
    let past = oldest.into_iter().take_while(|(seq, at)| *at < before && *seq < newest);
    let Some((last, _)) = past.last() else { return Ok(0) };
    tx.note_unlogged();
    Ok(Entity::delete_many().filter(Column::Seq.lte(last)).exec(tx.conn()).await?.rows_affected)
}
