use async_graphql::{Context, ID, InputObject, MaybeUndefined, Object, SimpleObject};
use entity::instance::Status;
use uuid::Uuid;

use super::Instance;
use super::config::{self, ConfigValueInput};
use super::conflict::UpdateConflict;
use crate::auth::Caller;
use crate::error::{Error, Refusal};
use crate::graphql::api::Api;
use crate::graphql::error::ApiError;
use crate::graphql::id::{self, Kind};
use crate::graphql::user_error::{UserError, split_refusals_about};
use crate::instance::input::DEFAULT_INTERVAL;
use crate::instance::update::Update;

/// The changes. A field that is left out keeps its value. Null is a value of its own, which most fields do not accept.
#[derive(InputObject)]
pub struct UpdateInstanceInput {
    /// The instance.
    id: ID,
    /// The new name; must not be null.
    name: MaybeUndefined<String>,
    /// `LIVE` or `INACTIVE`; must not be null.
    status: MaybeUndefined<Status>,
    /// The new values. A key that is left out keeps its value; an empty value clears its field. Must not be null.
    config: MaybeUndefined<Vec<ConfigValueInput>>,
    /// The minutes between two syncs, from 1 to 43200; null sets the default of 60.
    sync_interval_minutes: MaybeUndefined<i32>,
    /// If the instance is no longer at this revision, the changes are refused.
    expected_revision: Option<i32>,
}

impl UpdateInstanceInput {
    fn decode(self) -> Result<(Uuid, Update), Error> {
        let UpdateInstanceInput { id, name, status, config, sync_interval_minutes, expected_revision } = self;
        let mut refusals = Vec::new();
        let update = Update {
            name: not_null(name, "name", &mut refusals),
            status: not_null(status, "status", &mut refusals),
            config: not_null(config, "config", &mut refusals).map(config::pairs),
            sync_interval_minutes: match sync_interval_minutes {
                MaybeUndefined::Undefined => None,
                MaybeUndefined::Null => Some(DEFAULT_INTERVAL),
                MaybeUndefined::Value(minutes) => Some(minutes),
            },
            expected_revision,
        };
        match id::input(Kind::Instance, &id, "id") {
            Ok(id) if refusals.is_empty() => Ok((id, update)),
            Ok(_) => Err(Error::Refused(refusals)),
            Err(refusal) => {
                refusals.push(refusal);
                Err(Error::Refused(refusals))
            }
        }
    }
}

fn not_null<T>(value: MaybeUndefined<T>, field: &str, refusals: &mut Vec<Refusal>) -> Option<T> {
    match value {
        MaybeUndefined::Undefined => None,
        MaybeUndefined::Null => {
            refusals.push(Refusal::invalid("This field must not be null: leave it out to keep its value.", [field]));
            None
        }
        MaybeUndefined::Value(value) => Some(value),
    }
}

/// The result of `updateInstance`.
#[derive(SimpleObject)]
pub struct UpdateInstancePayload {
    /// The instance as it is now; null if the changes were refused.
    instance: Option<Instance>,
    /// Why the changes were refused; empty if they were made, or if there was nothing to change.
    user_errors: Vec<UserError>,
    /// Who has changed it meanwhile; set if the code of an error is `REVISION_CONFLICT`.
    conflict: Option<UpdateConflict>,
}

#[derive(Default)]
pub struct UpdateInstance;

#[Object]
impl UpdateInstance {
    /// Changes an instance: its name, its status, its configuration or its interval. A new
    /// credential makes an instance live again that the server made inactive.
    async fn update_instance(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The changes.")] input: UpdateInstanceInput,
    ) -> Result<UpdateInstancePayload, ApiError> {
        let (api, caller) = (ctx.data_unchecked::<Api>(), ctx.data_unchecked::<Caller>());
        let id = input.id.clone();
        let updated = async {
            let (id, update) = input.decode()?;
            api.instances.update(caller, api.admit(id).await?, update).await
        };
        Ok(match split_refusals_about("id", updated.await)? {
            Ok(model) => {
                UpdateInstancePayload { instance: Some(Instance::one(model)), user_errors: Vec::new(), conflict: None }
            }
            Err(user_errors) => {
                let conflict = if user_errors.iter().any(UserError::is_conflict) {
                    UpdateConflict::of(api, id::argument(Kind::Instance, &id)?).await?
                } else {
                    None
                };
                UpdateInstancePayload { instance: None, user_errors, conflict }
            }
        })
    }
}
