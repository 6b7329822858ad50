//! Pages of snapshots. Subscribers with equal filters that are at the same place share them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use entity::event::Cause;
use parking_lot::Mutex;
use tokio::time::Instant;
use uuid::Uuid;

use crate::clock::Clock;
use crate::db::Db;
use crate::error::Result;
use crate::events;
use crate::instance::Instances;
use crate::instance::event::Event;
use crate::instance::queries::Filter;

/// How many instances a page has.
const PAGE: usize = 50;
/// How many pages are kept.
const MAX_PAGES: usize = 16;
/// How long a page is kept.
const PAGE_LIFETIME: Duration = Duration::from_secs(2);

/// The instances in the order of their ids, as of one event.
pub struct Page {
    /// The number of that event.
    pub newest: i64,
    pub snapshots: Vec<Arc<Event>>,
    /// Whether more instances may follow.
    pub full: bool,
}

struct Kept {
    filter: Arc<Filter>,
    after: Uuid,
    since: Instant,
    page: Arc<Page>,
}

pub struct SnapshotPages {
    db: Db,
    clock: Clock,
    /// The oldest first.
    kept: Mutex<VecDeque<Kept>>,
    /// Held while a page is read, so that nobody reads the same one meanwhile.
    reading: tokio::sync::Mutex<()>,
}

impl SnapshotPages {
    pub fn new(db: Db, clock: Clock) -> Self {
        Self { db, clock, kept: Mutex::default(), reading: tokio::sync::Mutex::default() }
    }

    /// The page after an instance, as of the event `seq` or a later one. It is as of an earlier one only if the
    /// log ends there.
    pub async fn page(&self, filter: &Arc<Filter>, after: Uuid, seq: i64) -> Result<Arc<Page>> {
        if let Some(page) = self.find(filter, after, seq) {
            return Ok(page);
        }
        let _one_reads = self.reading.lock().await;
        if let Some(page) = self.find(filter, after, seq) {
            return Ok(page);
        }
        let since = Instant::now();
        let page = Arc::new(self.read(filter, after).await?);
        let mut kept = self.kept.lock();
        kept.retain(|kept| kept.since.elapsed() < PAGE_LIFETIME && !(kept.after == after && kept.filter == *filter));
        if kept.len() >= MAX_PAGES {
            kept.pop_front();
        }
        kept.push_back(Kept { filter: filter.clone(), after, since, page: page.clone() });
        Ok(page)
    }

    fn find(&self, filter: &Arc<Filter>, after: Uuid, seq: i64) -> Option<Arc<Page>> {
        let wanted = |kept: &&Kept| {
            kept.after == after
                && kept.page.newest >= seq
                && kept.since.elapsed() < PAGE_LIFETIME
                && kept.filter == *filter
        };
        self.kept.lock().iter().find(wanted).map(|kept| kept.page.clone())
    }

    async fn read(&self, filter: &Filter, after: Uuid) -> Result<Page> {
        // One view for both: the number of the newest event, and the instances as of that event.
        let view = self.db.view().await?;
        let newest = events::newest(view.conn()).await?;
        let at = self.clock.now();
        let found = Instances::snapshots_after(view.conn(), filter, at, after, PAGE as u64).await?;
        view.close().await?;
        let full = found.len() == PAGE;
        let snapshots = found
            .into_iter()
            .map(|snapshot| Arc::new(Event { seq: newest, at, cause: Cause::Snapshot, actor: None, snapshot }));
        Ok(Page { newest, snapshots: snapshots.collect(), full })
    }
}
