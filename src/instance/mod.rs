//! Instances: the connections of applications, and everything that may happen to them.
//!
//! **One door for every change.** A command reads the row inside its transaction, asks
//! the pure [`state`] machine what follows, and [`record`]s the answer: the row, the
//! run, the jobs and one event per step commit together. So a subscriber never hears of
//! a state that it cannot query, and replaying the log gives the current state.
//!
//! **The network comes first.** Credentials are verified before the transaction begins;
//! a command that finds that somebody else changed the row meanwhile starts again.
//!
//! **Cut in the middle** there are only two cases: the transaction committed, and what
//! it queued is done after the restart; or it did not, and nothing happened.
//!
//! **Deletion** destroys the credential and hides the users at once; a job removes the
//! rows in batches, as often as it is interrupted, and then writes the last event.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use entity::instance::{ActiveModel, Entity, Model};
use integration::catalog::Catalog;
use sea_orm::sea_query::{LockBehavior, LockType};
use sea_orm::{ActiveModelTrait, EntityTrait, IntoActiveModel, QuerySelect};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use self::event::{Previous, Snapshot};
use crate::clock::Clock;
use crate::db::{Db, Tx, is_duplicate};
use crate::error::{Error, Refusal, RefusalCode, Result};
use crate::events::{self, NewEvent};
use crate::secrets::SecretKey;

pub mod authorization;
mod connect;
pub mod create;
pub mod credential_expiry;
pub mod delete;
pub mod event;
pub mod freshness;
pub mod grants;
pub mod input;
pub mod notice;
pub mod prune;
pub mod purge;
pub mod queries;
pub mod runs;
pub mod sealed;
pub mod state;
pub mod test_connection;
pub mod update;

/// The instances of this server, and the tools that commands on them need.
#[derive(Clone)]
pub struct Instances {
    pub db: Db,
    pub clock: Clock,
    pub catalog: Arc<Catalog>,
    pub keys: Arc<SecretKey>,
    pub running: Running,
    /// The renewals of grants that are under way.
    pub renewals: TaskTracker,
}

/// The runs that go on in this process, so that a command can stop one at once. Only a
/// short cut: a run whose claim is gone stops at its next write in any case.
#[derive(Clone, Default)]
pub struct Running(Arc<Mutex<HashMap<Uuid, CancellationToken>>>);

impl Running {
    pub fn add(&self, run: Uuid, stop: CancellationToken) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(run, stop);
    }

    pub fn remove(&self, run: Uuid) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&run);
    }

    fn stop(&self, run: Uuid) {
        if let Some(stop) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&run) {
            stop.cancel();
        }
    }
}

fn not_found() -> Error {
    Refusal::new(RefusalCode::NotFound, "There is no instance with this id.").into()
}

impl Instances {
    /// The row, as a reader sees it.
    pub async fn get(&self, id: Uuid) -> Result<Model> {
        Entity::find_by_id(id).one(self.db.read()).await?.ok_or_else(not_found)
    }
}

/// The row, held until the transaction ends.
pub async fn lock(tx: &Tx, id: Uuid) -> Result<Model> {
    // SQLite's transactions hold the whole database; others lock the row.
    Entity::find_by_id(id).lock_exclusive().one(tx.conn()).await?.ok_or_else(not_found)
}

/// The same, unless it is gone or somebody else holds it.
pub async fn lock_free(tx: &Tx, id: Uuid) -> Result<Option<Model>> {
    let free = Entity::find_by_id(id).lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
    Ok(free.one(tx.conn()).await?)
}

/// Stores the row after each step, with the event of each. `before` is the row as it
/// was locked; `model` already carries what is not part of the state machine.
pub async fn record(
    tx: &Tx,
    before: &Model,
    model: &mut Model,
    steps: Vec<state::Step>,
    actor: Option<&str>,
    now: i64,
) -> Result<()> {
    if steps.is_empty() {
        return Ok(());
    }
    let mut previous = Previous::of(before);
    for (cause, state) in steps {
        state.store(model);
        model.updated_at = now;
        let (last_run, current_run) = runs::of(tx.conn(), model).await?;
        let snapshot = Snapshot { instance: model.clone(), last_run, current_run, before: Some(previous) };
        previous = Previous::of(model);
        let event = NewEvent {
            instance_id: model.id,
            at: now,
            cause,
            actor: actor.map(str::to_owned),
            state: serde_json::to_value(&snapshot)?,
        };
        events::append(tx, event);
    }
    save(tx, model).await
}

/// Writes every column of a row that exists.
async fn save(tx: &Tx, model: &Model) -> Result<()> {
    let row: ActiveModel = model.clone().into_active_model().reset_all();
    match row.update(tx.conn()).await {
        Ok(_) => Ok(()),
        // The table has one unique index besides its key.
        Err(error) if is_duplicate(&error) => Err(create::name_taken(&model.name).into()),
        Err(error) => Err(error.into()),
    }
}
