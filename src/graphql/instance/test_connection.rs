use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use integration::source::Capability;

use super::config::{self, ConfigValueInput};
use crate::graphql::api::Api;
use crate::graphql::error::ApiError;
use crate::graphql::id::{self, Kind};
use crate::graphql::user_error::{UserError, split_refusals};
use crate::instance::test_connection::TestConnection as Test;

/// What to test: either an integration with a configuration, or an instance with values that
/// replace its own for the test.
#[derive(InputObject)]
pub struct TestConnectionInput {
    /// The key of an integration.
    integration_key: Option<String>,
    /// The id of an instance.
    instance_id: Option<ID>,
    /// The values to test.
    config: Option<Vec<ConfigValueInput>>,
}

/// The result of `testConnection`.
#[derive(SimpleObject)]
pub struct TestConnectionPayload {
    /// Whether the application accepts the credential and lists users.
    ok: bool,
    /// The tenant that the credential belongs to, if the application says so.
    tenant: Option<String>,
    /// Optional parts of the user list that the application refuses.
    lost_capabilities: Vec<Capability>,
    /// The scopes, roles or rights that are missing for them.
    missing_permissions: Vec<String>,
    /// Why it is not ok; empty if it is.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub struct TestConnection;

#[Object]
impl TestConnection {
    /// Asks an application whether it would accept a configuration. Changes nothing.
    async fn test_connection(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to test.")] input: TestConnectionInput,
    ) -> Result<TestConnectionPayload, ApiError> {
        let TestConnectionInput { integration_key, instance_id, config } = input;
        let api = ctx.data_unchecked::<Api>();
        let tested = async {
            let instance_id = instance_id.map(|id| id::input(Kind::Instance, &id, "instanceId")).transpose()?;
            api.admit_either(instance_id, integration_key.as_deref()).await?;
            let config = config::pairs(config.unwrap_or_default());
            api.instances.test_connection(Test { integration_key, instance_id, config }).await
        };
        let (verified, user_errors) = match split_refusals(tested.await)? {
            Ok(verified) => (Some(verified), Vec::new()),
            Err(user_errors) => (None, user_errors),
        };
        let ok = verified.is_some();
        let (tenant, lost) = verified.map(|verified| (verified.tenant, verified.lost)).unwrap_or_default();
        Ok(TestConnectionPayload {
            ok,
            tenant,
            lost_capabilities: lost.iter().map(|loss| loss.capability).collect(),
            missing_permissions: lost.into_iter().filter_map(|loss| loss.missing_permission).collect(),
            user_errors,
        })
    }
}
