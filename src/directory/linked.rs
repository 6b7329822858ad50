//! The accounts of people, and whose accounts are. The noun `people` decides that.

use std::collections::HashMap;

use entity::{account_link, user};
use sea_orm::sea_query::extension::postgres::PgFunc;
use sea_orm::sea_query::{Expr, ExprTrait, Order, Query, SelectStatement, SimpleExpr};
use sea_orm::{ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QuerySelect, QueryTrait};
use serde::Deserialize;
use uuid::Uuid;

use super::reported::{Reported, shown};
use super::users::Filter;
use crate::auth::Seen;
use crate::db::{self, Columns, Reader, Total, keyset};
use crate::error::Result;

/// Which accounts of a person are shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    pub include_removed: bool,
    /// What the caller sees.
    pub seen: Seen,
}

impl Shown {
    fn filter(&self) -> Filter {
        Filter { include_removed: self.include_removed, seen: self.seen.clone(), ..Filter::default() }
    }
}

/// The condition that the person in a column has an account that is not deleted.
pub fn has_account(person: SimpleExpr) -> SimpleExpr {
    let everybody = Filter { include_removed: true, ..Filter::default() };
    let own = Expr::col((user::Entity, user::Column::Id)).equals((account_link::Entity, account_link::Column::UserId));
    let mut account = everybody.select().select_only().filter(own).into_query();
    account.expr(Expr::value(1));
    let mut links = Query::select();
    links
        .expr(Expr::value(1))
        .from(account_link::Entity)
        .and_where(Expr::col((account_link::Entity, account_link::Column::PersonId)).eq(person))
        .and_where(Expr::exists(account));
    Expr::exists(links)
}

/// A page of the accounts of each of several people, in the order in which they were first seen.
pub async fn pages(
    reader: &Reader,
    people: &[Uuid],
    which: &Shown,
    after: Option<Uuid>,
    limit: u64,
) -> Result<HashMap<Uuid, Vec<Reported>>> {
    use account_link::{Column, Entity};
    let backend = reader.get_database_backend();
    let links = people.iter().map(|person| -> SelectStatement {
        let column = Expr::col((Entity, Column::PersonId));
        let own = match backend {
            DbBackend::Postgres => column.eq(PgFunc::any(Expr::value(vec![*person]))),
            _ => column.eq(*person),
        };
        let account = Expr::col((user::Entity, user::Column::Id)).equals((Entity, Column::UserId));
        let account = which.filter().select().select_only().expr(Expr::value(1)).filter(account).into_query();
        let mut select = Query::select();
        select
            .columns([(Entity, Column::PersonId), (Entity, Column::UserId)])
            .from(Entity)
            .and_where(own)
            .and_where(Expr::col((Entity, Column::UserId)).gt(after.unwrap_or_default()))
            .and_where(Expr::exists(account))
            .order_by((Entity, Column::PersonId), Order::Asc)
            .order_by((Entity, Column::UserId), Order::Asc)
            .limit(limit);
        select
    });
    let links = keyset::pages(reader, links.collect(), Columns::ALL, |(person, _): &(Uuid, Uuid)| *person).await?;
    let links: Vec<(Uuid, Uuid)> = links.into_values().flatten().collect();
    let ids: Vec<Uuid> = links.iter().map(|(_, user)| *user).collect();
    let own = keyset::among((user::Entity, user::Column::Id), &ids, backend);
    let rows: Vec<Reported> = reader.rows(shown(user::Entity::find().filter(own), Columns::ALL).into_query()).await?;
    let rows: HashMap<Uuid, Reported> = rows.into_iter().map(|row| (row.id, row)).collect();
    let mut found: HashMap<Uuid, Vec<Reported>> = HashMap::new();
    for (person, user) in links {
        // Skips accounts that the purge removed between the two statements.
        if let Some(row) = rows.get(&user) {
            found.entry(person).or_default().push(row.clone());
        }
    }
    for rows in found.values_mut() {
        rows.sort_by_key(|row| row.id);
    }
    Ok(found)
}

/// How many accounts each of several people has.
pub async fn totals(reader: &Reader, people: &[Uuid], which: &Shown) -> Result<HashMap<Uuid, Total>> {
    use account_link::{Column, Entity};
    let links = |_| {
        let account = Expr::col((user::Entity, user::Column::Id)).equals((Entity, Column::UserId));
        let account = which.filter().select().select_only().expr(Expr::value(1)).filter(account).into_query();
        Entity::find().filter(Expr::exists(account))
    };
    db::totals(reader, people, Column::PersonId, links).await
}

/// Whose an account is, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Link {
    pub user_id: Uuid,
    pub person_id: Option<Uuid>,
    pub rule: Option<account_link::Rule>,
    pub state: account_link::State,
    pub evidence: Option<String>,
    pub kind: Option<user::AccountKind>,
}

/// Whose accounts are. One that was not looked at yet is left out.
pub async fn links(reader: &Reader, users: &[Uuid]) -> Result<HashMap<Uuid, Link>> {
    use account_link::{Column, Entity};
    let own = keyset::among((Entity, Column::UserId), users, reader.get_database_backend());
    let links = Entity::find()
        .select_only()
        .columns([Column::UserId, Column::PersonId, Column::Rule, Column::State, Column::Evidence, Column::Kind])
        .filter(own)
        .into_query();
    let links: Vec<Link> = reader.rows(links).await?;
    Ok(links.into_iter().map(|link| (link.user_id, link)).collect())
}
