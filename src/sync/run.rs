//! Carrying out one run.

use std::time::Instant;

use entity::instance;
use entity::run::{self, FailureClass};
use futures_util::StreamExt;
use integration::source::{ErrorClass, Loss, Page, Source};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, EntityTrait, IntoActiveModel};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::failure::Failure;
use super::finish::Ending;
use super::reconcile::{self, Scope};
use super::{Engine, TAKE_OVERS};
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::instance::state::{Change, State};
use crate::instance::{credential_expiry, lock, record};
use crate::queue::{self, Claim, worker::Handler};

/// How long a run waits for the removal of users to finish, in milliseconds.
const PURGE_PAUSE_MS: i64 = 300;
/// How long to wait before a page that could not be stored is stored again.
const STORE_PAUSE: std::time::Duration = std::time::Duration::from_secs(1);

impl Handler for Engine {
    async fn handle(&self, claim: Claim, stop: CancellationToken) -> Result<()> {
        let Some((instance, run)) = self.start(&claim).await? else { return Ok(()) };
        self.instances.running.add(run.id, stop.clone());
        let result = self.carry_out(&claim, &instance, run, &stop).await;
        self.instances.running.remove(claim.subject);
        result
    }
}

/// Why a listing went no further.
enum Cut {
    /// Somebody cancelled the run, or has it now, or the server stops.
    Stopped,
    Failed(Failure),
    Error(Error),
}

impl From<Error> for Cut {
    fn from(error: Error) -> Self {
        Cut::Error(error)
    }
}

impl Engine {
    /// Marks the run as running. `None`: there is nothing to carry out (now).
    async fn start(&self, claim: &Claim) -> Result<Option<(instance::Model, run::Model)>> {
        self.instances.db.write(|tx| async move { self.begin(&tx, claim).await }).await
    }

    async fn begin(&self, tx: &Tx, claim: &Claim) -> Result<Option<(instance::Model, run::Model)>> {
        let run = run::Entity::find_by_id(claim.subject).one(tx.conn()).await?;
        let Some(run) = run else {
            let _gone_either_way = queue::finish(tx, claim).await?;
            return Ok(None);
        };
        // The instance first, and its run as it is once nobody else changes it.
        let before = lock(tx, run.instance_id).await?;
        let run = run::Entity::find_by_id(run.id).one(tx.conn()).await?.filter(|run| run.outcome.is_none());
        let Some(mut run) = run else {
            let _gone_either_way = queue::finish(tx, claim).await?;
            return Ok(None);
        };
        let now = self.instances.clock.now();
        if !queue::renew(tx.conn(), claim, now).await? {
            return Ok(None);
        }
        if before.purging {
            queue::release(tx, claim, now + PURGE_PAUSE_MS).await?;
            return Ok(None);
        }
        let mut model = before.clone();
        let steps = State::of(&model).apply(Change::Start, now)?;
        if steps.is_empty() {
            info!(instance.id = %model.id, sync_run.id = %run.id, take_overs = claim.take_overs, "a run goes on where it was cut");
        } else {
            model.run_number += 1;
            let mut row = run.into_active_model();
            row.number = Set(model.run_number);
            row.started_at = Set(Some(now));
            row.users_before = Set(model.user_count);
            run = row.update(tx.conn()).await?;
            record(tx, &before, &mut model, steps, None, now).await?;
        }
        Ok(Some((model, run)))
    }

    async fn carry_out(
        &self,
        claim: &Claim,
        instance: &instance::Model,
        mut run: run::Model,
        stop: &CancellationToken,
    ) -> Result<()> {
        let ending = if claim.take_overs > TAKE_OVERS {
            Ending::Failed(
                Failure::new(FailureClass::Timeout, "The sync was interrupted too often and was given up."),
                false,
            )
        } else {
            match self.instances.source(instance, run.number) {
                Err(error) => Ending::Failed(error.into(), false),
                Ok(source) => match self.list(claim, source.as_ref(), instance, &mut run, stop).await {
                    Ok(()) => Ending::Complete,
                    Err(Cut::Failed(error)) => {
                        let refused = tokio::select! {
                            refused = self.still_refused(source.as_ref(), instance, &error) => refused,
                            () = stop.cancelled() => return self.give_back(claim).await,
                        };
                        Ending::Failed(error, refused)
                    }
                    Err(Cut::Stopped) => return self.give_back(claim).await,
                    Err(Cut::Error(error)) => {
                        tracing::error!(instance.id = %instance.id, sync_run.id = %run.id, error = %error, "a run met an error of our own");
                        Ending::Failed(
                            Failure::new(
                                FailureClass::Internal,
                                "This server made an error while it stored the users; its log has the details.",
                            ),
                            false,
                        )
                    }
                },
            }
        };
        self.finish(claim, run.id, ending).await
    }

    /// The run is not ours to end: it was cancelled, or another worker will go on with it.
    async fn give_back(&self, claim: &Claim) -> Result<()> {
        queue::give_back(&self.instances.db, claim, self.instances.clock.now()).await
    }

