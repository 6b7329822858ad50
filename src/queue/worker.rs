//! A worker: the loop that claims jobs of one kind and hands them to a handler.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use entity::job::{Kind, Model};
use futures_util::FutureExt;
use parking_lot::Mutex;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, Span, error, error_span, field, warn};

use super::place::Places;
use super::{Claim, Claimable};
use crate::backoff::Backoff;
use crate::clock::Clock;
use crate::db::Db;
use crate::error::Result;

/// How often the table is read when nothing wakes the worker.
const POLL: Duration = Duration::from_secs(1);
/// How long the worker claims nothing after the database is back, so that others can renew their leases first.
const RENEWALS_FIRST: Duration = Duration::from_secs(3);
/// How often leases are renewed.
const RENEWAL: Duration = Duration::from_millis(super::LEASE_MS as u64 / 3);
/// How often the worker checks whether leases must be renewed or were lost; and how often while it stops.
const LOOK: Duration = Duration::from_millis(700);
const LOOK_AT_STOP: Duration = Duration::from_millis(50);
/// How many jobs are claimed in one transaction.
const AT_ONCE: usize = 64;

/// When a job that failed because the database was unavailable is due again, in milliseconds.
const RETRY_MS: i64 = 2_000;
/// How often the worker tries to give such a job back. After that, the job becomes free when its lease ends.
const RELEASE_ATTEMPTS: u32 = 16;
const RELEASE_BACKOFF: Backoff =
    Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(2), jitter: 0.2 };

/// Works on claimed jobs.
pub trait Handler: Send + Sync + 'static {
    /// Does the work, and finishes or releases the claim. `stop` is cancelled when the lease was lost or the
    /// server stops.
    fn handle(&self, claim: Claim, stop: CancellationToken) -> impl Future<Output = Result<()>> + Send;
}

/// Does a job in parts, until one of them says that nothing is left. If the worker stops before, the job is given back.
pub async fn in_parts<F: Future<Output = Result<bool>>>(
    (db, clock): (&Db, &Clock),
    claim: &Claim,
    stop: &CancellationToken,
    mut part: impl FnMut() -> F,
) -> Result<()> {
    while !stop.is_cancelled() {
        if part().await? {
            return Ok(());
        }
        tokio::task::yield_now().await;
    }
    super::give_back(db, claim, clock.now()).await
}

/// Claims jobs of one kind, and runs up to `concurrency` of them at once.
pub struct Worker<H> {
    db: Db,
    clock: Clock,
    kind: Kind,
    places: Arc<Places>,
    in_progress: InProgress,
    handler: H,
}

/// The jobs that a worker is working on.
#[derive(Default)]
struct InProgress(Mutex<HashMap<i64, (Claim, CancellationToken)>>);

impl InProgress {
    fn jobs(&self) -> Vec<i64> {
        self.0.lock().keys().copied().collect()
    }

    fn claims(&self) -> Vec<Claim> {
        self.0.lock().values().map(|(claim, _)| claim.clone()).collect()
    }

    /// Stops the work on a job whose claim was lost.
    fn stop(&self, claim: &Claim) {
        if let Some((_, stop)) = self.0.lock().get(&claim.job).filter(|(held, _)| held.claims == claim.claims) {
            stop.cancel();
        }
    }
}

impl<H: Handler> Worker<H> {
    pub fn new(db: &Db, clock: &Clock, kind: Kind, concurrency: usize, handler: H) -> Self {
        let places = Places::new(kind, concurrency);
        let in_progress = InProgress::default();
        Self { db: db.clone(), clock: clock.clone(), kind, places, in_progress, handler }
    }

    /// Claims until `stop` is cancelled. The jobs run in `tasks`, which may outlast this.
    pub async fn run(self, tasks: TaskTracker, stop: CancellationToken) {
        let worker = Arc::new(self);
        tasks.spawn(worker.clone().keep_leases(stop.clone()));
        let mut wake = worker.db.listen(super::topic(worker.kind));
        let mut database_failed = false;
        // `stop` interrupts only waits: an interrupted claim might still be committed, and nobody would release it.
        while !stop.is_cancelled() {
            wake.mark_unchanged();
            if database_failed && worker.db.ping().await.is_ok() {
                database_failed = false;
                stop.run_until_cancelled(tokio::time::sleep(RENEWALS_FIRST)).await;
            }
            match worker.try_claim().await {
                Ok(claims) if claims.is_empty() => {}
                Ok(claims) => {
                    for claim in claims {
                        worker.clone().start(claim, &tasks, &stop);
                    }
                    continue;
                }
                Err(error) => {
                    warn!(kind = ?worker.kind, error = %error.chain(), "jobs could not be claimed; trying again");
                    database_failed = true;
                }
            }
            tokio::select! {
                () = stop.cancelled() => {}
                _ = wake.changed() => {}
                () = worker.places.freed() => {}
                () = tokio::time::sleep(POLL) => {}
            }
        }
    }

