//! Members, their sessions, and what the caller is.

use std::borrow::Cow;

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use chrono::{DateTime, Utc};
use entity::member::Model;
use uuid::Uuid;

use super::api::Api;
use super::api_token::ApiTokenScope;
use super::connection::{self, connection};
use super::error::ApiError;
use super::id::{self, Kind};
use super::list::{List, PageRows, RootList};
use super::page;
use super::written::{Written, fields};
use crate::auth::{Caller, Role, Who};
use crate::clock::date_time;
use crate::db::Total;

pub mod change;
pub mod create;
pub mod session;

#[derive(Clone)]
pub struct Member(pub Model);

/// A person who may sign in.
#[fields]
#[Object]
impl Member {
    /// The opaque, permanent id.
    fn id(&self) -> ID {
        id::encode(Kind::Member, self.0.id)
    }

    /// The name that is shown.
    fn name(&self) -> &str {
        &self.0.name
    }

    /// The address to sign in with, in lower case. Null for somebody whose identity provider has verified none.
    fn email(&self) -> Option<&str> {
        self.0.email.as_deref()
    }

    /// What the member may do.
    fn role(&self) -> Role {
        self.0.role
    }

    /// Whether the member can sign in with a password.
    fn has_password(&self) -> bool {
        self.0.password_hash.is_some()
    }

    /// When the member was added.
    fn created_at(&self) -> DateTime<Utc> {
        date_time(self.0.created_at)
    }

    /// Since when the member may not sign in; null if the member may.
    fn disabled_at(&self) -> Option<DateTime<Utc>> {
        self.0.disabled_at.map(date_time)
    }
}

/// Whoever sends the request: a member who is signed in, or an API token.
#[derive(SimpleObject)]
pub struct Me {
    /// The name of the member or of the token.
    name: String,
    /// The address of the member, or the one that gets mail about what was created with the token.
    email: Option<String>,
    /// What the caller may do.
    role: Role,
    /// The instances that the caller is limited to; null for all. What is not about single instances, such as the
    /// recipients of mail, is refused to a caller that is limited.
    scope: Option<ApiTokenScope>,
    /// The member; null for a token.
    member: Option<Member>,
}

/// Selects members.
#[derive(InputObject, Default)]
pub struct MemberFilter {
    /// Members whose name or e-mail address contains this text, in any case of the letters from A to Z.
    search: Option<String>,
}

/// The member who was added first comes first.
pub struct MemberList(MemberFilter);

impl List for MemberList {
    type Row = Member;
    type Position = Uuid;

    fn name(&self) -> Cow<'static, str> {
        "members".into()
    }

    fn position(&self, member: &Member) -> Uuid {
        member.0.id
    }
}

impl RootList for MemberList {
    async fn page(&self, api: &Api, after: Option<Uuid>, limit: u64) -> Result<PageRows<Self>, ApiError> {
        let rows = api.members.page(self.0.search.as_deref(), after, limit).await?;
        Ok(rows.into_iter().map(Member).collect::<Vec<_>>().into())
    }

    async fn total(&self, api: &Api) -> Result<Total, ApiError> {
        Ok(Total::exact(i64::try_from(api.members.count(self.0.search.as_deref()).await?).unwrap_or(i64::MAX)))
    }
}

connection!(MemberConnection, MemberEdge, MemberList, "members");

#[derive(Default)]
pub struct MemberQuery;

#[Object]
impl MemberQuery {
    /// Whoever sends this request.
    async fn me(&self, ctx: &Context<'_>) -> Result<Me, ApiError> {
        let (api, caller) = (ctx.data_unchecked::<Api>(), ctx.data_unchecked::<Caller>());
        let member = match caller.who {
            Who::Member { id, .. } => api.members.find(id).await?.map(Member),
            Who::Token(_) => None,
        };
        let Caller { name, email, role, scope, .. } = caller.clone();
        Ok(Me { name, email, role, scope: scope.as_deref().map(ApiTokenScope::of), member })
    }

    /// The people who may sign in, and those who are disabled. Only administrators see them.
    #[graphql(complexity = "page::filtered_cost(first, __field, child_complexity)")]
    async fn members(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The size of the page, from 1 to 100; 20 by default.")] first: Option<i32>,
        #[graphql(desc = "The cursor after which the page begins.")] after: Option<String>,
        #[graphql(desc = "Selects members.")] filter: Option<MemberFilter>,
    ) -> Result<Written<MemberConnection>, ApiError> {
        let list = MemberList(filter.unwrap_or_default());
        Ok(Written(MemberConnection(connection::root(ctx, list, first, after).await?)))
    }
}
