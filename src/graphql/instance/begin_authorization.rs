use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use chrono::{DateTime, Utc};

use super::{ConfigValueInput, config_pairs};
use crate::auth::Caller;
use crate::clock::date_time;
use crate::error::{Error, Refusal};
use crate::graphql::api::Api;
use crate::graphql::error::{ApiError, settle};
use crate::graphql::id::{self, Kind};
use crate::graphql::transport::cookies::Browser;
use crate::graphql::user_error::{UserError, user_errors};
use crate::instance::authorization::{Begun, PATIENCE_MS, Purpose};
use crate::instance::create::Create;

/// What the consent is for: either a new instance (`integrationKey`, `name` and what else
/// `createInstance` takes), or an instance that is to be reconnected (`instanceId`).
#[derive(InputObject)]
pub struct BeginAuthorizationInput {
    /// The application of the new instance: the key of an integration.
    integration_key: Option<String>,
    /// The name of the new instance: from 1 to 200 characters, unique among instances that are not deleted.
    name: Option<String>,
    /// The values of the integration's `configFields`; with `instanceId`, those to take the place of its own.
    config: Option<Vec<ConfigValueInput>>,
    /// How often to sync the new instance, from 1 to 43200; 60 when left out.
    sync_interval_minutes: Option<i32>,
    /// The instance to be reconnected.
    instance_id: Option<ID>,
}

impl BeginAuthorizationInput {
    fn purpose(self) -> Result<Purpose, Refusal> {
        let Self { integration_key, name, config, sync_interval_minutes, instance_id } = self;
        let config = config_pairs(config.unwrap_or_default());
        match (integration_key, instance_id) {
            (Some(integration_key), None) => {
                let name = name.ok_or_else(|| Refusal::invalid("A new instance needs a name.", ["name"]))?;
                Ok(Purpose::Create(Create { integration_key, name, config, sync_interval_minutes }))
            }
            (None, Some(id)) => {
                let kept = "A reconnected instance keeps it: updateInstance changes it.";
                if name.is_some() {
                    return Err(Refusal::invalid(kept, ["name"]));
                }
                if sync_interval_minutes.is_some() {
                    return Err(Refusal::invalid(kept, ["syncIntervalMinutes"]));
                }
                Ok(Purpose::Reconnect(id::input(Kind::Instance, &id, "instanceId")?, config))
            }
            _ => Err(Refusal::invalid("Give either integrationKey or instanceId.", ["integrationKey"])),
        }
    }
}

/// What became of `beginAuthorization`.
#[derive(SimpleObject)]
pub struct BeginAuthorizationPayload {
    /// Where to send the person who is to consent; null when it was refused.
    authorization_url: Option<String>,
    /// Until when they must be back.
    expires_at: Option<DateTime<Utc>>,
    /// Why nobody need be sent there; empty when somebody is to be.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub struct BeginAuthorization;

#[Object]
impl BeginAuthorization {
    /// Begins to connect an application to which a person has to consent in their browser
    /// (authentication kind `OAUTH2_AUTHORIZATION_CODE`). Checks what can be checked, and answers the
    /// address to send the person to. When they have consented, the application sends them back to
    /// `/oauth/callback` of this server, which creates the instance or reconnects it as you, and then
    /// shows the console. The address is good for ten minutes and one consent, and only while your
    /// token is. Asked for by the console, it works in the same browser only, which keeps a cookie for
    /// that; asked for by any other client, whoever has the address can consent.
    async fn begin_authorization(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What the consent is for.")] input: BeginAuthorizationInput,
    ) -> Result<BeginAuthorizationPayload, ApiError> {
        let (api, caller) = (ctx.data_unchecked::<Api>(), ctx.data_unchecked::<Caller>());
        let browser = ctx.data_opt::<Browser>();
        let begun = async {
            let purpose = input.purpose().map_err(Error::from)?;
            api.authorizations.begin(caller, purpose, browser.is_some()).await
        };
        Ok(match settle(begun.await)? {
            Ok(Begun { url, expires_at, cookie }) => {
                if let (Some(browser), Some(cookie)) = (browser, cookie) {
                    browser.keep(&cookie.name, &cookie.value, &api.authorizations.redirect_uri, PATIENCE_MS / 1000);
                }
                BeginAuthorizationPayload {
                    authorization_url: Some(url.into()),
                    expires_at: Some(date_time(expires_at)),
                    user_errors: Vec::new(),
                }
            }
            Err(refusals) => BeginAuthorizationPayload {
                authorization_url: None,
                expires_at: None,
                user_errors: user_errors(refusals),
            },
        })
    }
}
