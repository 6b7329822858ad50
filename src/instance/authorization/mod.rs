//! Connects applications that require a person's consent in the browser (OAuth 2.0, authorization code).
//!
//! **Steps.** A member [begins](Authorizations::begin) an authorization. Every check that needs no consent is made
//! now, and the member gets the authorization URL. The application redirects the browser to the callback, which
//! [completes](Authorizations::complete) the authorization: it exchanges the code for a grant, tests the grant, and
//! creates a new instance or reconnects an existing one. It acts as the member who began.
//!
//! **Protection.** The callback accepts only a known `state`: 256 random bits, of which the hash is stored. A state
//! is valid once, for ten minutes, and only while the member's token is valid. If the authorization was begun in
//! the console, the callback also requires the cookie that the browser got then. This prevents an attacker from
//! making another person consent in the attacker's name. For API clients without a browser, only the state is checked.
//! So that one application cannot get the code of another one, the callback must be the one of the integration
//! ([`redirect`]), and the issuer that the response names must be the provider that the person was sent to (RFC 9207).
//!
//! **Crashes.** The state is deleted before the code is exchanged. The new grant is held in memory until the
//! transaction that creates or reconnects the instance. If the process dies in between, nothing has changed, and
//! the member begins again.

use entity::audit_entry::Action;
use entity::instance;
use entity::oauth_authorization::{Column, Entity, Model};
use integration::catalog::Integration;
use integration::engine::CodeFlow;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter, QuerySelect,
};
use serde::{Deserialize, Serialize};
use url::Url;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::create::{Create, Prepared};
use super::sealed::{Owner, consent};
use super::{Instances, connect};
use crate::audit::{self, Entry, Subject};
use crate::auth::Caller;
use crate::auth::access::Access;
use crate::db::Tx;
use crate::error::{Error, Refusal, RefusalCode, Result};
use crate::installation::sealing_key;
use crate::secrets::{OneTimeSecret, hex};

mod complete;
mod redirect;

pub use complete::{Attempt, Connected, Failure, Returned, Why};
pub use redirect::Redirects;

/// How long a person has to consent, in milliseconds.
pub const PATIENCE_MS: i64 = 600_000;

/// Begins and completes authorizations.
#[derive(Clone)]
pub struct Authorizations {
    pub instances: Instances,
    pub access: Access,
    pub redirects: Redirects,
}

/// The path of the callback, below the public URL. The key of the integration follows.
pub const CALLBACK: &str = "/oauth/callback";
/// How many consents of one caller may be waited for.
const MAX_PENDING: u64 = 20;

impl Authorizations {
    /// `public_url` has no trailing slash.
    pub fn new(instances: Instances, access: Access, public_url: &str) -> Self {
        Self { instances, access, redirects: Redirects::new(public_url) }
    }
}

/// What a consent is for.
pub enum Purpose {
    Create(Create),
    /// The instance, and the settings to replace.
    Reconnect(Uuid, Vec<(String, String)>),
}

/// A checked purpose.
struct Planned {
    flow: CodeFlow,
    integration_key: String,
    /// The instance to reconnect.
    instance: Option<instance::Model>,
    /// The name and the interval of a new instance.
    name: Option<String>,
    sync_interval_minutes: Option<i32>,
    config: Vec<(String, String)>,
}

/// An authorization that was begun.
pub struct Begun {
    /// The authorization URL, to open in the browser.
    pub url: Url,
    /// In Unix milliseconds.
    pub expires_at: i64,
    /// The cookie that the callback requires, if only this browser may complete the authorization.
    pub cookie: Option<Cookie>,
}

/// A cookie that is sent to the callback only.
pub struct Cookie {
    pub name: String,
    pub value: String,
}

/// The secrets of an authorization in progress, which are stored sealed.
#[derive(Serialize, Deserialize)]
struct Sealed {
    config: Vec<(String, String)>,
    verifier: String,
}

/// Each authorization has its own cookie, because a browser can have several in progress.
fn cookie_name(state_hash: &[u8]) -> String {
    format!("muster_authorization_{}", hex(&state_hash[..8]))
}

impl Authorizations {
    /// Checks and stores an authorization. With `browser`, only the browser that gets the cookie can complete it.
    pub async fn begin(&self, caller: &Caller, purpose: Purpose, browser: bool) -> Result<Begun> {
        let Planned { flow, integration_key, instance, name, sync_interval_minutes, config } =
            self.plan(purpose).await?;
        let (state, verifier) = (OneTimeSecret::new(), OneTimeSecret::new());
        let own_redirect = self.uses_own(&integration_key, &flow).await?;
        let redirect_uri = self.redirect(&integration_key, own_redirect);
        let url = flow
            .authorization_url(&redirect_uri, state.text(), verifier.text())
            .map_err(|error| connect::refusal(&error))?;
        let state_hash = state.hash();
        let cookie = browser.then(OneTimeSecret::new);
        let sealed = Sealed { config, verifier: verifier.text().to_owned() };
        let plain = &Zeroizing::new(serde_json::to_vec(&sealed)?);
        let now = self.instances.clock.now();
        let row = &Model {
            browser_hash: cookie.as_ref().map(OneTimeSecret::hash),
            integration_key,
            instance_id: instance.as_ref().map(|model| model.id),
            name,
            sync_interval_minutes,
            sealed: Vec::new(),
            token_id: caller.credential(),
            actor: caller.label(),
            created_at: now,
            expires_at: now + PATIENCE_MS,
            own_redirect,
            state_hash: state_hash.clone(),
        };
        let reconnected = instance.as_ref().map(Owner::of);
        let (instances, place) = (&self.instances, &consent(row, reconnected.as_ref()));
        let insert = instances.db.write(|tx| async move {
            check_pending(&tx, row).await?;
            audit::record_change(&tx, now, || row.instance_id.map(Subject::instance), "");
            let key = sealing_key(&tx, &instances.keys).await?;
            let row = Model { sealed: key.seal(place, plain), ..row.clone() };
            Ok(row.into_active_model().reset_all().insert(tx.conn()).await?)
        });
        insert.await?;
        let cookie = cookie.map(|value| Cookie { name: cookie_name(&state_hash), value: value.text().to_owned() });
        Ok(Begun { url, expires_at: now + PATIENCE_MS, cookie })
    }

