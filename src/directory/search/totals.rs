//! How many users a search finds.

use std::collections::{HashMap, VecDeque};

use entity::user::{Column, Entity};
use entity::{instance, user_word};
use sea_orm::sea_query::{Asterisk, Expr, ExprTrait, Func, Query, SelectStatement, SimpleExpr};
use sea_orm::{Condition, ConnectionTrait, DbBackend, QuerySelect, QueryTrait, Value};
use uuid::Uuid;

use super::walk::Walk;
use super::walks;
use crate::db::{MOST_COUNTED, Reader, Total};
use crate::directory::users::{Filter, of_instance, purging};
use crate::directory::words::Term;
use crate::error::Result;

/// How many entries a total looks at.
const LOOKED_AT: i64 = 2 * MOST_COUNTED;
/// What SQLite's indexes have of an entry.
const IN_INDEX: [user_word::Column; 4] =
    [user_word::Column::UserId, user_word::Column::InstanceId, user_word::Column::Shared, user_word::Column::Removed];

/// How many users are found in all instances, or in the one of the filter.
pub(in crate::directory) async fn total(reader: &Reader, filter: &Filter) -> Result<Total> {
    let walks = walks(reader, filter).await?;
    total_of(reader, filter, filter.instance_id, &walks).await
}

/// How many users are found in each of several instances.
pub(in crate::directory) async fn totals(
    reader: &Reader,
    instances: &[Uuid],
    filter: &Filter,
) -> Result<HashMap<Uuid, Total>> {
    let walks = walks(reader, filter).await?;
    let mut totals = HashMap::with_capacity(instances.len());
    for id in instances {
        totals.insert(*id, total_of(reader, filter, Some(*id), &walks).await?);
    }
    Ok(totals)
}

async fn total_of(reader: &Reader, filter: &Filter, instance: Option<Uuid>, walks: &VecDeque<Walk>) -> Result<Total> {
    let backend = reader.get_database_backend();
    let (mut rows, mut is_exact) = (0, true);
    for walk in walks {
        let looked = LOOKED_AT.unsigned_abs() + 1;
        let mut entries = walk.entries(instance, backend).select_only().columns(IN_INDEX);
        if others(walk, filter).next().is_some() {
            entries = entries.column(user_word::Column::Words);
        }
        let mut entries = entries.limit(looked).into_query();
        let found = Query::select()
            .expr_as(Expr::cust("1"), "one")
            .from_subquery(entries.clone(), "user_word")
            .cond_where(found_in(walk, filter, backend))
            .limit(MOST_COUNTED.unsigned_abs() + 1)
            .take();
        rows += count(reader, found).await?;
        if rows > MOST_COUNTED {
            break;
        }
        entries.clear_selects().expr_as(Expr::cust("1"), "one");
        is_exact &= count(reader, entries).await? <= LOOKED_AT;
    }
    let total = Total::counted(rows);
    Ok(Total { is_exact: is_exact && total.is_exact, ..total })
}

async fn count(reader: &Reader, rows: SelectStatement) -> Result<i64> {
    let count = Query::select().expr_as(Expr::col(Asterisk).count(), "rows").from_subquery(rows, "counted").take();
    let counted: Option<(i64,)> = reader.row(count).await?;
    Ok(counted.map_or(0, |(rows,)| rows))
}

/// The terms that not every entry of a walk finds.
fn others<'a>(walk: &'a Walk, filter: &'a Filter) -> impl Iterator<Item = &'a Term> {
    filter.search.iter().filter(|term| term.whole != walk.lead)
}

/// The condition that a user is found by an entry, as [`Walk::finds`] and [`super::page`] decide it.
fn found_in(walk: &Walk, filter: &Filter, backend: DbBackend) -> Condition {
    use user_word::Column as Entry;
    let of = |column: Entry| Expr::col((user_word::Entity, column));
    let of_user = |column: Column| {
        let own = Expr::col((Entity, Column::Id)).eq(of(Entry::UserId));
        let select = Query::select().column((Entity, column)).from(Entity).and_where(own).take();
        SimpleExpr::SubQuery(None, Box::new(select.into()))
    };
    let purged = of_instance(instance::Column::PurgeThrough, of(Entry::InstanceId));
    let shared = i32::try_from(walk.lead.len()).unwrap_or(i32::MAX);
    let mut all = Condition::all()
        .add(of(Entry::Shared).lt(shared))
        .add(of(Entry::InstanceId).not_in_subquery(purging()).or(of_user(Column::Generation).gt(purged)));
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
    let words = Expr::cust(r#"' ' || "user_word"."words""#);
    Expr::expr(Func::cust(name).arg(words).arg(Expr::value(format!(" {beginning}")))).gt(0)
}
