//! All background jobs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use entity::job::Kind;
use parking_lot::Mutex;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, warn};

use crate::audit::journal::Journal;
use crate::audit::seal::SealFile;
use crate::clock::Clock;
use crate::config::Roles;
use crate::db::Db;
use crate::directory::{index, rekey};
use crate::events::Log;
use crate::findings::digest::Weekly;
use crate::findings::{self, Findings};
use crate::instance::Instances;
use crate::instance::authorization::Authorizations;
use crate::instance::event::Event;
use crate::instance::purge::Purge;
use crate::instance::recovery::{self, Recovery};
use crate::mail::Mailer;
use crate::maintenance::retention::Pruner;
use crate::notification::deliver::{self, Delivery};
use crate::people::{self, People};
use crate::queue::{self, worker::Worker};
use crate::spend::reminders::Reminders;
use crate::spend::tally::{self, Tally};
use crate::sync::{Engine, progress::Progress};
use crate::telemetry;
use crate::webhook::{self, send::Sender};

/// How often the scheduler looks for instances that are due.
const SCHEDULE: Duration = Duration::from_secs(1);
/// How often consents that were never completed are removed.
const FORGET: Duration = Duration::from_mins(1);
/// How often due times that a wrong clock wrote are corrected.
const REPAIR: Duration = Duration::from_secs(30);
/// When rows past their retention are removed for the first time, and how often after that.
const PRUNE: (Duration, Duration) = (Duration::from_mins(1), Duration::from_mins(10));
/// When rows with keys of an earlier version are rewritten for the first time, and how often after that, because
/// replicas of an earlier version may still write such rows.
const REKEY: (Duration, Duration) = (Duration::from_secs(5), Duration::from_hours(6));
/// How often contracts are looked at whose reminders may be due, and whether a digest is.
const REMIND: Duration = Duration::from_secs(10);
/// How often it is looked whether something is left to do of an erasure.
const SWEEP: Duration = Duration::from_secs(2);
/// How often the ledger of erasures and the database are compared.
const SETTLE: Duration = Duration::from_mins(10);
/// How often histograms are condensed.
const UPKEEP: Duration = Duration::from_secs(5);
/// How often the server looks whether a newer version has migrated the schema.
const SCHEMA: Duration = Duration::from_secs(10);
/// How many instances are purged at once: SQLite writes one transaction at a time anyway.
const PURGES: usize = 2;

pub struct Tools {
    pub db: Db,
    pub clock: Clock,
    pub engine: Engine,
    pub instances: Instances,
    pub people: People,
    pub authorizations: Authorizations,
    pub mailer: Mailer,
    pub sender: Sender,
    pub pruner: Pruner,
    pub log: Log<Event>,
    pub journal: Journal,
    pub seal: SealFile,
    pub progress: Progress,
    pub heartbeat: Heartbeat,
    pub sync_concurrency: usize,
}

/// When the scheduler last completed a round.
#[derive(Clone, Default)]
pub struct Heartbeat(Arc<Mutex<Option<Instant>>>);

impl Heartbeat {
    fn beat(&self) {
        #[expect(clippy::disallowed_methods, reason = "measures silence inside the process")]
        let now = Instant::now();
        *self.0.lock() = Some(now);
    }

    /// Whether the last round was at most this long ago.
    pub fn within(&self, silence: Duration) -> bool {
        self.0.lock().is_some_and(|at| at.elapsed() < silence)
    }
}

/// Starts the jobs of the roles.
pub async fn spawn(tools: &Tools, roles: Roles, tasks: &TaskTracker, stop: &CancellationToken) {
    tasks.spawn(upkeep(stop.clone()));
    tools.journal.seal(&tools.seal).await;
    tasks.spawn(tools.journal.clone().run(tools.seal.clone(), stop.clone()));
    tasks.spawn(settle(tools.people.clone(), stop.clone()));
    if roles.api {
        let Tools { db, log, progress, .. } = tools;
        tasks.spawn(log.clone().follow(stop.clone()));
        tasks.spawn(progress.clone().follow(db.clone(), stop.clone()));
    }
    if roles.workers {
        spawn_workers(tools, tasks, stop);
        spawn_webhooks(tools, tasks, stop);
    }
}