    /// Claims as many jobs as there are free places for.
    async fn try_claim(&self) -> Result<Vec<Claim>> {
        let held = &self.in_progress.jobs();
        let (mut claims, mut wanted) = (Vec::new(), false);
        for lane in self.places.lanes() {
            let free = lane.free().min(AT_ONCE);
            let claimable =
                |limit| Claimable { kind: self.kind, priorities: &lane.priorities, in_progress: held, limit };
            // Read first: an idle worker must not take the write lock every second.
            let due = claimable(free + 1).count(self.db.read(), self.clock.now()).await?;
            wanted |= due > free;
            let permits = lane.take(due.min(free));
            if permits.is_empty() {
                continue;
            }
            let (until, claimable) = (tokio::time::Instant::now() + super::LEASE, &claimable(permits.len()));
            let jobs = self.db.write(|tx| async move { claimable.claim(&tx, self.clock.now()).await }).await?;
            let claim = |(job, permit): (Model, OwnedSemaphorePermit)| Claim {
                job: job.id,
                subject: job.subject,
                claims: job.claims,
                take_overs: job.take_overs,
                until: Arc::new(Mutex::new(until)),
                place: self.places.place(permit),
            };
            claims.extend(jobs.into_iter().zip(permits).map(claim));
        }
        self.places.want(wanted);
        Ok(claims)
    }

    fn start(self: Arc<Self>, claim: Claim, tasks: &TaskTracker, stop: &CancellationToken) {
        let (span, stop) = (self.span(&claim), stop.child_token());
        self.in_progress.0.lock().insert(claim.job, (claim.clone(), stop.clone()));
        tasks.spawn(self.work(claim, stop).instrument(span));
    }

    /// The fields of every log line of the job. The handler of a sync adds the instance.
    fn span(&self, claim: &Claim) -> Span {
        let (job, subject) = (claim.job, claim.subject);
        match self.kind {
            Kind::Sync => error_span!("sync", job.id = job, instance.id = field::Empty, sync_run.id = %subject),
            Kind::Purge => error_span!("purge", job.id = job, instance.id = %subject),
            Kind::Mail => error_span!("mail", job.id = job, notification.id = %subject),
            Kind::Recovery => error_span!("recovery", job.id = job, instance.id = %subject),
            Kind::People => error_span!("people", job.id = job, people_task.id = %subject),
            Kind::Tally => error_span!("tally", job.id = job, instance.id = %subject),
            Kind::Findings => error_span!("findings", job.id = job, instance.id = %subject),
            Kind::Webhook => error_span!("webhook", job.id = job, webhook.id = %subject),
        }
    }

    async fn work(self: Arc<Self>, claim: Claim, stop: CancellationToken) {
        let outcome = AssertUnwindSafe(self.handler.handle(claim.clone(), stop)).catch_unwind().await;
        match outcome {
            Ok(Ok(())) => {}
            Ok(Err(error)) if error.is_passing() => {
                warn!(error = %error.chain(), "the database was unavailable for a job; it is tried again soon");
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
        self.in_progress.0.lock().remove(&claim.job);
        claim.step_aside();
    }

    fn count(&self, name: &'static str) {
        metrics::counter!(name, "kind" => format!("{:?}", self.kind)).increment(1);
    }

    /// Renews the leases of all jobs together, and stops the work on those whose claims were lost. Ends when `stop`
    /// is cancelled and no work is left.
    async fn keep_leases(self: Arc<Self>, stop: CancellationToken) {
        let mut renewed = tokio::time::Instant::now();
        while !(stop.is_cancelled() && self.in_progress.0.lock().is_empty()) {
            tokio::time::sleep(if stop.is_cancelled() { LOOK_AT_STOP } else { LOOK }).await;
            let due = renewed.elapsed() >= RENEWAL;
            let claims = self.in_progress.claims();
            // Between renewals, another process may cancel a job, so the database is read. If this process cancels a
            // job, it stops the work at once itself.
            let looked = match (claims.is_empty(), due) {
                (false, true) => self.renew_all(&claims).await,
                (false, false) if self.db.shared() => self.stop_lost(&claims).await,
                _ => Ok(()),
            };
            match looked {
                Ok(()) if due => renewed = tokio::time::Instant::now(),
                Ok(()) => {}
                Err(error) => {
                    warn!(kind = ?self.kind, error = %error.chain(), "leases could not be renewed; trying again");
                }
            }
        }
    }

    async fn renew_all(&self, claims: &[Claim]) -> Result<()> {
        let begun = tokio::time::Instant::now();
        let renewed = self.db.write(|tx| async move { super::renew_all(&tx, claims, self.clock.now()).await }).await?;
        let renewed: HashSet<i64> = renewed.into_iter().collect();
        for claim in claims.iter().filter(|claim| renewed.contains(&claim.job)) {
            claim.extend(begun);
        }
        self.stop_lost(claims).await
    }

    async fn stop_lost(&self, claims: &[Claim]) -> Result<()> {
        for claim in super::lost(self.db.read(), claims).await? {
            self.in_progress.stop(claim);
        }
        Ok(())
    }

    async fn give_back(&self, claim: &Claim) {
        for attempt in 1..=RELEASE_ATTEMPTS {
            let Err(error) = super::give_back(&self.db, claim, self.clock.now() + RETRY_MS).await else { return };
            warn!(error = %error.chain(), "a job could not be given back; trying again");
            tokio::time::sleep(RELEASE_BACKOFF.wait(attempt, fastrand::f64())).await;
        }
    }
}
