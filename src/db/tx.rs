//! A writing transaction.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use sea_orm::sea_query::{LockBehavior, LockType};
use sea_orm::{DatabaseTransaction, EntityTrait, QuerySelect, Select, TryGetableMany};

use super::changes::Changes;
use super::conn::Timed;
use super::postgres;
use super::wake::Topic;
use crate::audit;
use crate::error::{Error, Result};
use crate::secrets::KeyRing;

/// A writing transaction; clones share it.
#[derive(Clone)]
pub struct Tx(Arc<Inner>);

/// What belongs to a transaction.
pub(super) struct Inner {
    pub(super) conn: Timed<DatabaseTransaction>,
    pub(super) announced: AtomicU16,
    pub(super) changes: Mutex<Changes>,
    entries: Mutex<Vec<audit::Draft>>,
    keys: Option<Arc<KeyRing>>,
}

impl Tx {
    pub(super) fn new(conn: DatabaseTransaction, keys: Option<Arc<KeyRing>>) -> Self {
        Self(Arc::new(Inner {
            conn: Timed::new(conn),
            announced: AtomicU16::new(0),
            changes: Mutex::default(),
            entries: Mutex::default(),
            keys,
        }))
    }

    /// Writes what is left until the end, and takes the transaction apart.
    pub(super) async fn finish(self) -> Result<Inner> {
        let entries = std::mem::take(&mut *self.0.entries.lock());
        if !entries.is_empty() {
            Box::pin(audit::chain::append(&self, entries)).await?;
        }
        Arc::into_inner(self.0).ok_or_else(|| Error::Internal("a transaction outlived its work".into()))
    }

    /// The connection to run statements on.
    pub fn conn(&self) -> &Timed<DatabaseTransaction> {
        &self.0.conn
    }

    /// Reads and locks those of the rows that no other transaction has locked. SQLite needs no row locks: its
    /// writing transactions lock the whole database.
    pub async fn hold_free<E: EntityTrait, T: TryGetableMany>(&self, rows: Select<E>) -> Result<Vec<T>> {
        let free = rows.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
        Ok(free.into_tuple().all(self.conn()).await?)
    }

    /// Wakes the listeners of `topic` after the commit.
    pub fn announce(&self, topic: Topic) {
        self.0.announced.fetch_or(1 << topic as u16, Ordering::Relaxed);
    }

    /// Writes the event as a part of the commit.
    pub fn log(&self, event: entity::event::ActiveModel) {
        self.0.changes.lock().events.push(event);
        self.announce(Topic::Events);
    }

    /// Appends an entry to the audit log as a part of the commit.
    pub fn append(&self, entry: audit::Draft) {
        self.0.entries.lock().push(entry);
    }

    /// Whether the commit will append an entry to the audit log.
    pub fn has_entries(&self) -> bool {
        !self.0.entries.lock().is_empty()
    }

    /// The keys of the installation.
    pub fn keys(&self) -> Result<&Arc<KeyRing>> {
        self.0.keys.as_ref().ok_or_else(|| Error::Internal("the keys are not open".into()))
    }

    /// Counts, as a part of the commit, a change that clients see of an instance, a run or the log, and that is no event.
    pub fn note_unlogged(&self) {
        self.0.changes.lock().unlogged = true;
    }

    /// Lets each later statement take as long as `time`: for those that change very many rows.
    pub async fn allow(&self, time: Duration) -> Result<()> {
        if self.0.conn.time() == time {
            return Ok(());
        }
        self.0.conn.allow(time);
        postgres::allow(&self.0.conn, time).await
    }
}
