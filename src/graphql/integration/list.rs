//! The list of integrations, and one integration by its key.

use std::borrow::Cow;

use async_graphql::{Context, InputObject, Object};

use super::Integration;
use crate::db::Total;
use crate::directory::keys::plain;
use crate::graphql::api::Api;
use crate::graphql::connection::{self, connection};
use crate::graphql::error::ApiError;
use crate::graphql::list::{List, PageRows, RootList};
use crate::graphql::page;
use crate::graphql::written::Written;

/// Selects integrations. All fields that are given must match.
#[derive(InputObject, Default)]
pub struct IntegrationFilter {
    /// Integrations whose name, other name or key contains this text, in any case.
    search: Option<String>,
    /// Integrations of this category.
    category: Option<String>,
    /// True for integrations with at least one instance, false for those with none.
    integrated: Option<bool>,
}

/// In the order of the keys.
pub struct IntegrationList {
    keys: Vec<String>,
}

impl IntegrationList {
    async fn new(api: &Api, filter: Option<IntegrationFilter>) -> Result<Self, ApiError> {
        let IntegrationFilter { search, category, integrated } = filter.unwrap_or_default();
        let search = search.map(|text| plain(&text));
        let catalog = api.instances.catalog.all();
        let found = catalog.filter(|entry| {
            let mut names = [&entry.name, &entry.key].into_iter().chain(&entry.also_known_as);
            search.as_ref().is_none_or(|text| names.any(|name| plain(name).contains(text)))
                && category.as_ref().is_none_or(|category| entry.category == *category)
        });
        let mut keys: Vec<String> = found.map(|entry| entry.key.clone()).collect();
        if let Some(integrated) = integrated {
            let totals = api.instances.totals(&keys, &api.seen).await?;
            keys.retain(|key| totals.contains_key(key) == integrated);
        }
        Ok(Self { keys })
    }
}

impl List for IntegrationList {
    type Row = Integration;
    type Position = String;

    fn name(&self) -> Cow<'static, str> {
        "integrations".into()
    }

    fn position(&self, integration: &Integration) -> String {
        integration.key.clone()
    }
}

impl RootList for IntegrationList {
    async fn page(&self, _api: &Api, after: Option<String>, limit: u64) -> Result<PageRows<Self>, ApiError> {
        let later = self.keys.iter().filter(|key| after.as_ref().is_none_or(|after| *key > after));
        Ok(Integration::list(later.take(usize::try_from(limit).unwrap_or(usize::MAX)).cloned().collect()).into())
    }

    async fn total(&self, _api: &Api) -> Result<Total, ApiError> {
        Ok(Total::of(self.keys.len()))
    }
}

connection!(IntegrationConnection, IntegrationEdge, IntegrationList, "integrations");

#[derive(Default)]
pub struct IntegrationQuery;

#[Object]
impl IntegrationQuery {
    /// The applications that can be connected, in the order of their keys.
    #[graphql(complexity = "page::cost(first, child_complexity)")]
    async fn integrations(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The size of the page, from 1 to 100; 20 by default.")] first: Option<i32>,
        #[graphql(desc = "The cursor after which the page begins.")] after: Option<String>,
        #[graphql(desc = "Selects integrations.")] filter: Option<IntegrationFilter>,
    ) -> Result<Written<IntegrationConnection>, ApiError> {
        let list = IntegrationList::new(ctx.data_unchecked(), filter).await?;
        Ok(Written(IntegrationConnection(connection::root(ctx, list, first, after).await?)))
    }

    /// One application by its key; null if the catalog has none with that key.
    async fn integration(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Such as `okta`.")] key: String,
    ) -> Option<Written<Integration>> {
        Integration::find(ctx.data_unchecked(), &key).map(Written)
    }
}
