//! Keyset pagination: a page begins after the last key of the page before. Deep pages cost as much as the first,
//! and rows that are added or removed do not shift the others.

use std::collections::HashMap;
use std::hash::Hash;

use sea_orm::sea_query::extension::postgres::PgFunc;
use sea_orm::sea_query::{
    Asterisk, Expr, ExprTrait, IntoColumnRef, Order, Query, SelectStatement, SimpleExpr, UnionType, Value, ValueType,
};
use sea_orm::{ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QueryOrder, QueryTrait, Select};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::conn::Reader;
use super::{Columns, Shape};
use crate::error::Result;

/// How many selects are joined in one union. SQLite allows 500.
const PARTS: usize = 400;

/// The condition for rows after `(key_value, id_value)`, ordered by key and then id.
pub fn after<K: IntoColumnRef, I: IntoColumnRef>(
    key: K,
    id: I,
    order: &Order,
    key_value: impl Into<SimpleExpr>,
    id_value: impl Into<SimpleExpr>,
) -> SimpleExpr {
    let (key, id, key_value) = (Expr::col(key), Expr::col(id), key_value.into());
    match order {
        Order::Desc => key.clone().lt(key_value.clone()).or(key.eq(key_value).and(id.lt(id_value.into()))),
        _ => key.clone().gt(key_value.clone()).or(key.eq(key_value).and(id.gt(id_value.into()))),
    }
}

/// Values as one parameter of PostgreSQL.
pub fn array<T: ValueType + Into<Value>>(values: impl IntoIterator<Item = T>) -> Value {
    Value::Array(T::array_type(), Some(Box::new(values.into_iter().map(Into::into).collect())))
}

/// The condition that a column has one of these ids. On PostgreSQL they are one parameter, so that the text is the same
/// for any number of them.
pub fn among(column: impl IntoColumnRef, ids: &[Uuid], backend: DbBackend) -> SimpleExpr {
    let column = Expr::col(column);
    match backend {
        DbBackend::Postgres => column.eq(PgFunc::any(Expr::value(ids.to_vec()))),
        _ => column.is_in(ids.iter().copied()),
    }
}

/// The condition that a column has one of these texts. On PostgreSQL they are one parameter, too.
pub fn among_texts(column: impl IntoColumnRef, values: &[String], backend: DbBackend) -> SimpleExpr {
    let column = Expr::col(column);
    match backend {
        DbBackend::Postgres => column.eq(PgFunc::any(Expr::value(values.to_vec()))),
        _ => column.is_in(values.iter().cloned()),
    }
}

/// The rows with these ids, in no order.
pub async fn by_ids<E: EntityTrait, T: DeserializeOwned + Send + 'static>(
    reader: &Reader,
    id: E::Column,
    ids: &[Uuid],
    columns: Columns,
) -> Result<Vec<T>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let backend = reader.get_database_backend();
    let (size, values) = match backend {
        DbBackend::Postgres => (1, vec![ids.to_vec().into()]),
        _ => (ids.len(), ids.iter().map(|id| (*id).into()).collect()),
    };
    let select = || columns.of(E::find().filter(among((E::default(), id), ids, backend))).into_query();
    reader.rows_alike(Shape { name: E::default().table_name(), size }, columns, values, select).await
}

/// The rows of one parent, in the order of `key`, which only the index of the parent provides. With an equality, the
/// parent would be no part of the order, and PostgreSQL might read all rows in the order of `key`, because it assumes
/// that those of a parent are spread evenly.
pub fn of_parent<E: EntityTrait>(
    select: Select<E>,
    (parent, id): (E::Column, Uuid),
    key: E::Column,
    order: Order,
    backend: DbBackend,
) -> Select<E> {
    let column = Expr::col((E::default(), parent));
    let own = match backend {
        DbBackend::Postgres => column.eq(PgFunc::any(Expr::value(vec![id]))),
        _ => column.eq(id),
    };
    select.filter(own).order_by(parent, order.clone()).order_by(key, order)
}

/// One page for each of several parents, in one statement per 400 parents: a union of limited selects, each of which
/// uses the index of a single page, and selects these columns. A union has no guaranteed order, so the caller sorts the rows.
pub async fn pages<T, R, K>(
    reader: &Reader,
    pages: Vec<SelectStatement>,
    columns: Columns,
    parent: impl Fn(&T) -> K,
) -> Result<HashMap<K, Vec<R>>>
where
    T: DeserializeOwned + Send + 'static,
    R: From<T>,
    K: Eq + Hash,
{
    let mut found: HashMap<K, Vec<R>> = HashMap::new();
    let mut pages = pages.into_iter().peekable();
    while pages.peek().is_some() {
        let mut parts = pages.by_ref().take(PARTS).peekable();
        let Some(first) = parts.next() else { break };
        let statement = if parts.peek().is_none() {
            first
        } else {
            let part = |page| Query::select().column(Asterisk).from_subquery(page, "page").take();
            let mut union = part(first);
            for page in parts {
                union.union(UnionType::All, part(page));
            }
            union
        };
        for row in reader.rows_with(statement, columns).await? {
            found.entry(parent(&row)).or_default().push(row.into());
        }
    }
    Ok(found)
}
