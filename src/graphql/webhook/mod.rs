//! Webhooks: the type, their list, and a file for each mutation.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use chrono::{DateTime, Utc};
use entity::event::Cause;
use entity::user_change;
use entity::webhook::{DisabledReason, Kind as WebhookKind, Model, State};
use uuid::Uuid;

use super::api::Api;
use super::error::{ApiError, nullable};
use super::id::{self, Kind};
use super::page::int;
use super::written::{Fields, Rows, Written, fields};
use crate::auth::Scope;
use crate::clock::date_time;
use crate::error::Refusal;
use crate::webhook::queries;
use crate::webhook::wanted::Wanted;

pub mod again;
pub mod create;
pub mod delete;
pub mod delivery;
pub mod secret;
pub mod test;
pub mod update;

#[derive(Clone)]
pub struct Webhook {
    model: Arc<Model>,
    wanted: Arc<Wanted>,
    queued: i64,
}

impl Webhook {
    fn of(model: Model, queued: i64) -> Result<Self, ApiError> {
        let wanted = Wanted::of(&model)?;
        Ok(Self { model: Arc::new(model), wanted: Arc::new(wanted), queued })
    }

    /// One that was changed or asked for.
    pub async fn one(api: &Api, model: Model) -> Result<Self, ApiError> {
        let queued = queries::queued(api.instances.db.read()).await?;
        let own = queued.get(&model.id).copied().unwrap_or_default();
        Self::of(model, own)
    }

    async fn all(api: &Api) -> Result<Vec<Self>, ApiError> {
        let reader = api.instances.db.read();
        let queued = queries::queued(reader).await?;
        let one = |model: Model| {
            let own = queued.get(&model.id).copied().unwrap_or_default();
            Self::of(model, own)
        };
        queries::all(reader).await?.into_iter().map(one).collect()
    }
}

/// Where Muster sends what happens to instances: to a program, as signed JSON, to a chat, or to an alert manager.
#[fields]
#[Object]
impl Webhook {
    /// The opaque, permanent id.
    fn id(&self) -> ID {
        id::encode(Kind::Webhook, self.model.id)
    }

    /// What receives its messages.
    fn kind(&self) -> WebhookKind {
        self.model.kind
    }

    /// The address. Of a chat or an alert manager, only its beginning: the rest is a secret.
    fn url(&self) -> &str {
        &self.model.url
    }

    /// What it is for; may be empty.
    fn description(&self) -> &str {
        &self.model.description
    }

    /// The causes of the events that it gets; null for every cause. Only the kind `STANDARD` can be limited.
    fn causes(&self) -> Option<&[Cause]> {
        self.wanted.causes.as_deref()
    }

    /// Whether it gets only those events that change the status or the health of an instance.
    fn only_changes(&self) -> bool {
        self.wanted.only_changes
    }

    /// The changes of accounts whose numbers it gets.
    fn account_changes(&self) -> &[user_change::Kind] {
        &self.wanted.account_changes
    }

    /// Whether it gets how many findings each evaluation has opened and closed.
    fn finding_changes(&self) -> bool {
        self.wanted.finding_changes
    }

    /// The instances that it is limited to; null for all.
    fn scope(&self) -> Option<WebhookScope> {
        self.wanted.scope.as_ref().map(WebhookScope::of)
    }

    /// Whether it gets messages.
    fn state(&self) -> State {
        self.model.state
    }

    /// Why it is switched off; set exactly when it is.
    fn disabled_reason(&self) -> Option<DisabledReason> {
        self.model.disabled_reason
    }

    /// When it was switched off; set exactly when it is.
    fn disabled_at(&self) -> Option<DateTime<Utc>> {
        self.model.disabled_at.map(date_time)
    }

    /// How many messages wait to be accepted.
    fn queued_deliveries(&self) -> i32 {
        int(self.queued)
    }

