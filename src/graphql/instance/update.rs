use async_graphql::{Context, ID, InputObject, MaybeUndefined, Object, SimpleObject};
use entity::instance::Status;

use super::{ConfigValueInput, Instance, config_pairs};
use crate::auth::Caller;
use crate::error::{Error, Refusal};
use crate::graphql::api::Api;
use crate::graphql::error::{ApiError, settle_about};
use crate::graphql::id::{self, Kind};
use crate::graphql::user_error::{UserError, user_errors};
use crate::instance::input::DEFAULT_INTERVAL;
use crate::instance::update::Update;

/// What to change. Only what is given is changed; null is a value, and most fields have no such value.
#[derive(InputObject)]
pub struct UpdateInstanceInput {
    /// Which instance.
    id: ID,
    /// The new name; must not be null.
    name: MaybeUndefined<String>,
    /// `LIVE` or `INACTIVE`; must not be null.
    status: MaybeUndefined<Status>,
    /// New values; a key that is left out keeps its value, an empty value clears its field. Must not be null.
    config: MaybeUndefined<Vec<ConfigValueInput>>,
    /// How often to sync, from 1 to 43200; null for the default of 60.
    sync_interval_minutes: MaybeUndefined<i32>,
    /// Refuse the change if the instance is no longer at this revision.
    expected_revision: Option<i32>,
}

/// What became of `updateInstance`.
#[derive(SimpleObject)]
pub struct UpdateInstancePayload {
    /// The instance as it is now; null when nothing was changed.
    instance: Option<Instance>,
    /// Why nothing was changed; empty when it was, or was so already.
    user_errors: Vec<UserError>,
}

/// The value of a field that has no null.
fn given<T>(value: MaybeUndefined<T>, field: &str, refusals: &mut Vec<Refusal>) -> Option<T> {
    match value {
        MaybeUndefined::Undefined => None,
        MaybeUndefined::Null => {
            refusals.push(Refusal::invalid("This field has no null: leave it out to keep its value.", [field]));
            None
        }
        MaybeUndefined::Value(value) => Some(value),
    }
}

#[derive(Default)]
pub struct UpdateInstance;

#[Object]
impl UpdateInstance {
    /// Changes an instance: renames it, switches it off and on, gives it a new
    /// configuration. A new credential brings an instance back that the server switched off.
    async fn update_instance(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to change.")] input: UpdateInstanceInput,
    ) -> Result<UpdateInstancePayload, ApiError> {
        let UpdateInstanceInput { id, name, status, config, sync_interval_minutes, expected_revision } = input;
        let (api, caller) = (ctx.data_unchecked::<Api>(), ctx.data_unchecked::<Caller>());
        let mut refusals = Vec::new();
        let update = Update {
            name: given(name, "name", &mut refusals),
            status: given(status, "status", &mut refusals),
            config: given(config, "config", &mut refusals).map(config_pairs),
            sync_interval_minutes: match sync_interval_minutes {
                MaybeUndefined::Undefined => None,
                MaybeUndefined::Null => Some(DEFAULT_INTERVAL),
                MaybeUndefined::Value(minutes) => Some(minutes),
            },
            expected_revision,
        };
        let id = id::input(Kind::Instance, &id, "id").map_err(|refusal| refusals.push(refusal));
        let result = match id {
            Ok(id) if refusals.is_empty() => api.instances.update(caller, id, update).await,
            _ => Err(Error::Refused(refusals)),
        };
        Ok(match settle_about("id", result)? {
            Ok(model) => UpdateInstancePayload { instance: Some(Instance::one(model)), user_errors: Vec::new() },
            Err(refusals) => UpdateInstancePayload { instance: None, user_errors: user_errors(refusals) },
        })
    }
}
