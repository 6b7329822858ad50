//! Lists of instances.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, InputObject, Object};
use entity::instance::{Health, Status};
use uuid::Uuid;

use super::Instance;
use crate::graphql::api::Api;
use crate::graphql::batch::regroup;
use crate::graphql::error::{ApiError, nullable};
use crate::graphql::id::{self, Kind};
use crate::graphql::integration::Integration;
use crate::graphql::page::{self, Page, Total, connection};
use crate::instance::queries::{Filter, Key, OrderField, PageOf};

connection!(InstanceConnection, InstanceEdge, Instance, "instances");

/// Which instances. All that is given must hold. Without statuses: everything that is not `DELETED`.
#[derive(InputObject, Default)]
pub struct InstanceFilter {
    /// One of these.
    ids: Option<Vec<ID>>,
    /// Of one of these integrations.
    integration_keys: Option<Vec<String>>,
    /// In one of these statuses.
    statuses: Option<Vec<Status>>,
    /// In one of these states of health.
    health: Option<Vec<Health>>,
    /// A part of the name, in any case.
    search: Option<String>,
}

impl InstanceFilter {
    pub fn decode(self) -> Result<Filter, ApiError> {
        let InstanceFilter { ids, integration_keys, statuses, health, search } = self;
        let ids = page::bounded(ids, "ids")?;
        let integration_keys = page::bounded(integration_keys, "integrationKeys")?;
        let ids = ids.map(|ids| ids.iter().map(|id| id::argument(Kind::Instance, id)).collect()).transpose()?;
        Ok(Filter { ids, integration_keys, statuses, health, search })
    }
}

/// In which direction a list is ordered.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
pub enum OrderDirection {
    /// The smallest, first or oldest comes first.
    Asc,
    /// The greatest, last or newest comes first.
    Desc,
}

/// In which order instances come.
#[derive(InputObject)]
pub struct InstanceOrder {
    /// By what.
    field: OrderField,
    /// Which way.
    direction: OrderDirection,
}

/// What a cursor of a list of instances holds.
type Place = (KeyText, Uuid);

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(untagged)]
enum KeyText {
    Text(String),
    Number(i64),
}

/// The arguments of a list, decoded.
struct Request {
    size: usize,
    /// The list's name in its cursors: one order is one list.
    name: String,
    page: PageOf,
    after: Option<String>,
}

impl Request {
    fn decode(
        first: Option<i32>,
        after: Option<String>,
        filter: Option<InstanceFilter>,
        order: Option<InstanceOrder>,
    ) -> Result<Self, ApiError> {
        let size = page::size(first)?;
        let (field, descending) = order
            .map_or((OrderField::CreatedAt, false), |order| (order.field, order.direction == OrderDirection::Desc));
        let name = format!("instances {field:?} {descending}");
        let place: Option<Place> = page::decode(&name, after.as_deref())?;
        let place = match place {
            None => None,
            Some((KeyText::Text(key), id)) if field == OrderField::Name => Some((Key::Text(key), id)),
            Some((KeyText::Number(key), id)) if field != OrderField::Name => Some((Key::Number(key), id)),
            Some(_) => return Err(ApiError::InvalidInput("after is not a cursor of this list.".into())),
        };
        let filter = filter.unwrap_or_default().decode()?;
        let page = PageOf { filter, field, descending, after: place, limit: size as u64 + 1 };
        Ok(Request { size, name, page, after })
    }

    fn connection(self, instances: Vec<Instance>, total: Total) -> InstanceConnection {
        let rows = instances
            .into_iter()
            .map(|row| {
                let key = match self.page.field.key(&row.model) {
                    Key::Text(key) => KeyText::Text(key),
                    Key::Number(key) => KeyText::Number(key),
                };
                (page::encode(&self.name, &(key, row.model.id)), row)
            })
            .collect();
        InstanceConnection(Page::new(rows, self.size, self.after.as_deref(), total))
    }
}

pub async fn of_integration(
    ctx: &Context<'_>,
    integration: &Integration,
    first: Option<i32>,
    after: Option<String>,
    filter: Option<InstanceFilter>,
    order: Option<InstanceOrder>,
) -> Result<InstanceConnection, ApiError> {
    let api = ctx.data_unchecked::<Api>().clone();
    let request = Request::decode(first, after, filter, order)?;
    let name = format!("{} {:?} {:?} {}", request.name, request.after, request.page.filter, request.size);
    let page = &request.page;
    let instances: Option<Vec<Instance>> = integration
        .list
        .load(name, &integration.key, |keys| {
            let api = api.clone();
            async move { Ok(regroup(api.instances.pages_by_integration(&keys, page).await?, Instance::list)) }
        })
        .await?;
    let (list, key, filter) = (integration.list.clone(), integration.key.clone(), request.page.filter.clone());
    let total: Total = Arc::new(move || {
        let (api, list, key, filter) = (api.clone(), list.clone(), key.clone(), filter.clone());
        Box::pin(async move {
            let name = format!("instances total {filter:?}");
            let counts = list
                .load(name, &key, |keys| async move { Ok(api.instances.count_by_integration(&keys, &filter).await?) });
            Ok(counts.await?.unwrap_or(0))
        })
    });
    Ok(request.connection(instances.unwrap_or_default(), total))
}

#[derive(Default)]
pub struct InstanceQuery;

#[Object]
impl InstanceQuery {
    /// The instances of all integrations, oldest first unless ordered otherwise.
    #[graphql(complexity = "page::cost(first, child_complexity)")]
    async fn instances(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, from 1 to 100; 20 when left out.")] first: Option<i32>,
        #[graphql(desc = "Begin after this cursor.")] after: Option<String>,
        #[graphql(desc = "Which of them.")] filter: Option<InstanceFilter>,
        #[graphql(desc = "In which order.")] order_by: Option<InstanceOrder>,
    ) -> Result<InstanceConnection, ApiError> {
        let api = ctx.data_unchecked::<Api>().clone();
        let request = Request::decode(first, after, filter, order_by)?;
        let models = api.instances.page(&request.page).await?;
        let filter = request.page.filter.clone();
        let total: Total = Arc::new(move || {
            let (api, filter) = (api.clone(), filter.clone());
            Box::pin(async move { Ok(api.instances.count(&filter).await?) })
        });
        Ok(request.connection(Instance::list(models), total))
    }

    /// One instance, also a deleted one; null when there is none of that id.
    async fn instance(&self, ctx: &Context<'_>, #[graphql(desc = "The instance's id.")] id: ID) -> Option<Instance> {
        let found = async {
            let id = id::argument(Kind::Instance, &id)?;
            let found = ctx.data_unchecked::<Api>().instances.by_ids(&[id]).await?;
            Ok(found.into_values().next().map(Instance::one))
        };
        let found = found.await;
        nullable(ctx, found)
    }
}
