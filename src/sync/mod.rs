//! The sync engine: carries out the runs that wait.
//!
//! **A run** lists an application's users page by page. Each page is one transaction: the
//! users of the page, the run's counts and the place to resume at. A run that is cut
//! between two pages resumes there, in this process or another; a run that is cut inside
//! a page repeats the page, and the counts do not know.
//!
//! **Nobody is removed** but by the transaction that records that the whole list was
//! read. Users carry the number of the run that saw them last; those left behind by a
//! complete listing have left. The removal guard looks at their number first.
//!
//! **The outcome**, the instance's new state, its event, the users removed and the mail
//! that all this calls for commit together. What is not committed did not happen, and
//! the claim's fencing token keeps a worker that was presumed dead from committing.
//!
//! **Memory** holds one page of users at a time, however many there are.

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

/// How far the engine goes.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The removal guard's share of the users, in percent.
    pub guard_percent: i64,
    /// The removal guard's least number of users.
    pub guard_minimum: i64,
    /// How long a page may take, with all its retries and waits.
    pub page: Duration,
    /// How long a run may take.
    pub run: Duration,
    /// How long to wait before a token that was refused without a reason is tried once more.
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
    /// Where links in mails lead.
    pub public_url: Arc<str>,
    /// The host that Message-IDs name.
    pub mail_host: Arc<str>,
}

/// A capability in the middle of a sentence.
fn words(capability: Capability) -> &'static str {
    match capability {
        Capability::Users => "the users",
        Capability::LastActivity => "last activity",
        Capability::Mfa => "second factors",
        Capability::AdminRoles => "administrator roles",
        Capability::Licenses => "licences",
    }
}
