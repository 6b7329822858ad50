//! The durable event log, and the feed that carries it to subscribers.
//!
//! The log is the truth: an event is a row, written in the transaction that changed the
//! state, numbered in the order in which the changes became visible. The feed is a
//! convenience: one reader in the process follows the log and hands each row to
//! everybody who listens. Whoever falls behind, or came late, reads the log from the
//! number that it knows and misses nothing. Nothing is ever published from memory, so a
//! process that is killed between commit and publication has lost nothing either.

use std::sync::Arc;
use std::time::Duration;

use entity::event::{ActiveModel, Cause, Column, Entity, Model};
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};
use uuid::Uuid;

use crate::db::{Db, Topic, Tx};
use crate::error::{Error, Result};

/// How many events the feed keeps for listeners that are slow for a moment.
const FEED: usize = 1024;
/// How many rows are read from the log at once.
const PAGE: u64 = 200;
/// How often the log is looked at when nothing wakes the reader.
const POLL: Duration = Duration::from_secs(2);

/// An event to be written.
pub struct NewEvent {
    pub instance_id: Uuid,
    pub at: i64,
    pub cause: Cause,
    pub actor: Option<String>,
    /// The instance after the change.
    pub record: Vec<u8>,
}

/// Appends to the log when the transaction that changed the state is committed.
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

/// The number of the newest event; 0 when there is none.
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

/// The number of the oldest event that is still kept; 0 when there is none.
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

/// The next events after `seq`, oldest first, and no more than one page of them.
pub async fn read_after<C: ConnectionTrait>(conn: &C, seq: i64) -> Result<Vec<Model>> {
    Ok(Entity::find().filter(Column::Seq.gt(seq)).order_by_asc(Column::Seq).limit(PAGE).all(conn).await?)
}

/// Deletes up to `limit` of the oldest events, as long as they are from before `before` (Unix
/// milliseconds) and are not the newest; answers how many. What remains has no gap.
pub async fn prune(tx: &Tx, before: i64, limit: u64) -> Result<u64> {
    let newest = newest(tx.conn()).await?;
    // Whoever else prunes is waited for, and not passed by: that would leave a gap for a moment.
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
    Ok(Entity::delete_many().filter(Column::Seq.lte(last)).exec(tx.conn()).await?.rows_affected)
}

/// Hands new events to everybody in the process who listens, as `T`: the row, decoded once.
pub struct Feed<T>(broadcast::Sender<Arc<T>>);

impl<T> Clone for Feed<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Default for Feed<T> {
    fn default() -> Self {
        Self(broadcast::Sender::new(FEED))
    }
}

impl<T: TryFrom<Model, Error = Error>> Feed<T> {
    /// Events from now on. A receiver that lags is told so, and reads the log.
    pub fn listen(&self) -> broadcast::Receiver<Arc<T>> {
        self.0.subscribe()
    }

    /// Follows the log from after `seq` until `stop`. Whoever listens must have been able
    /// to read the log up to there.
    pub async fn follow(self, db: Db, mut seq: i64, stop: CancellationToken) {
        let mut wake = db.listen(Topic::Events);
        loop {
            wake.mark_unchanged();
            if let Err(error) = self.catch_up(&db, &mut seq).await {
                warn!(error = %error.chain(), "the event log could not be read; trying again");
            }
            tokio::select! {
                () = stop.cancelled() => return,
                _ = wake.changed() => {}
                () = tokio::time::sleep(POLL) => {}
            }
        }
    }

    async fn catch_up(&self, db: &Db, seq: &mut i64) -> Result<()> {
        loop {
            let events = read_after(db.read(), *seq).await?;
            let full = events.len() as u64 == PAGE;
            for event in events {
                *seq = event.seq;
                match T::try_from(event) {
                    // An error only says that nobody listens.
                    Ok(event) => drop(self.0.send(Arc::new(event))),
                    Err(error) => {
                        error!(event.seq = *seq, error = %error.chain(), "an event cannot be read and is passed over");
                    }
                }
            }
            if !full {
                return Ok(());
            }
        }
    }
}
