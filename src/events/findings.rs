//! The log of what evaluations of findings have opened and closed. It lies beside the log of events, which are changes of
//! the state of instances, and is for webhooks only.
//!
//! Each entry is written in the transaction that ends its evaluation, and has a *place* between the events that were
//! committed before it and those that follow. Places increase in the order in which the entries become visible, because
//! whoever appends one holds the only row of `finding_log` until the commit.

use std::collections::BTreeMap;

use entity::finding::Kind;
use entity::finding_change::{ActiveModel, Column, Entity, Model};
use entity::finding_log;
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::newest as newest_event;
use crate::db::{Topic, Tx};
use crate::error::{Error, Result};

/// How many places there are from one event to the next.
pub const PLACES: i64 = 1 << 24;
/// How many of them, the first ones, are for what follows from the event itself.
pub const OF_EVENT: i64 = 4;

/// How many findings of each type were opened and closed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub opened: BTreeMap<Kind, i64>,
    pub closed: BTreeMap<Kind, i64>,
}

impl Counts {
    pub fn open(&mut self, kind: Kind) {
        *self.opened.entry(kind).or_default() += 1;
    }

    pub fn close(&mut self, kind: Kind) {
        *self.closed.entry(kind).or_default() += 1;
    }

    pub fn is_empty(&self) -> bool {
        self.opened.is_empty() && self.closed.is_empty()
    }
}

/// Appends what an evaluation has changed, if that is anything.
pub async fn append(tx: &Tx, instance: Uuid, counts: &Counts, now: i64) -> Result<()> {
    if counts.is_empty() {
        return Ok(());
    }
    let conn = tx.conn();
    let log = finding_log::Entity::find_by_id(finding_log::ONLY).lock_exclusive().one(conn).await?;
    let log = log.ok_or_else(|| Error::Internal("the table finding_log is empty".into()))?;
    let place = 1 + log.newest.max(newest_event(conn).await? * PLACES + OF_EVENT - 1);
    let row = Model { place, instance_id: instance, at: now, counts: serde_json::to_string(counts)? };
    Entity::insert(ActiveModel::from(row)).exec_without_returning(conn).await?;
    finding_log::ActiveModel { id: Set(log.id), newest: Set(place) }.update(conn).await?;
    tx.announce(Topic::Events);
    Ok(())
}

/// The place of the newest entry; 0 if there never was one.
pub async fn newest<C: ConnectionTrait>(conn: &C) -> Result<i64> {
    let log = finding_log::Entity::find_by_id(finding_log::ONLY).one(conn).await?;
    Ok(log.map_or(0, |log| log.newest))
}

/// The next entries after a place and before another one, in their order.
pub async fn between<C: ConnectionTrait>(conn: &C, after: i64, before: i64, limit: u64) -> Result<Vec<Model>> {
    let next = Entity::find().filter(Column::Place.gt(after)).filter(Column::Place.lt(before));
    Ok(next.order_by_asc(Column::Place).limit(limit).all(conn).await?)
}

/// Deletes up to `limit` of the oldest entries that are from before `before` (Unix milliseconds). Returns how many were
/// deleted.
pub async fn prune(tx: &Tx, before: i64, limit: u64) -> Result<u64> {
    let oldest = Entity::find().select_only().columns([Column::Place, Column::At]).order_by_asc(Column::Place);
    let oldest: Vec<(i64, i64)> = oldest.limit(limit).into_tuple().all(tx.conn()).await?;
    let Some((last, _)) = oldest.into_iter().take_while(|(_, at)| *at < before).last() else { return Ok(0) };
    Ok(Entity::delete_many().filter(Column::Place.lte(last)).exec(tx.conn()).await?.rows_affected)
}
