//! Carries out one run.

use entity::instance;
use entity::run::{self, FailureClass};
use sea_orm::EntityTrait;
use tokio_util::sync::CancellationToken;
use tracing::{Span, error, field, info};

use super::baseline;
use super::failure::Failure;
use super::finish::{Ending, Refusal};
use super::pages::{Interruption, Work};
use super::{Engine, TAKE_OVERS};
use crate::db::Tx;
use crate::error::{Context as _, Result};
use crate::instance::state::Change;
use crate::instance::transition::Transition;
use crate::queue::{self, Claim, worker::Handler};

/// How long a run waits for the removal of users to finish, in milliseconds.
const REMOVAL_PAUSE_MS: i64 = 300;

impl Handler for Engine {
    async fn handle(&self, claim: Claim, stop: CancellationToken) -> Result<()> {
        let Some(Started { instance, run, resumed }) = self.start(&claim).await? else { return Ok(()) };
        Span::current().record("instance.id", field::display(instance.id));
        if resumed {
            info!(take_overs = claim.take_overs, "a run continues where it was interrupted");
        }
        self.instances.running.add(run.id, stop.clone());
        let result = self.carry_out(&claim, &instance, run, &stop).await;
        self.instances.running.remove(claim.subject);
        result
    }
}

struct Started {
    instance: instance::Model,
    run: run::Model,
    /// The run was interrupted before.
    resumed: bool,
}

impl Engine {
    /// Marks the run as running. `None` if there is nothing to do, or not yet.
    async fn start(&self, claim: &Claim) -> Result<Option<Started>> {
        // Without the limit of `writers`: a first run must not wait until other runs have stored their pages.
        self.instances.db.write(|tx| async move { self.begin(&tx, claim).await }).await.context("starting the run")
    }

    async fn begin(&self, tx: &Tx, claim: &Claim) -> Result<Option<Started>> {
        let Some(run) = run::Entity::find_by_id(claim.subject).one(tx.conn()).await? else {
            let _gone_either_way = queue::finish(tx, claim).await?;
            return Ok(None);
        };
        let now = self.instances.clock.now();
        let mut transition = Transition::begin(tx, run.instance_id, None, now).await?;
        if transition.current_run().is_none_or(|current| current.id != run.id) {
            // The run has ended.
            let _gone_either_way = queue::finish(tx, claim).await?;
            return Ok(None);
        }
        if !queue::renew(tx.conn(), claim, now).await? {
            return Ok(None);
        }
        if transition.instance().purging {
            queue::release(tx, claim, now + REMOVAL_PAUSE_MS).await?;
            return Ok(None);
        }
        // The run waits until the recorded time, even if another process has taken it over. If that is later than any
        // wait can end, a wrong clock wrote it.
        let longest = i64::try_from(self.limits.patience.longest().as_millis()).unwrap_or(i64::MAX);
        let until = transition.current_run().and_then(|run| run.waiting_until);
        if let Some(until) = until.filter(|until| (now + 1..=now.saturating_add(longest)).contains(until)) {
            queue::release(tx, claim, until).await?;
            return Ok(None);
        }
        let integration = self.instances.catalog.find(&run.integration_key);
        baseline::note(tx, &mut transition, integration.map(|integration| integration.digest.clone())).await?;
        let resumed = !transition.apply(Change::Start).await?;
        let committed = transition.commit().await?;
        Ok(committed.current_run.map(|run| Started { instance: committed.instance, run, resumed }))
    }

    async fn carry_out(
        &self,
        claim: &Claim,
        instance: &instance::Model,
        run: run::Model,
        stop: &CancellationToken,
    ) -> Result<()> {
        let id = run.id;
        match self.ending(claim, instance, run, stop).await {
            Some(ending) => self.finish(claim, id, ending).await,
            // This worker must not end the run: it was cancelled, or another worker will continue it.
            None => queue::give_back(&self.instances.db, claim, self.instances.clock.now()).await,
        }
    }

    /// Lists the users. `None` if the run was stopped.
    async fn ending(
        &self,
        claim: &Claim,
        instance: &instance::Model,
        mut run: run::Model,
        stop: &CancellationToken,
    ) -> Option<Ending> {
        if claim.take_overs > TAKE_OVERS {
            let message = "The sync was interrupted too often and was given up.";
            return Some(Ending::failed(Failure::new(FailureClass::Timeout, message)));
        }
        let source = match self.instances.source(instance, run.number) {
            Err(error) => return Some(Ending::failed(error.into())),
            Ok(source) => source,
        };
        let guessing_locks = self.instances.guessing_locks(instance);
        let work = Work { claim, source: source.as_ref(), instance, guessing_locks, stop };
        match self.list(&work, &mut run).await {
            Ok(()) => Some(Ending::Complete),
            Err(Interruption::Stopped) => None,
            Err(Interruption::Failed(error)) => Some(Ending::failed(error)),
            Err(Interruption::Refused { error, bare }) => {
                let refusal = if bare { Refusal::Bare { guessing_locks } } else { Refusal::Explicit };
                let refusal = if self.is_unchanged(instance).await { Some(refusal) } else { None };
                Some(Ending::Failed { error, refusal })
            }
            Err(Interruption::Error(error)) => {
                error!(error = %error.chain(), "a run failed because of an internal error");
                let message = "This server made an error while it stored the users; its log has the details.";
                Some(Ending::failed(Failure::new(FailureClass::Internal, message)))
            }
        }
    }

    /// Whether the instance is unchanged since the run began. Otherwise it may have another credential.
    async fn is_unchanged(&self, instance: &instance::Model) -> bool {
        self.instances.get(instance.id).await.is_ok_and(|now| now.revision == instance.revision)
    }
}
