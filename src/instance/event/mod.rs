//! What happened to instances, as the log keeps it and as readers get it.

use entity::instance::{Health, Model, Status};
use entity::run;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

pub mod history;

/// An instance as one event shows it, as the log keeps it: a field that is added to a row
/// later needs `#[serde(default)]`, or the older events can no longer be read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    pub instance: Model,
    pub last_run: Option<run::Model>,
    pub current_run: Option<run::Model>,
    /// What a filter could have matched before the change, so that those who watch it see it leave.
    pub before: Option<Previous>,
}

/// One event of the log, decoded.
#[derive(Clone, Debug)]
pub struct Event {
    pub seq: i64,
    pub at: i64,
    pub cause: entity::event::Cause,
    pub actor: Option<String>,
    pub snapshot: Snapshot,
}

impl TryFrom<entity::event::Model> for Event {
    type Error = Error;

    fn try_from(row: entity::event::Model) -> Result<Self> {
        let entity::event::Model { seq, instance_id: _, at, cause, actor, state } = row;
        Ok(Event { seq, at, cause, actor, snapshot: serde_json::from_value(state)? })
    }
}

/// The part of an instance that filters look at, as it was before a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Previous {
    pub name: String,
    pub status: Status,
    pub health: Health,
}

impl Previous {
    pub fn of(model: &Model) -> Self {
        Previous { name: model.name.clone(), status: model.status, health: model.health }
    }
}
