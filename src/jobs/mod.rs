//! Everything that runs without being asked, on one screen.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use entity::job::Kind;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use crate::clock::Clock;
use crate::config::Roles;
use crate::db::Db;
use crate::events::Feed;
use crate::instance::Instances;
use crate::instance::authorization::Authorizations;
use crate::instance::event::Event;
use crate::instance::purge::Purge;
use crate::mail::Mailer;
use crate::maintenance::retention::Pruner;
use crate::notification::deliver::{self, Delivery};
use crate::queue::{self, worker};
use crate::sync::{Engine, progress::Progress};
use crate::telemetry;

/// How often the scheduler looks for instances that are due.
const SCHEDULE: Duration = Duration::from_secs(1);
/// How often consents that nobody came back from are removed.
const FORGET: Duration = Duration::from_mins(1);
/// How often it is looked for what a clock that was wrong has written down.
const MEND: Duration = Duration::from_secs(30);
/// When what is past its time is removed for the first time, and how often then.
const KEEP: (Duration, Duration) = (Duration::from_mins(1), Duration::from_mins(10));
/// How often histograms are condensed.
const UPKEEP: Duration = Duration::from_secs(5);
/// How many instances are purged at once: SQLite writes one transaction at a time anyway.
const PURGES: usize = 2;

/// What the jobs work with.
pub struct Tools {
    pub db: Db,
    pub clock: Clock,
    pub engine: Engine,
    pub instances: Instances,
    pub authorizations: Authorizations,
    pub mailer: Mailer,
    pub pruner: Pruner,
    pub feed: Feed<Event>,
    /// The event that the feed goes on from.
    pub newest: i64,
    pub progress: Progress,
    pub beat: Beat,
    pub sync_concurrency: usize,
}

/// When the scheduler went round last.
#[derive(Clone, Default)]
pub struct Beat(Arc<Mutex<Option<Instant>>>);

impl Beat {
    fn count(&self) {
        #[expect(clippy::disallowed_methods, reason = "measures silence inside the process")]
        let now = Instant::now();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }

    /// Whether the workers worked no longer ago than this.
    pub fn within(&self, silence: Duration) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|at| at.elapsed() < silence)
    }
}

/// Starts what belongs to the roles.
pub fn spawn(tools: &Tools, roles: Roles, tasks: &TaskTracker, stop: &CancellationToken) {
    tasks.spawn(upkeep(stop.clone()));
    if roles.api {
        let Tools { db, feed, newest, progress, .. } = tools;
        tasks.spawn(feed.clone().follow(db.clone(), *newest, stop.clone()));
        tasks.spawn(progress.clone().follow(db.clone(), stop.clone()));
    }
    if roles.workers {
        spawn_workers(tools, tasks, stop);
    }
}

fn spawn_workers(tools: &Tools, tasks: &TaskTracker, stop: &CancellationToken) {
    let Tools { db, clock, engine, instances, authorizations, mailer, pruner, beat, sync_concurrency, .. } = tools;
    tasks.spawn(worker::run(
        db.clone(),
        clock.clone(),
        Kind::Sync,
        *sync_concurrency,
        Arc::new(engine.clone()),
        tasks.clone(),
        stop.clone(),
    ));
    tasks.spawn(worker::run(
        db.clone(),
        clock.clone(),
        Kind::Purge,
        PURGES,
        Arc::new(Purge(instances.clone())),
        tasks.clone(),
        stop.clone(),
    ));
    tasks.spawn(worker::run(
        db.clone(),
        clock.clone(),
        Kind::Mail,
        deliver::CONCURRENCY,
        Arc::new(Delivery {
            db: db.clone(),
            clock: clock.clone(),
            mailer: mailer.clone(),
            age_clock: pruner.age_clock.clone(),
        }),
        tasks.clone(),
        stop.clone(),
    ));
    tasks.spawn(schedule(instances.clone(), beat.clone(), stop.clone()));
    tasks.spawn(forget(authorizations.clone(), stop.clone()));
    tasks.spawn(keep(pruner.clone(), stop.clone()));
    tasks.spawn(mend(instances.clone(), stop.clone()));
}

async fn schedule(instances: Instances, beat: Beat, stop: CancellationToken) {
    loop {
        match instances.queue_due().await {
            Ok(()) => beat.count(),
            Err(error) => warn!(error = %error, "due instances could not be queued; trying again"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(SCHEDULE) => {}
        }
    }
}

async fn forget(authorizations: Authorizations, stop: CancellationToken) {
    loop {
        if let Err(error) = authorizations.forget_expired().await {
            warn!(error = %error, "consents that nobody came back from could not be removed; trying again");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(FORGET) => {}
        }
    }
}

async fn keep(pruner: Pruner, stop: CancellationToken) {
    let (mut wait, every) = KEEP;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
        pruner.run_once(&stop).await;
        wait = every;
    }
}

async fn mend(instances: Instances, stop: CancellationToken) {
    let mut suspects = Vec::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(MEND) => {}
        }
        let mended = async {
            queue::mend(&instances.db, &mut suspects, instances.clock.now()).await?;
            instances.mend_schedule().await
        };
        if let Err(error) = mended.await {
            warn!(error = %error, "what a wrong clock may have written down could not be looked for; trying again");
        }
    }
}

async fn upkeep(stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(UPKEEP) => telemetry::metrics().run_upkeep(),
        }
    }
}
