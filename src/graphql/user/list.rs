//! Lists of users.

use std::borrow::Cow;
use std::collections::HashMap;

use async_graphql::{Context, Enum, ID, InputObject, Object};
use chrono::{DateTime, SecondsFormat, Utc};
use entity::user::UserStatus;
use uuid::Uuid;

use super::User;
use crate::clock::date_time;
use crate::db::{Reader, Total};
use crate::directory::users::{self, ByName, Filter, Page, Position};
use crate::directory::words::Terms;
use crate::directory::{history, index};
use crate::graphql::api::Api;
use crate::graphql::batch::regroup;
use crate::graphql::connection::{self, connection};
use crate::graphql::error::ApiError;
use crate::graphql::id::{self, Kind};
use crate::graphql::instance::Instance;
use crate::graphql::instance::list::OrderDirection;
use crate::graphql::list::{List, NestedList, PageRows, RootList};
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
    /// Users whom each word of this text finds. A word finds the beginning of any word of the name or the e-mail
    /// address; case and accents do not count. Words are what is between characters that are neither letters nor
    /// digits. The domain of an address is one word: `example.com` is found, but not `com`. A text without any letter
    /// or digit finds everybody.
    search: Option<String>,
    /// True to include the removed users that the server still has.
    include_removed: Option<bool>,
}

/// What users are ordered by.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
pub enum UserOrderField {
    /// The name, in which upper and lower case of the letters from A to Z are the same. Users without a name come last,
    /// in both directions.
    Name,
}

/// The order of users.
#[derive(InputObject)]
pub struct UserOrder {
    /// What they are ordered by.
    field: UserOrderField,
    /// The direction of the order.
    direction: OrderDirection,
}

impl UserOrder {
    fn decode(self) -> ByName {
        let UserOrder { field: UserOrderField::Name, direction } = self;
        ByName { descending: direction == OrderDirection::Desc }
    }
}

/// In the order in which the users were first seen, or of their names; a search is in the order of the words that it
/// finds.
#[derive(Clone, PartialEq)]
pub struct UserList {
    filter: Filter,
    order: Option<ByName>,
    /// The time of a list of the past.
    as_of: Option<i64>,
}

impl UserList {
    pub fn new(api: &Api, filter: Option<UserFilter>, order: Option<UserOrder>) -> Result<Self, ApiError> {
        let UserFilter { instance_id, integration_keys, statuses, search, include_removed } =
            filter.unwrap_or_default();
        let filter = Filter {
            instance_id: instance_id.map(|id| id::argument(Kind::Instance, &id)).transpose()?,
            integration_keys: page::bounded(integration_keys, "integrationKeys")?,
            statuses,
            search: search.map(|text| Terms::of(&text)).unwrap_or_default(),
            include_removed: include_removed.unwrap_or(false),
            seen: api.seen.clone(),
        };
        if order.is_some() && !filter.search.is_empty() {
            let message = "A search has an order of its own: leave out orderBy, or the search.";
            return Err(ApiError::InvalidInput(message.into()));
        }
        Ok(Self { filter, order: order.map(UserOrder::decode), as_of: None })
    }

    /// The same at another time.
    fn at(self, api: &Api, as_of: Option<DateTime<Utc>>) -> Result<Self, ApiError> {
        let as_of = as_of.map(|at| at.timestamp_millis());
        let refused = |message: &str| Err(ApiError::InvalidInput(message.into()));
        match as_of {
            Some(_) if self.order.is_some() || !self.filter.search.is_empty() => {
                refused("A list of the past has no search and one order: leave out search and orderBy, or asOf.")
            }
            Some(at) if at > api.instances.clock.now() => refused("asOf is a time that has not come yet."),
            _ => Ok(Self { as_of, ..self }),
        }
    }

    async fn page_of_past(
        &self,
        reader: &Reader,
        at: i64,
        after: Option<Position>,
        limit: u64,
    ) -> Result<Page, ApiError> {
        let page = history::page(reader, at, &self.filter, after, usize::try_from(limit).unwrap_or(usize::MAX)).await?;
        // Afterwards, because retention may remove changes meanwhile.
        let begins = history::begins(reader).await?;
        if at < begins {
            let begins = date_time(begins).to_rfc3339_opts(SecondsFormat::Millis, true);
            let message = format!("The history of the users begins at {begins}. What was before is not known.");
            return Err(ApiError::InvalidInput(message));
        }
        Ok(page)
    }

    /// Refuses a position of a search for something else.
    fn checked(&self, after: Option<Position>) -> Result<Option<Position>, ApiError> {
        match after {
            Some(after) if !users::is_in(&self.filter, self.order, &after) => Err(page::not_a_cursor()),
            after => Ok(after),
        }
    }

    /// Whether the caller sees something of the list. A search over all instances shows how many entries of others it
    /// passes, so that it is not for callers that see only some.
    async fn is_seen(&self, api: &Api) -> Result<bool, ApiError> {
        match self.filter.instance_id {
            Some(id) => Ok(api.sees(id).await?),
            None if api.seen.is_some() && !self.filter.search.is_empty() => {
                let message = "This token is limited to some instances: search in one of them, with instanceId.";
                Err(ApiError::InvalidInput(message.into()))
            }
            None => Ok(true),
        }
    }

