//! Pages by key: the next page begins after the last key of the one before, so that
//! deep pages cost as much as the first, and rows that come or go shift nothing.

use sea_orm::sea_query::{Expr, ExprTrait, IntoColumnRef, Order, SelectStatement, SimpleExpr};

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

/// One statement for the pages of several parents: the union of one limited select each.
/// Every part uses the index that the single page would use. The union promises no
/// order, so whoever groups its rows sorts them again.
pub fn union_of_pages(pages: impl IntoIterator<Item = SelectStatement>) -> Option<SelectStatement> {
    use sea_orm::sea_query::{Asterisk, Query, UnionType};
    let mut parts = pages.into_iter().map(|page| Query::select().column(Asterisk).from_subquery(page, "page").take());
    let mut first = parts.next()?;
    for part in parts {
        first.union(UnionType::All, part);
    }
    Some(first)
}
