//! Changing an instance: its name, interval and configuration; switching it off and on;
//! reconnecting it with a new credential.

use std::sync::Arc;

use entity::event::Cause;
use entity::instance::{InactiveReason, Model, Status};
use entity::run::{self, Trigger};
use integration::catalog::Integration;
use integration::grant::{GrantInMemory, GrantStore};
use integration::source::{Config, Verified};
use uuid::Uuid;

use super::connect::{authorization_required, refused_settings};
use super::runs::{cancel::cancel, queue::queue, schedule::next_due};
use super::state::{Change, State};
use super::{Instances, grants, input, lock, record};
use crate::auth::Caller;
use crate::db::Tx;
use crate::error::{Error, Refusal, RefusalCode, Result};

/// What the member gave; `None` leaves it as it is.
#[derive(Clone, Debug, Default)]
pub struct Update {
    pub name: Option<String>,
    pub status: Option<Status>,
    pub config: Option<Vec<(String, String)>>,
    pub sync_interval_minutes: Option<i32>,
    pub expected_revision: Option<i32>,
}

/// How often a command starts again when somebody else was faster.
const TRIES: usize = 3;

/// What the given values come to for a row.
struct Plan {
    name: Option<String>,
    interval: Option<i32>,
    /// The whole configuration, when it differs from the stored one.
    config: Option<Config>,
    /// Switch on, or off, or neither.
    activate: Option<bool>,
    /// The configuration that the application must accept first, if it has to be asked.
    check: Option<Config>,
    /// The grant that comes with the configuration, if a person has just consented.
    fresh: Option<Arc<GrantInMemory>>,
}

impl Instances {
    pub async fn update(&self, caller: &Caller, id: Uuid, update: Update) -> Result<Model> {
        self.change(caller, id, update, None).await
    }

    /// Gives an instance, with these values in place of its own, what a person has just
    /// consented to. What it had stays if the new grant is not accepted.
    pub(super) async fn reconnect(
        &self,
        caller: &Caller,
        id: Uuid,
        config: Vec<(String, String)>,
        fresh: &Arc<GrantInMemory>,
    ) -> Result<Model> {
        self.change(caller, id, Update { config: Some(config), ..Update::default() }, Some(fresh)).await
    }

    async fn change(
        &self,
        caller: &Caller,
        id: Uuid,
        update: Update,
        fresh: Option<&Arc<GrantInMemory>>,
    ) -> Result<Model> {
        for _ in 0..TRIES {
            let read = self.get(id).await?;
            let plan = self.plan(&read, &update, fresh)?;
            let verified = self.check(&read, &plan).await?;
            if let Some(model) = self.carry_out(caller, &read, &plan, verified.as_ref(), &update).await? {
                return Ok(model);
            }
        }
        Err(Error::Unavailable("an instance changed faster than it could be updated".into()))
    }

