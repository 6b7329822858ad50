use async_graphql::{Context, ID, InputObject, Object, SimpleObject};

use crate::auth::Caller;
use crate::graphql::api::Api;
use crate::graphql::error::ApiError;
use crate::graphql::id::{self, Kind};
use crate::graphql::sync_run::SyncRun;
use crate::graphql::user_error::{UserError, split_refusals_about};

/// The instance whose run is to be cancelled.
#[derive(InputObject)]
pub struct CancelSyncInput {
    /// The instance.
    instance_id: ID,
}

/// The result of `cancelSync`.
#[derive(SimpleObject)]
pub struct CancelSyncPayload {
    /// The run that was cancelled.
    run: Option<SyncRun>,
    /// Why no run was cancelled; empty if one was.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub struct CancelSync;

#[Object]
impl CancelSync {
    /// Cancels the run that is queued or running. A cancelled run removes no users, and nobody gets
    /// mail about it. The instance stays live and is synced again on its schedule.
    async fn cancel_sync(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The instance whose run is to be cancelled.")] input: CancelSyncInput,
    ) -> Result<CancelSyncPayload, ApiError> {
        let CancelSyncInput { instance_id } = input;
        let (api, caller) = (ctx.data_unchecked::<Api>(), ctx.data_unchecked::<Caller>());
        let cancelled = async {
            let id = api.admit(id::input(Kind::Instance, &instance_id, "instanceId")?).await?;
            api.instances.cancel_sync(caller, id).await
        };
        Ok(match split_refusals_about("instanceId", cancelled.await)? {
            Ok(run) => CancelSyncPayload { run: Some(SyncRun::one(run)), user_errors: Vec::new() },
            Err(user_errors) => CancelSyncPayload { run: None, user_errors },
        })
    }
}