fn spawn_webhooks(tools: &Tools, tasks: &TaskTracker, stop: &CancellationToken) {
    let Tools { db, clock, sender, .. } = tools;
    let worker = Worker::new(db, clock, Kind::Webhook, webhook::PLACES, sender.clone());
    tasks.spawn(worker.run(tasks.clone(), stop.clone()));
    tasks.spawn(webhook::wake::follow(db.clone(), clock.clone(), stop.clone()));
}

fn spawn_workers(tools: &Tools, tasks: &TaskTracker, stop: &CancellationToken) {
    let Tools { db, clock, engine, instances, authorizations, mailer, pruner, heartbeat, sync_concurrency, .. } = tools;
    let (db, clock, mailer, age_clock) = (db.clone(), clock.clone(), mailer.clone(), pruner.age_clock.clone());
    let purge = Purge(instances.clone());
    let (hold, public_url) = (engine.limits.hold, engine.public_url.clone());
    let reminders = Reminders {
        instances: instances.clone(),
        public_url: public_url.clone(),
        page_of: engine.page_of,
        mail_host: engine.mail_host.clone(),
    };
    let weekly = Weekly {
        db: db.clone(),
        clock: clock.clone(),
        public_url: public_url.clone(),
        mail_host: engine.mail_host.clone(),
    };
    let catalog = instances.catalog.clone();
    let application = Box::new(move |key: &str| catalog.find(key).map(|integration| integration.name.clone()));
    let delivery = Delivery { db: db.clone(), clock: clock.clone(), mailer, age_clock, hold, application, public_url };

    let sync = Worker::new(&db, &clock, Kind::Sync, *sync_concurrency, engine.clone());
    tasks.spawn(sync.run(tasks.clone(), stop.clone()));
    let purge = Worker::new(&db, &clock, Kind::Purge, PURGES, purge);
    tasks.spawn(purge.run(tasks.clone(), stop.clone()));
    let recovery = Worker::new(&db, &clock, Kind::Recovery, recovery::CONCURRENCY, Recovery(instances.clone()));
    tasks.spawn(recovery.run(tasks.clone(), stop.clone()));
    let tally = Worker::new(&db, &clock, Kind::Tally, tally::CONCURRENCY, Tally(instances.clone()));
    tasks.spawn(tally.run(tasks.clone(), stop.clone()));
    let mail = Worker::new(&db, &clock, Kind::Mail, deliver::CONCURRENCY, delivery);
    tasks.spawn(mail.run(tasks.clone(), stop.clone()));
    let people = tools.people.clone();
    tasks.spawn(sweep(people.clone(), stop.clone()));
    let people = Worker::new(&db, &clock, Kind::People, people::tasks::CONCURRENCY, people);
    tasks.spawn(people.run(tasks.clone(), stop.clone()));
    let findings = Findings { db: db.clone(), clock: clock.clone() };
    let findings = Worker::new(&db, &clock, Kind::Findings, findings::EVALUATIONS_AT_ONCE, findings);
    tasks.spawn(findings.run(tasks.clone(), stop.clone()));

    if db.shared() {
        let limits = instances.catalog.host_limits();
        let share = move |alive| limits.share(alive);
        tasks.spawn(queue::replicas::follow(db.clone(), clock.clone(), share, stop.clone()));
    }
    tasks.spawn(schedule(instances.clone(), heartbeat.clone(), stop.clone()));
    tasks.spawn(forget(authorizations.clone(), stop.clone()));
    tasks.spawn(prune(pruner.clone(), stop.clone()));
    tasks.spawn(repair(instances.clone(), stop.clone()));
    tasks.spawn(remind(reminders, weekly, stop.clone()));
    tasks.spawn(rekey(db.clone(), clock, stop.clone()));
    tasks.spawn(index(db, stop.clone()));
}

