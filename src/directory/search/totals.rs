//! How many users a search finds.

use std::collections::{HashMap, VecDeque};

use entity::user_word;
use sea_orm::sea_query::{Asterisk, Expr, ExprTrait, Query, SelectStatement};
use sea_orm::{ConnectionTrait, QuerySelect, QueryTrait};
use uuid::Uuid;

use super::found::{LOOKED_AT, found_in, others};
use super::walk::Walk;
use super::walks;
use crate::db::{MOST_COUNTED, Reader, Total};
use crate::directory::users::Filter;
use crate::error::Result;

/// How many entries a total looks at.
const MOST_LOOKED_AT: i64 = 2 * MOST_COUNTED;
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
        let looked = MOST_LOOKED_AT.unsigned_abs() + 1;
        let mut entries = walk.entries(instance, backend).select_only().columns(IN_INDEX);
        if others(walk, filter).next().is_some() {
            entries = entries.column(user_word::Column::Words);
        }
        let mut entries = entries.limit(looked).into_query();
        let found = Query::select()
            .expr_as(Expr::cust("1"), "one")
            .from_subquery(entries.clone(), LOOKED_AT)
            .cond_where(found_in(walk, filter, backend))
            .limit(MOST_COUNTED.unsigned_abs() + 1)
            .take();
        rows += count(reader, found).await?;
        if rows > MOST_COUNTED {
            break;
        }
        entries.clear_selects().expr_as(Expr::cust("1"), "one");
        is_exact &= count(reader, entries).await? <= MOST_LOOKED_AT;
    }
    let total = Total::counted(rows);
    Ok(Total { is_exact: is_exact && total.is_exact, ..total })
}

async fn count(reader: &Reader, rows: SelectStatement) -> Result<i64> {
    let count = Query::select().expr_as(Expr::col(Asterisk).count(), "rows").from_subquery(rows, "counted").take();
    let counted: Option<(i64,)> = reader.row(count).await?;
    Ok(counted.map_or(0, |(rows,)| rows))
}
