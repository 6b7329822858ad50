//! Connecting an application to which a person has to consent in their browser (OAuth 2.0,
//! authorization code).
//!
//! **The way.** A member [begins](Authorizations::begin): everything that can be refused is
//! refused now, and they get the address to go to. The application sends them back to the
//! callback, which [completes](Authorizations::complete) what was begun: the code is exchanged
//! for a grant, the grant is tried, and a new instance is created or an old one reconnected,
//! as the member who began it.
//!
//! **Whose consent it is.** What comes back is believed only with its `state`: 256 random
//! bits of which the hash is stored, good once, for ten minutes, while the member's token
//! stands. If the member began it in the console, the cookie that their browser got with it
//! must come along too, so that nobody can have somebody else consent in their place; a client without a
//! browser of its own is bound by the state alone.
//!
//! **Cut in the middle.** The state is used up before the code is exchanged, and the new
//! grant lives in memory until the transaction that creates or reconnects the instance. So
//! a process that dies between leaves everything as it was, and the member begins again.

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

/// How long a person has for their consent, in milliseconds.
pub const PATIENCE_MS: i64 = 600_000;

/// The consents that are under way, and the tools that they need.
#[derive(Clone)]
pub struct Authorizations {
    pub instances: Instances,
    pub tokens: Tokens,
    /// Where applications send people back to.
    pub redirect_uri: Arc<str>,
}

/// Where people come back to, below the public address.
pub const CALLBACK: &str = "/oauth/callback";

impl Authorizations {
    /// `public_url` is where browsers reach this server, without a trailing slash.
    pub fn new(instances: Instances, tokens: Tokens, public_url: &str) -> Self {
        Self { instances, tokens, redirect_uri: format!("{public_url}{CALLBACK}").into() }
    }

    /// Where browsers reach the console, without a trailing slash.
    pub fn console(&self) -> &str {
        self.redirect_uri.strip_suffix(CALLBACK).unwrap_or_default()
    }
}

/// What a consent is for.
pub enum Purpose {
    Create(Create),
    /// The instance, and the values in place of its own.
    Reconnect(Uuid, Vec<(String, String)>),
}

/// A consent that was begun.
pub struct Begun {
    /// Where the person is to be sent.
    pub url: Url,
    /// In Unix milliseconds.
    pub expires_at: i64,
    /// What their browser must bring back, if it is to be bound to this.
    pub cookie: Option<Cookie>,
}

/// A cookie for the callback alone.
pub struct Cookie {
    pub name: String,
    pub value: String,
}

/// What is sealed of a consent that is under way.
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

/// What the cookie of an authorization is called: a browser may be amid several.
fn cookie_name(state_hash: &[u8]) -> String {
    format!("muster_authorization_{}", hex(&state_hash[..8]))
}

impl Authorizations {
    /// Checks what is asked for and remembers it. With `browser`, only the browser that gets the
    /// cookie can complete it.
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

    /// The consent that a new instance needs, after everything that can be refused was checked.
    async fn flow_of_new(&self, create: Create) -> Result<(Prepared<'_>, CodeFlow)> {
        let prepared = self.instances.prepare(create).await?;
        let Prepared { integration, config, .. } = &prepared;
        let flow = self.instances.consent(integration, config)?;
        let flow = flow.ok_or_else(|| needless(integration, "createInstance connects it").at(["integrationKey"]))?;
        Ok((prepared, flow))
    }

    /// The same for an instance, with the given values in place of its own.
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

    /// Forgets those that nobody came back from in time.
    pub async fn forget_expired(&self) -> Result<()> {
        let (db, now) = (&self.instances.db, self.instances.clock.now());
        let expired = Entity::find().select_only().column(Column::StateHash).filter(Column::ExpiresAt.lte(now));
        // A look before the write: an idle worker must not take the write lock.
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

/// Forgets the consents for an instance that is being deleted, and the secrets that they hold.
pub(super) async fn forget(tx: &Tx, instance: Uuid) -> Result<()> {
    Entity::delete_many().filter(Column::InstanceId.eq(instance)).exec(tx.conn()).await?;
    Ok(())
}

fn needless(integration: &Integration, instead: &str) -> Refusal {
    let message = format!("With this configuration {} needs nobody's consent: {instead}.", integration.name);
    Refusal::new(RefusalCode::InvalidInput, message)
}
