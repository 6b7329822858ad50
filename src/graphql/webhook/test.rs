use async_graphql::{Context, ID, InputObject, Object, SimpleObject};

use super::delivery::WebhookDelivery;
use crate::graphql::api::Api;
use crate::graphql::error::ApiError;
use crate::graphql::id::{self, Kind};
use crate::graphql::user_error::{UserError, split_refusals_about};

/// The webhook to test.
#[derive(InputObject)]
pub struct TestWebhookInput {
    /// The webhook.
    id: ID,
}

/// The result of `testWebhook`.
#[derive(SimpleObject)]
pub struct TestWebhookPayload {
    /// The test after its attempt: `DELIVERED`, or `FAILED` with what went wrong. It is still `QUEUED` if no worker has sent
    /// it within 20 seconds. Null if there is no such webhook.
    delivery: Option<WebhookDelivery>,
    /// Why nothing was sent; empty if it was.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub struct TestWebhook;

#[Object]
impl TestWebhook {
    /// Sends a message of the type `webhook.test`, with a single attempt, also to a webhook that is switched off.
    async fn test_webhook(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The webhook.")] input: TestWebhookInput,
    ) -> Result<TestWebhookPayload, ApiError> {
        let api = ctx.data_unchecked::<Api>();
        let tested = async { api.webhooks.test(id::input(Kind::Webhook, &input.id, "id")?).await };
        Ok(match split_refusals_about("id", tested.await)? {
            Ok(model) => TestWebhookPayload { delivery: Some(WebhookDelivery::one(model)), user_errors: Vec::new() },
            Err(user_errors) => TestWebhookPayload { delivery: None, user_errors },
        })
    }
}
