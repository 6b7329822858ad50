//! Queries for users and their changes, and the removal of deleted users in batches.

use std::collections::HashMap;

use entity::user::{Column, Entity, UserStatus};
use entity::{instance, run, user_change};
use sea_orm::sea_query::{Expr, ExprTrait, Query, SimpleExpr};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbBackend, EntityTrait, Iterable, Order, QueryFilter, QueryOrder,
    QuerySelect, QueryTrait, Select,
};
use serde::Deserialize;
use uuid::Uuid;

use super::keys;
use crate::db::{self, Reader, Total, keyset};
use crate::error::Result;

/// What is shown of a user.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Reported {
    pub id: Uuid,
    pub instance_id: Uuid,
    pub external_id: String,
    pub email: Option<String>,
    pub display_name: Option<String>,
    pub status: UserStatus,
    pub is_admin: Option<bool>,
    pub mfa_enabled: Option<bool>,
    pub licenses: Option<String>,
    pub last_active_at: Option<i64>,
    pub first_seen_at: i64,
    pub last_seen_at: i64,
    pub removed_at: Option<i64>,
}

/// A filter for users. `None` matches all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Filter {
    pub instance_id: Option<Uuid>,
    pub integration_keys: Option<Vec<String>>,
    pub statuses: Option<Vec<UserStatus>>,
    /// The beginning of an address or a name, in any case and spelling.
    pub search: Option<String>,
    pub include_removed: bool,
}

impl Filter {
    /// True if the filter matches all users of its instances, so that the instances have the count.
    fn is_whole(&self) -> bool {
        self.statuses.is_none() && self.search.as_ref().is_none_or(String::is_empty) && !self.include_removed
    }

    /// The conditions that do not depend on the instance.
    fn condition(&self) -> Condition {
        let mut all = Condition::all();
        if let Some(statuses) = &self.statuses {
            all = all.add(Column::Status.is_in(statuses.iter().copied()));
        }
        if !self.include_removed {
            all = all.add(Column::RemovedAt.is_null());
        }
        if let Some(search) = self.search.as_deref().filter(|search| !search.is_empty()) {
            let mut any = Condition::any();
            for key in [keys::search_key(search)].into_iter().chain(keys::earlier_search_keys(search)) {
                any = any.add(prefix(Column::EmailKey, &key)).add(prefix(Column::NameKey, &key));
            }
            all = all.add(any);
        }
        all
    }

    /// The users of all instances.
    fn select(&self) -> Select<Entity> {
        // Deleted users: last seen by run `purge_through` or an earlier one.
        let mut reported = Query::select();
        reported
            .expr(Expr::value(1))
            .from(instance::Entity)
            .and_where(Expr::col((instance::Entity, instance::Column::Id)).equals((Entity, Column::InstanceId)))
            .and_where(
                Expr::col((Entity, Column::Generation))
                    .gt(Expr::col((instance::Entity, instance::Column::PurgeThrough))),
            );
        if let Some(keys) = &self.integration_keys {
            reported.and_where(Expr::col((instance::Entity, instance::Column::IntegrationKey)).is_in(keys));
        }
        Entity::find().filter(self.condition()).filter(Expr::exists(reported))
    }

