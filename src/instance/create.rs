//! Connects an application: creates an instance, whose initial sync starts at once.

use entity::instance::Model;
use integration::catalog::Integration;
use integration::grant::Grant;
use integration::source::{Config, Verified};
use uuid::Uuid;

use super::connect::{authorization_required, refused_settings};
use super::sealed::Owner;
use super::state::State;
use super::transition::Transition;
use super::{Instances, grants, input};
use crate::auth::Caller;
use crate::error::{Error, Refusal, RefusalCode, Result};
use crate::installation::sealing_key;

/// The values that the member gave.
pub struct Create {
    pub integration_key: String,
    pub name: String,
    pub config: Vec<(String, String)>,
    pub sync_interval_minutes: Option<i32>,
}

pub(super) fn name_taken(name: &str) -> Refusal {
    Refusal::new(RefusalCode::NameTaken, format!("There is another instance named \"{name}\".")).at(["name"])
}

/// A new instance with valid values, before the application was asked.
pub(super) struct Prepared<'a> {
    pub integration: &'a Integration,
    pub name: String,
    pub config: Config,
    interval: i32,
}

impl Instances {
    /// Verifies the credential, then creates the instance and queues its initial sync.
    pub async fn create(&self, caller: &Caller, create: Create) -> Result<Model> {
        let prepared = self.prepare(create).await?;
        let Prepared { integration, config, .. } = &prepared;
        if self.consent(integration, config)?.is_some() {
            return Err(authorization_required(integration, "integrationKey").into());
        }
        // A rehearsal is not verified, so that a start with a revoked credential can be rehearsed.
        let verified = if integration.is_delivered() {
            Verified::default()
        } else if integration.is_rehearsal() {
            Verified { tenant: integration.rehearsed_tenant(config), ..Verified::default() }
        } else {
            self.verify(integration, config.clone(), 1, None).await?
        };
        self.insert(caller, prepared, verified, None).await
    }

    /// Everything that can be refused without asking the application.
    pub(super) async fn prepare(&self, create: Create) -> Result<Prepared<'_>> {
        let Create { integration_key, name, config, sync_interval_minutes } = create;
        let Some(integration) = self.catalog.find(&integration_key) else {
            return Err(Refusal::new(RefusalCode::UnknownIntegration, "The catalog has no integration of this key.")
                .at(["integrationKey"])
                .into());
        };
        let mut refusals = Vec::new();
        let mut keep = |refusal| refusals.push(refusal);
        let name = input::name(&name).map_err(&mut keep).unwrap_or_default();
        let interval = sync_interval_minutes
            .map_or(Ok(input::DEFAULT_INTERVAL), input::interval)
            .map_err(&mut keep)
            .unwrap_or_default();
        let config = integration.check_config(None, &config).unwrap_or_else(|more| {
            refusals.extend(refused_settings(more));
            Config::default()
        });
        if !refusals.is_empty() {
            return Err(Error::Refused(refusals));
        }
        if self.find_by_name(&input::name_key(&name)).await?.is_some() {
            return Err(name_taken(&name).into());
        }
        Ok(Prepared { integration, name, config, interval })
    }

    /// Makes the row, its grant and its initial run.
    pub(super) async fn insert(
        &self,
        caller: &Caller,
        prepared: Prepared<'_>,
        verified: Verified,
        grant: Option<&Grant>,
    ) -> Result<Model> {
        let Prepared { integration, name, config, interval } = prepared;
        let (now, id) = (self.clock.now(), Uuid::now_v7());
        let state = if integration.is_delivered() { State::create_waiting() } else { State::create() }.state;
        let new = &Model {
            id,
            integration_key: integration.key.clone(),
            name_key: input::name_key(&name),
            name,
            status: state.status,
            inactive_reason: state.inactive_reason,
            inactive_since: state.inactive_since,
            sync_state: state.sync_state,
            health: state.health,
            failing_since: state.failing_since,
            consecutive_failures: state.consecutive_failures,
            failure_class: None,
            revocation_mailed: false,
            last_success_at: state.last_success_at,
            tenant: verified.tenant,
            created_by: caller.label(),
            created_by_email: caller.email.clone(),
            created_at: now,
            updated_at: now,
            revision: 1,
            config: serde_json::Value::Null,
            secrets: None,
            secrets_generation: 0,
            credential_expires_at: verified.credential_expires_at.or(grant.and_then(Grant::ends_at)),
            sync_interval_minutes: interval,
            next_sync_at: None,
            next_try_at: None,
            tries: 0,
            user_count: 0,
            last_run_id: None,
            current_run_id: None,
            run_number: 0,
            purge_through: -1,
            purging: false,
            purged_users: 0,
            manifest_digest: None,
            known_users: Some(0),
        };
        let (actor, config) = (&caller.label(), &config);
        let model = self
            .db
            .write(|tx| async move {
                let (key, mut new) = (sealing_key(&tx, &self.keys).await?, new.clone());
                Self::set_config(&key, &mut new, integration, config)?;
                let owner = Owner::of(&new);
                let transition = Transition::create(&tx, new, actor, now).await?;
                if let Some(grant) = grant {
                    grants::replace(&tx, &key, &owner, grant).await?;
                }
                Ok(transition.commit().await?.instance)
            })
            .await?;
        metrics::counter!("muster_instances_created_total").increment(1);
        Ok(model)
    }
}
