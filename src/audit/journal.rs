//! Writes what no transaction of its own records: refusals, failures, what has changed nothing, and what is only counted.
//!
//! Each of them is an entry. Nobody can fill the disk with them: what comes from one actor, or from one network if nobody
//! knows who asks, has only some entries of its own in a minute, and so have all of them together. The rest is counted.
//! Each minute then has one entry for each actor or network, action and reason.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use entity::audit_entry::{Action, Outcome, SubjectKind};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use tracing::warn;
use uuid::Uuid;

use super::seal::SealFile;
use super::{Actor, Entry, Origin, Subject, act, record};
use crate::auth::network;
use crate::clock::Clock;
use crate::db::Db;
use crate::error::Result;

/// How often counts are written.
const INTERVAL: Duration = Duration::from_mins(1);
/// For how long a reader's further readings of the same page are a part of the first, in milliseconds.
const READING_MS: i64 = 3_600_000;
/// How many readings are remembered. A full table is cleared.
const READINGS: usize = 10_000;

/// What may be written in an interval.
#[derive(Clone, Copy)]
struct Limits {
    /// How many entries of their own one actor or network has.
    of_one: u32,
    /// How many all of them have together.
    of_all: u32,
    /// For how many of them, and reasons, there is a count. The rest is counted together.
    counts: usize,
}

const OF_KNOWN: Limits = Limits { of_one: 100, of_all: 1_000, counts: 1_000 };
const OF_STRANGERS: Limits = Limits { of_one: 20, of_all: 100, counts: 100 };

/// Clones share the counts.
#[derive(Clone)]
pub struct Journal {
    db: Db,
    clock: Clock,
    counts: Arc<Mutex<Counts>>,
    /// Who has read about what, and when an entry said it last.
    readings: Arc<Mutex<HashMap<Reading, i64>>>,
}

/// A reader, and the account or person that was read.
type Reading = (Option<Uuid>, Uuid);

#[derive(Default)]
struct Counts {
    known: Share,
    strangers: Share,
}

/// What was written and counted of the actors that are known, or of the others.
#[derive(Default)]
struct Share {
    counted: HashMap<Key, Counted>,
    /// How many entries of their own each has.
    written: HashMap<Source, u32>,
    written_in_all: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Source {
    Actor(Uuid),
    Network(Option<IpAddr>),
}

#[derive(PartialEq, Eq, Hash)]
struct Key {
    actor: Option<Uuid>,
    network: Option<IpAddr>,
    action: Action,
    outcome: Outcome,
    code: Option<String>,
}

struct Counted {
    actor: Actor,
    times: i64,
}

impl Journal {
    pub fn new(db: Db, clock: Clock) -> Self {
        Self { db, clock, counts: Arc::default(), readings: Arc::default() }
    }

    pub fn now(&self) -> i64 {
        self.clock.now()
    }

    /// Writes an entry in a transaction of its own, or counts it. If it cannot be written, the log of the server has it.
    pub async fn note(&self, entry: Entry) {
        let origin = entry.origin.clone().unwrap_or_else(act::current);
        let is_counted = {
            let mut counts = self.counts.lock();
            let (share, limits) = counts.share(&origin.actor);
            let is_counted = !share.admit(Source::of(&origin), limits);
            if is_counted {
                share.count(&origin, Key::of(&origin, entry.action, entry.outcome, entry.code.clone()), limits);
            }
            is_counted
        };
        if is_counted {
            return;
        }
        let entry = &entry.by(origin);
        let written = self.db.write(|tx| async move {
            record(&tx, entry.clone());
            Ok(())
        });
        if let Err(error) = written.await {
            warn!(error = %error.chain(), ?entry, "an audit entry could not be written");
        }
    }

    /// Records that the page of a person, or of a person's account, was read, once an hour for each reader.
    pub async fn note_reading(&self, origin: &Origin, read: Subject) {
        let (now, key) = (self.now(), (origin.actor.id, read.id));
        {
            let mut readings = self.readings.lock();
            if readings.get(&key).is_some_and(|at| (at - now).abs() < READING_MS) {
                return;
            }
            if readings.len() >= READINGS {
                readings.clear();
            }
            readings.insert(key, now);
        }
        let detail = if read.kind == SubjectKind::Person {
            "The page of a person was read."
        } else {
            "The page of a person's account was read."
        };
        let entry = Entry::new(now, Action::PersonRead, detail);
        self.note(entry.about(read).by(origin.clone())).await;
    }

