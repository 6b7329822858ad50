use async_graphql::{Context, ID, InputObject, Object, SimpleObject};

use super::Instance;
use crate::auth::Caller;
use crate::graphql::api::Api;
use crate::graphql::error::{ApiError, settle_about};
use crate::graphql::id::{self, Kind};
use crate::graphql::user_error::{UserError, user_errors};

/// Which instance to delete.
#[derive(InputObject)]
pub struct DeleteInstanceInput {
    /// Which instance.
    id: ID,
    /// Must be true: neither the instance nor its users can be brought back.
    acknowledge_irreversible: bool,
}

/// What became of `deleteInstance`.
#[derive(SimpleObject)]
pub struct DeleteInstancePayload {
    /// The instance: `DELETING`, or `DELETED` when its last user is gone. Null when it was refused.
    instance: Option<Instance>,
    /// Why it is not deleted; empty when it is.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub struct DeleteInstance;

#[Object]
impl DeleteInstance {
    /// Deletes an instance: its credential is destroyed and its users leave reporting at
    /// once; they are removed in the background. Repeating it answers the same.
    async fn delete_instance(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which instance.")] input: DeleteInstanceInput,
    ) -> Result<DeleteInstancePayload, ApiError> {
        let DeleteInstanceInput { id, acknowledge_irreversible } = input;
        let (api, caller) = (ctx.data_unchecked::<Api>(), ctx.data_unchecked::<Caller>());
        let deleted = async {
            let id = id::input(Kind::Instance, &id, "id")?;
            api.instances.delete(caller, id, acknowledge_irreversible).await
        };
        Ok(match settle_about("id", deleted.await)? {
            Ok(model) => DeleteInstancePayload { instance: Some(Instance::one(model)), user_errors: Vec::new() },
            Err(refusals) => DeleteInstancePayload { instance: None, user_errors: user_errors(refusals) },
        })
    }
}
