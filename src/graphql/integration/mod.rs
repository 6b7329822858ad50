//! Integrations: the entries of the catalog, and their lists.

use std::collections::HashMap;
use std::sync::Arc;

use async_graphql::{Context, ID, Object};
use integration::catalog;
use integration::manifest::auth::AuthenticationKind;
use integration::source::Capability;
use integration::user::UserField;

use self::authentication::AuthenticationOption;
use self::config_field::ConfigField;
use super::api::Api;
use super::batch::{Batch, Relation};
use super::connection;
use super::error::ApiError;
use super::id::{self, Kind};
use super::instance::counts::{self, CountsOfIntegration, InstanceCounts};
use super::instance::list::{InstanceConnection, InstanceFilter, InstanceList, InstanceOrder};
use super::list::Parent;
use super::page::{self, int};
use super::written::{Written, fields};

pub mod authentication;
pub mod config_field;
pub mod list;

#[derive(Clone)]
pub struct Integration {
    key: String,
    integrations: Arc<Batch<String>>,
}

impl Integration {
    /// The integrations with these keys, as rows of one list.
    pub fn list(keys: Vec<String>) -> Vec<Integration> {
        let integrations = Arc::new(Batch::new(keys.clone()));
        keys.into_iter().map(|key| Integration { key, integrations: integrations.clone() }).collect()
    }

    /// An integration that shares a batch with others.
    pub fn beside(key: String, integrations: Arc<Batch<String>>) -> Integration {
        Integration { key, integrations }
    }

    /// The integration with this key.
    pub fn find(api: &Api, key: &str) -> Option<Integration> {
        let key = api.instances.catalog.find(key)?.key.clone();
        let integrations = Arc::new(Batch::new([key.clone()]));
        Some(Integration { key, integrations })
    }

    fn entry<'a>(&self, ctx: &Context<'a>) -> Option<&'a catalog::Integration> {
        ctx.data_unchecked::<Api>().instances.catalog.find(&self.key)
    }

    async fn totals(&self, ctx: &Context<'_>) -> Result<(i64, i64), ApiError> {
        Ok(self.integrations.load(ctx.data_unchecked::<Api>(), Totals, &self.key).await?.unwrap_or_default())
    }
}

impl Parent for Integration {
    type Key = String;

    fn key(&self) -> &String {
        &self.key
    }

    fn batch(&self) -> &Batch<String> {
        &self.integrations
    }
}

/// How many instances and users an integration has.
#[derive(PartialEq)]
struct Totals;

impl Relation for Totals {
    type Key = String;
    type Value = (i64, i64);

    async fn fetch(&self, api: &Api, keys: &[String]) -> Result<HashMap<String, (i64, i64)>, ApiError> {
        Ok(api.instances.totals(keys, &api.seen).await?)
    }
}

/// An application that can be connected: an entry of the catalog.
#[fields]
#[Object]
impl Integration {
    /// The opaque, permanent id.
    pub fn id(&self) -> ID {
        id::encode_key(Kind::Integration, &self.key)
    }

    /// The short name that `createInstance` takes, such as `okta`.
    fn key(&self) -> &str {
        &self.key
    }

    /// The name of the application, as its vendor writes it.
    fn name(&self, ctx: &Context<'_>) -> String {
        self.entry(ctx).map_or_else(|| self.key.clone(), |entry| entry.name.clone())
    }

    /// Other names by which people look for it, such as an earlier one.
    fn also_known_as(&self, ctx: &Context<'_>) -> Vec<String> {
        self.entry(ctx).map(|entry| entry.also_known_as.clone()).unwrap_or_default()
    }

    /// The category of the application, such as `identity` or `communication`.
    fn category(&self, ctx: &Context<'_>) -> String {
        self.entry(ctx).map_or_else(|| "removed".into(), |entry| entry.category.clone())
    }

    /// One sentence about it.
    fn description(&self, ctx: &Context<'_>) -> String {
        let gone = || "The catalog no longer has this integration; its instances cannot be synced.".into();
        self.entry(ctx).map_or_else(gone, |entry| entry.description.clone())
    }

