use async_graphql::{Context, ID, InputObject, Object, SimpleObject};

use crate::auth::Caller;
use crate::graphql::api::Api;
use crate::graphql::error::{ApiError, settle_about};
use crate::graphql::id::{self, Kind};
use crate::graphql::sync_run::SyncRun;
use crate::graphql::user_error::{UserError, user_errors};

/// Whose run to stop.
#[derive(InputObject)]
pub struct CancelSyncInput {
    /// Which instance.
    instance_id: ID,
}

/// What became of `cancelSync`.
#[derive(SimpleObject)]
pub struct CancelSyncPayload {
    /// The run that was stopped.
    run: Option<SyncRun>,
    /// Why none was stopped; empty when one was.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub struct CancelSync;

#[Object]
impl CancelSync {
    /// Stops the run that waits or goes on. It counts as no outcome: it removes nobody,
    /// and nobody gets mail about it. The instance stays live and syncs again on its schedule.
    async fn cancel_sync(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Whose run.")] input: CancelSyncInput,
    ) -> Result<CancelSyncPayload, ApiError> {
        let CancelSyncInput { instance_id } = input;
        let (api, caller) = (ctx.data_unchecked::<Api>(), ctx.data_unchecked::<Caller>());
        let stopped = async {
            let id = id::input(Kind::Instance, &instance_id, "instanceId")?;
            api.instances.cancel_sync(caller, id).await
        };
        Ok(match settle_about("instanceId", stopped.await)? {
            Ok(run) => CancelSyncPayload { run: Some(SyncRun::one(run)), user_errors: Vec::new() },
            Err(refusals) => CancelSyncPayload { run: None, user_errors: user_errors(refusals) },
        })
    }
}
