use async_graphql::{Context, InputObject, Object, SimpleObject};

use super::{ConfigValueInput, Instance, config_pairs};
use crate::auth::Caller;
use crate::graphql::api::Api;
use crate::graphql::error::{ApiError, settle};
use crate::graphql::user_error::{UserError, user_errors};
use crate::instance::create::Create;

/// What to connect, and how.
#[derive(InputObject)]
pub struct CreateInstanceInput {
    /// The application: the key of an integration.
    integration_key: String,
    /// From 1 to 200 characters; unique among instances that are not deleted.
    name: String,
    /// The values of the integration's `configFields`.
    config: Vec<ConfigValueInput>,
    /// How often to sync, from 1 to 43200; 60 when left out.
    sync_interval_minutes: Option<i32>,
}

/// What became of `createInstance`.
#[derive(SimpleObject)]
pub struct CreateInstancePayload {
    /// The new instance; null when there is none.
    instance: Option<Instance>,
    /// Why there is none; empty when there is one.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub struct CreateInstance;

#[Object]
impl CreateInstance {
    /// Integrates an application: asks it whether it accepts the credential, creates the
    /// instance, and starts its initial sync.
    async fn create_instance(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to connect, and how.")] input: CreateInstanceInput,
    ) -> Result<CreateInstancePayload, ApiError> {
        let CreateInstanceInput { integration_key, name, config, sync_interval_minutes } = input;
        let create = Create { integration_key, name, config: config_pairs(config), sync_interval_minutes };
        let (api, caller) = (ctx.data_unchecked::<Api>(), ctx.data_unchecked::<Caller>());
        Ok(match settle(api.instances.create(caller, create).await)? {
            Ok(model) => CreateInstancePayload { instance: Some(Instance::one(model)), user_errors: Vec::new() },
            Err(refusals) => CreateInstancePayload { instance: None, user_errors: user_errors(refusals) },
        })
    }
}