    /// The users of one instance, without the condition on which one.
    fn select_of(&self, instance: impl Into<SimpleExpr>) -> Select<Entity> {
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

    fn select_in_instance(&self) -> Select<Entity> {
        match self.instance_id {
            Some(id) => self.select_of(id).filter(Column::InstanceId.eq(id)),
            None => self.select(),
        }
    }
}

/// The condition that `column` begins with `text`, as a range for which an index can be used.
fn prefix(column: Column, text: &str) -> SimpleExpr {
    let from = Expr::col((Entity, column)).gte(text);
    // The range ends at the successor of the last character. The last code point has no successor.
    let mut end: Vec<char> = text.chars().collect();
    while let Some(last) = end.pop() {
        if let Some(next) = (u32::from(last) + 1..=0x0010_FFFF).find_map(char::from_u32) {
            end.push(next);
            let end: String = end.into_iter().collect();
            return from.and(Expr::col((Entity, column)).lt(end));
        }
    }
    from
}

/// The users of an instance after a given one, in the order of ids.
fn of_instance(select: Select<Entity>, backend: DbBackend, instance: Uuid, after: Uuid) -> Select<Entity> {
    let after = select.filter(Column::Id.gt(after));
    keyset::of_parent(after, (Column::InstanceId, instance), Column::Id, Order::Asc, backend)
}

/// One page in the order of ids, which is the order in which users were first seen.
pub async fn page(reader: &Reader, filter: &Filter, after: Option<Uuid>, limit: u64) -> Result<Vec<Reported>> {
    let page = select_page(filter, reader.get_database_backend(), after, limit).into_query();
    // A search sorts what it finds, so it is not among the statements that an index answers in order.
    if filter.search.is_some() { reader.rows_by_pool(page).await } else { reader.rows(page).await }
}

fn select_page(filter: &Filter, backend: DbBackend, after: Option<Uuid>, limit: u64) -> Select<Entity> {
    let after = after.unwrap_or(Uuid::nil());
    let select = match filter.instance_id {
        Some(instance) if filter.search.is_none() => of_instance(filter.select_of(instance), backend, instance, after),
        // A search finds few users by address or name, which are then sorted.
        _ => filter.select_in_instance().filter(Column::Id.gt(after)).order_by_asc(Column::Id),
    };
    shown(select.limit(limit))
}

/// Leaves out the columns that nobody is shown: what is left is [`Reported`].
fn shown(select: Select<Entity>) -> Select<Entity> {
    let hidden = |column: &Column| {
        matches!(
            column,
            Column::EmailKey | Column::NameKey | Column::MatchKey | Column::KeyVersion | Column::Generation
        )
    };
    select.select_only().columns(Column::iter().filter(|column| !hidden(column)))
}

/// A page of users for each of several instances, in one statement.
pub async fn pages_by_instance(
    reader: &Reader,
    instances: &[Uuid],
    filter: &Filter,
    after: Option<Uuid>,
    limit: u64,
) -> Result<HashMap<Uuid, Vec<Reported>>> {
    let backend = reader.get_database_backend();
    let pages = instances.iter().map(|id| {
        let filter = Filter { instance_id: Some(*id), ..filter.clone() };
        select_page(&filter, backend, after, limit).into_query()
    });
    let mut found = keyset::pages(reader, pages.collect(), |user: &Reported| user.instance_id).await?;
    for users in found.values_mut() {
        users.sort_by_key(|user| user.id);
    }
    Ok(found)
}

/// How many users match.
pub async fn total(reader: &Reader, filter: &Filter) -> Result<Total> {
    if filter.is_whole() {
        let mut instances =
            instance::Entity::find().select_only().expr_as(known_count().sum().cast_as("BIGINT"), "users");
        if let Some(id) = filter.instance_id {
            instances = instances.filter(instance::Column::Id.eq(id));
        }
        if let Some(keys) = &filter.integration_keys {
            instances = instances.filter(instance::Column::IntegrationKey.is_in(keys));
        }
        let users: Option<(Option<i64>,)> = reader.row(instances.into_query()).await?;
        return Ok(Total::exact(users.and_then(|(users,)| users).unwrap_or(0)));
    }
    db::total(reader, filter.select_in_instance()).await
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

/// One user, if it is reported.
pub async fn find(reader: &Reader, id: Uuid) -> Result<Option<Reported>> {
    let everybody = Filter { include_removed: true, ..Filter::default() };
    reader.row(shown(everybody.select().filter(Column::Id.eq(id))).into_query()).await
}

/// A page of changes with their users for each of several runs, in two statements.
pub async fn changes_by_run(
    reader: &Reader,
    runs: &[Uuid],
    kind: Option<user_change::Kind>,
    after: Option<i64>,
    limit: u64,
) -> Result<HashMap<Uuid, Vec<(user_change::Model, Reported)>>> {
    let pages = runs.iter().map(|run| {
        let mut select = select_changes(kind).filter(user_change::Column::RunId.eq(*run));
        if let Some(after) = after {
            select = select.filter(user_change::Column::Id.gt(after));
        }
        select.order_by_asc(user_change::Column::Id).limit(limit).into_query()
    });
    let changes = keyset::pages(reader, pages.collect(), |change: &user_change::Model| change.run_id).await?;
    let changes: Vec<_> = changes.into_values().flatten().collect();
    let ids: Vec<Uuid> = changes.iter().map(|change| change.user_id).collect();
    let own = keyset::among((Entity, Column::Id), &ids, reader.get_database_backend());
    let users: Vec<Reported> = reader.rows(shown(Entity::find().filter(own)).into_query()).await?;
    let users: HashMap<Uuid, Reported> = users.into_iter().map(|user| (user.id, user)).collect();
    let mut found: HashMap<Uuid, Vec<_>> = HashMap::new();
    for change in changes {
        // Skips changes whose users the purge removed between the two statements.
        if let Some(user) = users.get(&change.user_id) {
            found.entry(change.run_id).or_default().push((change, user.clone()));
        }
    }
    for changes in found.values_mut() {
        changes.sort_by_key(|(change, _)| change.id);
    }
    Ok(found)
}

/// How many users each run changed.
pub async fn change_totals_by_run(
    reader: &Reader,
    runs: &[Uuid],
    kind: Option<user_change::Kind>,
) -> Result<HashMap<Uuid, Total>> {
    db::totals(reader, runs, user_change::Column::RunId, |_| select_changes(kind)).await
}

fn select_changes(kind: Option<user_change::Kind>) -> Select<user_change::Entity> {
    // Changes of deleted users are not reported.
    let mut reported = Query::select();
    reported
        .expr(Expr::value(1))
        .from(Entity)
        .inner_join(
            instance::Entity,
            Expr::col((instance::Entity, instance::Column::Id)).equals((Entity, Column::InstanceId)),
        )
        .and_where(Expr::col((Entity, Column::Id)).equals((user_change::Entity, user_change::Column::UserId)))
        .and_where(
            Expr::col((Entity, Column::Generation)).gt(Expr::col((instance::Entity, instance::Column::PurgeThrough))),
        );
    let mut select = user_change::Entity::find().filter(Expr::exists(reported));
    if let Some(kind) = kind {
        select = select.filter(user_change::Column::Kind.eq(kind));
    }
    select
}

/// Deletes the rows of up to `limit` deleted users of an instance, with their changes. Returns how
/// many there were.
pub async fn remove_batch<C: ConnectionTrait>(conn: &C, instance: Uuid, purge_through: i64, limit: u64) -> Result<u64> {
    let left = Entity::find().select_only().column(Column::Id).filter(Column::Generation.lte(purge_through));
    let ids: Vec<Uuid> = of_instance(left, conn.get_database_backend(), instance, Uuid::nil())
        .limit(limit)
        .into_tuple()
        .all(conn)
        .await?;
    if ids.is_empty() {
        return Ok(0);
    }
    user_change::Entity::delete_many()
        .filter(user_change::Column::UserId.is_in(ids.iter().copied()))
        .exec(conn)
        .await?;
    let removed = Entity::delete_many().filter(Column::Id.is_in(ids)).exec(conn).await?;
    Ok(removed.rows_affected)
}
