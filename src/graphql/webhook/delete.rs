use async_graphql::{Context, ID, InputObject, Object, SimpleObject};

use crate::graphql::api::Api;
use crate::graphql::error::ApiError;
use crate::graphql::id::{self, Kind};
use crate::graphql::user_error::{UserError, split_refusals_about};

/// The webhook to delete.
#[derive(InputObject)]
pub struct DeleteWebhookInput {
    /// The webhook.
    id: ID,
}

/// The result of `deleteWebhook`.
#[derive(SimpleObject)]
pub struct DeleteWebhookPayload {
    /// The id of the webhook; null if it was not deleted.
    id: Option<ID>,
    /// Why it was not deleted; empty if it was.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub struct DeleteWebhook;

#[Object]
impl DeleteWebhook {
    /// Deletes a webhook with its deliveries, also those that wait.
    async fn delete_webhook(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The webhook to delete.")] input: DeleteWebhookInput,
    ) -> Result<DeleteWebhookPayload, ApiError> {
        let api = ctx.data_unchecked::<Api>();
        let deleted = async { api.webhooks.delete(id::input(Kind::Webhook, &input.id, "id")?).await };
        Ok(match split_refusals_about("id", deleted.await)? {
            Ok(()) => DeleteWebhookPayload { id: Some(input.id), user_errors: Vec::new() },
            Err(user_errors) => DeleteWebhookPayload { id: None, user_errors },
        })
    }
}
