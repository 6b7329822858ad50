//! Follows the event log for one subscriber.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use uuid::Uuid;

use super::cursor::Cursor;
use super::snapshots::{Page, SnapshotPages};
use super::turns::{Turn, Turns};
use crate::error::Result;
use crate::events::Log;
use crate::instance::event::Event;
use crate::instance::queries::Filter;

/// How many events are delivered at once.
const BATCH: usize = 50;
/// A subscriber that is this many events behind catches up.
const BEHIND: i64 = 32;
/// How long to wait before the log is read again after an error.
const RETRY: Duration = Duration::from_secs(1);

/// An event for the subscriber, and the cursor to resume after it.
pub type Delivery = (Arc<Event>, Cursor);

/// Where events are read from, the same for all subscribers.
#[derive(Clone)]
pub struct Sources {
    pub log: Log<Event>,
    pub snapshots: Arc<SnapshotPages>,
    pub turns: Turns,
}

/// The position of one subscriber in the log.
pub struct LogFollower {
    sources: Sources,
    filter: Arc<Filter>,
    cursor: Cursor,
    newest: watch::Receiver<i64>,
    /// Whether the cursor is known to be within the log.
    checked: bool,
    /// Snapshots must not be older than this event.
    snapshots_from: i64,
}

impl LogFollower {
    pub fn new(sources: Sources, filter: Filter, after: Option<Cursor>) -> Self {
        Self {
            // It listens before it reads the log, so that no event falls between the two.
            newest: sources.log.listen(),
            sources,
            filter: Arc::new(filter),
            cursor: after.unwrap_or(Cursor::start()),
            checked: false,
            snapshots_from: 0,
        }
    }

    /// The next events, without gap or repeat, and the turn in which they were read, if the subscriber is behind.
    /// Waits until there are any.
    pub async fn next(&mut self) -> (Vec<Delivery>, Option<Turn>) {
        loop {
            let before = self.cursor;
            match self.read_next().await {
                Ok((deliveries, turn)) if !deliveries.is_empty() => return (deliveries, turn),
                Ok(_) if self.cursor != before => {}
                Ok(_) => tokio::time::sleep(RETRY).await,
                Err(error) => {
                    tracing::warn!(error = %error.chain(), "the event log could not be read for a subscriber; trying again");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    /// Goes back to a delivery, as if those after it had not been read.
    pub fn go_back(&mut self, cursor: Cursor) {
        self.cursor = cursor;
    }

    async fn read_next(&mut self) -> Result<(Vec<Delivery>, Option<Turn>)> {
        // Boxed is what a subscriber that is up to date does not do, so that it needs no room for it.
        if !self.checked {
            Box::pin(self.check()).await?;
        }
        let turn = self.wait().await;
        let deliveries = match self.cursor.snapshots_through {
            None => self.replay(i64::MAX).await?,
            Some(through) => Box::pin(self.snapshots(through)).await?,
        };
        Ok((deliveries, turn))
    }

    /// Waits until there is something to read, and for a turn if it is much.
    async fn wait(&mut self) -> Option<Turn> {
        if self.cursor.snapshots_through.is_none() {
            let seq = self.cursor.seq;
            // The log has the sender, so that the channel is never closed.
            let newest = self.newest.wait_for(|newest| *newest > seq).await.map_or(seq, |newest| *newest);
            if newest - seq <= BEHIND {
                return None;
            }
        }
        self.sources.turns.take().await
    }

    /// Starts again if the log does not reach back to the cursor, or if the cursor is from after the backup that
    /// this database was restored from.
    async fn check(&mut self) -> Result<()> {
        let bounds = self.sources.log.bounds().await?;
        let lost = self.cursor.seq + 1 < bounds.oldest || self.cursor.seq > bounds.newest;
        if lost || self.cursor.snapshots_through == Some(Uuid::nil()) {
            self.cursor = Cursor::start();
        }
        self.snapshots_from = bounds.newest;
        self.checked = true;
        Ok(())
    }

    fn start_again(&mut self) {
        self.cursor = Cursor::start();
        self.checked = false;
    }

    /// The next events after the cursor up to `until`, of the instances whose snapshots were sent.
    async fn replay(&mut self, until: i64) -> Result<Vec<Delivery>> {
        let Some(events) = self.sources.log.after(self.cursor.seq, BATCH).await? else {
            self.start_again();
            return Ok(Vec::new());
        };
        let mut deliveries = Vec::new();
        for entry in events.into_iter().take_while(|entry| entry.seq <= until) {
            self.cursor.seq = entry.seq;
            let Some(event) = entry.event else { continue };
            let shown = self.cursor.snapshots_through.is_none_or(|through| event.snapshot.instance.id <= through);
            if shown && self.filter.matches_event(&event.snapshot, event.at) {
                deliveries.push((event, self.cursor));
            }
        }
        Ok(deliveries)
    }

    /// The next snapshots. Before them, the new events of the instances whose snapshots were sent already.
    async fn snapshots(&mut self, through: Uuid) -> Result<Vec<Delivery>> {
        let first = through.is_nil();
        let from = if first { self.snapshots_from } else { self.cursor.seq };
        let page = self.sources.snapshots.page(&self.filter, through, from).await?;
        if page.newest < from {
            self.start_again();
            return Ok(Vec::new());
        }
        let mut deliveries = Vec::new();
        while !first && self.cursor.seq < page.newest {
            let seq = self.cursor.seq;
            deliveries.extend(self.replay(page.newest).await?);
            if self.cursor.seq == seq || !self.checked || deliveries.len() >= BATCH {
                return Ok(deliveries);
            }
        }
        deliveries.extend(self.take(&page));
        Ok(deliveries)
    }

    fn take(&mut self, page: &Page) -> Vec<Delivery> {
        let last = page.snapshots.len().saturating_sub(1);
        let delivery = |(index, event): (usize, &Arc<Event>)| {
            let snapshots_through = (page.full || index < last).then_some(event.snapshot.instance.id);
            (event.clone(), Cursor { seq: page.newest, snapshots_through })
        };
        let deliveries: Vec<Delivery> = page.snapshots.iter().enumerate().map(delivery).collect();
        self.cursor = match deliveries.last() {
            Some((_, cursor)) => *cursor,
            None => Cursor::at(page.newest),
        };
        deliveries
    }
}
