//! Writes what no transaction of its own records: refusals, failures, and what is only counted.
//!
//! A refusal is an entry. Who is refused very often in a minute, or cannot be known, is counted: each minute has one
//! entry for each actor, address and reason, so that nobody can fill the disk with refusals.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use entity::audit_entry::Action;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use tracing::warn;
use uuid::Uuid;

use super::seal::SealFile;
use super::{Actor, Entry, Origin, record};
use crate::clock::Clock;
use crate::db::Db;
use crate::error::Result;

/// How often counts are written.
const INTERVAL: Duration = Duration::from_mins(1);
/// How many refusals of one actor have an entry of their own in an interval.
const OWN_ENTRIES: i64 = 100;
/// How many counts are kept at most. The rest of an interval has no address.
const MAX_COUNTS: usize = 1_000;

/// Clones share the counts.
#[derive(Clone)]
pub struct Journal {
    db: Db,
    clock: Clock,
    counts: Arc<Mutex<Counts>>,
}

#[derive(Default)]
struct Counts {
    refused: HashMap<Key, Counted>,
    /// How many refusals of each actor have an entry of their own.
    written: HashMap<Uuid, i64>,
}

#[derive(PartialEq, Eq, Hash)]
struct Key {
    actor: Option<Uuid>,
    address: Option<IpAddr>,
    code: &'static str,
}

struct Counted {
    actor: Actor,
    times: i64,
}

impl Journal {
    pub fn new(db: Db, clock: Clock) -> Self {
        Self { db, clock, counts: Arc::default() }
    }

    pub fn now(&self) -> i64 {
        self.clock.now()
    }

    /// Writes an entry in a transaction of its own. If that fails, the log of the server has it.
    pub async fn write(&self, entry: Entry) {
        let entry = &entry;
        let written = self.db.write(|tx| async move {
            record(&tx, entry.clone());
            Ok(())
        });
        if let Err(error) = written.await {
            warn!(error = %error.chain(), ?entry, "an audit entry could not be written");
        }
    }

    /// Writes the entry of a refusal, or counts it if the actor was refused often in this minute.
    pub async fn refuse(&self, entry: Entry, origin: &Origin, code: &'static str) {
        let is_written = origin.actor.id.is_some_and(|actor| {
            let mut counts = self.counts.lock();
            let written = counts.written.entry(actor).or_default();
            *written += 1;
            *written <= OWN_ENTRIES
        });
        if is_written {
            self.write(entry.refused(code).by(origin.clone())).await;
        } else {
            self.count(origin, code);
        }
    }

    /// Counts a refusal.
    pub fn count(&self, origin: &Origin, code: &'static str) {
        let Origin { actor, address, .. } = origin;
        let mut counts = self.counts.lock();
        let full = counts.refused.len() >= MAX_COUNTS;
        let key = Key { actor: actor.id, address: *address, code };
        let key =
            if full && !counts.refused.contains_key(&key) { Key { actor: None, address: None, code } } else { key };
        let actor = || if key.actor == actor.id { actor.clone() } else { Actor::anonymous() };
        let counted = Counted { actor: actor(), times: 0 };
        counts.refused.entry(key).or_insert(counted).times += 1;
    }

    /// Writes the counts of the last minute.
    ///
    /// # Errors
    /// If the database cannot be used. The counts are then lost, and only in the log of the server.
    pub async fn flush(&self) -> Result<()> {
        let Counts { refused, .. } = std::mem::take(&mut *self.counts.lock());
        if refused.is_empty() {
            return Ok(());
        }
        let now = self.now();
        let entries: &Vec<Entry> = &refused.into_iter().map(|(key, counted)| counted.entry(key, now)).collect();
        let write = self.db.write(|tx| async move {
            for entry in entries {
                record(&tx, entry.clone());
            }
            Ok(())
        });
        write.await.inspect_err(|_| warn!(?entries, "refusals were counted, and could not be written"))
    }

    /// Writes the counts and seals the log each minute, and at the end.
    pub async fn run(self, seal: SealFile, stop: CancellationToken) {
        while !stop.is_cancelled() {
            stop.run_until_cancelled(tokio::time::sleep(INTERVAL)).await;
            if let Err(error) = self.flush().await {
                warn!(error = %error.chain(), "counted refusals could not be written");
            }
            self.seal(&seal).await;
        }
    }

    /// Seals the log, or says in the server's log why that is not possible.
    pub async fn seal(&self, seal: &SealFile) {
        if let Err(error) = seal.renew(&self.db, self.now()).await {
            warn!(error = %error.chain(), "the audit log could not be sealed");
        }
    }
}

impl Counted {
    fn entry(self, Key { address, code, .. }: Key, now: i64) -> Entry {
        let Self { actor, times } = self;
        let detail = "Something was refused; it was counted for a minute.";
        let origin = Origin { actor, address, request_id: None };
        Entry::new(now, Action::AccessRefused, detail).refused(code).times(times).by(origin)
    }
}
