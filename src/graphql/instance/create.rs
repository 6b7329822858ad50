use async_graphql::{Context, InputObject, Object, SimpleObject};

use super::Instance;
use super::config::{self, ConfigValueInput};
use crate::auth::Caller;
use crate::graphql::api::Api;
use crate::graphql::error::ApiError;
use crate::graphql::user_error::{UserError, split_refusals};
use crate::instance::create::Create;

/// The application to connect, and how.
#[derive(InputObject)]
pub struct CreateInstanceInput {
    /// The application: the key of an integration.
    integration_key: String,
    /// From 1 to 200 characters; unique among instances that are not deleted.
    name: String,
    /// The values of the integration's `configFields`.
    config: Vec<ConfigValueInput>,
    /// The minutes between two syncs, from 1 to 43200; 60 by default.
    sync_interval_minutes: Option<i32>,
}

/// The result of `createInstance`.
#[derive(SimpleObject)]
pub struct CreateInstancePayload {
    /// The new instance; null if it was not created.
    instance: Option<Instance>,
    /// Why it was not created; empty if it was.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub struct CreateInstance;

#[Object]
impl CreateInstance {
    /// Connects an application: asks it whether it accepts the credential, creates the
    /// instance, and starts its first sync.
    async fn create_instance(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The application to connect, and how.")] input: CreateInstanceInput,
    ) -> Result<CreateInstancePayload, ApiError> {
        let CreateInstanceInput { integration_key, name, config, sync_interval_minutes } = input;
        let create = Create { integration_key, name, config: config::pairs(config), sync_interval_minutes };
        let (api, caller) = (ctx.data_unchecked::<Api>(), ctx.data_unchecked::<Caller>());
        let created = async {
            api.admit_new(&create.integration_key)?;
            api.instances.create(caller, create).await
        };
        Ok(match split_refusals(created.await)? {
            Ok(model) => CreateInstancePayload { instance: Some(Instance::one(model)), user_errors: Vec::new() },
            Err(user_errors) => CreateInstancePayload { instance: None, user_errors },
        })
    }
}
