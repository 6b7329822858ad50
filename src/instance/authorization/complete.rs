//! The OAuth callback: exchanges the authorization code and connects the instance, or reports why that failed.

use std::net::IpAddr;
use std::sync::Arc;

use entity::audit_entry::{Action, ActorKind};
use entity::instance;
use entity::oauth_authorization::{Column, Entity, Model};
use integration::engine::CodeFlow;
use integration::grant::GrantInMemory;
use integration::source::ErrorClass;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use tracing::{error, info, warn};
use uuid::Uuid;

use super::redirect::forget_shared;
use super::{Authorizations, Sealed, cookie_name};
use crate::audit::{Act, Actor, Origin};
use crate::auth::Caller;
use crate::error::{Error, Refusal, RefusalCode, Result};
use crate::instance::connect::{PATIENCE, refusal};
use crate::instance::create::Create;
use crate::instance::sealed::{Owner, consent};
use crate::secrets::{OneTimeSecret, hash};

/// The parameters and cookies of the callback request.
#[derive(Default)]
pub struct Returned {
    pub state: Option<String>,
    pub code: Option<String>,
    /// The OAuth parameter `error`, which takes the place of `code`.
    pub error: Option<String>,
    /// The key of an integration in the path of the callback.
    pub integration: Option<String>,
    /// The parameter `iss` (RFC 9207).
    pub issuer: Option<String>,
    pub address: Option<IpAddr>,
    pub request_id: Option<Uuid>,
    /// Names and values.
    pub cookies: Vec<(String, String)>,
}

/// The code that a provider has given, and what is needed to use it.
struct Answer {
    code: String,
    verifier: String,
    redirect_uri: String,
    issuer: Option<String>,
}

/// What a consent was for.
#[derive(Debug)]
pub struct Attempt {
    pub integration_key: String,
    /// The application's name.
    pub application: String,
    /// The existing instance that it was to reconnect.
    pub instance_id: Option<Uuid>,
    /// Whether it was begun in the console, and this is the browser.
    pub in_console: bool,
}

/// A consent that succeeded.
#[derive(Debug)]
pub struct Connected {
    pub instance: instance::Model,
    pub attempt: Attempt,
}

/// A consent that failed.
#[derive(Debug)]
pub struct Failure {
    pub why: Why,
    /// Known if the state is.
    pub attempt: Option<Attempt>,
}

/// Why a consent failed.
#[derive(Debug)]
pub enum Why {
    /// The state is unknown, expired, or was used before.
    Unknown,
    /// The request has neither a code nor an error.
    Incomplete,
    /// The authorization was begun in another browser.
    OtherBrowser,
    /// The token of the member who began it was revoked, or no longer has the role of an administrator.
    NotAllowed,
    /// It came to the address of another integration, or from another provider than the person was sent to.
    OtherProvider,
    /// The person declined.
    Denied,
    /// The application returned this OAuth error.
    Error(&'static str),
    /// The token endpoint did not accept the code, with its reason.
    CodeRefused(String),
    /// The instance cannot be created or reconnected.
    Refused(Vec<Refusal>),
    /// An internal error. The log has the details.
    Inner(Error),
}

impl From<Error> for Why {
    fn from(error: Error) -> Self {
        match error {
            Error::Refused(refusals) => Why::Refused(refusals),
            error => Why::Inner(error),
        }
    }
}

/// The errors of OAuth 2.0 (RFC 6749, 4.1.2.1) and OpenID Connect. Other texts are not shown to anybody.
const ERRORS: [&str; 9] = [
    "invalid_request",
    "unauthorized_client",
    "unsupported_response_type",
    "invalid_scope",
    "server_error",
    "temporarily_unavailable",
    "interaction_required",
    "login_required",
    "consent_required",
];

impl Authorizations {
    /// Completes the authorization with this state. Works once.
    pub async fn complete(&self, returned: Returned) -> Result<Connected, Failure> {
        let row = match self.find(&returned).await {
            Ok(row) => row,
            Err(why) => return Err(Failure { why, attempt: None }),
        };
        let entry = self.instances.catalog.find(&row.integration_key);
        let application = entry.map_or(&row.integration_key, |entry| &entry.name);
        let attempt = |in_console: bool| Attempt {
            integration_key: row.integration_key.clone(),
            application: application.clone(),
            instance_id: row.instance_id,
            in_console,
        };
        let known = self.access.find_caller(row.token_id).await.ok().flatten();
        // Whoever began it may no longer be valid.
        let gone = || Actor { kind: ActorKind::Token, id: Some(row.token_id), name: row.actor.clone() };
        let actor = known.as_ref().map_or_else(gone, Actor::from);
        let origin = Origin { actor, address: returned.address, request_id: returned.request_id };
        let detail = format!("A person consented in {application}, and the instance was connected.");
        let act = Act::new(origin, Some((Action::AuthorizationCompleted, detail)));
        match act.clone().run(Box::pin(self.carry_out(&row, returned))).await {
            Ok(model) => {
                info!(instance.id = %model.id, integration = row.integration_key, "a person consented, and an instance was connected");
                Ok(Connected { instance: model, attempt: attempt(row.browser_hash.is_some()) })
            }
            Err(why) => {
                act.run(self.tell(&row, application, &why)).await;
                let in_console = row.browser_hash.is_some() && !matches!(why, Why::OtherBrowser);
                Err(Failure { why, attempt: Some(attempt(in_console)) })
            }
        }
    }

