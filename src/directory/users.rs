//! Queries for users, and the removal of deleted users in batches.

use std::collections::HashMap;
use std::sync::Arc;

use entity::user::{Column, Entity, UserStatus};
use entity::{instance, run};
use sea_orm::sea_query::{Expr, ExprTrait, Query, SelectStatement, SimpleExpr};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbBackend, EntityTrait, Order, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait, Select,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::names::{self, Names};
use super::reported::{Reported, of_instance, purging, shown};
use super::search;
use super::words::Terms;
use crate::auth::Seen;
use crate::db::{self, Columns, Reader, Shape, Total, keyset};
use crate::error::Result;

/// A filter for users. `None` matches all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Filter {
    pub instance_id: Option<Uuid>,
    pub integration_keys: Option<Vec<String>>,
    pub statuses: Option<Vec<UserStatus>>,
    /// What is searched for. Empty for all.
    pub search: Terms,
    pub include_removed: bool,
    /// What the caller sees, for lists that are not of one instance.
    pub seen: Seen,
}

/// The statuses that few users have. Each has an index of its own.
const FEW: [UserStatus; 2] = [UserStatus::Suspended, UserStatus::Invited];
/// The condition of these indexes.
const OF_FEW: &str = r#""user_account"."status" IN ('suspended', 'invited')"#;

impl Filter {
    /// True if the filter matches all users of its instances, so that the instances have the count.
    fn is_whole(&self) -> bool {
        self.statuses.is_none() && self.search.is_empty() && !self.include_removed
    }

    /// True if the filter matches all users of an instance.
    fn is_plain(&self) -> bool {
        self.is_whole() && self.integration_keys.is_none()
    }

    /// The statuses, if an index finds the users of each.
    fn few(&self) -> Option<&[UserStatus]> {
        self.statuses
            .as_deref()
            .filter(|statuses| !statuses.is_empty() && statuses.iter().all(|status| FEW.contains(status)))
    }

    /// The conditions that do not depend on the instance, without the search.
    fn condition(&self) -> Condition {
        let mut all = Condition::all();
        if let Some(statuses) = &self.statuses {
            all = all.add(Column::Status.is_in(statuses.iter().copied()));
        }
        if self.few().is_some() {
            all = all.add(Expr::cust(OF_FEW));
        }
        if !self.include_removed {
            all = all.add(Column::RemovedAt.is_null());
        }
        all
    }

    /// The users of all instances, without the search.
    pub(super) fn select(&self) -> Select<Entity> {
        self.select_where(instance_of_row().not_in_subquery(purging()).or(is_reported()))
    }

    /// The same in two parts: those of the instances that have no deleted users, whom an index counts without the rows,
    /// and the others.
    fn select_parts(&self) -> [Select<Entity>; 2] {
        [
            self.select_where(instance_of_row().not_in_subquery(purging())),
            self.select_where(instance_of_row().in_subquery(purging()).and(is_reported())),
        ]
    }

    fn select_where(&self, reported: SimpleExpr) -> Select<Entity> {
        let mut select = Entity::find().filter(self.condition()).filter(reported);
        if let Some(keys) = &self.integration_keys {
            select = select.filter(of_instance(instance::Column::IntegrationKey, instance_of_row()).is_in(keys));
        }
        if let Some(scope) = &self.seen {
            let seen = Query::select()
                .column(instance::Column::Id)
                .from(instance::Entity)
                .cond_where(scope.condition(instance::Column::IntegrationKey, instance::Column::Id))
                .take();
            select = select.filter(instance_of_row().in_subquery(seen));
        }
        select
    }

    /// The users of one instance, without the condition on which one, and without the search.
    pub fn select_of(&self, instance: impl Into<SimpleExpr>) -> Select<Entity> {
        let mut purged = Query::select();
        purged
            .column((instance::Entity, instance::Column::PurgeThrough))
            .from(instance::Entity)
            .and_where(Expr::col((instance::Entity, instance::Column::Id)).eq(instance.into()));
        if let Some(keys) = &self.integration_keys {
            purged.and_where(Expr::col((instance::Entity, instance::Column::IntegrationKey)).is_in(keys));
        }
        // Null, and so true for no user, if the filter excludes the instance.
        let purged = SimpleExpr::SubQuery(None, Box::new(purged.into()));
        Entity::find().filter(self.condition()).filter(Expr::col((Entity, Column::Generation)).gt(purged))
    }
}

fn instance_of_row() -> SimpleExpr {
    Expr::col((Entity, Column::InstanceId))
}

/// Deleted users were last seen by run `purge_through` or an earlier one. There are none after they were removed.
fn is_reported() -> SimpleExpr {
    Expr::col((Entity, Column::Generation)).gt(of_instance(instance::Column::PurgeThrough, instance_of_row()))
}

/// A page of users, in the order of the list.
#[derive(Default)]
pub struct Page {
    pub users: Vec<Found>,
    /// Where to go on if the page ended before it was full.
    pub rest: Option<Position>,
}

