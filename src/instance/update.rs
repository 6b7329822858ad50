//! Changes an instance: its name, interval and configuration; sets it live or inactive; reconnects it with a new
//! credential.

use std::collections::BTreeSet;
use std::sync::Arc;

use entity::instance::{InactiveReason, Model, Status};
use integration::grant::{GrantInMemory, GrantStore};
use integration::source::{Config, Verified};
use uuid::Uuid;

use super::connect::{NOT_OPENED, authorization_required, other_tenant, refused_settings};
use super::runs::schedule::next_due;
use super::sealed::Owner;
use super::state::Change;
use super::transition::{Committed, Transition};
use super::{Instances, grants, input, list, lock};
use crate::auth::Caller;
use crate::db::Tx;
use crate::error::{Error, Refusal, RefusalCode, Result};
use crate::installation::sealing_key;

/// The values that the member gave; `None` keeps the old value.
#[derive(Clone, Debug, Default)]
pub struct Update {
    pub name: Option<String>,
    pub status: Option<Status>,
    pub config: Option<Vec<(String, String)>>,
    pub sync_interval_minutes: Option<i32>,
    pub expected_revision: Option<i32>,
}

/// How often an update starts again when the row has changed meanwhile.
const TRIES: usize = 3;

/// An update, checked against a row.
struct Resolved {
    name: Option<String>,
    interval: Option<i32>,
    /// The whole configuration, when it differs from the stored one.
    config: Option<Config>,
    /// True to set it live, false to set it inactive, `None` for neither.
    activate: Option<bool>,
    /// The configuration that the application must accept first, if it has to be asked.
    verify: Option<Config>,
    /// The grant that comes with the configuration, if a person has just consented.
    grant: Option<Arc<GrantInMemory>>,
}

impl Instances {
    pub async fn update(&self, caller: &Caller, id: Uuid, update: Update) -> Result<Model> {
        Box::pin(self.update_with(caller, id, update, None)).await
    }

    /// Connects an instance again: with `config` in place of its own values, and the grant
    /// that a person has just consented to. If the application does not accept it, the
    /// instance keeps what it had.
    pub(super) async fn reconnect(
        &self,
        caller: &Caller,
        id: Uuid,
        config: Vec<(String, String)>,
        grant: &Arc<GrantInMemory>,
    ) -> Result<Model> {
        let update = Update { config: Some(config), ..Update::default() };
        Box::pin(self.update_with(caller, id, update, Some(grant))).await
    }

    async fn update_with(
        &self,
        caller: &Caller,
        id: Uuid,
        update: Update,
        grant: Option<&Arc<GrantInMemory>>,
    ) -> Result<Model> {
        if update.config.is_none() && update.status != Some(Status::Live) && grant.is_none() {
            return self.update_unasked(caller, id, &update).await;
        }
        for _ in 0..TRIES {
            let read = self.get(id).await?;
            let resolved = self.resolve(&read, &update, grant)?;
            let verified = self.verify_update(&read, &resolved).await?;
            if let Some(committed) = self.store_update(caller, &read, &resolved, verified.as_ref(), &update).await? {
                self.stop_cancelled(&committed);
                return Ok(committed.instance);
            }
        }
        Err(Error::Unavailable("an instance changed faster than it could be updated".into()))
    }

    /// An update about which the application need not be asked.
    async fn update_unasked(&self, caller: &Caller, id: Uuid, update: &Update) -> Result<Model> {
        let (now, actor) = (self.clock.now(), &caller.label());
        let committed = self
            .db
            .write(|tx| async move {
                let locked = lock(&tx, id).await?;
                let resolved = self.resolve(&locked, update, None)?;
                let transition = Transition::of(&tx, locked, Some(actor), now).await?;
                self.apply_update(&tx, transition, &resolved, None).await
            })
            .await?;
        self.stop_cancelled(&committed);
        Ok(committed.instance)
    }

    fn resolve(&self, model: &Model, update: &Update, grant: Option<&Arc<GrantInMemory>>) -> Result<Resolved> {
        if model.status.is_deleted() {
            return Err(Refusal::new(RefusalCode::InstanceDeleted, "This instance is deleted, or is being deleted.")
                .at(["id"])
                .into());
        }
        check_revision(model, update.expected_revision)?;
        let mut refusals = Vec::new();
        let name = update.name.as_deref().map(input::name).transpose();
        let name = name.map_err(|refusal| refusals.push(refusal)).unwrap_or_default();
        let interval = update.sync_interval_minutes.map(input::interval).transpose();
        let interval = interval.map_err(|refusal| refusals.push(refusal)).unwrap_or_default();
        if update.status.is_some_and(Status::is_deleted) {
            refusals
                .push(Refusal::invalid("A status can be set to LIVE or INACTIVE; deleteInstance deletes.", ["status"]));
        }
        let stored = self.config(model).ok();
        let activate = activation(model, update);
        let config = self.resolve_config(model, stored.as_ref(), update.config.as_deref());
        let config = config.map_err(|more| refusals.extend(more)).unwrap_or_default();
        if stored.is_none() && config.is_none() && (activate == Some(true) || update.config.is_some()) {
            let field = if update.config.is_some() { "config" } else { "status" };
            refusals.push(Refusal::new(RefusalCode::CredentialRejected, NOT_OPENED).at([field]));
        }
        if !refusals.is_empty() {
            return Err(Error::Refused(refusals));
        }
        let config = config.filter(|config| stored.as_ref() != Some(config) || grant.is_some());
        let verify = self.must_verify(model, activate, config.is_some())?;
        let verify = if verify { config.clone().or(stored) } else { None };
        Ok(Resolved { name, interval, config, activate, verify, grant: grant.cloned() })
    }