    /// Counts a refusal.
    pub fn count(&self, origin: &Origin, action: Action, code: &str) {
        let mut counts = self.counts.lock();
        let (share, limits) = counts.share(&origin.actor);
        share.count(origin, Key::of(origin, action, Outcome::Refused, Some(code.to_owned())), limits);
    }

    /// Writes the counts of the last minute.
    ///
    /// # Errors
    /// If the database cannot be used. The counts are then lost, and only in the log of the server.
    pub async fn flush(&self) -> Result<()> {
        let Counts { known, strangers } = std::mem::take(&mut *self.counts.lock());
        let now = self.now();
        let counted = known.counted.into_iter().chain(strangers.counted);
        let entries: &Vec<Entry> = &counted.map(|(key, counted)| counted.entry(key, now)).collect();
        if entries.is_empty() {
            return Ok(());
        }
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

impl Counts {
    fn share(&mut self, actor: &Actor) -> (&mut Share, Limits) {
        match actor.id {
            Some(_) => (&mut self.known, OF_KNOWN),
            None => (&mut self.strangers, OF_STRANGERS),
        }
    }
}

impl Share {
    /// Whether one more entry may be written.
    fn admit(&mut self, source: Source, limits: Limits) -> bool {
        // First, so that a flood from many networks needs no memory.
        if self.written_in_all >= limits.of_all {
            return false;
        }
        let written = self.written.entry(source).or_default();
        if *written >= limits.of_one {
            return false;
        }
        *written += 1;
        self.written_in_all += 1;
        true
    }

    fn count(&mut self, origin: &Origin, key: Key, limits: Limits) {
        let is_full = self.counted.len() >= limits.counts && !self.counted.contains_key(&key);
        let (key, actor) = if is_full {
            (Key { actor: None, network: None, ..key }, Actor::anonymous())
        } else {
            (key, origin.actor.clone())
        };
        self.counted.entry(key).or_insert(Counted { actor, times: 0 }).times += 1;
    }
}

impl Source {
    fn of(origin: &Origin) -> Self {
        origin.actor.id.map_or_else(|| Self::Network(origin.address.map(network)), Self::Actor)
    }
}

impl Key {
    fn of(origin: &Origin, action: Action, outcome: Outcome, code: Option<String>) -> Self {
        Self { actor: origin.actor.id, network: origin.address.map(network), action, outcome, code }
    }
}

impl Counted {
    fn entry(self, key: Key, now: i64) -> Entry {
        let Key { actor: _, network, action, outcome, code } = key;
        let Self { actor, times } = self;
        let what = match outcome {
            Outcome::Ok => "Something was asked for that changed nothing",
            Outcome::Refused => "Something was refused",
            Outcome::Failed => "Something failed",
        };
        let entry = Entry::new(now, action, format!("{what}; it was counted for a minute."));
        let entry = match (outcome, code.unwrap_or_default()) {
            (Outcome::Ok, _) => entry,
            (Outcome::Refused, code) => entry.refused(&code),
            (Outcome::Failed, code) => entry.failed(&code),
        };
        entry.times(times).by(Origin { actor, address: network, request_id: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_from_whatever_number_of_addresses_it_comes() {
        let mut share = Share::default();
        let written = (0..10_000u32)
            .filter(|number| {
                let address = IpAddr::V6((u128::from(*number) << 64).into());
                let origin = Origin { actor: Actor::anonymous(), address: Some(address), request_id: None };
                let is_written = share.admit(Source::of(&origin), OF_STRANGERS);
                if !is_written {
                    let key = Key::of(&origin, Action::SignInFailed, Outcome::Refused, Some("A".into()));
                    share.count(&origin, key, OF_STRANGERS);
                }
                is_written
            })
            .count();
        assert_eq!(written, 100);
        assert_eq!(share.counted.len(), 101);
        assert_eq!(share.counted.values().map(|counted| counted.times).sum::<i64>(), 9_900);
        assert!(share.written.len() <= 100);
    }

    #[test]
    fn the_addresses_of_one_network_are_counted_together() {
        let origin = |host: u128| Origin {
            actor: Actor::anonymous(),
            address: Some(IpAddr::V6((0x2001_0db8_u128 << 96 | host).into())),
            request_id: None,
        };
        let mut share = Share::default();
        let written = (0..1_000).filter(|host| share.admit(Source::of(&origin(*host)), OF_STRANGERS)).count();
        assert_eq!(written, 20);
    }
}
