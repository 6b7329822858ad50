//! Which entries of a walk are of users whom a search finds.

use entity::user::{Column, Entity};
use entity::{instance, user_word};
use sea_orm::sea_query::{Expr, ExprTrait, Func, Query, SelectStatement, SimpleExpr, UnionType};
use sea_orm::{Condition, DbBackend, QuerySelect, QueryTrait, Select, Value};

use super::walk::Walk;
use crate::directory::reported::{of_instance, purging};
use crate::directory::users::Filter;
use crate::directory::words::Term;

/// The entries that a statement looks at.
pub(super) const LOOKED_AT: &str = "entry";
/// What a page needs of an entry.
const SHOWN: [user_word::Column; 4] =
    [user_word::Column::Word, user_word::Column::UserId, user_word::Column::InstanceId, user_word::Column::Words];

/// Those of the first entries that a condition holds for. If they are fewer than `limit`, the last of the first
/// entries follows, from which the walk can go on.
pub(super) fn found_among(
    entries: Select<user_word::Entity>,
    first: u64,
    found: Condition,
    limit: u64,
) -> SelectStatement {
    let of = |entries: Select<user_word::Entity>, is_last: &'static str| {
        Query::select()
            .columns(SHOWN)
            .expr_as(Expr::cust(is_last), "is_last")
            .from_subquery(entries.into_query(), LOOKED_AT)
            .take()
    };
    let last = of(entries.clone().offset(first - 1).limit(1), "TRUE");
    of(entries.limit(first), "FALSE").cond_where(found).union(UnionType::All, last).limit(limit).take()
}

/// The terms that not every entry of a walk finds.
pub(super) fn others<'a>(walk: &'a Walk, filter: &'a Filter) -> impl Iterator<Item = &'a Term> {
    filter.search.iter().filter(|term| term.whole != walk.lead)
}

/// The condition that a user is found by an entry.
pub(super) fn found_in(walk: &Walk, filter: &Filter, backend: DbBackend) -> Condition {
    use user_word::Column as Entry;
    let of = |column: Entry| Expr::col((LOOKED_AT, column));
    let of_user = |column: Column| {
        let own = Expr::col((Entity, Column::Id)).eq(of(Entry::UserId));
        let select = Query::select().column((Entity, column)).from(Entity).and_where(own).take();
        SimpleExpr::SubQuery(None, Box::new(select.into()))
    };
    let purged = of_instance(instance::Column::PurgeThrough, of(Entry::InstanceId));
    let shared = i32::try_from(walk.lead.len()).unwrap_or(i32::MAX);
    let mut all = Condition::all().add(of(Entry::Shared).lt(shared));
    if !filter.include_removed {
        all = all.add(of(Entry::Removed).not());
    }
    if let Some(except) = &walk.except {
        all = all.add(has_word(except, backend).not());
    }
    for term in others(walk, filter) {
        let words = term.words.iter().map(|word| has_word(word, backend)).reduce(ExprTrait::and);
        let whole = has_word(&term.whole, backend);
        all = all.add(match words {
            Some(words) if term.is_compound() => whole.or(words),
            _ => whole,
        });
    }
    all = all.add(of(Entry::InstanceId).not_in_subquery(purging()).or(of_user(Column::Generation).gt(purged)));
    if let Some(statuses) = &filter.statuses {
        all = all.add(of_user(Column::Status).is_in(statuses.iter().map(|status| Value::from(*status))));
    }
    if let Some(keys) = &filter.integration_keys {
        all = all.add(of_instance(instance::Column::IntegrationKey, of(Entry::InstanceId)).is_in(keys));
    }
    all
}

/// The condition that a user has a word that begins with a text.
fn has_word(beginning: &str, backend: DbBackend) -> SimpleExpr {
    let name = if backend == DbBackend::Postgres { "STRPOS" } else { "INSTR" };
    let words = Expr::cust(r#"' ' || "entry"."words""#);
    Expr::expr(Func::cust(name).arg(words).arg(Expr::value(format!(" {beginning}")))).gt(0)
}
