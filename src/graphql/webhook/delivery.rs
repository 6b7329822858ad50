//! Deliveries: the messages to webhooks, and what became of them.

use std::borrow::Cow;
use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object};
use chrono::{DateTime, Utc};
use entity::webhook_delivery::{Model, State};
use uuid::Uuid;

use crate::clock::date_time;
use crate::db::Total;
use crate::graphql::api::Api;
use crate::graphql::batch::Batch;
use crate::graphql::connection::{self, connection};
use crate::graphql::error::{ApiError, nullable};
use crate::graphql::id::{self, Kind};
use crate::graphql::instance::{Instance, InstanceById};
use crate::graphql::list::{List, PageRows, RootList};
use crate::graphql::page;
use crate::graphql::written::{Written, fields};
use crate::webhook::queries::{self, Filter};
use crate::webhook::send::message_id;

#[derive(Clone)]
pub struct WebhookDelivery {
    model: Arc<Model>,
    instances: Arc<Batch<Uuid>>,
}

impl WebhookDelivery {
    /// Rows of one list.
    fn list(models: Vec<Model>) -> Vec<Self> {
        let instances = Arc::new(Batch::new(models.iter().filter_map(|model| model.instance_id)));
        models.into_iter().map(|model| Self { model: Arc::new(model), instances: instances.clone() }).collect()
    }

    /// A single row.
    pub fn one(model: Model) -> Self {
        let instances = Arc::new(Batch::new(model.instance_id));
        Self { model: Arc::new(model), instances }
    }
}

/// One message to one webhook, and whether its receiver accepted it.
#[fields]
#[Object]
impl WebhookDelivery {
    /// The opaque, permanent id.
    fn id(&self) -> ID {
        id::encode(Kind::WebhookDelivery, self.model.id)
    }

    /// The `webhook-id` that the receiver gets. It is the same at every attempt.
    fn message_id(&self) -> String {
        message_id(self.model.id)
    }

    /// The id of the webhook.
    fn webhook_id(&self) -> ID {
        id::encode(Kind::Webhook, self.model.webhook_id)
    }

    /// The type of the message, such as `instance.sync_failed`.
    #[graphql(name = "type")]
    fn message_type(&self) -> &str {
        &self.model.message_type
    }

    /// Whether it was accepted.
    fn state(&self) -> State {
        self.model.state
    }

    /// How often it was tried since it was made, or since it was last sent again.
    fn attempts(&self) -> i32 {
        self.model.attempts
    }

    /// When it was made.
    fn created_at(&self) -> DateTime<Utc> {
        date_time(self.model.created_at)
    }

    /// When the last attempt ended; null if there was none.
    fn last_tried_at(&self) -> Option<DateTime<Utc>> {
        self.model.last_try_at.map(date_time)
    }

    /// When it is tried next, at the earliest; null if it does not wait.
    fn next_try_at(&self) -> Option<DateTime<Utc>> {
        (self.model.state == State::Queued).then(|| date_time(self.model.next_try_at))
    }

    /// When it was accepted; null if it was not.
    fn delivered_at(&self) -> Option<DateTime<Utc>> {
        self.model.delivered_at.map(date_time)
    }

    /// The HTTP status of the last answer; null if there was none.
    fn http_status(&self) -> Option<i32> {
        self.model.status
    }

    /// What went wrong; null if nothing did.
    fn last_error(&self) -> Option<&str> {
        self.model.last_error.as_deref()
    }

    /// The beginning of the last answer; null if there was none.
    fn answer(&self) -> Option<&str> {
        self.model.answer.as_deref()
    }

    /// What is sent: JSON.
    fn body(&self) -> &str {
        &self.model.body
    }

    /// The instance that it is about. Null for a test, and when the instance was deleted so long ago that the server no
    /// longer has it.
    async fn instance(&self, ctx: &Context<'_>) -> Option<Written<Instance>> {
        let id = self.model.instance_id?;
        nullable(ctx, self.instances.load(ctx.data_unchecked::<Api>(), InstanceById, &id).await).map(Written)
    }
}

/// Selects deliveries. All fields that are given must match.
#[derive(InputObject, Default)]
pub struct WebhookDeliveryFilter {
    /// Messages to this webhook.
    webhook_id: Option<ID>,
    /// Messages in one of these states.
    states: Option<Vec<State>>,
}

/// The newest delivery comes first.
pub struct DeliveryList(Filter);

impl List for DeliveryList {
    type Row = WebhookDelivery;
    type Position = Uuid;

    fn name(&self) -> Cow<'static, str> {
        "webhook deliveries".into()
    }

    fn position(&self, delivery: &WebhookDelivery) -> Uuid {
        delivery.model.id
    }
}

impl RootList for DeliveryList {
    async fn page(&self, api: &Api, after: Option<Uuid>, limit: u64) -> Result<PageRows<Self>, ApiError> {
        Ok(WebhookDelivery::list(queries::page(api.instances.db.read(), &self.0, after, limit).await?).into())
    }

    async fn total(&self, api: &Api) -> Result<Total, ApiError> {
        Ok(queries::total(api.instances.db.read(), &self.0).await?)
    }
}

connection!(WebhookDeliveryConnection, WebhookDeliveryEdge, DeliveryList, "deliveries");

#[derive(Default)]
pub struct DeliveryQuery;

#[Object]
impl DeliveryQuery {
    /// The messages to webhooks that the server still has, the newest first.
    #[graphql(complexity = "page::filtered_cost(first, __field, child_complexity)")]
    async fn webhook_deliveries(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The size of the page, from 1 to 100; 20 by default.")] first: Option<i32>,
        #[graphql(desc = "The cursor after which the page begins.")] after: Option<String>,
        #[graphql(desc = "Selects deliveries.")] filter: Option<WebhookDeliveryFilter>,
    ) -> Result<Written<WebhookDeliveryConnection>, ApiError> {
        let WebhookDeliveryFilter { webhook_id, states } = filter.unwrap_or_default();
        let webhook_id = webhook_id.map(|id| id::argument(Kind::Webhook, &id)).transpose()?;
        let list = DeliveryList(Filter { webhook_id, states });
        Ok(Written(WebhookDeliveryConnection(connection::root(ctx, list, first, after).await?)))
    }
}