/// A user of a page, with its position in the list.
pub struct Found {
    pub user: Arc<Reported>,
    pub position: Position,
}

/// A position in a list of users.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Position {
    /// In the order of ids.
    Id(Uuid),
    /// In the order of a search.
    Word(search::Position),
    /// In the order of names.
    Name(names::Position),
}

/// The order of the names, in one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByName {
    pub descending: bool,
}

impl Page {
    fn of(mut users: Vec<Arc<Reported>>, limit: u64) -> Self {
        users.sort_by_key(|user| user.id);
        users.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        let found = |user: Arc<Reported>| Found { position: Position::Id(user.id), user };
        Self { users: users.into_iter().map(found).collect(), rest: None }
    }
}

/// Whether a position can be one of a list with this filter and order.
pub fn is_in(filter: &Filter, order: Option<ByName>, position: &Position) -> bool {
    match position {
        Position::Id(_) => filter.search.is_empty() && order.is_none(),
        Position::Word(position) => search::is_in(filter, position),
        Position::Name(_) => order.is_some(),
    }
}

/// One page of an instance, in the order of names.
pub async fn page_by_name(
    reader: &Reader,
    instance: Uuid,
    (filter, order): (&Filter, ByName),
    columns: Columns,
    after: Option<Position>,
    limit: u64,
) -> Result<Page> {
    let mut pages = pages_by_name(reader, &[instance], (filter, order), columns, after, limit).await?;
    Ok(pages.remove(&instance).unwrap_or_default())
}

/// The same for each of several instances, in one statement.
pub async fn pages_by_name(
    reader: &Reader,
    instances: &[Uuid],
    (filter, order): (&Filter, ByName),
    columns: Columns,
    after: Option<Position>,
    limit: u64,
) -> Result<HashMap<Uuid, Page>> {
    let after = match after {
        Some(Position::Name(position)) => Some(position),
        _ => None,
    };
    Names { filter, order, after, limit }.pages(reader, instances, columns).await
}

/// One page. Without a search, in the order of ids, which is the order in which users were first seen.
pub async fn page(
    reader: &Reader,
    filter: &Filter,
    columns: Columns,
    after: Option<Position>,
    limit: u64,
) -> Result<Page> {
    let after = match after {
        Some(Position::Id(id)) => id,
        _ if filter.search.is_empty() => Uuid::nil(),
        Some(Position::Word(position)) => return search::page(reader, filter, Some(position), limit).await,
        Some(Position::Name(_)) | None => return search::page(reader, filter, None, limit).await,
    };
    if let Some(instance) = filter.instance_id
        && filter.is_plain()
    {
        return Ok(Page::of(page_of_instance(reader, instance, columns, after, limit).await?, limit));
    }
    let pages = select_page(filter, columns, reader.get_database_backend(), after, limit);
    let mut found = keyset::pages(reader, pages, columns, |_: &Reported| ()).await?;
    Ok(Page::of(found.remove(&()).unwrap_or_default(), limit))
}

/// A statement for each status that few users have, or one for all. The page is the first users of them together.
fn select_page(filter: &Filter, columns: Columns, backend: DbBackend, after: Uuid, limit: u64) -> Vec<SelectStatement> {
    let select = |filter: &Filter| {
        let select = match filter.instance_id {
            Some(instance) => {
                let select = filter.select_of(instance).filter(Column::Id.gt(after));
                keyset::of_parent(select, (Column::InstanceId, instance), Column::Id, Order::Asc, backend)
            }
            None => filter.select().filter(Column::Id.gt(after)).order_by_asc(Column::Id),
        };
        shown(select.limit(limit), columns).into_query()
    };
    each_of_few(filter).iter().map(select).collect()
}

/// A filter for each status that few users have, each of which has an index; or the filter itself.
pub(super) fn each_of_few(filter: &Filter) -> Vec<Filter> {
    match filter.few() {
        Some(statuses) => {
            let of = |status: &UserStatus| Filter { statuses: Some(vec![*status]), ..filter.clone() };
            statuses.iter().map(of).collect()
        }
        None => vec![filter.clone()],
    }
}

/// A page of users for each of several instances, in one statement, or in a few for a search.
pub async fn pages_by_instance(
    reader: &Reader,
    instances: &[Uuid],
    filter: &Filter,
    columns: Columns,
    after: Option<Position>,
    limit: u64,
) -> Result<HashMap<Uuid, Page>> {
    let after = match after {
        Some(Position::Id(id)) => id,
        _ if filter.search.is_empty() => Uuid::nil(),
        Some(Position::Word(position)) => {
            return search::pages(reader, instances, filter, Some(position), limit).await;
        }
        Some(Position::Name(_)) | None => return search::pages(reader, instances, filter, None, limit).await,
    };
    let backend = reader.get_database_backend();
    if let ([instance], true) = (instances, filter.is_plain()) {
        let users = page_of_instance(reader, *instance, columns, after, limit).await?;
        return Ok(HashMap::from([(*instance, Page::of(users, limit))]));
    }
    let pages = instances.iter().flat_map(|id| {
        let filter = Filter { instance_id: Some(*id), ..filter.clone() };
        select_page(&filter, columns, backend, after, limit)
    });
    let found = keyset::pages(reader, pages.collect(), columns, |user: &Reported| user.instance_id).await?;
    Ok(found.into_iter().map(|(instance, users)| (instance, Page::of(users, limit))).collect())
}

