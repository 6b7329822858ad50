//! API tokens: the type, its list, and a file for each mutation.

use std::borrow::Cow;
use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use chrono::{DateTime, Utc};
use entity::api_token::Model;
use uuid::Uuid;

use super::api::Api;
use super::connection::{self, connection};
use super::error::ApiError;
use super::id::{self, Kind};
use super::list::{List, PageRows, RootList};
use super::page;
use super::written::{Fields, Written, fields};
use crate::auth::{Role, Scope, tokens};
use crate::clock::date_time;
use crate::db::Total;

pub mod create;
pub mod revoke;

#[derive(Clone)]
pub struct ApiToken {
    model: Arc<Model>,
    scope: Option<Arc<Scope>>,
    expires_soon: bool,
}

impl ApiToken {
    pub fn of(model: Model, now: i64) -> Self {
        let (scope, expires_soon) = (tokens::scope(&model), tokens::expires_soon(&model, now));
        Self { model: Arc::new(model), scope, expires_soon }
    }
}

/// A token with which a program uses the API. Its text is shown once, when it is created.
#[fields]
#[Object]
impl ApiToken {
    /// The opaque, permanent id.
    fn id(&self) -> ID {
        id::encode(Kind::ApiToken, self.model.id)
    }

    /// The name that it was given. Several tokens may have the same.
    fn name(&self) -> &str {
        &self.model.name
    }

    /// What it may do. A token of the installation that a member has created administers as long as this member is an
    /// active administrator; afterwards, it may do what an `OPERATOR` may.
    fn role(&self) -> Role {
        self.model.role
    }

    /// The instances that it is limited to; null if it is for all.
    fn scope(&self) -> Option<ApiTokenScope> {
        self.scope.as_deref().map(ApiTokenScope::of)
    }

    /// The address that gets mail about the instances that are created with it; null if there is none.
    fn email(&self) -> Option<&str> {
        self.model.email.as_deref()
    }

    /// Whether it belongs to a member, and ends with this member.
    fn is_personal(&self) -> bool {
        self.model.member_id.is_some()
    }

    /// Whether the limits of tokens do not apply to it.
    fn is_unlimited(&self) -> bool {
        self.model.unlimited
    }

    /// When it was created.
    fn created_at(&self) -> DateTime<Utc> {
        date_time(self.model.created_at)
    }

    /// Who created it: the address or the name of a member, or the name of a token. Null if it was created on the server,
    /// or by an earlier version.
    fn created_by(&self) -> Option<&str> {
        self.model.created_by.as_deref()
    }

    /// When it expires; null if it never does.
    fn expires_at(&self) -> Option<DateTime<Utc>> {
        self.model.expires_at.map(date_time)
    }

    /// Whether it is valid, and expires within 30 days.
    fn expires_soon(&self) -> bool {
        self.expires_soon
    }

    /// When it was used last, to about a minute; null if it was not.
    fn last_used_at(&self) -> Option<DateTime<Utc>> {
        self.model.last_used_at.map(date_time)
    }

    /// When it was revoked; null if it was not.
    fn revoked_at(&self) -> Option<DateTime<Utc>> {
        self.model.revoked_at.map(date_time)
    }
}

/// The instances that a caller is limited to: those of the integrations, and the single ones.
#[derive(SimpleObject, Fields)]
pub struct ApiTokenScope {
    /// The keys of the integrations, also for instances that are created later.
    integration_keys: Vec<String>,
    /// The ids of the instances.
    instance_ids: Vec<ID>,
}

impl ApiTokenScope {
    pub fn of(scope: &Scope) -> Self {
        Self {
            integration_keys: scope.integrations.iter().cloned().collect(),
            instance_ids: scope.instances.iter().map(|instance| id::encode(Kind::Instance, *instance)).collect(),
        }
    }
}

/// Selects API tokens.
#[derive(InputObject, Default)]
pub struct ApiTokenFilter {
    /// Tokens whose name or e-mail address contains this text, in any case of the letters from A to Z.
    search: Option<String>,
}

/// The newest token comes first.
pub struct TokenList(ApiTokenFilter);

impl List for TokenList {
    type Row = ApiToken;
    type Position = Uuid;

    fn name(&self) -> Cow<'static, str> {
        "api tokens".into()
    }

    fn position(&self, token: &ApiToken) -> Uuid {
        token.model.id
    }
}

impl RootList for TokenList {
    async fn page(&self, api: &Api, after: Option<Uuid>, limit: u64) -> Result<PageRows<Self>, ApiError> {
        let now = api.instances.clock.now();
        let found = api
            .tokens
            .page(self.0.search.as_deref(), after, limit)
            .await?
            .into_iter()
            .map(|model| ApiToken::of(model, now));
        Ok(found.collect::<Vec<_>>().into())
    }

    async fn total(&self, api: &Api) -> Result<Total, ApiError> {
        Ok(api.tokens.total(self.0.search.as_deref()).await?)
    }
}

connection!(ApiTokenConnection, ApiTokenEdge, TokenList, "API tokens");

#[derive(Default)]
pub struct ApiTokenQuery;

#[Object]
impl ApiTokenQuery {
    /// The API tokens, the newest first, with those that were revoked or have expired.
    #[graphql(complexity = "page::filtered_cost(first, __field, child_complexity)")]
    async fn api_tokens(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The size of the page, from 1 to 100; 20 by default.")] first: Option<i32>,
        #[graphql(desc = "The cursor after which the page begins.")] after: Option<String>,
        #[graphql(desc = "Selects tokens.")] filter: Option<ApiTokenFilter>,
    ) -> Result<Written<ApiTokenConnection>, ApiError> {
        let list = TokenList(filter.unwrap_or_default());
        Ok(Written(ApiTokenConnection(connection::root(ctx, list, first, after).await?)))
    }
}
