//! The users of an instance in the order of their names.
//!
//! An index has this order for each instance, and a smaller one for each status that few users have. Upper and lower
//! case of the letters from A to Z are the same; otherwise names are compared byte by byte. Users without a name come
//! last, in either direction. They are a statement of their own, because databases differ in where they put null.

use std::collections::HashMap;
use std::sync::Arc;

use entity::user::{Column, Entity};
use sea_orm::sea_query::extension::postgres::PgFunc;
use sea_orm::sea_query::{Expr, ExprTrait, Order, SelectStatement, SimpleExpr};
use sea_orm::{ConnectionTrait, DbBackend, IdenStatic, QueryFilter, QueryOrder, QuerySelect, QueryTrait};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::reported::{Reported, shown, shown_columns};
use super::users::{self, ByName, Filter, Found, Page};
use crate::db::{Columns, Reader, keyset};
use crate::error::Result;

/// A place in the order of names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// As [`key`] makes it; `None` among the users without a name.
    name: Option<String>,
    id: Uuid,
}

/// The form in which names are compared, as the index has it.
fn key(name: &str) -> String {
    name.to_ascii_lowercase()
}

/// The same of the column.
fn key_column(backend: DbBackend) -> SimpleExpr {
    Expr::cust(match backend {
        DbBackend::Postgres => r#"lower("user_account"."display_name" COLLATE "C")"#,
        _ => r#"lower("user_account"."display_name")"#,
    })
}

impl Position {
    fn of(user: &Reported) -> Self {
        Self { name: user.display_name.as_deref().map(key), id: user.id }
    }
}

/// A list in this order.
pub(super) struct Names<'a> {
    pub(super) filter: &'a Filter,
    pub(super) order: ByName,
    pub(super) after: Option<Position>,
    pub(super) limit: u64,
}

impl Names<'_> {
    /// A page for each of several instances, in one statement.
    pub(super) async fn pages(
        &self,
        reader: &Reader,
        instances: &[Uuid],
        columns: Columns,
    ) -> Result<HashMap<Uuid, Page>> {
        // The order is that of the names, also if they are not shown.
        let name = shown_columns().position(|column| column.as_str() == Column::DisplayName.as_str());
        let columns = name.map_or(columns, |name| columns.with(name));
        let backend = reader.get_database_backend();
        let pages = instances.iter().flat_map(|id| self.selects(*id, columns, backend)).collect();
        let found = keyset::pages(reader, pages, columns, |user: &Reported| user.instance_id).await?;
        Ok(found.into_iter().map(|(instance, users)| (instance, self.page(users))).collect())
    }

    /// The users with a name, and then those without. Each is a statement for each status that few users have, or one
    /// for all.
    fn selects(&self, instance: Uuid, columns: Columns, backend: DbBackend) -> Vec<SelectStatement> {
        let mut selects = Vec::new();
        for filter in users::each_of_few(self.filter) {
            let select = |place: SimpleExpr| {
                let order = if self.order.descending { Order::Desc } else { Order::Asc };
                let of_instance = Expr::col((Entity, Column::InstanceId));
                let own = match backend {
                    DbBackend::Postgres => of_instance.eq(PgFunc::any(Expr::value(vec![instance]))),
                    _ => of_instance.eq(instance),
                };
                let select = filter.select_of(instance).filter(own).filter(place);
                let select = select.order_by(Column::InstanceId, order.clone());
                let select = select.order_by(key_column(backend), order.clone()).order_by(Column::Id, order);
                shown(select.limit(self.limit), columns).into_query()
            };
            let (name, id) = (key_column(backend), Expr::col((Entity, Column::Id)));
            let later = |column: SimpleExpr, than: SimpleExpr| {
                if self.order.descending { column.lt(than) } else { column.gt(than) }
            };
            match &self.after {
                None => selects.push(select(name.clone().is_not_null())),
                Some(Position { name: Some(known), id: last }) => {
                    let known = || Expr::value(known.as_str());
                    let from =
                        if self.order.descending { name.clone().lte(known()) } else { name.clone().gte(known()) };
                    let after = later(name.clone(), known()).or(later(id.clone(), Expr::value(*last)));
                    selects.push(select(from.and(after)));
                }
                Some(Position { name: None, .. }) => {}
            }
            let nameless = name.is_null();
            selects.push(select(match &self.after {
                Some(Position { name: None, id: last }) => nameless.and(later(id, Expr::value(*last))),
                _ => nameless,
            }));
        }
        selects
    }

    /// The first users of what the statements have found.
    fn page(&self, users: Vec<Arc<Reported>>) -> Page {
        let mut users: Vec<(Position, Arc<Reported>)> =
            users.into_iter().map(|user| (Position::of(&user), user)).collect();
        users.sort_by(|(a, _), (b, _)| {
            let order = (&a.name, a.id).cmp(&(&b.name, b.id));
            let order = if self.order.descending { order.reverse() } else { order };
            a.name.is_none().cmp(&b.name.is_none()).then(order)
        });
        users.truncate(usize::try_from(self.limit).unwrap_or(usize::MAX));
        let found = |(position, user)| Found { user, position: users::Position::Name(position) };
        Page { users: users.into_iter().map(found).collect(), rest: None }
    }
}
