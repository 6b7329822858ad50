//! The sync engine: carries out queued runs.
//!
//! **A run** lists an application's users page by page. Each page is one transaction, which stores the users of the
//! page, the run's counts and the checkpoint to resume from. If a run is interrupted, this process or another repeats
//! at most one page. Its users are counted once, because the interrupted transaction was rolled back.
//!
//! **Removal.** Only the transaction that records the end of a complete listing removes users. Every user has the
//! number of the run that saw it last. After a complete listing, users with a lower number have left. The removal
//! guard first checks how many they are.
//!
//! **Outcome.** The run's outcome, the instance's new state, its event, the removals and the mail are committed
//! together. The claim's fencing token prevents a worker that lost its lease from committing.
//!
//! **Memory.** One page of users is in memory at a time, however many users there are.

use std::sync::Arc;
use std::time::Duration;

use integration::source::Capability;

use crate::instance::Instances;
use progress::Progress;

mod bulk;
mod failure;
mod finish;
mod mail;
mod pages;
pub mod progress;
pub mod reconcile;
mod removal;
mod row;
mod run;

/// The limits of a run.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The removal guard's share of all users, in percent.
    pub guard_percent: i64,
    /// The removal guard's minimum number of users.
    pub guard_minimum: i64,
    /// How long a page may take, including retries and waits.
    pub page: Duration,
    /// How long a run may take.
    pub run: Duration,
    /// How long to wait before a token that was refused without a reason is tried again.
    pub second_look: Duration,
}

impl Limits {
    pub fn new(guard_percent: u8, guard_minimum: u32) -> Self {
        Self {
            guard_percent: i64::from(guard_percent),
            guard_minimum: i64::from(guard_minimum),
            page: Duration::from_mins(5),
            run: Duration::from_hours(12),
            second_look: Duration::from_secs(5),
        }
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
    /// The host in Message-IDs.
    pub mail_host: Arc<str>,
}

/// The name of a capability within a sentence.
fn words(capability: Capability) -> &'static str {
    match capability {
        Capability::Users => "the users",
        Capability::LastActivity => "last activity",
        Capability::Mfa => "second factors",
        Capability::AdminRoles => "administrator roles",
        Capability::Licenses => "licences",
    }
}
