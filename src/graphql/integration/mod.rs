//! Integrations: the catalog.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use integration::catalog::{self, UserField};
use integration::manifest::auth::AuthenticationKind;
use integration::manifest::config::{self, FieldKind};
use integration::source::Capability;

use crate::graphql::api::Api;
use crate::graphql::batch::Siblings;
use crate::graphql::error::{ApiError, nullable};
use crate::graphql::id::{self, Kind};
use crate::graphql::instance::connection::{InstanceConnection, InstanceFilter, InstanceOrder};
use crate::graphql::page::{self, Page, connection, int, known_total};

/// An application that can be connected.
#[derive(Clone)]
pub struct Integration {
    pub(super) key: String,
    pub(super) list: Arc<Siblings<String>>,
}

impl Integration {
    /// The integrations of these keys, as rows of one list.
    pub fn list(keys: Vec<String>) -> Vec<Integration> {
        let list = Arc::new(Siblings::new(keys.clone()));
        keys.into_iter().map(|key| Integration { key, list: list.clone() }).collect()
    }

    fn entry<'a>(&self, ctx: &Context<'a>) -> Option<&'a catalog::Integration> {
        ctx.data_unchecked::<Api>().instances.catalog.find(&self.key)
    }

    async fn totals(&self, ctx: &Context<'_>) -> Result<(i64, i64), ApiError> {
        let api = ctx.data_unchecked::<Api>();
        let totals =
            self.list.load("totals".into(), &self.key, |keys| async move { Ok(api.instances.totals(&keys).await?) });
        Ok(totals.await?.unwrap_or_default())
    }
}

/// An application that can be connected: an entry of the catalog.
#[Object]
impl Integration {
    /// The opaque, permanent id.
    pub async fn id(&self) -> ID {
        id::encode_key(Kind::Integration, &self.key)
    }

    /// The short name that `createInstance` takes, such as `okta`.
    async fn key(&self) -> &str {
        &self.key
    }

    /// The application's name, as its vendor writes it.
    async fn name(&self, ctx: &Context<'_>) -> String {
        self.entry(ctx).map_or_else(|| self.key.clone(), |entry| entry.name.clone())
    }

    /// What kind of application it is, such as `identity` or `communication`.
    async fn category(&self, ctx: &Context<'_>) -> String {
        self.entry(ctx).map_or_else(|| "removed".into(), |entry| entry.category.clone())
    }

    /// One sentence about it.
    async fn description(&self, ctx: &Context<'_>) -> String {
        let gone = || "The catalog no longer has this integration; its instances cannot be synced.".into();
        self.entry(ctx).map_or_else(gone, |entry| entry.description.clone())
    }

    /// What a person does in the application to get the credential: plain text, several lines.
    async fn setup(&self, ctx: &Context<'_>) -> String {
        self.entry(ctx).map(|entry| entry.setup.clone()).unwrap_or_default()
    }

    /// The ways to sign in to it: one, or several of which the setting `authentication` chooses one.
    async fn authentication_options(&self, ctx: &Context<'_>) -> Vec<AuthenticationOption> {
        let redirect_uri = &ctx.data_unchecked::<Api>().authorizations.redirect_uri;
        let options = self.entry(ctx).map(|entry| entry.authentication_options.iter());
        options.into_iter().flatten().map(|option| AuthenticationOption::of(option, redirect_uri)).collect()
    }

    /// What kind of credential it asks for; the first of its kinds if there are several.
    async fn authentication(&self, ctx: &Context<'_>) -> AuthenticationKind {
        self.entry(ctx).map_or(AuthenticationKind::None, catalog::Integration::authentication)
    }

    /// What its user list provides. What is not here is not provided by this application, which is not the same as "no".
    async fn capabilities(&self, ctx: &Context<'_>) -> Vec<Capability> {
        self.entry(ctx).map(|entry| entry.capabilities.clone()).unwrap_or_default()
    }

    /// The columns of its users that it tells. One that is not here is not provided by this
    /// application, which is not the same as "no".
    async fn provided_fields(&self, ctx: &Context<'_>) -> Vec<UserField> {
        self.entry(ctx).map(|entry| entry.provided_fields.clone()).unwrap_or_default()
    }

    /// The form to be filled in to connect it, in order.
    async fn config_fields(&self, ctx: &Context<'_>) -> Vec<ConfigField> {
        self.entry(ctx).map(|entry| entry.fields.iter().cloned().map(ConfigField).collect()).unwrap_or_default()
    }

    /// The scopes, roles or rights that the credential needs, in the application's own words.
    async fn required_permissions(&self, ctx: &Context<'_>) -> Vec<String> {
        self.entry(ctx).map(|entry| entry.required_permissions.clone()).unwrap_or_default()
    }

    /// Where the vendor describes the interface that is used.
    async fn documentation_url(&self, ctx: &Context<'_>) -> Option<String> {
        self.entry(ctx).and_then(|entry| entry.documentation_url.clone())
    }

    /// How many instances it has, those being deleted not counted.
    async fn instance_count(&self, ctx: &Context<'_>) -> Result<i32, ApiError> {
        Ok(int(self.totals(ctx).await?.0))
    }

    /// How many users its instances report. A person with accounts in two instances counts twice.
    async fn user_count(&self, ctx: &Context<'_>) -> Result<i32, ApiError> {
        Ok(int(self.totals(ctx).await?.1))
    }

