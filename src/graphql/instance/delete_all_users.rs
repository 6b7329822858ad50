use async_graphql::{Context, ID, InputObject, Object, SimpleObject};

use super::Instance;
use crate::auth::Caller;
use crate::graphql::api::Api;
use crate::graphql::error::{ApiError, settle_about};
use crate::graphql::id::{self, Kind};
use crate::graphql::user_error::{UserError, user_errors};

/// Whose users to delete.
#[derive(InputObject)]
pub struct DeleteAllUsersInput {
    /// Which instance.
    instance_id: ID,
    /// Must be true: what the register knew of them, such as when each was first seen, cannot be brought back.
    acknowledge_irreversible: bool,
}

/// What became of `deleteAllUsers`.
#[derive(SimpleObject)]
pub struct DeleteAllUsersPayload {
    /// The instance, which reports no users any more. Null when it was refused.
    instance: Option<Instance>,
    /// Why they are not deleted; empty when they are.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub struct DeleteAllUsers;

#[Object]
impl DeleteAllUsers {
    /// Deletes all users of an instance: they leave reporting at once and are removed in
    /// the background. The instance stays; if it is live, its next sync imports them again.
    async fn delete_all_users(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Whose users.")] input: DeleteAllUsersInput,
    ) -> Result<DeleteAllUsersPayload, ApiError> {
        let DeleteAllUsersInput { instance_id, acknowledge_irreversible } = input;
        let (api, caller) = (ctx.data_unchecked::<Api>(), ctx.data_unchecked::<Caller>());
        let deleted = async {
            let id = id::input(Kind::Instance, &instance_id, "instanceId")?;
            api.instances.delete_all_users(caller, id, acknowledge_irreversible).await
        };
        Ok(match settle_about("instanceId", deleted.await)? {
            Ok(model) => DeleteAllUsersPayload { instance: Some(Instance::one(model)), user_errors: Vec::new() },
            Err(refusals) => DeleteAllUsersPayload { instance: None, user_errors: user_errors(refusals) },
        })
    }
}
