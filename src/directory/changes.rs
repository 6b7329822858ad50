//! Queries for what runs changed about users.

use std::collections::HashMap;

use entity::{instance, user, user_change};
use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, Order, QueryFilter, QuerySelect, QueryTrait, Select};
use uuid::Uuid;

use super::reported::{Reported, shown};
use crate::db::{self, Columns, Reader, Total, keyset};
use crate::error::Result;

/// A page of changes with their users for each of several runs, in two statements.
pub async fn pages_by_run(
    reader: &Reader,
    runs: &[Uuid],
    kind: Option<user_change::Kind>,
    after: Option<i64>,
    limit: u64,
) -> Result<HashMap<Uuid, Vec<(user_change::Model, Reported)>>> {
    use user_change::Column;
    let backend = reader.get_database_backend();
    let pages = runs.iter().map(|run| {
        let mut select = select(kind);
        if let Some(after) = after {
            select = select.filter(Column::Id.gt(after));
        }
        let own = keyset::of_parent(select, (Column::RunId, *run), Column::Id, Order::Asc, backend);
        own.limit(limit).into_query()
    });
    let changes: HashMap<Uuid, Vec<user_change::Model>> =
        keyset::pages(reader, pages.collect(), Columns::ALL, |change: &user_change::Model| change.run_id).await?;
    let changes: Vec<_> = changes.into_values().flatten().collect();
    let ids: Vec<Uuid> = changes.iter().map(|change| change.user_id).collect();
    let own = keyset::among((user::Entity, user::Column::Id), &ids, backend);
    let users: Vec<Reported> = reader.rows(shown(user::Entity::find().filter(own), Columns::ALL).into_query()).await?;
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
pub async fn totals_by_run(
    reader: &Reader,
    runs: &[Uuid],
    kind: Option<user_change::Kind>,
) -> Result<HashMap<Uuid, Total>> {
    db::totals(reader, runs, user_change::Column::RunId, |_| select(kind)).await
}

fn select(kind: Option<user_change::Kind>) -> Select<user_change::Entity> {
    // Changes of deleted users are not reported.
    let own = Expr::col((user::Entity, user::Column::Id)).equals((user_change::Entity, user_change::Column::UserId));
    let of = Expr::col((instance::Entity, instance::Column::Id)).equals((user::Entity, user::Column::InstanceId));
    let purged = Expr::col((instance::Entity, instance::Column::PurgeThrough));
    let mut reported = Query::select();
    reported
        .expr(Expr::value(1))
        .from(user::Entity)
        .inner_join(instance::Entity, of)
        .and_where(own)
        .and_where(Expr::col((user::Entity, user::Column::Generation)).gt(purged));
    let mut select = user_change::Entity::find().filter(Expr::exists(reported));
    if let Some(kind) = kind {
        select = select.filter(user_change::Column::Kind.eq(kind));
    }
    select
}
