use async_graphql::{Context, ID, InputObject, Object, SimpleObject};

use super::Instance;
use crate::auth::Caller;
use crate::graphql::api::Api;
use crate::graphql::error::ApiError;
use crate::graphql::id::{self, Kind};
use crate::graphql::user_error::{UserError, split_refusals_about};

/// The instance to delete.
#[derive(InputObject)]
pub struct DeleteInstanceInput {
    /// The instance.
    id: ID,
    /// Must be true: neither the instance nor its users can be restored.
    acknowledge_irreversible: bool,
}

/// The result of `deleteInstance`.
#[derive(SimpleObject)]
pub struct DeleteInstancePayload {
    /// The instance: `DELETING`, or `DELETED` once its last user is removed. Null if the deletion was refused.
    instance: Option<Instance>,
    /// Why it is not deleted; empty if it is.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub struct DeleteInstance;

#[Object]
impl DeleteInstance {
    /// Deletes an instance. Its credential is destroyed and its users are no longer reported from
    /// now on; the users are removed in the background. A second call has the same result.
    async fn delete_instance(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The instance to delete.")] input: DeleteInstanceInput,
    ) -> Result<DeleteInstancePayload, ApiError> {
        let DeleteInstanceInput { id, acknowledge_irreversible } = input;
        let (api, caller) = (ctx.data_unchecked::<Api>(), ctx.data_unchecked::<Caller>());
        let deleted = async {
            let id = api.admit(id::input(Kind::Instance, &id, "id")?).await?;
            api.instances.delete(caller, id, acknowledge_irreversible).await
        };
        Ok(match split_refusals_about("id", deleted.await)? {
            Ok(model) => DeleteInstancePayload { instance: Some(Instance::one(model)), user_errors: Vec::new() },
            Err(user_errors) => DeleteInstancePayload { instance: None, user_errors },
        })
    }
}
