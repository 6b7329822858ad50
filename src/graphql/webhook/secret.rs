use async_graphql::{Context, ID, InputObject, Object, SimpleObject};

use super::Webhook;
use crate::graphql::api::Api;
use crate::graphql::error::ApiError;
use crate::graphql::id::{self, Kind};
use crate::graphql::user_error::{UserError, split_refusals_about};

/// The webhook that gets another secret.
#[derive(InputObject)]
pub struct RotateWebhookSecretInput {
    /// The webhook.
    id: ID,
}

/// The result of `rotateWebhookSecret`.
#[derive(SimpleObject)]
pub struct RotateWebhookSecretPayload {
    /// The new secret, for the receiver. It cannot be shown again. Null if the secret was not changed.
    secret: Option<String>,
    /// The webhook as it is now; null if the secret was not changed.
    webhook: Option<Webhook>,
    /// Why it was not changed; empty if it was.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub struct RotateWebhookSecret;

#[Object]
impl RotateWebhookSecret {
    /// Gives a webhook another secret. For a day, messages are signed with both, the new one first. The secret before these
    /// two ends at once.
    async fn rotate_webhook_secret(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The webhook.")] input: RotateWebhookSecretInput,
    ) -> Result<RotateWebhookSecretPayload, ApiError> {
        let api = ctx.data_unchecked::<Api>();
        let rotated = async { api.webhooks.rotate(id::input(Kind::Webhook, &input.id, "id")?).await };
        Ok(match split_refusals_about("id", rotated.await)? {
            Ok((model, secret)) => {
                let webhook = Some(Webhook::one(api, model).await?);
                RotateWebhookSecretPayload { secret: Some(secret), webhook, user_errors: Vec::new() }
            }
            Err(user_errors) => RotateWebhookSecretPayload { secret: None, webhook: None, user_errors },
        })
    }
}