    /// Whether a refusal is certain enough to switch the instance off for it: `instance` is as it was
    /// when the run began, and whoever changed it since may have given it another credential.
    async fn still_refused(&self, source: &dyn Source, instance: &instance::Model, error: &Failure) -> bool {
        let refused = self.is_certain(source, error).await;
        let now = self.instances.get(instance.id).await;
        refused && now.is_ok_and(|now| now.revision == instance.revision)
    }

    async fn is_certain(&self, source: &dyn Source, error: &Failure) -> bool {
        match error.class {
            FailureClass::Permission => true,
            FailureClass::Token if error.definite => true,
            FailureClass::Token => {
                tokio::time::sleep(self.limits.second_look).await;
                let second = tokio::time::timeout(self.limits.page, source.check()).await;
                matches!(second, Ok(Err(error)) if error.class == ErrorClass::Token)
            }
            FailureClass::RateLimit
            | FailureClass::Transient
            | FailureClass::Config
            | FailureClass::RemovalGuard
            | FailureClass::Timeout
            | FailureClass::Internal => false,
        }
    }

    /// Stores page after page until the listing is complete.
    async fn list(
        &self,
        claim: &Claim,
        source: &dyn Source,
        instance: &instance::Model,
        run: &mut run::Model,
        stop: &CancellationToken,
    ) -> Result<(), Cut> {
        if run.listed {
            // Cut between the last page and the outcome.
            return Ok(());
        }
        let mut pages = source.pages(run.checkpoint.clone());
        #[expect(clippy::disallowed_methods, reason = "measures a duration inside the process")]
        let began = Instant::now();
        loop {
            let timeout = |what: &str| Cut::Failed(Failure::new(FailureClass::Timeout, what));
            let page = tokio::select! {
                () = stop.cancelled() => return Err(Cut::Stopped),
                page = tokio::time::timeout(self.limits.page, pages.next()) => page,
            };
            let page = match page {
                Err(_) => return Err(timeout("The application stopped answering.")),
                Ok(None) => {
                    let message = "The application's list ended without saying that it is complete.";
                    return Err(Cut::Failed(Failure::new(FailureClass::Config, message)));
                }
                Ok(Some(Err(error))) => return Err(Cut::Failed(error.into())),
                Ok(Some(Ok(page))) => page,
            };
            let last = page.next.is_none();
            // A database that cannot be used will be back, and the page is here: nothing is asked for twice.
            let held = loop {
                match self.store(claim, instance, run, &page).await {
                    Err(error) if error.is_passing() => {
                        warn!(sync_run.id = %run.id, error = %error, "a page could not be stored; trying again");
                    }
                    stored => break stored?,
                }
                tokio::select! {
                    () = stop.cancelled() => return Err(Cut::Stopped),
                    () = tokio::time::sleep(STORE_PAUSE) => {}
                }
            };
            if !held {
                return Err(Cut::Stopped);
            }
            if last {
                return Ok(());
            }
            if began.elapsed() > self.limits.run {
                return Err(timeout("The sync took longer than a sync may."));
            }
        }
    }

    /// Stores one page with its checkpoint. False: the claim is lost.
    async fn store(
        &self,
        claim: &Claim,
        instance: &instance::Model,
        run: &mut run::Model,
        page: &Page,
    ) -> Result<bool> {
        let Page { users, next, expected, lost, credential_expires_at } = page;
        let now = self.instances.clock.now();
        let scope = Scope { instance_id: run.instance_id, run_id: run.id, number: run.number, now };
        let losses = &merge_losses(&run.lost, lost)?;
        let (known, scope) = (&*run, &scope);
        let stored = self
            .instances
            .db
            .write(|tx| async move {
                if let Some(at) = *credential_expires_at {
                    // The instance before its job, as everywhere.
                    credential_expiry::learned(&tx, instance, at).await?;
                }
                // By the clock as it is now: the heartbeat may have renewed the lease since this was tried first.
                if !queue::renew(tx.conn(), claim, self.instances.clock.now()).await? {
                    return Ok(None);
                }
                let counts = reconcile::store(tx.conn(), scope, users).await?;
                let mut row = known.clone().into_active_model();
                row.seen = Set(known.seen + counts.seen);
                row.added = Set(known.added + counts.added);
                row.changed = Set(known.changed + counts.changed);
                row.pages = Set(known.pages + 1);
                row.expected = Set(expected.and_then(|count| i64::try_from(count).ok()).or(known.expected));
                row.listed = Set(next.is_none());
                row.checkpoint = Set(next.clone());
                row.lost = Set(losses.clone());
                Ok(Some((row.update(tx.conn()).await?, counts)))
            })
            .await?;
        let Some((stored, counts)) = stored else { return Ok(false) };
        *run = stored;
        if counts.repeated > 0 {
            warn!(instance.id = %run.instance_id, sync_run.id = %run.id, page = run.pages, users = counts.repeated, "a page repeats users; they are counted once");
        }
        metrics::counter!("muster_users_synced_total").increment(counts.seen.unsigned_abs());
        Ok(true)
    }
}

fn merge_losses(known: &serde_json::Value, more: &[Loss]) -> Result<serde_json::Value> {
    let mut losses: Vec<Loss> = serde_json::from_value(known.clone())?;
    for loss in more {
        if !losses.contains(loss) {
            losses.push(loss.clone());
        }
    }
    Ok(serde_json::to_value(losses)?)
}
