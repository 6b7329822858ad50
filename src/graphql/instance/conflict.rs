//! The other side of a conflict between two changes of an instance.

use async_graphql::SimpleObject;
use chrono::{DateTime, Utc};
use entity::event::Cause;
use uuid::Uuid;

use super::Instance;
use crate::clock::date_time;
use crate::db::Columns;
use crate::graphql::api::Api;
use crate::graphql::error::ApiError;
use crate::instance::event::history::{self, Filter};

/// The events of changes that members make.
const CAUSES: [Cause; 5] =
    [Cause::Created, Cause::Updated, Cause::Deactivated, Cause::Reactivated, Cause::DeletionStarted];
/// How many of them the change that gave an instance its revision may be among: one change may have several.
const NEWEST: u64 = 10;

/// The change that an update did not know of.
#[derive(SimpleObject)]
pub struct UpdateConflict {
    /// Who made the last change: an e-mail address or the name of a token. Null if the event log no longer has it.
    by: Option<String>,
    /// When it was made. Null if the event log no longer has it.
    at: Option<DateTime<Utc>>,
    /// The revision that the instance has since then.
    revision: i32,
    /// The instance as it is now.
    instance: Instance,
}

impl UpdateConflict {
    /// `None` if the instance is gone.
    pub async fn of(api: &Api, id: Uuid) -> Result<Option<Self>, ApiError> {
        let Some(model) = api.instances.by_ids(&[id], Columns::ALL).await?.remove(&id) else { return Ok(None) };
        let filter = Filter { instance_ids: Some(vec![id]), causes: Some(CAUSES.to_vec()), seen: None };
        let (events, _) = history::page(api.instances.db.read(), &filter, None, NEWEST).await?;
        let last = events
            .into_iter()
            .find(|event| event.snapshot.instance.revision == model.revision && event.actor.is_some());
        let (by, at) = last.map_or((None, None), |event| (event.actor, Some(date_time(event.at))));
        Ok(Some(UpdateConflict { by, at, revision: model.revision, instance: Instance::one(model) }))
    }
}
