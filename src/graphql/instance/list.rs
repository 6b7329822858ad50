//! Lists of instances, and one instance by its id.

use std::borrow::Cow;
use std::collections::HashMap;

use async_graphql::{Context, Enum, ID, InputObject, Object};
use entity::instance::{Health, Status};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Instance;
use super::counts::{self, InstanceCounts};
use crate::auth::Seen;
use crate::db::Total;
use crate::graphql::answers::holds_until;
use crate::graphql::api::Api;
use crate::graphql::batch::regroup;
use crate::graphql::connection::{self, connection};
use crate::graphql::error::{ApiError, nullable};
use crate::graphql::id::{self, Kind};
use crate::graphql::integration::Integration;
use crate::graphql::list::{List, NestedList, PageRows, RootList};
use crate::graphql::page;
use crate::graphql::written::Written;
use crate::instance::queries::{Filter, Key, OrderField, PageOf};
use crate::instance::standing::Headline;

/// Selects instances. All fields that are given must match. Without `statuses`, deleted
/// instances are left out.
#[derive(InputObject, Default)]
pub struct InstanceFilter {
    /// Instances with one of these ids.
    ids: Option<Vec<ID>>,
    /// Instances of one of these integrations.
    integration_keys: Option<Vec<String>>,
    /// Instances in one of these statuses.
    statuses: Option<Vec<Status>>,
    /// Instances in one of these states of health.
    health: Option<Vec<Health>>,
    /// Instances with one of these headlines.
    headlines: Option<Vec<Headline>>,
    /// True for instances whose users are stale, false for the others. An instance becomes stale without an event.
    stale: Option<bool>,
    /// True for instances that somebody should look at (see `Instance.needsAttention`), false for the others.
    needs_attention: Option<bool>,
    /// Instances whose name contains this text, in any case.
    search: Option<String>,
}

impl InstanceFilter {
    pub fn decode(self, seen: &Seen) -> Result<Filter, ApiError> {
        let InstanceFilter { ids, integration_keys, statuses, health, headlines, stale, needs_attention, search } =
            self;
        let ids = page::bounded(ids, "ids")?;
        let integration_keys = page::bounded(integration_keys, "integrationKeys")?;
        let ids = ids.map(|ids| ids.iter().map(|id| id::argument(Kind::Instance, id)).collect()).transpose()?;
        Ok(Filter {
            ids,
            integration_keys,
            statuses,
            health,
            headlines,
            stale,
            needs_attention,
            search,
            seen: seen.clone(),
        })
    }
}

/// The direction of an order.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
pub enum OrderDirection {
    /// From the smallest to the greatest, or from the oldest to the newest.
    Asc,
    /// From the greatest to the smallest, or from the newest to the oldest.
    Desc,
}

/// The order of instances.
#[derive(InputObject)]
pub struct InstanceOrder {
    /// What they are ordered by.
    field: OrderField,
    /// The direction of the order.
    direction: OrderDirection,
}

/// The maximum of `offset`. Each row that is passed over costs time.
const MAX_OFFSET: u64 = 100_000;

/// The price of the rows that are passed over, of which an index has about a hundred in a unit.
fn skipped_cost(offset: Option<i32>) -> usize {
    usize::try_from(offset.unwrap_or(0)).unwrap_or(0) / 100
}

#[derive(Clone, PartialEq)]
pub struct InstanceList {
    filter: Filter,
    field: OrderField,
    descending: bool,
    offset: u64,
}

impl InstanceList {
    pub fn new(
        ctx: &Context<'_>,
        filter: Option<InstanceFilter>,
        order: Option<InstanceOrder>,
    ) -> Result<Self, ApiError> {
        let api = ctx.data_unchecked::<Api>();
        let (field, descending) = order
            .map_or((OrderField::CreatedAt, false), |order| (order.field, order.direction == OrderDirection::Desc));
        let filter = filter.unwrap_or_default().decode(&api.seen)?;
        if filter.changes_with_time() {
            holds_until(ctx, api.instances.clock.now());
        }
        Ok(Self { filter, field, descending, offset: 0 })
    }

    /// The same list, with `offset` rows passed over before the page.
    fn skipping(self, offset: Option<i32>) -> Result<Self, ApiError> {
        let offset = u64::try_from(offset.unwrap_or(0)).ok().filter(|offset| *offset <= MAX_OFFSET);
        let offset = offset.ok_or_else(|| ApiError::InvalidInput(format!("offset must be from 0 to {MAX_OFFSET}.")))?;
        Ok(Self { offset, ..self })
    }

