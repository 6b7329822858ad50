//! What members accept.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use chrono::{DateTime, Utc};
use entity::finding::Model;
use uuid::Uuid;

use super::Finding;
use crate::auth::Caller;
use crate::error::Result;
use crate::findings::exceptions::NewException;
use crate::findings::{not_found, queries};
use crate::graphql::api::Api;
use crate::graphql::error::ApiError;
use crate::graphql::id::{self, Kind};
use crate::graphql::user_error::{UserError, split_refusals_about};

/// A finding that is accepted.
#[derive(InputObject)]
pub struct ExceptFindingInput {
    /// The finding.
    finding_id: ID,
    /// Why it is acceptable; at most 500 characters.
    reason: String,
    /// When the exception ends by itself; at most 365 days from now.
    until: DateTime<Utc>,
}

/// A finding that is not accepted any more.
#[derive(InputObject)]
pub struct RevokeExceptionInput {
    /// The finding.
    finding_id: ID,
}

/// The result of `exceptFinding`.
#[derive(SimpleObject)]
pub struct ExceptFindingPayload {
    /// The finding as it is now; null if the change was refused.
    finding: Option<Finding>,
    /// Why the change was refused; empty if it was made.
    user_errors: Vec<UserError>,
}

/// The result of `revokeException`.
#[derive(SimpleObject)]
pub struct RevokeExceptionPayload {
    /// The finding as it is now; null if the change was refused.
    finding: Option<Finding>,
    /// Why the change was refused; empty if it was made.
    user_errors: Vec<UserError>,
}

/// The finding with this id, if the caller sees its instance.
async fn admitted(api: &Api, id: &ID) -> Result<Uuid> {
    let id = id::input(Kind::Finding, id, "findingId")?;
    let found = queries::find(api.findings.db.read(), id).await?.ok_or_else(not_found)?;
    if api.sees(found.instance_id).await? { Ok(id) } else { Err(not_found()) }
}

/// The finding as it is now, or why it was not changed.
fn shown(changed: Result<Model>) -> Result<(Option<Finding>, Vec<UserError>), ApiError> {
    Ok(match split_refusals_about("findingId", changed)? {
        Ok(model) => (Finding::list(vec![model]).pop(), Vec::new()),
        Err(user_errors) => (None, user_errors),
    })
}

#[derive(Default)]
pub struct ExceptFinding;

#[Object]
impl ExceptFinding {
    /// Accepts a finding for a time. It is still counted, as `excepted`. When the time comes, or when the finding gets
    /// worse, it is open again.
    async fn except_finding(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The finding, the reason and the end.")] input: ExceptFindingInput,
    ) -> Result<ExceptFindingPayload, ApiError> {
        let (api, by) = (ctx.data_unchecked::<Api>(), ctx.data_unchecked::<Caller>().label());
        let ExceptFindingInput { finding_id, reason, until } = input;
        let changed = async {
            let finding = admitted(api, &finding_id).await?;
            api.findings.except(&NewException { finding, by, reason, until: until.timestamp_millis() }).await
        };
        let (finding, user_errors) = shown(changed.await)?;
        Ok(ExceptFindingPayload { finding, user_errors })
    }

    /// Takes the exception of a finding back.
    async fn revoke_exception(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The finding.")] input: RevokeExceptionInput,
    ) -> Result<RevokeExceptionPayload, ApiError> {
        let api = ctx.data_unchecked::<Api>();
        let changed = async { api.findings.revoke(admitted(api, &input.finding_id).await?).await };
        let (finding, user_errors) = shown(changed.await)?;
        Ok(RevokeExceptionPayload { finding, user_errors })
    }
}
