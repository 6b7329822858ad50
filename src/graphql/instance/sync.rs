use async_graphql::{Context, ID, InputObject, Object, SimpleObject};

use crate::auth::Caller;
use crate::graphql::api::Api;
use crate::graphql::error::{ApiError, settle_about};
use crate::graphql::id::{self, Kind};
use crate::graphql::sync_run::SyncRun;
use crate::graphql::user_error::{UserError, user_errors};

/// Which instance to sync.
#[derive(InputObject)]
pub struct SyncInstanceInput {
    /// Which instance; it must be live.
    id: ID,
    /// True: this run may remove any number of users, which the removal guard would otherwise hold.
    accept_removals: Option<bool>,
}

/// What became of `syncInstance`.
#[derive(SimpleObject)]
pub struct SyncInstancePayload {
    /// The run that waits or goes on now: a new one, or the one that was active already.
    run: Option<SyncRun>,
    /// Why there is none; empty when there is one.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub struct SyncInstance;

#[Object]
impl SyncInstance {
    /// Asks for a sync now. An instance that has an active run answers with that one.
    async fn sync_instance(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which instance.")] input: SyncInstanceInput,
    ) -> Result<SyncInstancePayload, ApiError> {
        let SyncInstanceInput { id, accept_removals } = input;
        let (api, caller) = (ctx.data_unchecked::<Api>(), ctx.data_unchecked::<Caller>());
        let asked = async {
            let id = id::input(Kind::Instance, &id, "id")?;
            api.instances.sync(caller, id, accept_removals.unwrap_or(false)).await
        };
        Ok(match settle_about("id", asked.await)? {
            Ok(run) => SyncInstancePayload { run: Some(SyncRun::one(run)), user_errors: Vec::new() },
            Err(refusals) => SyncInstancePayload { run: None, user_errors: user_errors(refusals) },
        })
    }
}
