//! Follows the event log for one subscriber.

use std::sync::Arc;
use std::time::Duration;

use async_stream::stream;
use entity::event::Cause;
use futures_util::Stream;
use tokio::sync::broadcast::error::RecvError;
use uuid::Uuid;

use super::cursor::Cursor;
use crate::clock::Clock;
use crate::db::Db;
use crate::error::Result;
use crate::events::{self, Feed};
use crate::instance::Instances;
use crate::instance::event::{Event, Snapshot};
use crate::instance::queries::Filter;

/// How many snapshots are read at once.
const SNAPSHOT_PAGE: u64 = 100;
/// How long to wait before the log is read again after an error.
const RETRY: Duration = Duration::from_secs(1);

/// An event for the subscriber, and the cursor to resume after it.
pub type Delivery = (Arc<Event>, Cursor);

/// The position of one subscriber in the log.
pub struct LogFollower {
    db: Db,
    clock: Clock,
    filter: Filter,
    cursor: Cursor,
}

impl LogFollower {
    pub fn new(db: Db, clock: Clock, filter: Filter, after: Option<Cursor>) -> Self {
        Self { db, clock, filter, cursor: after.unwrap_or(Cursor::start()) }
    }

    /// All events after the cursor, without gap or repeat. While the follower is behind, it reads the log;
    /// then it takes the events of the feed.
    pub fn follow(mut self, feed: Feed<Event>) -> impl Stream<Item = Delivery> {
        stream! {
            // It listens before it reads the log, so that no event falls between the two.
            let mut live = feed.listen();
            let mut behind = true;
            loop {
                while behind {
                    match self.catch_up().await {
                        Ok((deliveries, more)) => {
                            for delivery in deliveries {
                                yield delivery;
                            }
                            behind = more;
                        }
                        Err(error) => {
                            tracing::warn!(error = %error.chain(), "the event log could not be read for a subscriber; trying again");
                            tokio::time::sleep(RETRY).await;
                        }
                    }
                }
                match live.recv().await {
                    Ok(event) => {
                        if let Some(delivery) = self.accept(event) {
                            yield delivery;
                        }
                    }
                    Err(RecvError::Lagged(_)) => behind = true,
                    Err(RecvError::Closed) => return,
                }
            }
        }
    }

    /// Takes an event of the feed, unless it was read from the log already.
    fn accept(&mut self, event: Arc<Event>) -> Option<Delivery> {
        if event.seq <= self.cursor.seq {
            return None;
        }
        self.cursor.seq = event.seq;
        self.filter.matches_event(&event.snapshot).then_some((event, self.cursor))
    }

    /// The next deliveries, and whether there may be more of them now.
    async fn catch_up(&mut self) -> Result<(Vec<Delivery>, bool)> {
        let Some(through) = self.cursor.snapshots_through else {
            return Ok(self.replay(i64::MAX).await?.unwrap_or((Vec::new(), true)));
        };
        // One view for both: the number of the newest event, and the instances as of that event.
        let view = self.db.view().await?;
        let newest = events::newest(view.conn()).await?;
        let page = Instances::snapshots_after(view.conn(), &self.filter, through, SNAPSHOT_PAGE).await?;
        view.close().await?;
        if self.cursor.seq > newest {
            // The cursor is from after the backup that this database was restored from.
            self.cursor = Cursor::start();
            return Ok((Vec::new(), true));
        }
        if through == Uuid::nil() || self.cursor.seq == newest {
            return Ok(self.snapshots(page, newest));
        }
        let Some((mut deliveries, _)) = self.replay(newest).await? else {
            return Ok((Vec::new(), true));
        };
        if self.cursor.seq < newest {
            return Ok((deliveries, true));
        }
        let (snapshots, more) = self.snapshots(page, newest);
        deliveries.extend(snapshots);
        Ok((deliveries, more))
    }

    /// The events after the cursor up to `until`, of the instances whose snapshots were sent.
    /// `None`: the log no longer reaches back to the cursor, and the follower starts again.
    async fn replay(&mut self, until: i64) -> Result<Option<(Vec<Delivery>, bool)>> {
        let conn = self.db.read();
        let rows = events::read_after(conn, self.cursor.seq).await?;
        // Only after the rows: if the log reaches back to the cursor now, it did when the rows were read.
        let lost = self.cursor.seq + 1 < events::oldest(conn).await?;
        let ahead = rows.is_empty() && self.cursor.seq > events::newest(conn).await?;
        if lost || ahead {
            self.cursor = Cursor::start();
            return Ok(None);
        }
        let more = !rows.is_empty();
        let mut deliveries = Vec::new();
        for row in rows.into_iter().take_while(|row| row.seq <= until) {
            let (seq, instance) = (row.seq, row.instance_id);
            self.cursor.seq = seq;
            if self.cursor.snapshots_through.is_some_and(|through| instance > through) {
                continue;
            }
            match Event::try_from(row) {
                Ok(event) if self.filter.matches_event(&event.snapshot) => {
                    deliveries.push((Arc::new(event), self.cursor));
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::error!(event.seq = seq, error = %error.chain(), "an event cannot be read and is skipped");
                }
            }
        }
        Ok(Some((deliveries, more)))
    }

    fn snapshots(&mut self, page: Vec<Snapshot>, newest: i64) -> (Vec<Delivery>, bool) {
        let now = self.clock.now();
        let full = page.len() as u64 == SNAPSHOT_PAGE;
        let last = page.len().saturating_sub(1);
        let mut deliveries = Vec::with_capacity(page.len());
        for (index, snapshot) in page.into_iter().enumerate() {
            let snapshots_through = (full || index < last).then_some(snapshot.instance.id);
            self.cursor = Cursor { seq: newest, snapshots_through };
            let event = Event { seq: newest, at: now, cause: Cause::Snapshot, actor: None, snapshot };
            deliveries.push((Arc::new(event), self.cursor));
        }
        if !full {
            self.cursor = Cursor::at(newest);
        }
        (deliveries, full)
    }
}