    fn query(&self, after: Option<Position>, limit: u64) -> Result<PageOf, ApiError> {
        let after = match after {
            None => None,
            Some((KeyText::Text(key), id)) if self.field == OrderField::Name => Some((Key::Text(key), id)),
            Some((KeyText::Number(key), id)) if self.field != OrderField::Name => Some((Key::Number(key), id)),
            Some(_) => return Err(page::not_a_cursor()),
        };
        let Self { filter, field, descending, offset } = self.clone();
        Ok(PageOf { filter, field, descending, after, offset, limit })
    }
}

type Position = (KeyText, Uuid);

/// A sort key as cursors hold it.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum KeyText {
    Text(String),
    Number(i64),
}

impl List for InstanceList {
    type Row = Instance;
    type Position = Position;

    /// Each order is a list of its own.
    fn name(&self) -> Cow<'static, str> {
        format!("instances {:?} {}", self.field, self.descending).into()
    }

    fn position(&self, instance: &Instance) -> Position {
        let key = match self.field.key(&instance.model) {
            Key::Text(key) => KeyText::Text(key),
            Key::Number(key) => KeyText::Number(key),
        };
        (key, instance.model.id)
    }
}

impl RootList for InstanceList {
    async fn page(&self, api: &Api, after: Option<Position>, limit: u64) -> Result<PageRows<Self>, ApiError> {
        Ok(Instance::list(api.instances.page(&self.query(after, limit)?, api.wanted.instances).await?).into())
    }

    async fn total(&self, api: &Api) -> Result<Total, ApiError> {
        Ok(api.instances.total(&self.filter).await?)
    }
}

impl NestedList for InstanceList {
    type Parent = Integration;

    async fn pages(
        &self,
        api: &Api,
        integrations: &[String],
        after: Option<Position>,
        limit: u64,
    ) -> Result<HashMap<String, PageRows<Self>>, ApiError> {
        let query = self.query(after, limit)?;
        let pages = api.instances.pages_by_integration(integrations, &query, api.wanted.instances).await?;
        Ok(regroup(pages, Instance::list))
    }

    async fn totals(&self, api: &Api, integrations: &[String]) -> Result<HashMap<String, Total>, ApiError> {
        Ok(api.instances.totals_by_integration(integrations, &self.filter).await?)
    }
}

connection!(InstanceConnection, InstanceEdge, InstanceList, "instances");

#[derive(Default)]
pub struct InstanceQuery;

#[Object]
impl InstanceQuery {
    /// The instances of all integrations, the oldest first by default.
    #[graphql(complexity = "page::filtered_cost(first, __field, child_complexity) + skipped_cost(offset)")]
    async fn instances(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The size of the page, from 1 to 100; 20 by default.")] first: Option<i32>,
        #[graphql(desc = "The cursor after which the page begins.")] after: Option<String>,
        #[graphql(desc = "Selects instances.")] filter: Option<InstanceFilter>,
        #[graphql(desc = "The order of the instances.")] order_by: Option<InstanceOrder>,
        #[graphql(
            desc = "How many instances are passed over before the page, up to 100,000: for a jump into a long list. \
            To read a whole list, use `after`, which misses none when the list changes."
        )]
        offset: Option<i32>,
    ) -> Result<Written<InstanceConnection>, ApiError> {
        let list = InstanceList::new(ctx, filter, order_by)?.skipping(offset)?;
        Ok(Written(InstanceConnection(connection::root(ctx, list, first, after).await?)))
    }

    /// How many instances match, and in which state they are. Without `statuses`, deleted instances are left out.
    #[graphql(complexity = "counts::OF_ALL")]
    async fn instance_counts(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Selects instances.")] filter: Option<InstanceFilter>,
    ) -> Result<Written<InstanceCounts>, ApiError> {
        let api = ctx.data_unchecked::<Api>();
        let filter = filter.unwrap_or_default().decode(&api.seen)?;
        if filter.changes_with_time() {
            holds_until(ctx, api.instances.clock.now());
        }
        Ok(Written(InstanceCounts::of(ctx, &api.instances.counts(&filter).await?)))
    }

    /// One instance, which may be deleted. Null if there is none with that id.
    async fn instance(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The id of the instance.")] id: ID,
    ) -> Option<Written<Instance>> {
        nullable(ctx, Instance::find(ctx.data_unchecked(), &id).await).map(Written)
    }
}