    /// The stored configuration with the given values in place of its own. If it does not open, none of its values
    /// counts, because somebody may have changed them: all have to be given.
    fn resolve_config(
        &self,
        model: &Model,
        stored: Option<&Config>,
        given: Option<&[(String, String)]>,
    ) -> Result<Option<Config>, Vec<Refusal>> {
        let Some(given) = given else { return Ok(None) };
        let Some(integration) = self.catalog.find(&model.integration_key) else {
            let message = "The catalog has no integration of this key any more.";
            return Err(vec![Refusal::new(RefusalCode::UnknownIntegration, message)]);
        };
        integration.check_config(stored, given).map(Some).map_err(refused_settings)
    }

    /// A configuration that holds a credential is verified before it is stored. An instance
    /// that the server switched off is verified before it is live again.
    fn must_verify(&self, model: &Model, activate: Option<bool>, config_changes: bool) -> Result<bool> {
        let comes_back = is_revoked(model) && activate == Some(true);
        match self.catalog.find(&model.integration_key) {
            Some(integration) => Ok(comes_back || (config_changes && !integration.is_rehearsal())),
            None if comes_back => {
                let message =
                    "The catalog has no integration of this key any more, so the credential cannot be verified.";
                Err(Refusal::new(RefusalCode::UnknownIntegration, message).at(["status"]).into())
            }
            None => Ok(false),
        }
    }

    /// Asks the application, if that is necessary.
    async fn verify_update(&self, model: &Model, resolved: &Resolved) -> Result<Option<Verified>> {
        let (Some(config), Some(integration)) = (&resolved.verify, self.catalog.find(&model.integration_key)) else {
            return Ok(None);
        };
        if resolved.config.is_some() && resolved.grant.is_none() && self.consent(integration, config)?.is_some() {
            // The stored grant was given to other settings, and must not be tried, or renewed, with these.
            return Err(authorization_required(integration, "config").into());
        }
        let grants: Arc<dyn GrantStore> = match &resolved.grant {
            Some(grant) => grant.clone(),
            None => self.grants(Owner::of(model)),
        };
        let verified = self.verify(integration, config.clone(), model.run_number + 1, Some(grants)).await;
        let verified = match verified {
            Err(error) if resolved.config.is_none() => return Err(at_status(error)),
            verified => verified?,
        };
        check_tenant(self.known_tenant(model).as_deref(), &verified)?;
        Ok(Some(verified))
    }

    /// `None`: the row has changed since the application was asked about it.
    async fn store_update(
        &self,
        caller: &Caller,
        read: &Model,
        resolved: &Resolved,
        verified: Option<&Verified>,
        update: &Update,
    ) -> Result<Option<Committed>> {
        let (now, actor) = (self.clock.now(), &caller.label());
        self.db
            .write(|tx| async move {
                let locked = lock(&tx, read.id).await?;
                let unchanged = locked.revision == read.revision && locked.status == read.status;
                let anew =
                    if unchanged { None } else { Some(self.resolve(&locked, update, resolved.grant.as_ref())?) };
                if anew.as_ref().is_some_and(|anew| resolved.verify.is_some() || anew.verify.is_some()) {
                    return Ok(None);
                }
                let transition = Transition::of(&tx, locked, Some(actor), now).await?;
                self.apply_update(&tx, transition, anew.as_ref().unwrap_or(resolved), verified).await.map(Some)
            })
            .await
    }

    async fn apply_update(
        &self,
        tx: &Tx,
        mut transition: Transition<'_>,
        resolved: &Resolved,
        verified: Option<&Verified>,
    ) -> Result<Committed> {
        transition.tell(self.describe(transition.instance(), resolved));
        self.replace_config(tx, transition.instance_mut(), resolved).await?;
        if resolved.config.is_some() || resolved.activate.is_some() {
            transition.instance_mut().tries = 0;
        }
        if self.edit(transition.instance_mut(), resolved, verified) {
            transition.apply(Change::Edit).await?;
        }
        match resolved.activate {
            Some(true) => {
                let is_delivered = list::is_delivered(transition.instance());
                let can_be_read = !is_delivered || list::waiting(tx.conn(), transition.instance().id).await?.is_some();
                let change = if can_be_read { Change::Activate } else { Change::ActivateWaiting };
                transition.apply(change).await?
            }
            Some(false) => transition.apply(Change::Deactivate).await?,
            None => false,
        };
        transition.commit().await
    }

