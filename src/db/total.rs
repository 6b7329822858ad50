//! How many rows a list has. Rows are counted up to a limit, so that a count never costs more than a few pages.

use std::collections::HashMap;
use std::hash::Hash;

use sea_orm::sea_query::{
    Asterisk, Expr, ExprTrait, Func, Query, SelectStatement, SimpleExpr, UnionType, Value, ValueType,
};
use sea_orm::{ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QuerySelect, QueryTrait, Select};
use serde::de::DeserializeOwned;

use super::conn::Reader;
use super::keyset::array;
use crate::error::Result;

/// The number at which counting stops.
pub const MOST_COUNTED: i64 = 10_000;

/// A number of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Total {
    pub rows: i64,
    /// False if there are more rows than that.
    pub is_exact: bool,
}

impl Total {
    /// A number that need not be counted.
    pub fn exact(rows: i64) -> Self {
        Self { rows, is_exact: true }
    }

    /// The number of the elements of a collection.
    pub fn of(len: usize) -> Self {
        Self::exact(len.try_into().unwrap_or(i64::MAX))
    }

    /// A number of rows of which at most one beyond the limit was counted.
    pub fn counted(rows: i64) -> Self {
        let is_exact = rows <= MOST_COUNTED;
        Self { rows: if is_exact { rows } else { MOST_COUNTED }, is_exact }
    }
}

/// How many rows there are.
pub async fn total<E: EntityTrait>(reader: &Reader, rows: Select<E>) -> Result<Total> {
    total_of_parts(reader, [rows]).await
}

/// How many rows all parts of a list have.
pub async fn total_of_parts<E: EntityTrait, const N: usize>(reader: &Reader, parts: [Select<E>; N]) -> Result<Total> {
    let counted: Option<(i64,)> = reader.row(count(parts)).await?;
    Ok(Total::counted(counted.map_or(0, |(rows,)| rows)))
}

/// How many of the rows each of several parents has, in one statement.
pub async fn totals<E, K>(
    reader: &Reader,
    parents: &[K],
    parent: E::Column,
    rows: impl FnOnce(SimpleExpr) -> Select<E>,
) -> Result<HashMap<K, Total>>
where
    E: EntityTrait,
    K: ValueType + Into<Value> + Clone + DeserializeOwned + Eq + Hash + Send + 'static,
{
    if parents.is_empty() {
        return Ok(HashMap::new());
    }
    let mut select = Query::select();
    // The databases name the column of the list.
    let key = if reader.get_database_backend() == DbBackend::Postgres {
        let values = array(parents.iter().cloned());
        select.from_function(Func::cust("UNNEST").arg(Expr::value(values)), "parent");
        Expr::col(("parent", "parent"))
    } else {
        select.from_values(parents.iter().cloned(), "parent");
        Expr::col(("parent", "column1"))
    };
    let own = rows(key.clone()).filter(Expr::col((E::default(), parent)).eq(key.clone()));
    select.expr_as(key, "parent").expr_as(SimpleExpr::SubQuery(None, Box::new(count([own]).into())), "rows");
    let totals: Vec<(K, i64)> = reader.rows(select).await?;
    Ok(totals.into_iter().map(|(key, rows)| (key, Total::counted(rows))).collect())
}

fn count<E: EntityTrait, const N: usize>(parts: [Select<E>; N]) -> SelectStatement {
    let limit = MOST_COUNTED.unsigned_abs() + 1;
    let mut parts = parts.into_iter().map(|rows| rows.select_only().expr_as(Expr::cust("1"), "one").into_query());
    let mut rows = parts.next().unwrap_or_default();
    for part in parts {
        rows.union(UnionType::All, part);
    }
    rows.limit(limit);
    Query::select().expr_as(Expr::col(Asterisk).count(), "rows").from_subquery(rows, "counted").take()
}
