use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use chrono::{DateTime, Utc};

use super::config::{self, ConfigValueInput};
use crate::auth::Caller;
use crate::clock::date_time;
use crate::error::{Error, Refusal};
use crate::graphql::api::Api;
use crate::graphql::error::ApiError;
use crate::graphql::id::{self, Kind};
use crate::graphql::transport::cookies::ConsoleCookies;
use crate::graphql::user_error::{UserError, split_refusals};
use crate::instance::authorization::{Begun, PATIENCE_MS, Purpose};
use crate::instance::create::Create;

/// What the consent is for: either a new instance (`integrationKey`, `name` and the other fields of
/// `createInstance`), or an instance to reconnect (`instanceId`).
#[derive(InputObject)]
pub struct BeginAuthorizationInput {
    /// The application of the new instance: the key of an integration.
    integration_key: Option<String>,
    /// The name of the new instance: from 1 to 200 characters, unique among instances that are not deleted.
    name: Option<String>,
    /// The values of the integration's `configFields`; with `instanceId`, the values that replace its own.
    config: Option<Vec<ConfigValueInput>>,
    /// The minutes between two syncs of the new instance, from 1 to 43200; 60 by default.
    sync_interval_minutes: Option<i32>,
    /// The instance to reconnect.
    instance_id: Option<ID>,
}

impl BeginAuthorizationInput {
    fn purpose(self) -> Result<Purpose, Refusal> {
        let Self { integration_key, name, config, sync_interval_minutes, instance_id } = self;
        let config = config::pairs(config.unwrap_or_default());
        match (integration_key, instance_id) {
            (Some(integration_key), None) => {
                let name = name.ok_or_else(|| Refusal::invalid("A new instance needs a name.", ["name"]))?;
                Ok(Purpose::Create(Create { integration_key, name, config, sync_interval_minutes }))
            }
            (None, Some(id)) => {
                let kept = "A reconnected instance keeps its value: use updateInstance to change it.";
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

/// The result of `beginAuthorization`.
#[derive(SimpleObject)]
pub struct BeginAuthorizationPayload {
    /// The address to send the person to, for their consent; null if the request was refused.
    authorization_url: Option<String>,
    /// When the address expires.
    expires_at: Option<DateTime<Utc>>,
    /// Why the request was refused; empty if it was not.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub struct BeginAuthorization;

#[Object]
impl BeginAuthorization {
    /// Begins to connect an application that needs the consent of a person in their browser
    /// (authentication kind `OAUTH2_AUTHORIZATION_CODE`). It checks the input and returns the
    /// address to send the person to. After their consent, the application sends them back to
    /// the `redirectUri` of the integration, which creates or reconnects the instance in your name and
    /// shows the console. The address is valid for ten minutes and for one consent, and only while your
    /// token is valid. If the console asks for it, it works only in the same browser, which keeps a cookie
    /// for this purpose. If any other client asks for it, everyone who has the address can consent.
    async fn begin_authorization(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What the consent is for.")] input: BeginAuthorizationInput,
    ) -> Result<BeginAuthorizationPayload, ApiError> {
        let (api, caller) = (ctx.data_unchecked::<Api>(), ctx.data_unchecked::<Caller>());
        let cookies = ctx.data_opt::<ConsoleCookies>();
        let begun = async {
            let purpose = input.purpose().map_err(Error::from)?;
            match &purpose {
                Purpose::Create(create) => api.admit_new(&create.integration_key)?,
                Purpose::Reconnect(id, _) => {
                    api.admit(*id).await?;
                }
            }
            api.authorizations.begin(caller, purpose, cookies.is_some()).await
        };
        Ok(match split_refusals(begun.await)? {
            Ok(Begun { url, expires_at, cookie }) => {
                if let (Some(cookies), Some(cookie)) = (cookies, cookie) {
                    let callback = api.authorizations.redirects.shared();
                    cookies.set(cookie.name, cookie.value, &callback, PATIENCE_MS);
                }
                let (url, expires_at) = (Some(url.into()), Some(date_time(expires_at)));
                BeginAuthorizationPayload { authorization_url: url, expires_at, user_errors: Vec::new() }
            }
            Err(user_errors) => BeginAuthorizationPayload { authorization_url: None, expires_at: None, user_errors },
        })
    }
}
