//! Stores a page of a listing: which users are new, which changed, which were only seen again.

use std::collections::{HashMap, HashSet};

use entity::user::{Column, Entity, Model};
use entity::user_change::{self, Kind};
use integration::user::SourceUser;
use sea_orm::sea_query::{Expr, Query};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};
use uuid::Uuid;

use super::bulk::{self, Change};
use super::row;
use crate::error::Result;

/// The instance whose users are stored, and the run that lists them.
#[derive(Clone, Copy, Debug)]
pub struct Scope {
    pub instance_id: Uuid,
    pub run_id: Uuid,
    /// The run's number.
    pub number: i64,
    pub now: i64,
}

/// What a page changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Users that this run had not seen before.
    pub seen: i64,
    pub added: i64,
    pub changed: i64,
    /// Users that this run had seen before. They are counted once, and stored as first seen.
    pub repeated: i64,
}

/// Stores a page.
pub async fn store<C: ConnectionTrait>(conn: &C, scope: &Scope, users: &[SourceUser]) -> Result<Counts> {
    let mut met = HashSet::with_capacity(users.len());
    let once: Vec<_> = users.iter().filter(|user| met.insert(user.external_id.as_str())).collect();
    let repeated = i64::try_from(users.len() - once.len()).unwrap_or(i64::MAX);
    let mut counts = Counts { repeated, ..Counts::default() };
    for chunk in once.chunks(bulk::ROWS) {
        store_chunk(conn, scope, chunk, &mut counts).await?;
    }
    Ok(counts)
}

async fn store_chunk<C: ConnectionTrait>(
    conn: &C,
    scope: &Scope,
    users: &[&SourceUser],
    counts: &mut Counts,
) -> Result<()> {
    let rows = find(conn, scope, users).await?;
    let mut written = Vec::new();
    let mut touched = Vec::new();
    let mut changes = Vec::new();
    for (user, row) in users.iter().zip(rows) {
        let (mut row, is_added) = match row {
            None => (row::new(user, scope), true),
            Some(row) if row.generation == scope.number => {
                counts.repeated += 1;
                continue;
            }
            Some(row) => {
                let was_removed = row.removed_at.is_some();
                (row, was_removed)
            }
        };
        counts.seen += 1;
        let changed = row::update(&mut row, user);
        let fields = row::recorded(&changed);
        if is_added {
            counts.added += 1;
            changes.push(Change { user_id: row.id, kind: Kind::Added, fields: String::new() });
        } else if !fields.is_empty() {
            counts.changed += 1;
            changes.push(Change { user_id: row.id, kind: Kind::Changed, fields });
        } else if changed.is_empty() {
            touched.push(row.id);
            continue;
        }
        row.removed_at = None;
        row.generation = scope.number;
        row.last_seen_at = scope.now;
        written.push(row);
    }
    bulk::write(conn, written).await?;
    bulk::touch(conn, scope, &touched).await?;
    bulk::record(conn, scope.run_id, &changes).await
}

/// The row of each user, `None` for a user that is new.
async fn find<C: ConnectionTrait>(conn: &C, scope: &Scope, users: &[&SourceUser]) -> Result<Vec<Option<Model>>> {
    let ids: Vec<&str> = users.iter().map(|user| user.external_id.as_str()).collect();
    let positions: HashMap<&str, usize> = ids.iter().enumerate().map(|(position, id)| (*id, position)).collect();
    let mut rows = vec![None; users.len()];
    for row in bulk::find(conn, scope.instance_id, &ids).await? {
        if let Some(position) = positions.get(row.external_id.as_str()) {
            rows[*position] = Some(row);
        }
    }
    Ok(rows)
}

/// How many users are not on the complete list.
pub async fn count_unseen<C: ConnectionTrait>(conn: &C, scope: &Scope) -> Result<i64> {
    use sea_orm::PaginatorTrait;
    let unseen = Entity::find()
        .filter(Column::InstanceId.eq(scope.instance_id))
        .filter(Column::RemovedAt.is_null())
        .filter(Column::Generation.lt(scope.number))
        .count(conn)
        .await?;
    Ok(i64::try_from(unseen).unwrap_or(i64::MAX))
}

/// Marks the users that are not on the complete list as removed, and returns how many there are.
pub async fn remove_unseen<C: ConnectionTrait>(conn: &C, scope: &Scope) -> Result<i64> {
    let unseen = sea_orm::Condition::all()
        .add(Column::InstanceId.eq(scope.instance_id))
        .add(Column::RemovedAt.is_null())
        .add(Column::Generation.lt(scope.number));
    let mut removals = Query::select();
    removals
        .expr(Expr::value(scope.run_id))
        .column(Column::Id)
        .expr(Expr::value(Kind::Removed))
        .expr(Expr::value(""))
        .from(Entity)
        .cond_where(unseen.clone());
    let mut insert = Query::insert();
    insert.into_table(user_change::Entity).columns([
        user_change::Column::RunId,
        user_change::Column::UserId,
        user_change::Column::Kind,
        user_change::Column::Fields,
    ]);
    insert.select_from(removals).map_err(|error| crate::error::Error::internal("the removal", error))?;
    conn.execute(&insert).await?;
    let removed =
        Entity::update_many().col_expr(Column::RemovedAt, Expr::value(scope.now)).filter(unseen).exec(conn).await?;
    Ok(i64::try_from(removed.rows_affected).unwrap_or(i64::MAX))
}
