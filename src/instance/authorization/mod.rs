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
//!
//! **Crashes.** The state is deleted before the code is exchanged. The new grant is held in memory until the
//! transaction that creates or reconnects the instance. If the process dies in between, nothing has changed, and
//! the member begins again.

use std::sync::Arc;

use entity::audit_entry::Action;
use entity::instance::{self, Status};
use entity::oauth_authorization::{ActiveModel, Column, Entity, Model};
use integration::catalog::Integration;
use integration::engine::CodeFlow;
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QuerySelect};
use serde::{Deserialize, Serialize};
use url::Url;
use uuid::Uuid;

use super::create::{Create, Prepared};
use super::{Instances, connect};
use crate::audit;
use crate::auth::{Caller, Tokens};
use crate::db::Tx;
use crate::error::{Error, Refusal, RefusalCode, Result};
use crate::secrets::OneTimeSecret;

mod complete;

pub use complete::{Failure, Returned, Why};

/// How long a person has to consent, in milliseconds.
pub const PATIENCE_MS: i64 = 600_000;

/// Begins and completes authorizations.
#[derive(Clone)]
pub struct Authorizations {
    pub instances: Instances,
    pub tokens: Tokens,
    /// The URL of the callback.
    pub redirect_uri: Arc<str>,
}

/// The path of the callback, below the public URL.
pub const CALLBACK: &str = "/oauth/callback";

impl Authorizations {
    /// `public_url` has no trailing slash.
    pub fn new(instances: Instances, tokens: Tokens, public_url: &str) -> Self {
        Self { instances, tokens, redirect_uri: format!("{public_url}{CALLBACK}").into() }
    }

    /// The URL of the console, without a trailing slash.
    pub fn console(&self) -> &str {
        self.redirect_uri.strip_suffix(CALLBACK).unwrap_or_default()
    }
}

/// What a consent is for.
pub enum Purpose {
    Create(Create),
    /// The instance, and the settings to replace.
    Reconnect(Uuid, Vec<(String, String)>),
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

fn owner(state_hash: &[u8]) -> String {
    format!("oauth.authorization:{}", hex(state_hash))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Each authorization has its own cookie, because a browser can have several in progress.
fn cookie_name(state_hash: &[u8]) -> String {
    format!("muster_authorization_{}", hex(&state_hash[..8]))
}

impl Authorizations {
    /// Checks and stores an authorization. With `browser`, only the browser that gets the cookie can complete it.
    pub async fn begin(&self, caller: &Caller, purpose: Purpose, browser: bool) -> Result<Begun> {
        let (flow, row, config) = match purpose {
            Purpose::Create(create) => {
                let (config, sync_interval_minutes) = (create.config.clone(), create.sync_interval_minutes);
                let (prepared, flow) = self.flow_of_new(create).await?;
                let row = ActiveModel {
                    integration_key: Set(prepared.integration.key.clone()),
                    instance_id: Set(None),
                    name: Set(Some(prepared.name)),
                    sync_interval_minutes: Set(sync_interval_minutes),
                    ..Default::default()
                };
                (flow, row, config)
            }
            Purpose::Reconnect(id, config) => {
                let (integration, flow) = self.flow_of_old(id, &config).await?;
                let row = ActiveModel {
                    integration_key: Set(integration.key.clone()),
                    instance_id: Set(Some(id)),
                    name: Set(None),
                    sync_interval_minutes: Set(None),
                    ..Default::default()
                };
                (flow, row, config)
            }
        };
        let (state, verifier) = (OneTimeSecret::new(), OneTimeSecret::new());
        let url = flow
            .authorization_url(&self.redirect_uri, state.text(), verifier.text())
            .map_err(|error| connect::refusal(&error))?;
        let state_hash = state.hash();
        let cookie = browser.then(OneTimeSecret::new);
        let sealed = serde_json::to_vec(&Sealed { config, verifier: verifier.text().to_owned() })?;
        let now = self.instances.clock.now();
        let row = &ActiveModel {
            browser_hash: Set(cookie.as_ref().map(OneTimeSecret::hash)),
            sealed: Set(self.instances.keys.seal(&owner(&state_hash), &sealed)),
            token_id: Set(caller.token_id),
            actor: Set(caller.label()),
            created_at: Set(now),
            expires_at: Set(now + PATIENCE_MS),
            state_hash: Set(state_hash.clone()),
            ..row
        };
        self.instances.db.write(|tx| async move { Ok(row.clone().insert(tx.conn()).await?) }).await?;
        let cookie = cookie.map(|value| Cookie { name: cookie_name(&state_hash), value: value.text().to_owned() });
        Ok(Begun { url, expires_at: now + PATIENCE_MS, cookie })
    }

    /// Checks a new instance, and returns the code flow for it.
    async fn flow_of_new(&self, create: Create) -> Result<(Prepared<'_>, CodeFlow)> {
        let prepared = self.instances.prepare(create).await?;
        let Prepared { integration, config, .. } = &prepared;
        let flow = self.instances.consent(integration, config)?;
        let flow = flow.ok_or_else(|| needless(integration, "createInstance connects it").at(["integrationKey"]))?;
        Ok((prepared, flow))
    }

    /// The same for an existing instance whose settings are replaced by the given ones.
    async fn flow_of_old(&self, id: Uuid, given: &[(String, String)]) -> Result<(&Integration, CodeFlow)> {
        let at_instance = |code, message: &str| Refusal::new(code, message).at(["instanceId"]);
        let model = instance::Entity::find_by_id(id).one(self.instances.db.read()).await?;
        let model = model.ok_or_else(|| at_instance(RefusalCode::NotFound, "There is no instance with this id."))?;
        if matches!(model.status, Status::Deleting | Status::Deleted) {
            let message = "This instance is deleted, or is being deleted.";
            return Err(at_instance(RefusalCode::InstanceDeleted, message).into());
        }
        let integration = self.instances.catalog.find(&model.integration_key).ok_or_else(|| {
            at_instance(RefusalCode::UnknownIntegration, "The catalog has no integration of this key any more.")
        })?;
        let stored = self.instances.config(&model)?;
        let config = integration
            .check_config(Some(&stored), given)
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
        let now = self.instances.clock.now();
        self.instances
            .db
            .write(|tx| async move {
                audit::record(&tx, now, &row.actor, Action::AuthorizationFailed, row.instance_id, detail).await
            })
            .await
    }
}

/// Deletes the authorizations for an instance that is being deleted, and the secrets in them.
pub(super) async fn forget(tx: &Tx, instance: Uuid) -> Result<()> {
    Entity::delete_many().filter(Column::InstanceId.eq(instance)).exec(tx.conn()).await?;
    Ok(())
}

fn needless(integration: &Integration, instead: &str) -> Refusal {
    let message = format!("With this configuration, {} needs no consent: {instead}.", integration.name);
    Refusal::new(RefusalCode::InvalidInput, message)
}
