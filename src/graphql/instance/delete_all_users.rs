use async_graphql::{Context, ID, InputObject, Object, SimpleObject};

use super::Instance;
use crate::auth::Caller;
use crate::graphql::api::Api;
use crate::graphql::error::ApiError;
use crate::graphql::id::{self, Kind};
use crate::graphql::user_error::{UserError, split_refusals_about};

/// The instance whose users are to be deleted.
#[derive(InputObject)]
pub struct DeleteAllUsersInput {
    /// The instance.
    instance_id: ID,
    /// Must be true: data that the application does not list, such as when each user was first seen, cannot be
    /// restored.
    acknowledge_irreversible: bool,
}

/// The result of `deleteAllUsers`.
#[derive(SimpleObject)]
pub struct DeleteAllUsersPayload {
    /// The instance, which no longer reports users. Null if the deletion was refused.
    instance: Option<Instance>,
    /// Why the users are not deleted; empty if they are.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub struct DeleteAllUsers;

#[Object]
impl DeleteAllUsers {
    /// Deletes all users of an instance. They are no longer reported from now on, and are removed in
    /// the background. The instance stays; if it is live, its next sync imports the users again.
    async fn delete_all_users(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The instance whose users are to be deleted.")] input: DeleteAllUsersInput,
    ) -> Result<DeleteAllUsersPayload, ApiError> {
        let DeleteAllUsersInput { instance_id, acknowledge_irreversible } = input;
        let (api, caller) = (ctx.data_unchecked::<Api>(), ctx.data_unchecked::<Caller>());
        let deleted = async {
            let id = api.admit(id::input(Kind::Instance, &instance_id, "instanceId")?).await?;
            api.instances.delete_all_users(caller, id, acknowledge_irreversible).await
        };
        Ok(match split_refusals_about("instanceId", deleted.await)? {
            Ok(model) => DeleteAllUsersPayload { instance: Some(Instance::one(model)), user_errors: Vec::new() },
            Err(user_errors) => DeleteAllUsersPayload { instance: None, user_errors },
        })
    }
}