    /// Finds the authorization by its state. A request with an invalid state costs one look-up by primary key.
    async fn find(&self, returned: &Returned) -> Result<Model, Why> {
        let state_hash = returned.state.as_deref().and_then(OneTimeSecret::hash_of).ok_or(Why::Unknown)?;
        let found = Entity::find_by_id(state_hash).one(self.instances.db.read()).await.map_err(Error::from)?;
        let row = found.filter(|row| row.expires_at > self.instances.clock.now()).ok_or(Why::Unknown)?;
        if returned.code.is_none() && returned.error.is_none() {
            return Err(Why::Incomplete);
        }
        Ok(row)
    }

    async fn carry_out(&self, row: &Model, returned: Returned) -> Result<instance::Model, Why> {
        if let Some(wanted) = &row.browser_hash {
            let name = cookie_name(&row.state_hash);
            let mut brought = returned.cookies.iter().filter(|(cookie, _)| *cookie == name);
            if !brought.any(|(_, value)| hash(value) == *wanted) {
                return Err(Why::OtherBrowser);
            }
        }
        self.use_up(row).await?;
        let caller = self.access.find_caller(row.token_id).await?.filter(Caller::may_operate);
        let caller = caller.ok_or(Why::NotAllowed)?;
        let own = row.own_redirect.then_some(&row.integration_key);
        let is_shared = returned.integration.is_none();
        if returned.integration.as_ref() != own && !(is_shared && self.nobody_shares().await?) {
            return Err(Why::OtherProvider);
        }
        let code = match (returned.error.as_deref(), returned.code) {
            (None, Some(code)) => code,
            (Some("access_denied"), _) => return Err(Why::Denied),
            (error, _) => {
                let known = ERRORS.into_iter().find(|known| Some(*known) == error);
                return Err(Why::Error(known.unwrap_or("an error of its own")));
            }
        };
        let reconnected = match row.instance_id {
            Some(id) => Some(self.reconnectable(id).await?),
            None => None,
        };
        let Sealed { config, verifier } = self.open(row, reconnected.as_ref())?;
        let redirect_uri = self.redirect(&row.integration_key, row.own_redirect);
        let answer = Answer { code, verifier, redirect_uri, issuer: returned.issuer };
        match reconnected {
            None => {
                let create = Create {
                    integration_key: row.integration_key.clone(),
                    name: row.name.clone().unwrap_or_default(),
                    config,
                    sync_interval_minutes: row.sync_interval_minutes,
                };
                self.create(&caller, create, &answer).await
            }
            Some(model) => {
                let (_, flow) = self.flow_of_old(&model, &config)?;
                let fresh = self.exchange(&flow, &answer).await?;
                let model = self.instances.reconnect(&caller, model.id, config, &fresh).await?;
                if row.own_redirect {
                    self.instances.db.write(|tx| async move { forget_shared(&tx, model.id).await }).await?;
                }
                Ok(model)
            }
        }
    }

