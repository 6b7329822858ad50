//! The durable event log, and the feed that carries it to subscribers.
//!
//! The log is the source of truth. An event is a row that is written in the transaction that
//! changes the state. Events are numbered in the order in which the changes become visible.
//! The feed is a convenience: one reader per process follows the log and passes each event to
//! all listeners. A listener that is behind reads the log from its last number and misses
//! nothing. Nothing is published from memory, so a crash after the commit loses nothing.

use std::sync::Arc;
use std::time::Duration;

use entity::event::{ActiveModel, Cause, Column, Entity, Model};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};
use uuid::Uuid;

use crate::db::{Db, Reader, Topic, Tx};
use crate::error::{Error, Result};

/// How many events the feed keeps for listeners that are slow for a moment.
const FEED: usize = 1024;
/// How many rows are read from the log at once.
const PAGE: u64 = 200;
/// How often the log is polled without a wake-up.
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

/// The next page of events after `seq`, oldest first.
pub async fn read_after(reader: &Reader, seq: i64) -> Result<Vec<Model>> {
    let page = Entity::find().filter(Column::Seq.gt(seq)).order_by_asc(Column::Seq).limit(PAGE);
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
    Ok(Entity::delete_many().filter(Column::Seq.lte(last)).exec(tx.conn()).await?.rows_affected)
}

/// Passes new events to all listeners of the process, decoded once as `T`.
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
    /// The events from now on. A receiver that lags gets an error, and has to read the log.
    pub fn listen(&self) -> broadcast::Receiver<Arc<T>> {
        self.0.subscribe()
    }

    /// Follows the log after `seq` until `stop`. Events up to `seq` must be committed before
    /// anybody listens.
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
                    // An error only means that there are no listeners.
                    Ok(event) => drop(self.0.send(Arc::new(event))),
                    Err(error) => {
                        error!(event.seq = *seq, error = %error.chain(), "an event cannot be read and is skipped");
                    }
                }
            }
            if !full {
                return Ok(());
            }
        }
    }
}
