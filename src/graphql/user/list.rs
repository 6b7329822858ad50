//! Lists of users.

use std::borrow::Cow;
use std::collections::HashMap;

use async_graphql::{Context, ID, InputObject, Object};
use entity::user::UserStatus;
use uuid::Uuid;

use super::User;
use crate::db::Total;
use crate::directory::users::{self, Filter};
use crate::graphql::api::Api;
use crate::graphql::batch::regroup;
use crate::graphql::connection::{self, connection};
use crate::graphql::error::ApiError;
use crate::graphql::id::{self, Kind};
use crate::graphql::instance::Instance;
use crate::graphql::list::{List, NestedList, RootList};
use crate::graphql::page;
use crate::graphql::written::Written;

/// Selects users. All fields that are given must match. Removed users are left out by default.
#[derive(InputObject, Default)]
pub struct UserFilter {
    /// Users of this instance.
    instance_id: Option<ID>,
    /// Users of one of these integrations.
    integration_keys: Option<Vec<String>>,
    /// Users in one of these statuses.
    statuses: Option<Vec<UserStatus>>,
    /// Users whose e-mail address or name begins with this text, in any case.
    search: Option<String>,
    /// True to include the removed users that the server still has.
    include_removed: Option<bool>,
}

/// In the order in which the users were first seen.
#[derive(Clone, PartialEq)]
pub struct UserList(Filter);

impl UserList {
    pub fn new(filter: Option<UserFilter>) -> Result<Self, ApiError> {
        let UserFilter { instance_id, integration_keys, statuses, search, include_removed } =
            filter.unwrap_or_default();
        Ok(Self(Filter {
            instance_id: instance_id.map(|id| id::argument(Kind::Instance, &id)).transpose()?,
            integration_keys: page::bounded(integration_keys, "integrationKeys")?,
            statuses,
            search,
            include_removed: include_removed.unwrap_or(false),
        }))
    }

    /// The instances of these that the filter allows.
    fn admitted(&self, instances: &[Uuid]) -> Vec<Uuid> {
        let wanted = self.0.instance_id;
        instances.iter().copied().filter(|id| wanted.is_none_or(|wanted| wanted == *id)).collect()
    }
}

impl List for UserList {
    type Row = User;
    type Position = Uuid;

    fn name(&self) -> Cow<'static, str> {
        "users".into()
    }

    fn position(&self, user: &User) -> Uuid {
        user.model.id
    }
}

impl RootList for UserList {
    async fn page(&self, api: &Api, after: Option<Uuid>, limit: u64) -> Result<Vec<User>, ApiError> {
        Ok(User::list(users::page(api.instances.db.read(), &self.0, after, limit).await?))
    }

    async fn total(&self, api: &Api) -> Result<Total, ApiError> {
        Ok(users::total(api.instances.db.read(), &self.0).await?)
    }
}

impl NestedList for UserList {
    type Parent = Instance;

    async fn pages(
        &self,
        api: &Api,
        instances: &[Uuid],
        after: Option<Uuid>,
        limit: u64,
    ) -> Result<HashMap<Uuid, Vec<User>>, ApiError> {
        let (conn, instances) = (api.instances.db.read(), self.admitted(instances));
        Ok(regroup(users::pages_by_instance(conn, &instances, &self.0, after, limit).await?, User::list))
    }

    async fn totals(&self, api: &Api, instances: &[Uuid]) -> Result<HashMap<Uuid, Total>, ApiError> {
        let (conn, instances) = (api.instances.db.read(), self.admitted(instances));
        Ok(users::totals_by_instance(conn, &instances, &self.0).await?)
    }
}

connection!(UserConnection, UserEdge, UserList, "users");

#[derive(Default)]
pub struct UserQuery;

#[Object]
impl UserQuery {
    /// The users of all instances, in the order in which they were first seen.
    #[graphql(complexity = "page::cost(first, child_complexity)")]
    async fn users(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The size of the page, from 1 to 100; 20 by default.")] first: Option<i32>,
        #[graphql(desc = "The cursor after which the page begins.")] after: Option<String>,
        #[graphql(desc = "Selects users.")] filter: Option<UserFilter>,
    ) -> Result<Written<UserConnection>, ApiError> {
        Ok(Written(UserConnection(connection::root(ctx, UserList::new(filter)?, first, after).await?)))
    }
}
