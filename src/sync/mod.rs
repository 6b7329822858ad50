//! The sync engine: carries out queued runs.
//!
//! **A run** lists an application's users page by page. Each page is one transaction, which stores the users of the
//! page, the run's counts and the checkpoint to resume from. If a run is interrupted, this process or another repeats
//! at most one page. Its users are counted once, because the interrupted transaction was rolled back.
//!
//! **Removal.** Only the transaction that records the end of a complete listing removes users. Every user has the
//! number of the run that saw it last. After a complete listing, users with a lower number have left. The removal
//! guard first checks how many they are. The growth guard stops a listing that is far too long, and deletes the users
//! that only its run has seen.
//!
//! **Outcome.** The run's outcome, the instance's new state, its event, the removals and the mail are committed
//! together. The claim's fencing token prevents a worker that lost its lease from committing.
//!
//! **Memory.** One page of users is in memory at a time, however many users there are.

use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

use tokio::sync::Semaphore;

use crate::config::Settings;
use crate::db::Tx;
use crate::error::Result;
use crate::instance::Instances;
use crate::notification::storm::Hold;
use patience::Patience;
use progress::Progress;

mod baseline;
mod bulk;
mod erased;
mod failure;
mod finish;
mod losses;
mod mail;
mod pages;
pub mod patience;
pub mod progress;
pub mod reconcile;
mod removal;
mod row;
mod run;
mod stored;
mod waiting;

/// The limits of a run.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The removal guard's share of all users, in percent.
    pub guard_percent: i64,
    /// The removal guard's minimum number of users.
    pub guard_minimum: i64,
    /// How many times as many users as an instance has are too many for the growth guard.
    pub growth_factor: i64,
    /// The most users that an instance may have.
    pub max_users: i64,
    /// The growth guard's minimum number of additional users.
    pub growth_minimum: i64,
    /// How long a page may take, including retries and waits.
    pub page: Duration,
    /// How long a run may take.
    pub run: Duration,
    /// How long a run waits for its application.
    pub patience: Patience,
    /// How long a mail waits that may be merged with others.
    pub hold: Hold,
}

impl Limits {
    pub fn new(settings: &Settings) -> Self {
        Self {
            guard_percent: i64::from(settings.removal_guard_percent),
            guard_minimum: i64::from(settings.removal_guard_minimum),
            max_users: i64::from(settings.max_users_per_instance),
            growth_factor: i64::from(settings.growth_guard_factor),
            growth_minimum: i64::from(settings.growth_guard_minimum),
            page: Duration::from_mins(5),
            run: Duration::from_hours(12),
            patience: Patience::default(),
            hold: Hold::default(),
        }
    }
}

impl Engine {
    /// Runs `work` in a transaction.
    async fn write<T, W>(&self, work: impl Fn(Tx) -> W) -> Result<T>
    where
        W: Future<Output = Result<T>>,
    {
        let _turn = self.writers.acquire().await;
        self.instances.db.write(work).await
    }
}

/// How often a run may be taken over before it is given up.
const TAKE_OVERS: i32 = 3;

/// The worker that carries out runs.
#[derive(Clone)]
pub struct Engine {
    pub instances: Instances,
    pub progress: Progress,
    pub limits: Limits,
    /// The URL that links in mails begin with.
    pub public_url: Arc<str>,
    /// The path of an instance's page in the console, without a slash in front.
    pub page_of: fn(Uuid) -> String,
    /// The host in Message-IDs.
    pub mail_host: Arc<str>,
    /// How many runs write at once. The limit leaves connections for other writers.
    pub writers: Arc<Semaphore>,
    /// How many runs wait in memory at once.
    pub waiting_room: Arc<Semaphore>,
}
