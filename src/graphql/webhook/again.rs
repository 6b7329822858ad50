//! Messages that are sent again.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use chrono::{DateTime, Utc};

use super::delivery::WebhookDelivery;
use crate::graphql::api::Api;
use crate::graphql::error::ApiError;
use crate::graphql::id::{self, Kind};
use crate::graphql::page::int;
use crate::graphql::user_error::{UserError, split_refusals_about};

/// The message to send again.
#[derive(InputObject)]
pub struct RetryWebhookDeliveryInput {
    /// The delivery.
    id: ID,
}

/// The result of `retryWebhookDelivery`.
#[derive(SimpleObject)]
pub struct RetryWebhookDeliveryPayload {
    /// The delivery, which waits now; null if it was refused.
    delivery: Option<WebhookDelivery>,
    /// Why it was refused; empty if it is sent.
    user_errors: Vec<UserError>,
}

/// The failed messages to send again.
#[derive(InputObject)]
pub struct RetryFailedDeliveriesInput {
    /// The webhook.
    webhook_id: ID,
    /// Messages that were made at this time or later.
    since: DateTime<Utc>,
}

/// The result of `retryFailedDeliveries`.
#[derive(SimpleObject)]
pub struct RetryFailedDeliveriesPayload {
    /// How many messages wait now; null if it was refused.
    count: Option<i32>,
    /// Why it was refused; empty if they are sent.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub struct RetryDeliveries;

#[Object]
impl RetryDeliveries {
    /// Sends a message again, with its old id and body. One that waits already is left as it is.
    async fn retry_webhook_delivery(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The message.")] input: RetryWebhookDeliveryInput,
    ) -> Result<RetryWebhookDeliveryPayload, ApiError> {
        let api = ctx.data_unchecked::<Api>();
        let queued = async { api.webhooks.retry(id::input(Kind::WebhookDelivery, &input.id, "id")?).await };
        Ok(match split_refusals_about("id", queued.await)? {
            Ok(model) => {
                let delivery = Some(WebhookDelivery::one(model));
                RetryWebhookDeliveryPayload { delivery, user_errors: Vec::new() }
            }
            Err(user_errors) => RetryWebhookDeliveryPayload { delivery: None, user_errors },
        })
    }

    /// Sends all messages of a webhook again that have failed, in their order.
    async fn retry_failed_deliveries(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The messages.")] input: RetryFailedDeliveriesInput,
    ) -> Result<RetryFailedDeliveriesPayload, ApiError> {
        let (api, since) = (ctx.data_unchecked::<Api>(), input.since.timestamp_millis());
        let queued = async {
            let id = id::input(Kind::Webhook, &input.webhook_id, "webhookId")?;
            api.webhooks.retry_failed(id, since).await
        };
        Ok(match split_refusals_about("webhookId", queued.await)? {
            Ok(count) => {
                let count = int(i64::try_from(count).unwrap_or(i64::MAX));
                RetryFailedDeliveriesPayload { count: Some(count), user_errors: Vec::new() }
            }
            Err(user_errors) => RetryFailedDeliveriesPayload { count: None, user_errors },
        })
    }
}