    /// How a person gets the credential in the application: plain text of several lines.
    fn setup(&self, ctx: &Context<'_>) -> String {
        self.entry(ctx).map(|entry| entry.setup.clone()).unwrap_or_default()
    }

    /// The ways to authenticate with it. If there are several, the setting `authentication` chooses one.
    fn authentication_options(&self, ctx: &Context<'_>) -> Vec<AuthenticationOption> {
        let redirect_uri = &ctx.data_unchecked::<Api>().authorizations.redirects.of(&self.key);
        let options = self.entry(ctx).map(|entry| entry.authentication_options.iter());
        options.into_iter().flatten().map(|option| AuthenticationOption::of(option, redirect_uri)).collect()
    }

    /// The kind of credential that it needs; if there are several, the first of them.
    fn authentication(&self, ctx: &Context<'_>) -> AuthenticationKind {
        self.entry(ctx).map_or(AuthenticationKind::None, catalog::Integration::authentication)
    }

    /// Whether its users are delivered as lists, so that nobody is asked for them. Only the integration `list` is so.
    fn is_delivered(&self, ctx: &Context<'_>) -> bool {
        self.entry(ctx).is_some_and(catalog::Integration::is_delivered)
    }

    /// What its user list provides. Everything else is unknown for this application, which is not the same as "no".
    fn capabilities(&self, ctx: &Context<'_>) -> Vec<Capability> {
        self.entry(ctx).map(|entry| entry.capabilities.clone()).unwrap_or_default()
    }

    /// The fields of `User` that it provides. Every other field is unknown for this application,
    /// which is not the same as "no".
    fn provided_fields(&self, ctx: &Context<'_>) -> Vec<UserField> {
        self.entry(ctx).map(|entry| entry.provided_fields.clone()).unwrap_or_default()
    }

    /// The fields of the form that connects it, in order.
    fn config_fields(&self, ctx: &Context<'_>) -> Vec<ConfigField> {
        self.entry(ctx).map(|entry| entry.fields.iter().cloned().map(ConfigField).collect()).unwrap_or_default()
    }

    /// The scopes, roles or rights that the credential needs, in the terms of the application.
    fn required_permissions(&self, ctx: &Context<'_>) -> Vec<String> {
        self.entry(ctx).map(|entry| entry.required_permissions.clone()).unwrap_or_default()
    }

    /// The vendor's documentation of the interface that is used.
    fn documentation_url(&self, ctx: &Context<'_>) -> Option<String> {
        self.entry(ctx).and_then(|entry| entry.documentation_url.clone())
    }

    /// How many instances it has. Instances that are being deleted are not counted.
    async fn instance_count(&self, ctx: &Context<'_>) -> Result<i32, ApiError> {
        Ok(int(self.totals(ctx).await?.0))
    }

    /// How many users its instances report. A person with accounts in two instances is counted twice.
    async fn user_count(&self, ctx: &Context<'_>) -> Result<i32, ApiError> {
        Ok(int(self.totals(ctx).await?.1))
    }

    /// How many instances it has, and in which state. Deleted ones are not counted.
    #[graphql(complexity = "counts::OF_INTEGRATION")]
    async fn instance_counts(&self, ctx: &Context<'_>) -> Result<Written<InstanceCounts>, ApiError> {
        let counts = self.integrations.load(ctx.data_unchecked::<Api>(), CountsOfIntegration, &self.key).await?;
        Ok(Written(InstanceCounts::of(ctx, &counts.unwrap_or_default())))
    }

    /// Its instances, the oldest first by default.
    #[graphql(complexity = "page::filtered_cost(first, __field, child_complexity)")]
    async fn instances(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The size of the page, from 1 to 100; 20 by default.")] first: Option<i32>,
        #[graphql(desc = "The cursor after which the page begins.")] after: Option<String>,
        #[graphql(desc = "Selects instances.")] filter: Option<InstanceFilter>,
        #[graphql(desc = "The order of the instances.")] order_by: Option<InstanceOrder>,
    ) -> Result<Written<InstanceConnection>, ApiError> {
        let list = InstanceList::new(ctx, filter, order_by)?;
        Ok(Written(InstanceConnection(connection::nested(ctx, self, list, first, after).await?)))
    }
}
