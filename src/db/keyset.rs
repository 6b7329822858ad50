//! Pages by key: the next page begins after the last key of the one before, so that
//! deep pages cost as much as the first, and rows that come or go shift nothing.

use std::collections::HashMap;
use std::hash::Hash;

use sea_orm::sea_query::{Asterisk, Expr, ExprTrait, IntoColumnRef, Order, Query, SimpleExpr, UnionType};
use sea_orm::{ConnectionTrait, EntityTrait, QueryTrait, Select};

use crate::error::Result;

/// How many selects one union holds at most: SQLite takes 500.
const PARTS: usize = 400;

/// The condition for rows after `(key, id)` in the order of both.
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

/// The pages of several parents, by parent, in one statement (for every 400 parents): the union of one limited
/// select each. Every part uses the index that the single page would use. The union
/// promises no order, so whoever asks sorts the rows again.
pub async fn pages<C: ConnectionTrait, E: EntityTrait, K: Eq + Hash>(
    conn: &C,
    pages: Vec<Select<E>>,
    parent: impl Fn(&E::Model) -> K,
) -> Result<HashMap<K, Vec<E::Model>>> {
    let mut found: HashMap<K, Vec<E::Model>> = HashMap::new();
    let mut pages = pages.into_iter().peekable();
    while pages.peek().is_some() {
        let mut parts = pages.by_ref().take(PARTS).map(|mut page| {
            let page = QueryTrait::query(&mut page).take();
            Query::select().column(Asterisk).from_subquery(page, "page").take()
        });
        let Some(mut union) = parts.next() else { break };
        for part in parts {
            union.union(UnionType::All, part);
        }
        let statement = conn.get_database_backend().build(&union);
        for row in E::find().from_raw_sql(statement).all(conn).await? {
            found.entry(parent(&row)).or_default().push(row);
        }
    }
    Ok(found)
}