    /// Checks what a consent is for.
    async fn plan(&self, purpose: Purpose) -> Result<Planned> {
        match purpose {
            Purpose::Create(create) => {
                let (config, sync_interval_minutes) = (create.config.clone(), create.sync_interval_minutes);
                let (Prepared { integration, name, .. }, flow) = self.flow_of_new(create).await?;
                let (integration_key, name) = (integration.key.clone(), Some(name));
                Ok(Planned { flow, integration_key, instance: None, name, sync_interval_minutes, config })
            }
            Purpose::Reconnect(id, config) => {
                let model = self.reconnectable(id).await?;
                let (integration, flow) = self.flow_of_old(&model, &config)?;
                let (integration_key, instance) = (integration.key.clone(), Some(model));
                Ok(Planned { flow, integration_key, instance, name: None, sync_interval_minutes: None, config })
            }
        }
    }

    /// Checks a new instance, and returns the code flow for it.
    async fn flow_of_new(&self, create: Create) -> Result<(Prepared<'_>, CodeFlow)> {
        let prepared = self.instances.prepare(create).await?;
        let Prepared { integration, config, .. } = &prepared;
        let flow = self.instances.consent(integration, config)?;
        let flow = flow.ok_or_else(|| needless(integration, "createInstance connects it").at(["integrationKey"]))?;
        Ok((prepared, flow))
    }

    /// An existing instance that is not deleted.
    async fn reconnectable(&self, id: Uuid) -> Result<instance::Model> {
        let model = instance::Entity::find_by_id(id).one(self.instances.db.read()).await?;
        let model = model.ok_or_else(|| at_instance(RefusalCode::NotFound, "There is no instance with this id."))?;
        if model.status.is_deleted() {
            let message = "This instance is deleted, or is being deleted.";
            return Err(at_instance(RefusalCode::InstanceDeleted, message).into());
        }
        Ok(model)
    }

    /// The code flow for an existing instance whose settings are replaced by the given ones.
    fn flow_of_old(&self, model: &instance::Model, given: &[(String, String)]) -> Result<(&Integration, CodeFlow)> {
        let integration = self.instances.catalog.find(&model.integration_key).ok_or_else(|| {
            at_instance(RefusalCode::UnknownIntegration, "The catalog has no integration of this key any more.")
        })?;
        let stored = self.instances.config(model).ok();
        let config = integration
            .check_config(stored.as_ref(), given)
            .map_err(|errors| Error::Refused(connect::refused_settings(errors)))?;
        let flow = self.instances.consent(integration, &config)?;
        let flow =
            flow.ok_or_else(|| needless(integration, "updateInstance takes a new credential").at(["instanceId"]))?;
        Ok((integration, flow))
    }

    /// Deletes expired authorizations.
    pub async fn forget_expired(&self) -> Result<()> {
        let (db, now) = (&self.instances.db, self.instances.clock.now());
        let expired = Entity::find().select_only().column(Column::StateHash).filter(Column::ExpiresAt.lte(now));
        // Read first: an idle worker must not take the write lock.
        if expired.limit(1).into_tuple::<Vec<u8>>().one(db.read()).await?.is_none() {
            return Ok(());
        }
        db.write(|tx| async move {
            Entity::delete_many().filter(Column::ExpiresAt.lte(now)).exec(tx.conn()).await?;
            Ok(())
        })
        .await
    }

    async fn record_failure(&self, row: &Model, detail: &str) -> Result<()> {
        let entry = Entry::new(self.instances.clock.now(), Action::AuthorizationFailed, detail);
        let entry = &entry.failed("CONSENT_FAILED").about(row.instance_id.map(Subject::instance));
        let record = self.instances.db.write(|tx| async move {
            audit::record(&tx, entry.clone());
            Ok(())
        });
        record.await
    }
}

/// Refuses a consent if its caller already has many to be waited for.
async fn check_pending(tx: &Tx, row: &Model) -> Result<()> {
    // A member can have many sessions.
    let own = Condition::any().add(Column::TokenId.eq(row.token_id)).add(Column::Actor.eq(&row.actor));
    let pending = Entity::find().filter(own).filter(Column::ExpiresAt.gt(row.created_at));
    if pending.count(tx.conn()).await? < MAX_PENDING {
        return Ok(());
    }
    let message =
        format!("You have begun {MAX_PENDING} consents that nobody has completed: complete one, or wait ten minutes.");
    Err(Refusal::new(RefusalCode::InvalidInput, message).into())
}

/// Deletes the authorizations for an instance that is being deleted, and the secrets in them.
pub(super) async fn forget(tx: &Tx, instance: Uuid) -> Result<()> {
    Entity::delete_many().filter(Column::InstanceId.eq(instance)).exec(tx.conn()).await?;
    redirect::forget_shared(tx, instance).await
}

fn at_instance(code: RefusalCode, message: &str) -> Refusal {
    Refusal::new(code, message).at(["instanceId"])
}

fn needless(integration: &Integration, instead: &str) -> Refusal {
    let message = format!("With this configuration, {} needs no consent: {instead}.", integration.name);
    Refusal::new(RefusalCode::InvalidInput, message)
}
