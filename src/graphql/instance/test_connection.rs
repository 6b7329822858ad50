use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use integration::source::Capability;

use super::{ConfigValueInput, config_pairs};
use crate::auth::Caller;
use crate::graphql::api::Api;
use crate::graphql::error::{ApiError, settle};
use crate::graphql::id::{self, Kind};
use crate::graphql::user_error::{UserError, user_errors};
use crate::instance::test_connection::TestConnection as Test;

/// What to try: either an integration with a configuration, or an instance with the
/// values to try in place of its own.
#[derive(InputObject)]
pub struct TestConnectionInput {
    /// The key of an integration.
    integration_key: Option<String>,
    /// The id of an instance.
    instance_id: Option<ID>,
    /// The values to try.
    config: Option<Vec<ConfigValueInput>>,
}

/// What a connection test found.
#[derive(SimpleObject)]
pub struct TestConnectionPayload {
    /// Whether the application accepts the credential and lists users.
    ok: bool,
    /// Whose tenant the credential belongs to, if the application tells.
    tenant: Option<String>,
    /// Optional parts that the application refuses.
    lost_capabilities: Vec<Capability>,
    /// The scopes, roles or rights that would bring them back.
    missing_permissions: Vec<String>,
    /// Why it is not ok; empty when it is.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub struct TestConnection;

#[Object]
impl TestConnection {
    /// Asks an application whether it would accept a configuration; changes nothing.
    async fn test_connection(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to try.")] input: TestConnectionInput,
    ) -> Result<TestConnectionPayload, ApiError> {
        let TestConnectionInput { integration_key, instance_id, config } = input;
        let (api, caller) = (ctx.data_unchecked::<Api>(), ctx.data_unchecked::<Caller>());
        let tested = async {
            let instance_id = instance_id.map(|id| id::input(Kind::Instance, &id, "instanceId")).transpose()?;
            let config = config_pairs(config.unwrap_or_default());
            api.instances.test_connection(caller, Test { integration_key, instance_id, config }).await
        };
        Ok(match settle(tested.await)? {
            Ok(verified) => TestConnectionPayload {
                ok: true,
                tenant: verified.tenant,
                lost_capabilities: verified.lost.iter().map(|loss| loss.capability).collect(),
                missing_permissions: verified.lost.into_iter().filter_map(|loss| loss.missing_permission).collect(),
                user_errors: Vec::new(),
            },
            Err(refusals) => TestConnectionPayload {
                ok: false,
                tenant: None,
                lost_capabilities: Vec::new(),
                missing_permissions: Vec::new(),
                user_errors: user_errors(refusals),
            },
        })
    }
}