    /// Its instances, oldest first unless ordered otherwise.
    #[graphql(complexity = "page::cost(first, child_complexity)")]
    async fn instances(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, from 1 to 100; 20 when left out.")] first: Option<i32>,
        #[graphql(desc = "Begin after this cursor.")] after: Option<String>,
        #[graphql(desc = "Which of them.")] filter: Option<InstanceFilter>,
        #[graphql(desc = "In which order.")] order_by: Option<InstanceOrder>,
    ) -> Result<InstanceConnection, ApiError> {
        crate::graphql::instance::connection::of_integration(ctx, self, first, after, filter, order_by).await
    }
}

/// A way of signing in to an application.
#[derive(SimpleObject)]
pub struct AuthenticationOption {
    /// The value of the setting `authentication` that chooses it, where there are several.
    key: String,
    /// What a form calls it.
    label: String,
    /// What kind of credential it asks for.
    kind: AuthenticationKind,
    /// The address of this server to be registered in the application, where people come back to with
    /// their consent; null unless the kind is `OAUTH2_AUTHORIZATION_CODE`.
    redirect_uri: Option<String>,
}

impl AuthenticationOption {
    fn of(option: &catalog::AuthenticationOption, redirect_uri: &str) -> Self {
        let catalog::AuthenticationOption { key, label, kind } = option.clone();
        let redirect_uri = (kind == AuthenticationKind::OAuth2AuthorizationCode).then(|| redirect_uri.to_owned());
        Self { key, label, kind, redirect_uri }
    }
}

/// A field of the form that connects an application.
pub struct ConfigField(config::ConfigField);

/// A field of the form that connects an application.
#[Object]
impl ConfigField {
    /// What `ConfigValueInput.key` calls it.
    async fn key(&self) -> &str {
        &self.0.key
    }

    /// What a form calls it.
    async fn label(&self) -> &str {
        &self.0.label
    }

    /// What it holds.
    #[graphql(name = "type")]
    async fn kind(&self) -> FieldKind {
        self.0.kind
    }

    /// A sentence beside the field.
    async fn help(&self) -> Option<&str> {
        self.0.help.as_deref()
    }

    /// An example to show while the field is empty.
    async fn placeholder(&self) -> Option<&str> {
        self.0.placeholder.as_deref()
    }

    /// A regular expression that the whole value matches.
    async fn pattern(&self) -> Option<&str> {
        self.0.pattern.as_ref().map(|pattern| pattern.source.as_str())
    }

    /// The values that it can have; empty unless its type is `ENUM`.
    async fn options(&self) -> &[String] {
        &self.0.options
    }

    /// The keys of the `authenticationOptions` with which it is asked for; empty if with every one.
    async fn only_with(&self) -> &[String] {
        &self.0.only_with
    }

    /// The value taken when the field is left empty.
    async fn default(&self) -> Option<&str> {
        self.0.default.as_deref()
    }

    /// Whether a value must be given, when it is asked for.
    async fn required(&self) -> bool {
        self.0.required()
    }

    /// Whether the value is stored encrypted and never shown again.
    async fn secret(&self) -> bool {
        self.0.secret()
    }
}

connection!(IntegrationConnection, IntegrationEdge, Integration, "integrations");

/// Which integrations. All that is given must hold.
#[derive(InputObject, Default)]
pub struct IntegrationFilter {
    /// A part of the name or the key, in any case.
    search: Option<String>,
    /// Of this category.
    category: Option<String>,
    /// With at least one instance (true), or with none (false).
    integrated: Option<bool>,
}

#[derive(Default)]
pub struct IntegrationQuery;

#[Object]
impl IntegrationQuery {
    /// The applications that can be connected, by key.
    #[graphql(complexity = "page::cost(first, child_complexity)")]
    async fn integrations(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, from 1 to 100; 20 when left out.")] first: Option<i32>,
        #[graphql(desc = "Begin after this cursor.")] after: Option<String>,
        #[graphql(desc = "Which of them.")] filter: Option<IntegrationFilter>,
    ) -> Result<IntegrationConnection, ApiError> {
        let api = ctx.data_unchecked::<Api>();
        let size = page::size(first)?;
        let start: Option<String> = page::decode("integrations", after.as_deref())?;
        let IntegrationFilter { search, category, integrated } = filter.unwrap_or_default();
        let search = search.map(|text| text.to_lowercase());
        let mut keys: Vec<String> = api
            .instances
            .catalog
            .all()
            .filter(|entry| {
                search.as_ref().is_none_or(|text| entry.name.to_lowercase().contains(text) || entry.key.contains(text))
            })
            .filter(|entry| category.as_ref().is_none_or(|category| entry.category == *category))
            .map(|entry| entry.key.clone())
            .collect();
        if let Some(integrated) = integrated {
            let totals = api.instances.totals(&keys).await?;
            keys.retain(|key| totals.contains_key(key) == integrated);
        }
        let total = known_total(keys.len());
        let keys =
            keys.into_iter().filter(|key| start.as_ref().is_none_or(|start| key > start)).take(size + 1).collect();
        let rows =
            Integration::list(keys).into_iter().map(|row| (page::encode("integrations", &row.key), row)).collect();
        Ok(IntegrationConnection(Page::new(rows, size, after.as_deref(), total)))
    }

    /// One application by its key; null when the catalog has none of that key.
    async fn integration(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Such as `okta`.")] key: String,
    ) -> Option<Integration> {
        let found = ctx.data_unchecked::<Api>().instances.catalog.find(&key);
        nullable(ctx, Ok(found.and_then(|entry| Integration::list(vec![entry.key.clone()]).pop())))
    }
}
