use async_graphql::{Context, ID, InputObject, Object, SimpleObject};

use crate::graphql::api::Api;
use crate::graphql::error::ApiError;
use crate::graphql::id::{self, Kind};
use crate::graphql::user_error::{UserError, split_refusals_about};
use crate::spend::contracts;

/// The contract to delete.
#[derive(InputObject)]
pub struct DeleteContractInput {
    /// The contract.
    id: ID,
}

/// The result of `deleteContract`.
#[derive(SimpleObject)]
pub struct DeleteContractPayload {
    /// The id of the contract; null if it was not deleted.
    id: Option<ID>,
    /// Why it was not deleted; empty if it was.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub struct DeleteContract;

#[Object]
impl DeleteContract {
    /// Deletes a contract with its lines. To end one, let its last day pass: it then costs nothing, and stays in the list.
    async fn delete_contract(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The contract to delete.")] input: DeleteContractInput,
    ) -> Result<DeleteContractPayload, ApiError> {
        let api = ctx.data_unchecked::<Api>();
        let deleted = async {
            let id = id::input(Kind::Contract, &input.id, "id")?;
            if !api.sees(contracts::instance_of(&api.instances, id).await?).await? {
                return Err(contracts::not_found());
            }
            contracts::delete(&api.instances, id).await
        };
        Ok(match split_refusals_about("id", deleted.await)? {
            Ok(()) => DeleteContractPayload { id: Some(input.id), user_errors: Vec::new() },
            Err(user_errors) => DeleteContractPayload { id: None, user_errors },
        })
    }
}