    fn plan(&self, model: &Model, update: &Update, fresh: Option<&Arc<GrantInMemory>>) -> Result<Plan> {
        if matches!(model.status, Status::Deleting | Status::Deleted) {
            return Err(Refusal::new(RefusalCode::InstanceDeleted, "This instance is deleted, or is being deleted.")
                .at(["id"])
                .into());
        }
        check_revision(model, update.expected_revision)?;
        let mut refusals = Vec::new();
        let name = update.name.as_deref().map(input::name).transpose().unwrap_or_else(|refusal| {
            refusals.push(refusal);
            None
        });
        let interval = update.sync_interval_minutes.map(input::interval).transpose().unwrap_or_else(|refusal| {
            refusals.push(refusal);
            None
        });
        if matches!(update.status, Some(Status::Deleting | Status::Deleted)) {
            refusals
                .push(Refusal::invalid("A status can be set to LIVE or INACTIVE; deleteInstance deletes.", ["status"]));
        }
        let integration = self.catalog.find(&model.integration_key);
        let stored = self.config(model)?;
        let config = match (&update.config, integration) {
            (None, _) => None,
            (Some(_), None) => {
                refusals.push(Refusal::new(
                    RefusalCode::UnknownIntegration,
                    "The catalog has no integration of this key any more.",
                ));
                None
            }
            (Some(given), Some(integration)) => match integration.check_config(Some(&stored), given) {
                Ok(config) => Some(config),
                Err(more) => {
                    refusals.extend(refused_settings(more));
                    None
                }
            },
        };
        if !refusals.is_empty() {
            return Err(Error::Refused(refusals));
        }
        let config = config.filter(|config| *config != stored || fresh.is_some());
        let revoked = matches!(
            model.inactive_reason,
            Some(InactiveReason::TokenInactive | InactiveReason::InsufficientPermissions)
        );
        // A credential that is given brings a revoked instance back, also the same one, unless the instance
        // is switched off in the same breath.
        let activate = match update.status {
            Some(Status::Live) => Some(true),
            Some(Status::Inactive) => Some(false),
            Some(Status::Deleting | Status::Deleted) | None => (revoked && update.config.is_some()).then_some(true),
        };
        if integration.is_none() && revoked && activate == Some(true) {
            let message = "The catalog has no integration of this key any more, so the credential cannot be verified.";
            return Err(Refusal::new(RefusalCode::UnknownIntegration, message).at(["status"]).into());
        }
        let asks = integration.is_some_and(|entry| needs_check(entry, revoked, activate, config.is_some()));
        let check = asks.then(|| config.clone().unwrap_or(stored));
        Ok(Plan { name, interval, config, activate, check, fresh: fresh.cloned() })
    }

    /// Asks the application, if the plan calls for it.
    async fn check(&self, model: &Model, plan: &Plan) -> Result<Option<Verified>> {
        let (Some(config), Some(integration)) = (&plan.check, self.catalog.find(&model.integration_key)) else {
            return Ok(None);
        };
        if plan.config.is_some() && plan.fresh.is_none() && self.consent(integration, config)?.is_some() {
            // The stored grant was given to other settings, and must not be tried, or renewed, with these.
            return Err(authorization_required(integration, "config").into());
        }
        let grants: Arc<dyn GrantStore> = match &plan.fresh {
            Some(fresh) => fresh.clone(),
            None => self.grants(model.id),
        };
        let verified = self.verify(integration, config.clone(), model.run_number + 1, Some(grants)).await;
        let verified = match verified {
            Err(error) if plan.config.is_none() => return Err(at_status(error)),
            verified => verified?,
        };
        check_tenant(model, &verified)?;
        Ok(Some(verified))
    }

    /// `None`: the application was asked about a row that somebody has changed since.
    async fn carry_out(
        &self,
        caller: &Caller,
        read: &Model,
        plan: &Plan,
        verified: Option<&Verified>,
        update: &Update,
    ) -> Result<Option<Model>> {
        let (now, actor) = (self.clock.now(), &caller.label());
        let changed = self
            .db
            .write(|tx| async move {
                let before = lock(&tx, read.id).await?;
                if before.revision == read.revision && before.status == read.status {
                    return self.store(&tx, before, plan, verified, actor, now).await.map(Some);
                }
                let anew = self.plan(&before, update, plan.fresh.as_ref())?;
                if plan.check.is_some() || anew.check.is_some() {
                    return Ok(None);
                }
                self.store(&tx, before, &anew, verified, actor, now).await.map(Some)
            })
            .await?;
        Ok(changed.map(|(model, stopped)| {
            self.stop_run(stopped.as_ref());
            model
        }))
    }

