//! Instances: the connections of applications, and everything that may happen to them.
//!
//! **One way to change an instance.** A command begins a [`transition`], which locks the
//! row, asks the pure [`state`] machine for the steps of the change and carries out every
//! effect of every step. The row, the runs, the jobs and one [`event`] for each step commit
//! together. So a subscriber never hears of a state that it cannot query, and replaying the
//! log gives the current state.
//!
//! **The network comes first.** Credentials are verified before the transaction begins. If the row has changed
//! meanwhile, the command starts again.
//!
//! **Interruption.** Either the transaction committed, and what it queued is done after the
//! restart; or it did not, and nothing happened.
//!
//! **Deletion** destroys the credential and hides the users at once. A job then removes
//! their rows in batches and writes the last event. After an interruption, it continues where it stopped.

use std::collections::HashMap;
use std::sync::Arc;

use entity::instance::{Entity, Model};
use integration::catalog::Catalog;
use parking_lot::Mutex;
use sea_orm::sea_query::{LockBehavior, LockType};
use sea_orm::{EntityTrait, QuerySelect, QueryTrait};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::clock::Clock;
use crate::db::{Db, Tx};
use crate::error::{Error, Refusal, RefusalCode, Result};
use crate::secrets::KeyRing;

pub mod authorization;
pub mod capability;
mod connect;
pub mod counts;
pub mod create;
pub mod credential_expiry;
pub mod delete;
pub mod event;
pub mod freshness;
pub mod grants;
pub mod input;
pub mod list;
pub mod notice;
pub mod prune;
pub mod purge;
pub mod queries;
pub mod recovery;
pub mod runs;
pub mod sealed;
pub mod standing;
pub mod state;
pub mod test_connection;
pub mod transition;
pub mod update;

/// The instances of this server, and the tools that commands on them need.
#[derive(Clone)]
pub struct Instances {
    pub db: Db,
    pub clock: Clock,
    pub catalog: Arc<Catalog>,
    pub keys: Arc<KeyRing>,
    pub running: Running,
    /// The renewals of grants in progress.
    pub renewals: TaskTracker,
}

/// The runs in progress in this process, so that a command can stop one at once. This is only a short cut: a run that
/// has lost its claim stops at its next write anyway.
#[derive(Clone, Default)]
pub struct Running(Arc<Mutex<HashMap<Uuid, CancellationToken>>>);

impl Running {
    pub fn add(&self, run: Uuid, stop: CancellationToken) {
        self.0.lock().insert(run, stop);
    }

    pub fn remove(&self, run: Uuid) {
        self.0.lock().remove(&run);
    }

    fn stop(&self, run: Uuid) {
        if let Some(stop) = self.0.lock().get(&run) {
            stop.cancel();
        }
    }
}

/// Nothing has this id.
pub fn not_found() -> Error {
    Refusal::new(RefusalCode::NotFound, "There is no instance with this id.").into()
}

impl Instances {
    /// The row, as a reader sees it.
    pub async fn get(&self, id: Uuid) -> Result<Model> {
        self.db.read().row(Entity::find_by_id(id).into_query()).await?.ok_or_else(not_found)
    }
}

/// The row, locked until the transaction ends.
pub async fn lock(tx: &Tx, id: Uuid) -> Result<Model> {
    // A SQLite transaction locks the whole database; PostgreSQL locks the row.
    lock_existing(tx, id).await?.ok_or_else(not_found)
}

/// As [`lock`], but `None` if the row is gone.
pub async fn lock_existing(tx: &Tx, id: Uuid) -> Result<Option<Model>> {
    Ok(Entity::find_by_id(id).lock_exclusive().one(tx.conn()).await?)
}

/// As [`lock`], but `None` if the row is gone or another transaction has locked it.
pub async fn lock_free(tx: &Tx, id: Uuid) -> Result<Option<Model>> {
    let free = Entity::find_by_id(id).lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
    Ok(free.one(tx.conn()).await?)
}
