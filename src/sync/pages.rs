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

use super::Engine;
use super::failure::Failure;
use super::losses;
use super::reconcile::{self, Scope};
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
    Error(Error),
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
    pub(super) async fn list(
        &self,
        claim: &Claim,
        source: &dyn Source,
        instance: &instance::Model,
        run: &mut run::Model,
        stop: &CancellationToken,
    ) -> Result<(), Interruption> {
        if run.listed {
            // The run was interrupted between the last page and the outcome.
            return Ok(());
        }
        let mut pages = source.pages(run.checkpoint.clone());
        #[expect(clippy::disallowed_methods, reason = "measures a duration inside the process")]
        let began = Instant::now();
        loop {
            let page = self.next(&mut pages, stop).await?;
            self.store_at_last(claim, instance, run, &page, stop).await?;
            if let Some(error) = self.hold_growth(run, instance) {
                return Err(Interruption::Failed(error));
            }
            if page.next.is_none() {
                return Ok(());
            }
            if began.elapsed() > self.limits.run {
                return Err(failed(FailureClass::Timeout, "The sync took longer than a sync may."));
            }
        }
    }

    async fn next(
        &self,
        pages: &mut BoxStream<'_, Result<Page, SourceError>>,
        stop: &CancellationToken,
    ) -> Result<Page, Interruption> {
        let page = tokio::select! {
            () = stop.cancelled() => return Err(Interruption::Stopped),
            page = tokio::time::timeout(self.limits.page, pages.next()) => page,
        };
        match page {
            Err(_) => Err(failed(FailureClass::Timeout, "The application stopped answering.")),
            Ok(None) => {
                let message = "The application's list ended without saying that it is complete.";
                Err(failed(FailureClass::Config, message))
            }
            Ok(Some(Err(error))) => Err(Interruption::Failed(error.into())),
            Ok(Some(Ok(page))) => Ok(page),
        }
    }

    /// Stores a page. While the database is unavailable, it retries instead of requesting the page from the application
    /// again.
    async fn store_at_last(
        &self,
        claim: &Claim,
        instance: &instance::Model,
        run: &mut run::Model,
        page: &Page,
        stop: &CancellationToken,
    ) -> Result<(), Interruption> {
        loop {
            match self.store(claim, instance, run, page).await {
                Ok(true) => return Ok(()),
                Ok(false) => return Err(Interruption::Stopped),
                Err(error) if error.is_passing() => {
                    warn!(error = %error.chain(), "a page could not be stored; trying again");
                }
                Err(error) => return Err(error.into()),
            }
            tokio::select! {
                () = stop.cancelled() => return Err(Interruption::Stopped),
                () = tokio::time::sleep(STORE_PAUSE) => {}
            }
        }
    }

    /// Stores one page with its checkpoint. False if the claim was lost.
    async fn store(
        &self,
        claim: &Claim,
        instance: &instance::Model,
        run: &mut run::Model,
        page: &Page,
    ) -> Result<bool> {
        let Page { users, next, expected, lost, credential_expires_at, expect_distinct } = page;
        let now = self.instances.clock.now();
        let scope = Scope::of(run, now);
        let (known, scope) = (&*run, &scope);
        let stored = self
            .instances
            .db
            .write(|tx| async move {
                if let Some(at) = *credential_expires_at {
                    credential_expiry::store(&tx, instance, at).await?;
                }
                // Reads the clock again: the heartbeat may have renewed the lease since the first attempt.
                if !queue::renew(tx.conn(), claim, self.instances.clock.now()).await? {
                    return Ok(None);
                }
                let counts = reconcile::store(tx.conn(), scope, users).await?;
                let mut row = known.clone().into_active_model();
                let seen = known.seen + counts.seen;
                row.seen = Set(seen);
                row.added = Set(known.added + counts.added);
                row.changed = Set(known.changed + counts.changed);
                row.pages = Set(known.pages + 1);
                row.expected = Set(expected.and_then(|count| i64::try_from(count).ok()).or(known.expected));
                row.listed = Set(next.is_none());
                row.checkpoint = Set(next.clone());
                let mut lost = losses::merge(&known.lost, lost)?;
                if let Some(expected) = expect_distinct.filter(|expected| u64::try_from(seen) != Ok(*expected)) {
                    lost = losses::merge(&lost, &[losses::of_users(seen, expected)])?;
                }
                row.lost = Set(lost);
                Ok(Some((row.update(tx.conn()).await?, counts)))
            })
            .await?;
        let Some((stored, counts)) = stored else { return Ok(false) };
        *run = stored;
        if counts.repeated > 0 {
            warn!(page = run.pages, users = counts.repeated, "a page repeats users; they are counted once");
        }
        metrics::counter!("muster_users_synced_total").increment(counts.seen.unsigned_abs());
        Ok(true)
    }
}