/// The users of an instance after one of them: the page that is asked for most.
async fn page_of_instance(
    reader: &Reader,
    instance: Uuid,
    columns: Columns,
    after: Uuid,
    limit: u64,
) -> Result<Vec<Arc<Reported>>> {
    let backend = reader.get_database_backend();
    let filter = Filter { instance_id: Some(instance), ..Filter::default() };
    let select = || select_page(&filter, columns, backend, after, limit).swap_remove(0);
    let shape = Shape { name: "users of an instance", size: usize::try_from(limit).unwrap_or(usize::MAX) };
    let own = match backend {
        DbBackend::Postgres => vec![instance].into(),
        _ => instance.into(),
    };
    let values = vec![instance.into(), after.into(), own];
    let users: Vec<Reported> = reader.rows_alike(shape, columns, values, select).await?;
    Ok(users.into_iter().map(Arc::new).collect())
}

/// How many users match.
pub async fn total(reader: &Reader, filter: &Filter) -> Result<Total> {
    if !filter.search.is_empty() {
        return search::total(reader, filter).await;
    }
    if filter.is_whole() {
        let mut instances =
            instance::Entity::find().select_only().expr_as(known_count().sum().cast_as("BIGINT"), "users");
        if let Some(id) = filter.instance_id {
            instances = instances.filter(instance::Column::Id.eq(id));
        }
        if let Some(keys) = &filter.integration_keys {
            instances = instances.filter(instance::Column::IntegrationKey.is_in(keys));
        }
        if let Some(scope) = &filter.seen {
            let seen = scope.condition(instance::Column::IntegrationKey, instance::Column::Id);
            instances = instances.filter(seen);
        }
        let users: Option<(Option<i64>,)> = reader.row(instances.into_query()).await?;
        return Ok(Total::exact(users.and_then(|(users,)| users).unwrap_or(0)));
    }
    match filter.instance_id {
        Some(id) => db::total(reader, filter.select_of(id).filter(Column::InstanceId.eq(id))).await,
        None => db::total_of_parts(reader, filter.select_parts()).await,
    }
}

/// The number of users of an instance: its own count, plus those that the current run has added.
fn known_count() -> SimpleExpr {
    let of = |column| Expr::col((instance::Entity, column));
    let mut added = Query::select();
    added.column((run::Entity, run::Column::Added)).from(run::Entity).and_where(
        Expr::col((run::Entity, run::Column::Id)).equals((instance::Entity, instance::Column::CurrentRunId)),
    );
    let added = SimpleExpr::SubQuery(None, Box::new(added.into()));
    of(instance::Column::UserCount).add(Expr::expr(added).if_null(0))
}

/// How many users match for each instance.
pub async fn totals_by_instance(reader: &Reader, instances: &[Uuid], filter: &Filter) -> Result<HashMap<Uuid, Total>> {
    if !filter.search.is_empty() {
        return search::totals(reader, instances, filter).await;
    }
    if !filter.is_whole() || filter.integration_keys.is_some() {
        return db::totals(reader, instances, Column::InstanceId, |instance| filter.select_of(instance)).await;
    }
    let known = instance::Entity::find()
        .select_only()
        .column(instance::Column::Id)
        .expr_as(known_count(), "users")
        .filter(keyset::among((instance::Entity, instance::Column::Id), instances, reader.get_database_backend()));
    let rows: Vec<(Uuid, i64)> = reader.rows(known.into_query()).await?;
    Ok(rows.into_iter().map(|(instance, users)| (instance, Total::exact(users))).collect())
}

/// Those of these users that are reported.
pub async fn by_ids(reader: &Reader, ids: &[Uuid]) -> Result<HashMap<Uuid, Reported>> {
    let everybody = Filter { include_removed: true, ..Filter::default() };
    let own = keyset::among((Entity, Column::Id), ids, reader.get_database_backend());
    let found: Vec<Reported> = reader.rows(shown(everybody.select().filter(own), Columns::ALL).into_query()).await?;
    Ok(found.into_iter().map(|user| (user.id, user)).collect())
}

/// One user, if it is reported.
pub async fn find(reader: &Reader, id: Uuid) -> Result<Option<Reported>> {
    let everybody = Filter { include_removed: true, ..Filter::default() };
    reader.row(shown(everybody.select().filter(Column::Id.eq(id)), Columns::ALL).into_query()).await
}
