use async_graphql::{Context, InputObject, Object, SimpleObject};
use entity::event::Cause;
use entity::user_change;
use entity::webhook::Kind;

use super::{Webhook, WebhookScopeInput};
use crate::auth::Caller;
use crate::error::Result;
use crate::graphql::api::Api;
use crate::graphql::error::ApiError;
use crate::graphql::user_error::{UserError, split_refusals};
use crate::webhook::input::Definition;
use crate::webhook::wanted::Wanted;

/// The webhook to create.
#[derive(InputObject)]
pub struct CreateWebhookInput {
    /// What receives the messages; `STANDARD`, a program, if it is left out or null. It cannot be changed later.
    kind: Option<Kind>,
    /// The address: `https` to a public address or to one of `MUSTER_ALLOWED_NETWORKS`, or `http` to one of these
    /// networks. At most 2000 characters, without a user name, a password or a fragment. Of a chat or an alert manager, the
    /// one that the service gives; it is a secret, and only its beginning is shown again. May be left out for `PAGERDUTY`
    /// and `OPSGENIE`: then it is that of the US region.
    url: Option<String>,
    /// The integration key of `PAGERDUTY` or the API key of `OPSGENIE`, which need one; an access token of `NTFY`; or for
    /// `ALERTMANAGER` `user:password` or a bearer token. It is not shown again. The other kinds have none.
    key: Option<String>,
    /// What it is for, in at most 200 characters.
    description: Option<String>,
    /// The causes of the events that it gets; every cause if it is left out or null. For the kind `STANDARD` only: a chat
    /// gets what is also written by mail, and an alert manager one alert for each instance that fails.
    causes: Option<Vec<Cause>>,
    /// True, which is the default, for only those events that change the status or the health of an instance. False is for
    /// the kind `STANDARD` only.
    only_changes: Option<bool>,
    /// The changes of accounts whose numbers it gets; none if it is left out or null. For the kind `STANDARD` only.
    account_changes: Option<Vec<user_change::Kind>>,
    /// Whether it gets how many findings each evaluation has opened and closed; false if it is left out or null. For the
    /// kind `STANDARD` only.
    finding_changes: Option<bool>,
    /// The instances that it is limited to; all if it is left out or null.
    scope: Option<WebhookScopeInput>,
}

impl CreateWebhookInput {
    fn decode(self) -> Result<Definition> {
        let Self { kind, url, key, description, causes, only_changes, account_changes, finding_changes, scope } = self;
        Ok(Definition {
            kind: kind.unwrap_or(Kind::Standard),
            url: url.unwrap_or_default(),
            key,
            description: description.unwrap_or_default(),
            wanted: Wanted {
                causes,
                only_changes: only_changes.unwrap_or(true),
                account_changes: account_changes.unwrap_or_default(),
                finding_changes: finding_changes.unwrap_or_default(),
                scope: scope.map(WebhookScopeInput::decode).transpose()?,
            },
        })
    }
}

/// The result of `createWebhook`.
#[derive(SimpleObject)]
pub struct CreateWebhookPayload {
    /// The secret with which messages are signed, for the receiver. It cannot be shown again. Null if the webhook was not
    /// created, and if it is of another kind than `STANDARD`.
    secret: Option<String>,
    /// The webhook; null if it was not created.
    webhook: Option<Webhook>,
    /// Why it was not created; empty if it was.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub struct CreateWebhook;

#[Object]
impl CreateWebhook {
    /// Creates a webhook: for a program, a chat or an alert manager. It gets what happens from now on. There are at most 50.
    async fn create_webhook(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The webhook to create.")] input: CreateWebhookInput,
    ) -> Result<CreateWebhookPayload, ApiError> {
        let (api, caller) = (ctx.data_unchecked::<Api>(), ctx.data_unchecked::<Caller>());
        let created = async { api.webhooks.create(caller, input.decode()?).await };
        Ok(match split_refusals(created.await)? {
            Ok((model, secret)) => {
                let webhook = Some(Webhook::one(api, model).await?);
                CreateWebhookPayload { secret, webhook, user_errors: Vec::new() }
            }
            Err(user_errors) => CreateWebhookPayload { secret: None, webhook: None, user_errors },
        })
    }
}
