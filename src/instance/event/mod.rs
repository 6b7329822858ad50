//! What happened to instances: the durable log of their changes.
//!
//! **An event shows the whole instance** right after the change, with its last and its
//! current run, and what filters matched before. A subscriber applies it by replacing the
//! instance, and needs no other event to do so.
//!
//! **The format.** A [`record`] is JSON with the names of the columns, [compressed](compression)
//! with a dictionary of what most records have in common: 260 bytes instead of 1,700. Each record stands alone.
//! Records that contain only differences could not be read any more once retention has removed the first of them.
//! References to rows in other tables would not work either: the rows would have to outlive the log, and a run's row
//! keeps changing. Shorter JSON, without the usual values and with short names, needed 560 bytes and three times the
//! code. The price is that SQL cannot look into a record; `Instance.events` and the doctor can.
//!
//! **Versions.** The first byte of a record is its version. Everything that the log may contain stays readable: the
//! first releases wrote the same JSON without compression, in a column of its own. A column that is added later is
//! optional in the JSON.

use entity::event::{self, Cause};
use entity::instance::{Health, Model, Status};
use entity::run;
use serde::{Deserialize, Serialize};

use self::record::Record;
use super::standing::Standing;
use crate::error::{Error, Result};

mod compression;
pub mod history;
mod record;
mod run_record;
#[cfg(test)]
mod tests;

/// An instance as one event shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// Without its secrets.
    pub instance: Model,
    pub last_run: Option<run::Model>,
    pub current_run: Option<run::Model>,
    /// `None` for a snapshot, which is no change.
    pub before: Option<Previous>,
    /// The standing before the change, if the change has changed it. Older versions have not recorded it.
    pub stood: Option<Standing>,
}

impl Snapshot {
    /// The record that the log stores.
    pub fn encode(self) -> Result<Vec<u8>> {
        compression::compress(&serde_json::to_vec(&Record::from(self))?)
    }

    fn decode(record: &[u8]) -> Result<Self> {
        let record: Record = serde_json::from_slice(&compression::decompress(record)?)?;
        Ok(record.into())
    }
}

/// What filters look at, as it was before a change, so that a subscriber whose filter no
/// longer matches sees the instance leave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Previous {
    pub name: String,
    pub status: Status,
    pub health: Health,
    /// Since when it had been failing. Older versions have not recorded it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<i64>,
}

impl Previous {
    pub fn of(model: &Model) -> Self {
        Previous {
            name: model.name.clone(),
            status: model.status,
            health: model.health,
            failing_since: model.failing_since,
        }
    }

    /// Whether it is the state in which the event before this change ended.
    pub fn follows(&self, end: &Previous) -> bool {
        let Previous { name, status, health, failing_since } = self;
        let is_known = failing_since.is_none() || *failing_since == end.failing_since;
        (name, status, health) == (&end.name, &end.status, &end.health) && is_known
    }
}

/// One event of the log.
#[derive(Clone, Debug)]
pub struct Event {
    pub seq: i64,
    pub at: i64,
    pub cause: Cause,
    pub actor: Option<String>,
    pub snapshot: Snapshot,
}

impl TryFrom<event::Model> for Event {
    type Error = Error;

    fn try_from(row: event::Model) -> Result<Self> {
        let event::Model { seq, instance_id: _, at, cause, actor, uncompressed, record } = row;
        let snapshot = match record {
            Some(record) => Snapshot::decode(&record)?,
            None => serde_json::from_value::<Record>(uncompressed)?.into(),
        };
        Ok(Event { seq, at, cause, actor, snapshot })
    }
}