async fn schedule(instances: Instances, heartbeat: Heartbeat, stop: CancellationToken) {
    loop {
        match instances.queue_due().await {
            Ok(()) => heartbeat.beat(),
            Err(error) => warn!(error = %error.chain(), "due instances could not be queued; trying again"),
        }
        if stop.run_until_cancelled(sleep(SCHEDULE)).await.is_none() {
            return;
        }
    }
}

async fn forget(authorizations: Authorizations, stop: CancellationToken) {
    loop {
        if let Err(error) = authorizations.forget_expired().await {
            warn!(error = %error.chain(), "consents that were never completed could not be removed; trying again");
        }
        if stop.run_until_cancelled(sleep(FORGET)).await.is_none() {
            return;
        }
    }
}

async fn prune(pruner: Pruner, stop: CancellationToken) {
    let (mut wait, every) = PRUNE;
    while stop.run_until_cancelled(sleep(wait)).await.is_some() {
        pruner.run_once(&stop).await;
        wait = every;
    }
}

async fn sweep(people: People, stop: CancellationToken) {
    while stop.run_until_cancelled(sleep(SWEEP)).await.is_some() {
        if let Err(error) = people.sweep_erasures(&stop).await {
            warn!(error = %error.chain(), "what is left of an erasure could not be done; trying again");
        }
    }
}

async fn settle(people: People, stop: CancellationToken) {
    while stop.run_until_cancelled(sleep(SETTLE)).await.is_some() {
        if let Err(error) = Box::pin(people.settle_erasures()).await {
            warn!(error = %error.chain(), "the ledger of erasures could not be compared with the database; trying again");
        }
    }
}

async fn rekey(db: Db, clock: Clock, stop: CancellationToken) {
    let (mut wait, every) = REKEY;
    while stop.run_until_cancelled(sleep(wait)).await.is_some() {
        wait = every;
        if let Err(error) = rekey::run(&db, &clock, &stop).await {
            warn!(error = %error.chain(), "the keys of users could not be rewritten; trying again");
            wait = SCHEDULE * 60;
        }
    }
}

async fn index(db: Db, stop: CancellationToken) {
    while let Err(error) = index::work(&db, &stop).await {
        warn!(error = %error.chain(), "the words of users could not be written; trying again");
        if stop.run_until_cancelled(sleep(SCHEDULE)).await.is_none() {
            return;
        }
    }
}

async fn remind(reminders: Reminders, weekly: Weekly, stop: CancellationToken) {
    loop {
        if let Err(error) = weekly.send_due().await {
            warn!(error = %error.chain(), "the weekly digest could not be decided; trying again");
        }
        if let Err(error) = reminders.send_due().await {
            warn!(error = %error.chain(), "reminders of contracts could not be decided; trying again");
        }
        if stop.run_until_cancelled(sleep(REMIND)).await.is_none() {
            return;
        }
    }
}

async fn repair(instances: Instances, stop: CancellationToken) {
    let mut suspects = Vec::new();
    while stop.run_until_cancelled(sleep(REPAIR)).await.is_some() {
        let repaired = async {
            queue::repair(&instances.db, &mut suspects, instances.clock.now()).await?;
            instances.mend_schedule().await
        };
        if let Err(error) = repaired.await {
            warn!(error = %error.chain(), "due times that a wrong clock wrote could not be corrected; trying again");
        }
    }
}

/// Cancels `stop` if a newer version migrates the schema so that this one can no longer work with it. True if it did.
pub async fn watch_schema(db: Db, stop: CancellationToken) -> bool {
    while stop.run_until_cancelled(sleep(SCHEMA)).await.is_some() {
        match stop.run_until_cancelled(db.is_outdated()).await {
            Some(Ok(true)) => {
                error!(
                    "a newer Muster has migrated the database, and this version cannot work with the new schema; it stops now, start the newer one"
                );
                stop.cancel();
                return true;
            }
            Some(Ok(false)) | None => {}
            Some(Err(error)) => {
                warn!(error = %error.chain(), "the version of the schema could not be read; trying again");
            }
        }
    }
    false
}

async fn upkeep(stop: CancellationToken) {
    while stop.run_until_cancelled(sleep(UPKEEP)).await.is_some() {
        telemetry::metrics().run_upkeep();
    }
}