    /// When an attempt failed after which none has succeeded; null if the last one succeeded.
    fn failing_since(&self) -> Option<DateTime<Utc>> {
        self.model.failing_since.map(date_time)
    }

    /// Before this time nothing is sent, because an attempt has failed; null if nothing is waited for.
    fn retry_at(&self) -> Option<DateTime<Utc>> {
        self.model.retry_at.map(date_time)
    }

    /// What went wrong with the last attempt; null if it succeeded.
    fn last_error(&self) -> Option<&str> {
        self.model.last_error.as_deref()
    }

    /// When the receiver last accepted a message; null if it has accepted none.
    fn last_success_at(&self) -> Option<DateTime<Utc>> {
        self.model.last_success_at.map(date_time)
    }

    /// Until when messages are also signed with the secret before the present one; null if there was none.
    fn previous_secret_until(&self) -> Option<DateTime<Utc>> {
        self.model.previous_until.map(date_time)
    }

    /// Who created it: the address or the name of a member, or the name of a token.
    fn created_by(&self) -> &str {
        &self.model.created_by
    }

    /// When it was created.
    fn created_at(&self) -> DateTime<Utc> {
        date_time(self.model.created_at)
    }

    /// When it was last changed.
    fn updated_at(&self) -> DateTime<Utc> {
        date_time(self.model.updated_at)
    }

    /// Increases with every change, for `expectedRevision`.
    fn revision(&self) -> i32 {
        self.model.revision
    }
}

/// The instances that a webhook is limited to: those of the integrations, and the single ones.
#[derive(SimpleObject, Fields)]
pub struct WebhookScope {
    /// The keys of the integrations, also for instances that are created later.
    integration_keys: Vec<String>,
    /// The ids of the instances.
    instance_ids: Vec<ID>,
}

impl WebhookScope {
    fn of(scope: &Scope) -> Self {
        Self {
            integration_keys: scope.integrations.iter().cloned().collect(),
            instance_ids: scope.instances.iter().map(|instance| id::encode(Kind::Instance, *instance)).collect(),
        }
    }
}

/// Some instances. At least one integration or instance must be given, and at most 100 of each.
#[derive(InputObject)]
pub struct WebhookScopeInput {
    /// All instances of these integrations, also those that are created later.
    integration_keys: Option<Vec<String>>,
    /// These instances.
    instance_ids: Option<Vec<ID>>,
}

impl WebhookScopeInput {
    fn decode(self) -> Result<Scope, Refusal> {
        let ids = self.instance_ids.unwrap_or_default();
        let ids: Result<BTreeSet<Uuid>, String> = ids.iter().map(|id| id::decode(Kind::Instance, id)).collect();
        let instances = ids.map_err(|message| Refusal::invalid(message, ["scope", "instanceIds"]))?;
        Ok(Scope { integrations: self.integration_keys.unwrap_or_default().into_iter().collect(), instances })
    }
}

#[derive(Default)]
pub struct WebhookQuery;

#[Object]
impl WebhookQuery {
    /// All webhooks, in the order in which they were created. There are at most 50.
    #[graphql(complexity = "50 * child_complexity")]
    async fn webhooks(&self, ctx: &Context<'_>) -> Result<Rows<Vec<Webhook>>, ApiError> {
        Ok(Rows(Webhook::all(ctx.data_unchecked()).await?))
    }

    /// A webhook by its id. Null if there is none.
    async fn webhook(&self, ctx: &Context<'_>, #[graphql(desc = "The id.")] id: ID) -> Option<Written<Webhook>> {
        nullable(ctx, find(ctx.data_unchecked(), &id).await).map(Written)
    }
}

async fn find(api: &Api, id: &ID) -> Result<Option<Webhook>, ApiError> {
    let id = id::argument(Kind::Webhook, id)?;
    match queries::find(api.instances.db.read(), id).await? {
        Some(model) => Webhook::one(api, model).await.map(Some),
        None => Ok(None),
    }
}