    fn open(&self, row: &Model, reconnected: Option<&instance::Model>) -> Result<Sealed, Why> {
        let owner = reconnected.map(Owner::of);
        match self.instances.keys.open(&consent(row, owner.as_ref()), &row.sealed) {
            Ok(plain) => Ok(serde_json::from_slice(&plain).map_err(Error::from)?),
            Err(error) => {
                warn!(integration = row.integration_key, %error, "a consent in progress does not open");
                let message = "The settings of the instance have changed since this consent was begun: begin again.";
                Err(Why::Refused(vec![Refusal::new(RefusalCode::InvalidInput, message)]))
            }
        }
    }

    /// Deletes the row, so that the state cannot be used again.
    async fn use_up(&self, row: &Model) -> Result<(), Why> {
        let delete = &Entity::delete_many().filter(Column::StateHash.eq(row.state_hash.clone()));
        let used = self
            .instances
            .db
            .write(|tx| async move { Ok(delete.clone().exec(tx.conn()).await?.rows_affected == 1) })
            .await?;
        if used { Ok(()) } else { Err(Why::Unknown) }
    }

    async fn create(&self, caller: &Caller, create: Create, answer: &Answer) -> Result<instance::Model, Why> {
        let (prepared, flow) = self.flow_of_new(create).await?;
        let fresh = self.exchange(&flow, answer).await?;
        let config = prepared.config.clone();
        let verified = self.instances.verify(prepared.integration, config, 1, Some(fresh.clone())).await?;
        Ok(self.instances.insert(caller, prepared, verified, Some(&fresh.grant().await)).await?)
    }

    async fn exchange(&self, flow: &CodeFlow, answer: &Answer) -> Result<Arc<GrantInMemory>, Why> {
        let Answer { code, verifier, redirect_uri, issuer } = answer;
        // Before anybody gets the code.
        if !flow.is_from(issuer.as_deref()).map_err(|error| Why::Refused(vec![refusal(&error)]))? {
            return Err(Why::OtherProvider);
        }
        match tokio::time::timeout(PATIENCE, flow.exchange(redirect_uri, code, verifier)).await {
            Ok(Ok(grant)) => Ok(Arc::new(GrantInMemory::new(grant))),
            Ok(Err(error)) if error.class == ErrorClass::Token => Err(Why::CodeRefused(error.message)),
            Ok(Err(error)) => Err(Why::Refused(vec![refusal(&error)])),
            Err(_) => {
                let message = format!("It did not answer within {} seconds.", PATIENCE.as_secs());
                Err(Why::CodeRefused(message))
            }
        }
    }

    /// Writes an audit entry and a log line.
    async fn tell(&self, row: &Model, application: &str, why: &Why) {
        let reason = match why {
            // Another request with the same state may be in progress.
            Why::Unknown | Why::Incomplete => return,
            Why::OtherBrowser => "it was completed in another browser than the one in which it was begun".to_owned(),
            Why::NotAllowed => "the token that began it was revoked or may not change anything".to_owned(),
            Why::OtherProvider => "the answer was from another provider than the one that was asked".to_owned(),
            Why::Denied => "the person declined".to_owned(),
            Why::Error(error) => format!("the application answered {error}"),
            Why::CodeRefused(message) => {
                format!("the application did not accept the authorization code that it had issued. {message}")
            }
            Why::Refused(refusals) => {
                refusals.iter().map(|refusal| refusal.message.as_str()).collect::<Vec<_>>().join(" ")
            }
            Why::Inner(error) => {
                error!(integration = row.integration_key, error = %error.chain(), "a consent failed because of an internal error");
                "this server made an error".to_owned()
            }
        };
        warn!(integration = row.integration_key, reason, "a consent failed");
        let detail = format!("A consent in {application} failed: {}.", reason.trim_end_matches('.'));
        if let Err(error) = self.record_failure(row, &detail).await {
            warn!(error = %error.chain(), "a failed consent could not be recorded");
        }
    }
}
