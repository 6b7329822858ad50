//! Users as they were.

use std::collections::HashMap;
use std::sync::Arc;

use entity::installation;
use entity::user_change::{Column, Entity, Model};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::reported::Reported;
use super::users::{self, Filter, Found, Page, Position};
use crate::db::{Columns, Reader, Tx, keyset};
use crate::error::Result;

/// How many users a page looks at, about, and how many of them together.
const BUDGET: usize = 1_000;
const TOGETHER: u64 = 200;
/// How many changes are taken back together, about.
const CHANGES: usize = 5_000;

/// A user, or its row, before changes: the last one first. `None` if there was no such user.
///
/// Changes that have no time ([`Model::at`]) are older than the history and cannot be taken back. What is not recorded is
/// kept as it is, except for the last activity, which is not known of the past.
pub fn before<'a, R>(row: R, changes: impl IntoIterator<Item = &'a Model>) -> Result<Option<R>>
where
    R: Serialize + DeserializeOwned,
{
    let mut values = serde_json::to_value(row)?;
    if let Some(values) = values.as_object_mut() {
        values.insert("last_active_at".into(), Value::Null);
        for change in changes {
            if change.old_values.is_empty() {
                return Ok(None);
            }
            values.extend(serde_json::from_str::<Map<String, Value>>(&change.old_values)?);
        }
    }
    Ok(Some(serde_json::from_value(values)?))
}

/// The time since which the history is whole, in Unix milliseconds.
pub async fn begins<C: ConnectionTrait>(conn: &C) -> Result<i64> {
    let row = installation::Entity::find_by_id(installation::ID).one(conn).await?;
    Ok(row.map_or(i64::MAX, |row| row.history_since))
}

/// Notes that a part of the history before this time is removed.
pub(super) async fn cut(tx: &Tx, before: i64) -> Result<()> {
    use installation::Column::{HistorySince, Id};
    let later = Id.eq(installation::ID).and(HistorySince.lt(before));
    installation::Entity::update_many()
        .col_expr(HistorySince, Expr::value(before))
        .filter(later)
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// One page of the users as they were at a time, in the order in which they were first seen. A search is no part of the
/// filter. The page may be short, or even empty, and says where to go on.
pub async fn page(reader: &Reader, at: i64, filter: &Filter, after: Option<Position>, limit: usize) -> Result<Page> {
    let everybody = Filter { statuses: None, include_removed: true, ..filter.clone() };
    let mut place = match after {
        Some(Position::Id(id)) => id,
        _ => Uuid::nil(),
    };
    let (mut page, mut looked) = (Page::default(), 0);
    while looked < BUDGET {
        let after = Some(Position::Id(place));
        let users = users::page(reader, &everybody, Columns::ALL, after, TOGETHER).await?.users;
        let is_last = (users.len() as u64) < TOGETHER;
        let users: Vec<Reported> = users.into_iter().map(|found| Arc::unwrap_or_clone(found.user)).collect();
        // Read after the users. A change that comes in between is taken back, and does not matter.
        let later = Later::read(reader, at, &users).await?;
        for user in users {
            if later.whole_through.is_some_and(|last| user.id > last) {
                page.rest = Some(Position::Id(place));
                return Ok(page);
            }
            (place, looked) = (user.id, looked + 1);
            let then = if user.first_seen_at > at { None } else { before(user, later.of(place))? };
            let Some(user) = then.filter(|user| is_in(filter, user)) else { continue };
            page.users.push(Found { position: Position::Id(place), user: Arc::new(user) });
            if page.users.len() == limit {
                return Ok(page);
            }
        }
        if is_last {
            return Ok(page);
        }
    }
    page.rest = Some(Position::Id(place));
    Ok(page)
}

/// Whether the filter matches what the user was. Its instance is the same at any time.
fn is_in(filter: &Filter, user: &Reported) -> bool {
    let is_asked = filter.statuses.as_ref().is_none_or(|statuses| statuses.contains(&user.status));
    is_asked && (filter.include_removed || user.removed_at.is_none())
}

/// The changes of some users after a time.
struct Later {
    changes: HashMap<Uuid, Vec<Model>>,
    /// The last user of whom all are here, if there are too many for all users.
    whole_through: Option<Uuid>,
}

impl Later {
    async fn read(reader: &Reader, at: i64, users: &[Reported]) -> Result<Self> {
        let ids: Vec<Uuid> = users.iter().filter(|user| user.first_seen_at <= at).map(|user| user.id).collect();
        let mut later = Self { changes: HashMap::new(), whole_through: None };
        if ids.is_empty() {
            return Ok(later);
        }
        let own = keyset::among((Entity, Column::UserId), &ids, reader.get_database_backend());
        let select = Entity::find().filter(own).filter(Column::At.gt(at));
        let select = select.order_by_asc(Column::UserId).order_by_asc(Column::Id).limit(CHANGES as u64);
        let mut found: Vec<Model> = reader.rows(select.into_query()).await?;
        if found.len() == CHANGES
            && let Some(last) = found.last().map(|change| change.user_id)
        {
            found.retain(|change| change.user_id != last);
            let rest = Entity::find().filter(Column::UserId.eq(last)).filter(Column::At.gt(at));
            found.extend(reader.rows::<Model>(rest.order_by_asc(Column::Id).into_query()).await?);
            later.whole_through = Some(last);
        }
        for change in found {
            later.changes.entry(change.user_id).or_default().push(change);
        }
        Ok(later)
    }

    /// Those of a user, the last one first.
    fn of(&self, user: Uuid) -> impl Iterator<Item = &Model> {
        self.changes.get(&user).into_iter().flatten().rev()
    }
}
