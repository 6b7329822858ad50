use async_graphql::{Context, ID, InputObject, MaybeUndefined, Object, SimpleObject};
use entity::event::Cause;
use entity::user_change;
use entity::webhook::Model;

use super::{Webhook, WebhookScopeInput};
use crate::error::Result;
use crate::graphql::api::Api;
use crate::graphql::error::ApiError;
use crate::graphql::id::{self, Kind};
use crate::graphql::user_error::{UserError, split_refusals_about};
use crate::webhook::input::Definition;
use crate::webhook::manage::Change;

/// The changes. A field that is left out keeps its value, and so does one that is null, unless it says otherwise.
#[derive(InputObject)]
pub struct UpdateWebhookInput {
    /// The webhook.
    id: ID,
    /// The new address, as in `createWebhook`.
    url: Option<String>,
    /// The new key, as in `createWebhook`. An empty text removes it.
    key: Option<String>,
    /// The new description.
    description: Option<String>,
    /// The causes of the events that it gets; null for every cause.
    causes: MaybeUndefined<Vec<Cause>>,
    /// Whether it gets only those events that change the status or the health of an instance.
    only_changes: Option<bool>,
    /// The changes of accounts whose numbers it gets.
    account_changes: Option<Vec<user_change::Kind>>,
    /// Whether it gets how many findings each evaluation has opened and closed.
    finding_changes: Option<bool>,
    /// The instances that it is limited to; null for all.
    scope: MaybeUndefined<WebhookScopeInput>,
    /// Switches it on or off. When it is switched off, everything that waits has failed. When it is switched on, it goes on
    /// with what happens then.
    enabled: Option<bool>,
    /// If the webhook is no longer at this revision, the changes are refused.
    expected_revision: Option<i32>,
}

/// The result of `updateWebhook`.
#[derive(SimpleObject)]
pub struct UpdateWebhookPayload {
    /// The webhook as it is now; null if it was not changed.
    webhook: Option<Webhook>,
    /// Why it was not changed; empty if it was.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub struct UpdateWebhook;

#[Object]
impl UpdateWebhook {
    /// Changes a webhook, or switches it on or off.
    async fn update_webhook(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The changes.")] input: UpdateWebhookInput,
    ) -> Result<UpdateWebhookPayload, ApiError> {
        let api = ctx.data_unchecked::<Api>();
        Ok(match split_refusals_about("id", update(api, input).await)? {
            Ok(model) => {
                UpdateWebhookPayload { webhook: Some(Webhook::one(api, model).await?), user_errors: Vec::new() }
            }
            Err(user_errors) => UpdateWebhookPayload { webhook: None, user_errors },
        })
    }
}

async fn update(api: &Api, input: UpdateWebhookInput) -> Result<Model> {
    let UpdateWebhookInput {
        id,
        url,
        key,
        description,
        causes,
        only_changes,
        account_changes,
        finding_changes,
        scope,
        ..
    } = input;
    let id = id::input(Kind::Webhook, &id, "id")?;
    let scope = match scope {
        MaybeUndefined::Undefined => MaybeUndefined::Undefined,
        MaybeUndefined::Null => MaybeUndefined::Null,
        MaybeUndefined::Value(scope) => MaybeUndefined::Value(scope.decode()?),
    };
    let (changes_scope, gives_key) = (!scope.is_undefined(), key.is_some());
    let define = move |definition: &mut Definition| {
        let Definition { kind: _, url: old_url, key: old_key, description: old_description, wanted } = definition;
        if let Some(url) = &url {
            old_url.clone_from(url);
        }
        if key.is_some() {
            *old_key = key.clone().filter(|key| !key.trim().is_empty());
        }
        if let Some(description) = &description {
            old_description.clone_from(description);
        }
        match &causes {
            MaybeUndefined::Undefined => {}
            MaybeUndefined::Null => wanted.causes = None,
            MaybeUndefined::Value(causes) => wanted.causes = Some(causes.clone()),
        }
        wanted.only_changes = only_changes.unwrap_or(wanted.only_changes);
        if let Some(changes) = &account_changes {
            wanted.account_changes.clone_from(changes);
        }
        wanted.finding_changes = finding_changes.unwrap_or(wanted.finding_changes);
        match &scope {
            MaybeUndefined::Undefined => {}
            MaybeUndefined::Null => wanted.scope = None,
            MaybeUndefined::Value(scope) => wanted.scope = Some(scope.clone()),
        }
    };
    let (enabled, expected_revision) = (input.enabled, input.expected_revision);
    let change = Change { define, changes_scope, gives_key, enabled, expected_revision };
    api.webhooks.update(id, &change).await
}