    /// The instances of these that the filter allows.
    fn admitted(&self, instances: &[Uuid]) -> Vec<Uuid> {
        let wanted = self.filter.instance_id;
        instances.iter().copied().filter(|id| wanted.is_none_or(|wanted| wanted == *id)).collect()
    }
}

impl List for UserList {
    type Row = User;
    type Position = Position;

    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self.order {
            Some(ByName { descending: false }) => "users by name",
            Some(ByName { descending: true }) => "users by name, backwards",
            None if self.as_of.is_some() => "users of the past",
            None if self.filter.search.is_empty() => "users",
            None => "users by words",
        })
    }

    fn position(&self, user: &User) -> Position {
        user.position.clone()
    }
}

impl RootList for UserList {
    async fn page(&self, api: &Api, after: Option<Position>, limit: u64) -> Result<PageRows<Self>, ApiError> {
        if !self.is_seen(api).await? {
            return Ok(Vec::new().into());
        }
        let (reader, columns, after) = (api.instances.db.read(), api.wanted.users, self.checked(after)?);
        let page = match (self.as_of, self.order, self.filter.instance_id) {
            (Some(at), ..) => self.page_of_past(reader, at, after, limit).await?,
            (None, None, _) => users::page(reader, &self.filter, columns, after, limit).await?,
            (None, Some(order), Some(instance)) => {
                users::page_by_name(reader, instance, (&self.filter, order), columns, after, limit).await?
            }
            (None, Some(_), None) => {
                let message = "Users are ordered within one instance: give filter.instanceId, or ask Instance.users.";
                return Err(ApiError::InvalidInput(message.into()));
            }
        };
        Ok(PageRows { rows: User::found(page.users), rest: page.rest })
    }

    async fn total(&self, api: &Api) -> Result<Total, ApiError> {
        if !self.is_seen(api).await? {
            return Ok(Total::exact(0));
        }
        if self.as_of.is_some() {
            let message = "A list of the past is not counted: leave out totalCount, or asOf.";
            return Err(ApiError::InvalidInput(message.into()));
        }
        Ok(users::total(api.instances.db.read(), &self.filter).await?)
    }
}

impl NestedList for UserList {
    type Parent = Instance;

    async fn pages(
        &self,
        api: &Api,
        instances: &[Uuid],
        after: Option<Position>,
        limit: u64,
    ) -> Result<HashMap<Uuid, PageRows<Self>>, ApiError> {
        let (conn, instances, after) = (api.instances.db.read(), self.admitted(instances), self.checked(after)?);
        let (filter, columns) = (&self.filter, api.wanted.users);
        let pages = match self.order {
            Some(order) => users::pages_by_name(conn, &instances, (filter, order), columns, after, limit).await?,
            None => users::pages_by_instance(conn, &instances, filter, columns, after, limit).await?,
        };
        let (mut rests, mut found) = (HashMap::new(), HashMap::new());
        for (instance, page) in pages {
            rests.insert(instance, page.rest);
            found.insert(instance, page.users);
        }
        let mut rows: HashMap<Uuid, PageRows<Self>> = regroup(found, User::found);
        for (instance, rows) in &mut rows {
            rows.rest = rests.remove(instance).flatten();
        }
        Ok(rows)
    }

    async fn totals(&self, api: &Api, instances: &[Uuid]) -> Result<HashMap<Uuid, Total>, ApiError> {
        let (conn, instances) = (api.instances.db.read(), self.admitted(instances));
        Ok(users::totals_by_instance(conn, &instances, &self.filter).await?)
    }
}

connection!(UserConnection, UserEdge, UserList, "users", {
    /// A search may not find users yet that were stored after this time, such as those of a first sync in the last
    /// minute. Null if it finds all.
    async fn search_as_of(&self, ctx: &Context<'_>) -> Result<Option<DateTime<Utc>>, ApiError> {
        let api: &Api = ctx.data_unchecked();
        Ok(index::as_of(api.instances.db.read()).await?.map(date_time))
    }
});

#[derive(Default)]
pub struct UserQuery;

#[Object]
impl UserQuery {
    /// The users of all instances, in the order in which they were first seen. Those of one instance may be ordered by
    /// name. A search is in the order of the words that it finds.
    ///
    /// With `asOf`, the users are as the syncs had found them until then. Their `lastActiveAt` and `neverActive` are null,
    /// because the history does not have them; `lastSeenAt`, and what members decide or the server concludes (`person`,
    /// `link`, `owner`, `findings` and the `kind` that a member has set), are those of today. Users that were deleted since
    /// are left out. A page may have fewer users than it could, even none: go on as long as `hasNextPage` is true.
    #[graphql(complexity = "page::filtered_cost(first, __field, child_complexity)")]
    async fn users(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The size of the page, from 1 to 100; 20 by default.")] first: Option<i32>,
        #[graphql(desc = "The cursor after which the page begins.")] after: Option<String>,
        #[graphql(desc = "Selects users.")] filter: Option<UserFilter>,
        #[graphql(desc = "The order of the users of one instance; without a search.")] order_by: Option<UserOrder>,
        #[graphql(desc = "A time in the past. Such a list has no search, no orderBy and no totalCount.")] as_of: Option<
            DateTime<Utc>,
        >,
    ) -> Result<Written<UserConnection>, ApiError> {
        let api = ctx.data_unchecked();
        let list = UserList::new(api, filter, order_by)?.at(api, as_of)?;
        Ok(Written(UserConnection(connection::root(ctx, list, first, after).await?)))
    }
}
