//! When each part (capability) of an instance's user list was last read.

use std::collections::HashMap;

use async_graphql::SimpleObject;
use chrono::{DateTime, Utc};
use integration::source::Capability;
use uuid::Uuid;

use crate::clock::date_time;
use crate::graphql::api::Api;
use crate::graphql::batch::Relation;
use crate::graphql::error::ApiError;
use crate::graphql::written::Fields;

/// How fresh one part of an instance's user list is. A part that is lost keeps its old data.
#[derive(Clone, SimpleObject, Fields)]
pub struct CapabilityState {
    /// The part.
    capability: Capability,
    /// Whether the integration provides it. If not, nothing is known about it.
    provided: bool,
    /// When the last run that read it completely started; null if there is none since all users were last deleted.
    as_of: Option<DateTime<Utc>>,
    /// When the first of the consecutive runs that could not read it started; null if the last completed run read it.
    lost_since: Option<DateTime<Utc>>,
    /// Why it could not be read, if there is more to say than `missingPermission`.
    reason: Option<String>,
    /// The permission that the application says is missing; several are separated by commas.
    missing_permission: Option<String>,
}

/// The states of the instances of a list.
#[derive(PartialEq)]
pub struct CapabilityStates;

impl Relation for CapabilityStates {
    type Key = Uuid;
    type Value = Vec<CapabilityState>;

    async fn fetch(&self, api: &Api, ids: &[Uuid]) -> Result<HashMap<Uuid, Vec<CapabilityState>>, ApiError> {
        let found = api.instances.capabilities(ids).await?.into_iter();
        let states = found.map(|(id, states)| {
            let states = states.into_iter().map(|(capability, row)| CapabilityState {
                capability,
                provided: row.provided,
                as_of: row.as_of.map(date_time),
                lost_since: row.lost_since.map(date_time),
                reason: row.reason,
                missing_permission: row.missing_permission,
            });
            (id, states.collect())
        });
        Ok(states.collect())
    }
}
