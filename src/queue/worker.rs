//! A worker: the loop that claims jobs of one kind and hands them to a handler.

use std::collections::HashSet;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use entity::job::Kind;
use futures_util::FutureExt;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, Span, error, error_span, field, warn};

use super::Claim;
use crate::backoff::Backoff;
use crate::clock::Clock;
use crate::db::Db;
use crate::error::Result;

/// How often the table is read when nothing wakes the worker.
const POLL: Duration = Duration::from_secs(1);
/// How long the worker claims nothing after the database is back, so that others can renew their leases first.
const RENEWALS_FIRST: Duration = Duration::from_secs(3);
/// How often a lease is renewed, and how soon again when that failed.
const RENEWAL: Duration = Duration::from_millis(super::LEASE_MS as u64 / 3);
const RENEWAL_RETRY: Duration = Duration::from_secs(1);

/// How soon a job that found the database unavailable is due again, in milliseconds.
const RETRY_MS: i64 = 2_000;
/// How often the worker tries to give such a job back before it leaves that to the end of the lease.
const RELEASE_ATTEMPTS: u32 = 16;
const RELEASE_BACKOFF: Backoff =
    Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(2), jitter: 0.2 };

/// Works on claimed jobs.
pub trait Handler: Send + Sync + 'static {
    /// Does the work, and finishes or releases the claim. `stop` is cancelled when the lease was lost or the
    /// server stops.
    fn handle(&self, claim: Claim, stop: CancellationToken) -> impl Future<Output = Result<()>> + Send;
}

/// Claims jobs of one kind, and runs up to `concurrency` of them at once.
pub struct Worker<H> {
    db: Db,
    clock: Clock,
    kind: Kind,
    concurrency: usize,
    handler: H,
}

/// The jobs that this worker is working on.
#[derive(Default)]
struct InProgress(Mutex<HashSet<i64>>);

impl<H: Handler> Worker<H> {
    pub fn new(db: &Db, clock: &Clock, kind: Kind, concurrency: usize, handler: H) -> Self {
        Self { db: db.clone(), clock: clock.clone(), kind, concurrency, handler }
    }

    /// Claims until `stop` is cancelled. The jobs run in `tasks`, which may outlast this.
    pub async fn run(self, tasks: TaskTracker, stop: CancellationToken) {
        let worker = Arc::new(self);
        let permits = Arc::new(Semaphore::new(worker.concurrency));
        let in_progress = Arc::new(InProgress::default());
        let mut wake = worker.db.listen(super::topic(worker.kind));
        let mut database_failed = false;
        // `stop` interrupts only waits: an interrupted claim could be committed, and would not be released.
        while let Some(permit) = stop.run_until_cancelled(permits.clone().acquire_owned()).await {
            let permit = permit.expect("the semaphore is never closed");
            wake.mark_unchanged();
            if database_failed && worker.db.ping().await.is_ok() {
                database_failed = false;
                stop.run_until_cancelled(tokio::time::sleep(RENEWALS_FIRST)).await;
            }
            match worker.try_claim(&in_progress).await {
                Ok(Some(claim)) => {
                    let span = worker.span(&claim);
                    let work = worker.clone().work(claim, in_progress.clone(), permit, stop.child_token());
                    tasks.spawn(work.instrument(span));
                    continue;
                }
                Ok(None) => {}
                Err(error) => {
                    warn!(kind = ?worker.kind, error = %error.chain(), "jobs could not be claimed; trying again");
                    database_failed = true;
                }
            }
            drop(permit);
            let woken = tokio::time::timeout(POLL, wake.changed());
            let _either = stop.run_until_cancelled(woken).await;
        }
    }

    async fn try_claim(&self, in_progress: &InProgress) -> Result<Option<Claim>> {
        let held: &Vec<i64> = &in_progress.0.lock().iter().copied().collect();
        // Read first: an idle worker must not take the write lock every second.
        if !super::is_due(self.db.read(), self.kind, held, self.clock.now()).await? {
            return Ok(None);
        }
        let claim = self.db.write(|tx| async move { super::claim(&tx, self.kind, held, self.clock.now()).await });
        let claim = claim.await?;
        in_progress.0.lock().extend(claim.iter().map(|claim| claim.job));
        Ok(claim)
    }

    /// What every log line of the job carries. The handler of a sync adds the instance.
    fn span(&self, claim: &Claim) -> Span {
        let (job, subject) = (claim.job, claim.subject);
        match self.kind {
            Kind::Sync => error_span!("sync", job.id = job, instance.id = field::Empty, sync_run.id = %subject),
            Kind::Purge => error_span!("purge", job.id = job, instance.id = %subject),
            Kind::Mail => error_span!("mail", job.id = job, notification.id = %subject),
        }
    }

    async fn work(
        self: Arc<Self>,
        claim: Claim,
        in_progress: Arc<InProgress>,
        permit: OwnedSemaphorePermit,
        stop: CancellationToken,
    ) {
        let handled = AssertUnwindSafe(self.handler.handle(claim.clone(), stop.clone())).catch_unwind();
        let outcome = tokio::select! {
            outcome = handled => outcome,
            () = self.keep_lease(&claim, &stop) => unreachable!("it renews the lease for ever"),
        };
        match outcome {
            Ok(Ok(())) => {}
            Ok(Err(error)) if error.is_passing() => {
                warn!(error = %error.chain(), "a job found the database unavailable; it is tried again soon");
                self.give_back(&claim).await;
            }
            Ok(Err(error)) => {
                self.count("muster_job_errors_total");
                error!(error = %error.chain(), "a job failed; it is tried again when its lease ends");
            }
            Err(_) => {
                self.count("muster_job_panics_total");
                error!("a job panicked; it is tried again when its lease ends");
            }
        }
        in_progress.0.lock().remove(&claim.job);
        drop(permit);
    }

    fn count(&self, name: &'static str) {
        metrics::counter!(name, "kind" => format!("{:?}", self.kind)).increment(1);
    }

    /// Renews the lease and never returns. Cancels `stop` when the lease was lost.
    async fn keep_lease(&self, claim: &Claim, stop: &CancellationToken) {
        let mut wait = RENEWAL;
        loop {
            tokio::time::sleep(wait).await;
            wait = RENEWAL;
            let begun = tokio::time::Instant::now();
            let renewal = self.db.write(|tx| async move { super::renew(tx.conn(), claim, self.clock.now()).await });
            match renewal.await {
                Ok(true) => claim.extend(begun),
                Ok(false) => {
                    stop.cancel();
                    std::future::pending::<()>().await;
                }
                Err(error) => {
                    warn!(error = %error.chain(), "a lease could not be renewed; trying again");
                    wait = RENEWAL_RETRY;
                }
            }
        }
    }

    async fn give_back(&self, claim: &Claim) {
        for attempt in 1..=RELEASE_ATTEMPTS {
            let Err(error) = super::give_back(&self.db, claim, self.clock.now() + RETRY_MS).await else { return };
            warn!(error = %error.chain(), "a job could not be given back; trying again");
            tokio::time::sleep(RELEASE_BACKOFF.wait(attempt, fastrand::f64())).await;
        }
    }
}
