//! Licences, prices, contracts and what they cost.

pub mod contract;
pub mod contract_list;
pub mod delete_contract;
pub mod license;
pub mod money;
pub mod report;
pub mod set_price;
pub mod unpriced;
pub mod upsert_contract;

use async_graphql::ID;

use super::api::Api;
use super::error::ApiError;
use super::id::{self, Kind};
use super::page;
use crate::clock::day_of;
use crate::spend::facts::Filter;

/// The day (UTC).
fn today(api: &Api) -> i32 {
    day_of(api.instances.clock.now())
}

/// The instances that a list is about.
fn of_instances(api: &Api, instance_id: Option<ID>, integration_keys: Option<Vec<String>>) -> Result<Filter, ApiError> {
    let instance = instance_id.map(|id| id::argument(Kind::Instance, &id)).transpose()?;
    Ok(Filter {
        instance_ids: instance.map(|id| vec![id]),
        integration_keys: page::bounded(integration_keys, "integrationKeys")?,
        seen: api.seen.clone(),
    })
}
