use async_graphql::{Context, ID, InputObject, Object, SimpleObject};

use crate::auth::Caller;
use crate::graphql::api::Api;
use crate::graphql::error::ApiError;
use crate::graphql::id::{self, Kind};
use crate::graphql::sync_run::SyncRun;
use crate::graphql::user_error::{UserError, split_refusals_about};
use crate::instance::state::Accepted;

/// The instance to sync.
#[derive(InputObject)]
pub struct SyncInstanceInput {
    /// The instance, which must be live.
    id: ID,
    /// True to let this run remove any number of users, without the removal guard.
    accept_removals: Option<bool>,
    /// True to let this run add any number of users, without the growth guard.
    accept_growth: Option<bool>,
}

/// The result of `syncInstance`.
#[derive(SimpleObject)]
pub struct SyncInstancePayload {
    /// The run that is now queued or running: a new one, or the one that was active already.
    run: Option<SyncRun>,
    /// Why there is none; empty if there is one.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub struct SyncInstance;

#[Object]
impl SyncInstance {
    /// Starts a sync now. If the instance has an active run, that run is returned.
    async fn sync_instance(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The instance to sync.")] input: SyncInstanceInput,
    ) -> Result<SyncInstancePayload, ApiError> {
        let SyncInstanceInput { id, accept_removals, accept_growth } = input;
        let accepted = Accepted { removals: accept_removals.unwrap_or(false), growth: accept_growth.unwrap_or(false) };
        let (api, caller) = (ctx.data_unchecked::<Api>(), ctx.data_unchecked::<Caller>());
        let started = async {
            let id = api.admit(id::input(Kind::Instance, &id, "id")?).await?;
            api.instances.sync(caller, id, accepted).await
        };
        Ok(match split_refusals_about("id", started.await)? {
            Ok(run) => SyncInstancePayload { run: Some(SyncRun::one(run)), user_errors: Vec::new() },
            Err(user_errors) => SyncInstancePayload { run: None, user_errors },
        })
    }
}
