//! The loop that claims jobs of one kind and hands them to a function.

use std::collections::HashSet;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use entity::job::Kind;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, warn};

use super::Claim;
use crate::clock::Clock;
use crate::db::Db;
use crate::error::Result;

/// How often the table is looked at when nothing wakes the worker.
const POLL: Duration = Duration::from_secs(1);

/// How long to let others renew their leases when the database is back.
const AFTER_TROUBLE: Duration = Duration::from_secs(3);
/// How often a lease is renewed, and how soon again when that failed.
const RENEWAL: Duration = Duration::from_millis(super::LEASE_MS as u64 / 3);
const RENEWAL_RETRY: Duration = Duration::from_secs(1);

/// How soon a job is tried again that found the database unavailable, in milliseconds.
const RETRY_MS: i64 = 2_000;
/// How often it is tried to give such a job back, before its lease has to run out.
const GIVE_BACKS: u32 = 30;

/// What a worker does with a claimed job. It must finish or release the claim; the
/// token is cancelled when the lease was lost or the server stops.
pub trait Handler: Send + Sync + 'static {
    fn handle(&self, claim: Claim, stop: CancellationToken) -> impl Future<Output = Result<()>> + Send;
}

/// The jobs that this worker works on.
#[derive(Clone, Default)]
struct Held(Arc<Mutex<HashSet<i64>>>);

impl Held {
    fn add(&self, job: i64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(job);
    }

    fn remove(&self, job: i64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&job);
    }

    fn list(&self) -> Vec<i64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect()
    }
}

/// Claims jobs until `stop`, at most `concurrency` at once.
pub async fn run<H: Handler>(
    db: Db,
    clock: Clock,
    kind: Kind,
    concurrency: usize,
    handler: Arc<H>,
    tasks: TaskTracker,
    stop: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(concurrency));
    let held = Held::default();
    let mut troubled = false;
    let mut wake = db.listen(super::topic(kind));
    loop {
        let place = tokio::select! {
            () = stop.cancelled() => return,
            place = places.clone().acquire_owned() => place.expect("the semaphore is never closed"),
        };
        wake.mark_unchanged();
        if troubled && db.ping().await.is_ok() {
            // Those who hold jobs could not renew their leases either, and go first.
            troubled = false;
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(AFTER_TROUBLE) => {}
            }
        }
        match try_claim(&db, &clock, kind, &held).await {
            Ok(Some(claim)) => {
                let (db, clock, handler, stop) = (db.clone(), clock.clone(), handler.clone(), stop.child_token());
                let held = held.clone();
                held.add(claim.job);
                tasks.spawn(async move {
                    let job = claim.job;
                    work(&db, &clock, kind, claim, handler.as_ref(), stop).await;
                    held.remove(job);
                    drop(place);
                });
                continue;
            }
            Ok(None) => {}
            Err(error) => {
                warn!(kind = ?kind, error = %error, "jobs could not be claimed; trying again");
                troubled = true;
            }
        }
        drop(place);
        tokio::select! {
            () = stop.cancelled() => return,
            _ = wake.changed() => {}
            () = tokio::time::sleep(POLL) => {}
        }
    }
}

async fn try_claim(db: &Db, clock: &Clock, kind: Kind, held: &Held) -> Result<Option<Claim>> {
    let held = held.list();
    // A look before the write: an idle worker must not take the write lock every second.
    if !super::is_due(db.read(), kind, &held, clock.now()).await? {
        return Ok(None);
    }
    let held = &held;
    db.write(|tx| async move { super::claim(&tx, kind, held, clock.now()).await }).await
}

async fn work<H: Handler>(db: &Db, clock: &Clock, kind: Kind, claim: Claim, handler: &H, stop: CancellationToken) {
    let heartbeat = async {
        let (mut wait, claim) = (RENEWAL, &claim);
        loop {
            tokio::time::sleep(wait).await;
            wait = RENEWAL;
            let begun = tokio::time::Instant::now();
            match db.write(|tx| async move { super::renew(tx.conn(), claim, clock.now()).await }).await {
                Ok(true) => claim.extend(begun),
                Ok(false) => {
                    stop.cancel();
                    return;
                }
                Err(error) => {
                    warn!(job.id = claim.job, error = %error, "a lease could not be renewed; trying again");
                    wait = RENEWAL_RETRY;
                }
            }
        }
    };
    let task = std::panic::AssertUnwindSafe(handler.handle(claim.clone(), stop.clone()));
    let outcome = tokio::select! {
        outcome = futures_util::FutureExt::catch_unwind(task) => outcome,
        () = async { heartbeat.await; std::future::pending().await } => unreachable!("pending never ends"),
    };
    match outcome {
        Ok(Ok(())) => {}
        Ok(Err(error)) if error.is_passing() => {
            warn!(kind = ?kind, job.id = claim.job, error = %error, "a job found the database unavailable; it is tried again soon");
            for _ in 0..GIVE_BACKS {
                match super::give_back(db, &claim, clock.now() + RETRY_MS).await {
                    Ok(()) => return,
                    Err(error) => {
                        warn!(job.id = claim.job, error = %error, "a job could not be given back; trying again");
                    }
                }
                tokio::time::sleep(RENEWAL_RETRY).await;
            }
        }
        Ok(Err(error)) => {
            metrics::counter!("muster_job_errors_total", "kind" => format!("{kind:?}")).increment(1);
            error!(kind = ?kind, job.id = claim.job, error = %error, "a job could not be done; it is tried again when its lease ends");
        }
        Err(_) => {
            metrics::counter!("muster_job_panics_total", "kind" => format!("{kind:?}")).increment(1);
            error!(kind = ?kind, job.id = claim.job, "a job panicked; it is tried again when its lease ends");
        }
    }
}