    /// What is different afterwards. Settings have names of the integration, and no values here.
    fn describe(&self, model: &Model, resolved: &Resolved) -> String {
        let Resolved { name, interval, config, activate, verify: _, grant } = resolved;
        let mut told = Vec::new();
        if name.as_ref().is_some_and(|name| *name != model.name) {
            told.push("It was renamed.".to_owned());
        }
        if let Some(interval) = interval.filter(|interval| *interval != model.sync_interval_minutes) {
            told.push(format!("Sync interval: {} → {interval} minutes.", model.sync_interval_minutes));
        }
        if let Some(config) = config {
            told.push(match self.config(model).ok() {
                Some(stored) => format!("Settings changed: {}.", changed_settings(&stored, config)),
                None => "All settings were entered anew.".to_owned(),
            });
        }
        if grant.is_some() {
            told.push("A person gave consent again.".to_owned());
        }
        match activate {
            Some(true) if model.status != Status::Live => told.push("It was set live.".to_owned()),
            Some(false) if model.status != Status::Inactive => told.push("It was set inactive.".to_owned()),
            _ => {}
        }
        told.join(" ")
    }

    /// Stores a new configuration with the grant that comes with it, and destroys the stored grant if the
    /// configuration needs none.
    async fn replace_config(&self, tx: &Tx, model: &mut Model, resolved: &Resolved) -> Result<()> {
        let (Some(config), Some(integration)) = (&resolved.config, self.catalog.find(&model.integration_key)) else {
            return Ok(());
        };
        let key = sealing_key(tx, &self.keys).await?;
        Self::set_config(&key, model, integration, config)?;
        if let Some(grant) = &resolved.grant {
            let grant = grant.grant().await;
            model.credential_expires_at = grant.ends_at();
            grants::replace(tx, &key, &Owner::of(model), &grant).await
        } else if self.consent(integration, config)?.is_none() {
            model.credential_expires_at = None;
            grants::destroy(tx, model.id).await
        } else {
            Ok(())
        }
    }

    /// Sets the values that differ. False if no value that a member can set differs.
    fn edit(&self, model: &mut Model, resolved: &Resolved, verified: Option<&Verified>) -> bool {
        let mut edited = resolved.config.is_some();
        if let Some(name) = resolved.name.as_ref().filter(|name| **name != model.name) {
            model.name.clone_from(name);
            model.name_key = input::name_key(name);
            edited = true;
        }
        if let Some(interval) = resolved.interval.filter(|interval| *interval != model.sync_interval_minutes) {
            model.sync_interval_minutes = interval;
            if model.next_sync_at.is_some() {
                let roll = if list::is_delivered(model) { 1.0 } else { fastrand::f64() };
                model.next_sync_at = Some(next_due(self.clock.now(), interval, roll));
            }
            edited = true;
        }
        if let Some(Verified { tenant, lost: _, credential_expires_at }) = verified {
            model.tenant = tenant.clone().or(model.tenant.take());
            model.credential_expires_at = credential_expires_at.or(model.credential_expires_at);
        }
        edited
    }
}

/// The keys of the settings that differ.
fn changed_settings(old: &Config, new: &Config) -> String {
    let keys: BTreeSet<_> = old.keys().chain(new.keys()).collect();
    let changed: Vec<_> = keys.into_iter().filter(|key| old.get(*key) != new.get(*key)).map(String::as_str).collect();
    if changed.is_empty() { "none".to_owned() } else { changed.join(", ") }
}

/// Whether the server has switched the instance off.
fn is_revoked(model: &Model) -> bool {
    matches!(model.inactive_reason, Some(InactiveReason::TokenInactive | InactiveReason::InsufficientPermissions))
}

/// Whether an update sets the instance live or inactive. A given configuration, even an unchanged one, sets a revoked
/// instance live, unless the update sets it inactive.
fn activation(model: &Model, update: &Update) -> Option<bool> {
    match update.status {
        Some(Status::Live) => Some(true),
        Some(Status::Inactive) => Some(false),
        Some(Status::Deleting | Status::Deleted) | None => {
            (is_revoked(model) && update.config.is_some()).then_some(true)
        }
    }
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

fn check_tenant(known: Option<&str>, verified: &Verified) -> Result<()> {
    match other_tenant(known, verified) {
        Some((known, found)) => Err(Refusal::new(
            RefusalCode::DifferentTenant,
            format!("This credential belongs to \"{found}\", and the instance's users to \"{known}\". Create a separate instance for it."),
        )
        .at(["config"])
        .into()),
        None => Ok(()),
    }
}

/// Blames the field `status` if the check of the stored configuration fails, because the status required the check.
fn at_status(error: Error) -> Error {
    match error {
        Error::Refused(refusals) => {
            Error::Refused(refusals.into_iter().map(|refusal| refusal.at(["status"])).collect())
        }
        other => other,
    }
}
