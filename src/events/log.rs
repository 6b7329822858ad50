//! The log as the subscribers of a process read it: each event is read and decoded once for all of them.

use std::sync::Arc;
use std::time::Duration;

use entity::event::Model;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::cache::{BLOCK, Cache, Entry};
use super::latest::Latest;
use super::{newest, oldest, read_after};
use crate::db::{Db, Topic};
use crate::error::{Error, Result};

/// How often the log is polled without a wake-up.
const POLL: Duration = Duration::from_secs(2);
/// How long the listeners of a busy log are kept waiting. What happens meanwhile reaches each of them in one write, which
/// costs most of an event's delivery.
const GATHER: Duration = Duration::from_millis(40);
/// A log is busy so long after an event.
const BUSY: Duration = Duration::from_millis(500);
/// How many bytes of events are kept in memory, about.
const MAX_CACHED_BYTES: usize = 16 * 1024 * 1024;
/// How many bytes an event takes for each byte of its row, about: records are compressed.
const EXPANSION: usize = 8;

/// The numbers of the oldest and the newest event; 0 if there is none.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bounds {
    pub oldest: i64,
    pub newest: i64,
}

/// The log with events decoded as `T`. Clones share it.
pub struct Log<T>(Arc<Shared<T>>);

struct Shared<T> {
    db: Db,
    /// The number up to which this process has read the log.
    position: watch::Sender<i64>,
    cache: Mutex<Cache<T>>,
    /// Held while events that are not in the cache are read, so that nobody reads the same ones meanwhile.
    reading: tokio::sync::Mutex<()>,
    bounds: Latest<Bounds>,
}

impl<T> Clone for Log<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: TryFrom<Model, Error = Error>> Log<T> {
    /// Events up to `seq` must be committed before anybody listens.
    pub fn new(db: Db, seq: i64) -> Self {
        Self(Arc::new(Shared {
            db,
            position: watch::Sender::new(seq),
            cache: Mutex::new(Cache::new(MAX_CACHED_BYTES)),
            reading: tokio::sync::Mutex::default(),
            bounds: Latest::default(),
        }))
    }

    /// Changes when there are new events: the number of the newest one.
    pub fn listen(&self) -> watch::Receiver<i64> {
        self.0.position.subscribe()
    }

    /// The bounds of the log, as the database has them now.
    pub async fn bounds(&self) -> Result<Bounds> {
        let conn = self.0.db.read();
        self.0.bounds.get(async || Ok(Bounds { oldest: oldest(conn).await?, newest: newest(conn).await? })).await
    }

    /// Up to `limit` events after `seq`; none if there is no later one. `None`: the log does not reach back to `seq`, or
    /// ends before it.
    pub async fn after(&self, seq: i64, limit: usize) -> Result<Option<Vec<Entry<T>>>> {
        let known = self.0.cache.lock().after(seq, limit);
        if !known.is_empty() {
            return Ok(Some(known));
        }
        // Boxed, because subscribers that are up to date need no room for it.
        Box::pin(self.read_after(seq, limit)).await
    }

    async fn read_after(&self, seq: i64, limit: usize) -> Result<Option<Vec<Entry<T>>>> {
        let _one_reads = self.0.reading.lock().await;
        let known = self.0.cache.lock().after(seq, limit);
        if !known.is_empty() {
            return Ok(Some(known));
        }
        // From the beginning of the block, for others who are a little further back.
        let from = seq - seq.rem_euclid(BLOCK);
        let conn = self.0.db.read();
        let rows = read_after(conn, from, BLOCK.unsigned_abs()).await?;
        let last = rows.last().map_or(from, |row| row.seq);
        self.keep(from, rows).await?;
        let found = self.0.cache.lock().after(seq, limit);
        if !found.is_empty() {
            return Ok(Some(found));
        }
        // Only after the rows: if the log reaches back to the number now, it did when the rows were read.
        let lost = seq + 1 < oldest(conn).await?;
        let ahead = last < seq && newest(conn).await? < seq;
        Ok(if lost || ahead { None } else { Some(Vec::new()) })
    }

    /// Keeps rows that were read after the number `from`.
    async fn keep(&self, from: i64, rows: Vec<Model>) -> Result<()> {
        let Some(first) = rows.first().map(|row| row.seq) else { return Ok(()) };
        // Numbers in front of the first may belong to no event, or to events that retention has removed.
        let pruned = first > from + 1 && oldest(self.0.db.read()).await? > from + 1;
        let mut after = if pruned { first - 1 } else { from };
        for row in rows {
            let (seq, stored) = (row.seq, row.record.as_ref().map_or(0, Vec::len));
            let event = match T::try_from(row) {
                Ok(event) => Some(Arc::new(event)),
                Err(error) => {
                    error!(event.seq = seq, error = %error.chain(), "an event cannot be read and is skipped");
                    None
                }
            };
            let bytes = size_of::<T>() + EXPANSION * stored;
            self.0.cache.lock().insert(Entry::new(after, seq, event), bytes);
            after = seq;
        }
        Ok(())
    }

    /// Follows the log until `stop`.
    pub async fn follow(self, stop: CancellationToken) {
        let mut wake = self.0.db.listen(Topic::Events);
        let mut busy_until = Instant::now();
        loop {
            wake.mark_unchanged();
            let before = *self.0.position.borrow();
            if let Err(error) = self.catch_up().await {
                warn!(error = %error.chain(), "the event log could not be read; trying again");
            }
            if *self.0.position.borrow() > before {
                busy_until = Instant::now() + BUSY;
            }
            if self.0.position.receiver_count() == 0 {
                self.0.cache.lock().clear();
            }
            tokio::select! {
                () = stop.cancelled() => return,
                _ = wake.changed() => if Instant::now() < busy_until { sleep(GATHER).await },
                () = sleep(POLL) => {}
            }
        }
    }

    async fn catch_up(&self) -> Result<()> {
        loop {
            let seq = *self.0.position.borrow();
            let rows = read_after(self.0.db.read(), seq, BLOCK.unsigned_abs()).await?;
            let Some(last) = rows.last().map(|row| row.seq) else { return Ok(()) };
            let full = rows.len() as u64 == BLOCK.unsigned_abs();
            if self.0.position.receiver_count() > 0 {
                self.keep(seq, rows).await?;
            }
            self.0.position.send_replace(last);
            if !full {
                return Ok(());
            }
        }
    }
}
