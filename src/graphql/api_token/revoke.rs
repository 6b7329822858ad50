use async_graphql::{Context, ID, InputObject, Object, SimpleObject};

use super::ApiToken;
use crate::error::{Refusal, RefusalCode};
use crate::graphql::api::Api;
use crate::graphql::error::ApiError;
use crate::graphql::id::{self, Kind};
use crate::graphql::user_error::{UserError, split_refusals};

/// The token to revoke.
#[derive(InputObject)]
pub struct RevokeApiTokenInput {
    /// The token.
    id: ID,
}

/// The result of `revokeApiToken`.
#[derive(SimpleObject)]
pub struct RevokeApiTokenPayload {
    /// The token as it is now; null if there is none with that id.
    api_token: Option<ApiToken>,
    /// Why it was not revoked; empty if it was.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub struct RevokeApiToken;

#[Object]
impl RevokeApiToken {
    /// Revokes a token: it stops working within a second, and its open streams and sockets are closed. A second call
    /// has the same result.
    async fn revoke_api_token(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The token to revoke.")] input: RevokeApiTokenInput,
    ) -> Result<RevokeApiTokenPayload, ApiError> {
        let RevokeApiTokenInput { id } = input;
        let api = ctx.data_unchecked::<Api>();
        let revoked = async {
            let id = id::input(Kind::ApiToken, &id, "id")?;
            let missing = || Refusal::new(RefusalCode::NotFound, "There is no token with this id.").at(["id"]);
            let row = api.tokens.revoke_one(id).await?.ok_or_else(missing)?;
            Ok(ApiToken::of(row, api.instances.clock.now()))
        };
        Ok(match split_refusals(revoked.await)? {
            Ok(token) => RevokeApiTokenPayload { api_token: Some(token), user_errors: Vec::new() },
            Err(user_errors) => RevokeApiTokenPayload { api_token: None, user_errors },
        })
    }
}