    /// The row after the change, and the run that it stopped.
    async fn store(
        &self,
        tx: &Tx,
        before: Model,
        plan: &Plan,
        verified: Option<&Verified>,
        actor: &str,
        now: i64,
    ) -> Result<(Model, Option<run::Model>)> {
        let mut model = before.clone();
        self.keep_grant(tx, &mut model, plan).await?;
        let edited = self.edit(&mut model, plan, verified)?;
        let switched = match plan.activate {
            Some(true) => State::of(&model).apply(Change::Activate, now)?,
            Some(false) => State::of(&model).apply(Change::Deactivate, now)?,
            None => Vec::new(),
        };
        if !edited && switched.is_empty() {
            return Ok((model, None));
        }
        model.revision += 1;
        if edited {
            let steps = vec![(Cause::Updated, State::of(&model))];
            record(tx, &before, &mut model, steps, Some(actor), now).await?;
        }
        let mut stopped = None;
        if !switched.is_empty() && plan.activate == Some(true) {
            let before = model.clone();
            queue(tx, &mut model, Trigger::Reactivation, false, now).await?;
            record(tx, &before, &mut model, switched, Some(actor), now).await?;
        } else if !switched.is_empty() {
            stopped = cancel(tx, &mut model, actor, now).await?;
            let before = model.clone();
            let steps = State::of(&model).apply(Change::Deactivate, now)?;
            model.next_sync_at = None;
            record(tx, &before, &mut model, steps, Some(actor), now).await?;
        }
        Ok((model, stopped))
    }

    /// Stores the grant that goes with a new configuration, and destroys one that no longer does.
    async fn keep_grant(&self, tx: &Tx, model: &mut Model, plan: &Plan) -> Result<()> {
        let (Some(config), Some(integration)) = (&plan.config, self.catalog.find(&model.integration_key)) else {
            return Ok(());
        };
        if let Some(fresh) = &plan.fresh {
            let grant = fresh.grant().await;
            model.credential_expires_at = grant.ends_at();
            grants::replace(tx, &self.keys, model.id, &grant).await
        } else if self.consent(integration, config)?.is_none() {
            model.credential_expires_at = None;
            grants::destroy(tx, model.id).await
        } else {
            Ok(())
        }
    }

    /// Whether anything differs now.
    fn edit(&self, model: &mut Model, plan: &Plan, verified: Option<&Verified>) -> Result<bool> {
        let mut edited = false;
        if let Some(name) = plan.name.as_ref().filter(|name| **name != model.name) {
            model.name.clone_from(name);
            model.name_key = input::name_key(name);
            edited = true;
        }
        if let Some(interval) = plan.interval.filter(|interval| *interval != model.sync_interval_minutes) {
            model.sync_interval_minutes = interval;
            if model.next_sync_at.is_some() {
                model.next_sync_at = Some(next_due(self.clock.now(), interval, fastrand::f64()));
            }
            edited = true;
        }
        if let (Some(config), Some(integration)) = (&plan.config, self.catalog.find(&model.integration_key)) {
            (model.config, model.secrets) = self.seal(model.id, integration, config)?;
            edited = true;
        }
        if let Some(Verified { tenant, lost: _, credential_expires_at }) = verified {
            model.tenant = tenant.clone().or(model.tenant.take());
            model.credential_expires_at = credential_expires_at.or(model.credential_expires_at);
        }
        Ok(edited)
    }
}

/// A configuration that holds a credential is verified before it is stored; an instance
/// that the server switched off is verified before it is live again.
fn needs_check(integration: &Integration, revoked: bool, activate: Option<bool>, config_changes: bool) -> bool {
    (revoked && activate == Some(true)) || (config_changes && !integration.is_rehearsal())
}

fn check_revision(model: &Model, expected: Option<i32>) -> Result<()> {
    match expected {
        Some(expected) if expected != model.revision => Err(Refusal::new(
            RefusalCode::RevisionConflict,
            format!("The instance is at revision {} now: read it again, then repeat the change.", model.revision),
        )
        .at(["expectedRevision"])
        .into()),
        _ => Ok(()),
    }
}

fn check_tenant(model: &Model, verified: &Verified) -> Result<()> {
    match (&model.tenant, &verified.tenant) {
        (Some(known), Some(found)) if known != found => Err(Refusal::new(
            RefusalCode::DifferentTenant,
            format!("This credential belongs to \"{found}\", and the instance's users to \"{known}\". Integrate it as an instance of its own."),
        )
        .at(["config"])
        .into()),
        _ => Ok(()),
    }
}

/// A check that fails for the stored configuration refuses the status that called for it.
fn at_status(error: Error) -> Error {
    match error {
        Error::Refused(refusals) => {
            Error::Refused(refusals.into_iter().map(|refusal| refusal.at(["status"])).collect())
        }
        other => other,
    }
}
