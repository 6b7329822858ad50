//! The listing of a run. Each page is stored in its own transaction.

use std::time::{Duration, Instant};

use entity::instance;
use entity::run::{self, FailureClass};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use integration::source::{Page, Source, SourceError};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, IntoActiveModel};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::failure::Failure;
use super::reconcile::{self, Counts, Scope};
use super::{Engine, erased, losses};
use crate::error::{Error, Result};
use crate::instance::credential_expiry;
use crate::queue::{self, Claim};

/// How long to wait before a page that could not be stored is stored again.
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// Why a listing ended before it was complete.
pub(super) enum Interruption {
    /// The run was cancelled, another worker has claimed it, or the server is stopping.
    Stopped,
    Failed(Failure),
    /// The credential is refused, also after it was checked again.
    Refused {
        error: Failure,
        /// The application did not say why.
        bare: bool,
    },
    Error(Error),
}

/// What a listing works with.
pub(super) struct Work<'a> {
    pub claim: &'a Claim,
    pub source: &'a dyn Source,
    /// As it was when the run was claimed.
    pub instance: &'a instance::Model,
    /// The credential is a password.
    pub guessing_locks: bool,
    pub stop: &'a CancellationToken,
}

impl From<Error> for Interruption {
    fn from(error: Error) -> Self {
        Interruption::Error(error)
    }
}

fn failed(class: FailureClass, message: &str) -> Interruption {
    Interruption::Failed(Failure::new(class, message))
}

impl Engine {
    /// Stores page after page until the listing is complete.
    pub(super) async fn list(&self, work: &Work<'_>, run: &mut run::Model) -> Result<(), Interruption> {
        if run.listed {
            // The run was interrupted between the last page and the outcome.
            return Ok(());
        }
        let mut pages = work.source.pages(run.checkpoint.clone());
        #[expect(clippy::disallowed_methods, reason = "measures a duration inside the process")]
        let began = Instant::now();
        loop {
            let asked = tokio::time::Instant::now();
            let page = match self.next(work, &mut pages).await {
                Ok(page) => page,
                Err(Interruption::Failed(error)) => {
                    self.wait_out(work, run, error, asked.elapsed()).await?;
                    continue;
                }
                Err(other) => return Err(other),
            };
            self.go_on(work, run).await?;
            *run = self.store_page(work, run, &page).await?;
            if let Some(error) = self.hold_growth(run, work.instance) {
                return Err(Interruption::Failed(error));
            }
            if page.next.is_none() {
                return Ok(());
            }
            if began.elapsed() > self.limits.run {
                return Err(failed(FailureClass::Timeout, "The sync took longer than one sync may take."));
            }
        }
    }

    async fn next(
        &self,
        work: &Work<'_>,
        pages: &mut BoxStream<'_, Result<Page, SourceError>>,
    ) -> Result<Page, Interruption> {
        let page = loop {
            let page = tokio::time::timeout(self.limits.page, pages.next());
            match work.stop.run_until_cancelled(page).await {
                None => return Err(Interruption::Stopped),
                Some(Err(_)) if work.source.is_queued() => {}
                Some(page) => break page,
            }
        };
        match page {
            Err(_) => {
                let error = Failure::new(FailureClass::Timeout, "The application stopped answering.");
                // The run has already waited for this page.
                Err(Interruption::Failed(Failure { lasting: true, ..error }))
            }
            Ok(None) => {
                let message = "The application's list ended without saying that it is complete.";
                Err(failed(FailureClass::Config, message))
            }
            Ok(Some(Err(error))) => Err(Interruption::Failed(error.into())),
            Ok(Some(Ok(page))) => Ok(page),
        }
    }

    /// Repeats a write until the database can be used, so that the application need not be asked again.
    pub(super) async fn at_last<T, W>(&self, stop: &CancellationToken, write: impl Fn() -> W) -> Result<T, Interruption>
    where
        W: Future<Output = Result<Option<T>>>,
    {
        loop {
            match write().await {
                Ok(Some(written)) => return Ok(written),
                // The claim is lost.
                Ok(None) => return Err(Interruption::Stopped),
                Err(error) if error.is_passing() => {
                    warn!(error = %error.chain(), "what a sync found could not be stored; trying again");
                }
                Err(error) => return Err(error.into()),
            }
            tokio::select! {
                () = stop.cancelled() => return Err(Interruption::Stopped),
                () = tokio::time::sleep(STORE_PAUSE) => {}
            }
        }
    }

    /// Stores one page with its checkpoint, and returns the run as it is then.
    async fn store_page(&self, work: &Work<'_>, run: &run::Model, page: &Page) -> Result<run::Model, Interruption> {
        let (run, counts) = self.at_last(work.stop, || self.store(work, run, page)).await?;
        if counts.repeated > 0 {
            warn!(page = run.pages, users = counts.repeated, "a page repeats users; they are counted once");
        }
        metrics::counter!("muster_users_synced_total").increment(counts.seen.unsigned_abs());
        Ok(run)
    }

    /// `None`: the claim is lost.
    async fn store(&self, work: &Work<'_>, run: &run::Model, page: &Page) -> Result<Option<(run::Model, Counts)>> {
        let Page { users, next, expected, lost, credential_expires_at, expect_distinct } = page;
        let now = self.instances.clock.now();
        let scope = Scope::of(run, now);
        let (known, scope) = (run, &scope);
        self.write(|tx| async move {
            if let Some(at) = *credential_expires_at {
                credential_expiry::store(&tx, work.instance, at).await?;
            }
            // Reads the clock again: the heartbeat may have renewed the lease since the first attempt.
            if !queue::renew(tx.conn(), work.claim, self.instances.clock.now()).await? {
                return Ok(None);
            }
            // After the renewal of the claim, for which an erasure waits.
            let users = erased::blank(&tx, scope, users).await?;
            let counts = reconcile::store(tx.conn(), scope, &users).await?;
            let mut row = known.clone().into_active_model();
            let seen = known.seen + counts.seen;
            row.seen = Set(seen);
            row.added = Set(known.added + counts.added);
            row.changed = Set(known.changed + counts.changed);
            row.pages = Set(known.pages + 1);
            row.expected = Set(expected.and_then(|count| i64::try_from(count).ok()).or(known.expected));
            row.listed = Set(next.is_none());
            row.checkpoint = Set(next.clone());
            // A refusal after a page of users is a new one. Pages that only show that the listing goes on prove nothing.
            if *next != known.checkpoint {
                row.looks = Set(0);
            }
            let mut lost = losses::merge(&known.lost, lost)?;
            if let Some(expected) = expect_distinct.filter(|expected| u64::try_from(seen) != Ok(*expected)) {
                lost = losses::merge(&lost, &[losses::of_users(seen, expected)])?;
            }
            row.lost = Set(lost);
            Ok(Some((row.update(tx.conn()).await?, counts)))
        })
        .await
    }
}
