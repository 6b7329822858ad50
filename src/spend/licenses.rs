//! The list of licences: those that somebody holds, that have a price, or that a contract has which is not over.

use std::collections::BTreeSet;

use entity::{contract, contract_line, license_count, price};
use sea_orm::Order;
use sea_orm::sea_query::{Asterisk, Expr, ExprTrait, Query, SelectStatement, UnionType};
use uuid::Uuid;

use super::facts::{self, Facts, Filter, Key, License};
use crate::db::{Db, MOST_COUNTED, Reader, Total};
use crate::error::Result;

/// Selects the keys of licences from each table that has some: the statement, and what it selects.
fn keys(filter: &Filter, today: i32) -> [(SelectStatement, [Expr; 2]); 3] {
    let (mut counted, mut priced) = (Query::select(), Query::select());
    counted.from(license_count::Entity);
    facts::of_instances(&mut counted, license_count::Column::InstanceId, filter);
    facts::with_tally(&mut counted);
    priced.from(price::Entity);
    facts::of_instances(&mut priced, price::Column::InstanceId, filter);
    let of_counts = |column| Expr::col((license_count::Entity, column));
    let of_prices = |column| Expr::col((price::Entity, column));
    let contract = Expr::col((contract::Entity, contract::Column::InstanceId));
    let line = Expr::col((contract_line::Entity, contract_line::Column::License));
    let all = [
        (counted, [of_counts(license_count::Column::InstanceId), of_counts(license_count::Column::License)]),
        (priced, [of_prices(price::Column::InstanceId), of_prices(price::Column::License)]),
        (facts::lines(filter, today), [contract, line]),
    ];
    all.map(|(mut select, [instance, license])| {
        select.distinct().expr_as(instance.clone(), "instance_id").expr_as(license.clone(), "license");
        (select, [instance, license])
    })
}

/// One page, in the order of instances and names.
pub async fn page(db: &Db, filter: &Filter, today: i32, after: Option<Key>, limit: u64) -> Result<Vec<License>> {
    let mut page: BTreeSet<Key> = BTreeSet::new();
    for (mut select, [instance, license]) in keys(filter, today) {
        if let Some((id, name)) = &after {
            let same = instance.clone().eq(*id).and(license.clone().gt(name.as_str()));
            select.and_where(instance.clone().gt(*id).or(same));
        }
        select.order_by_expr(instance, Order::Asc).order_by_expr(license, Order::Asc).limit(limit);
        page.extend(db.read().rows::<Key>(select).await?);
    }
    let page: Vec<Key> = page.into_iter().take(usize::try_from(limit).unwrap_or(usize::MAX)).collect();
    of_keys(db, filter, today, &page).await
}

/// The licences with these keys, as far as they match.
pub async fn of_keys(db: &Db, filter: &Filter, today: i32, keys: &[Key]) -> Result<Vec<License>> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let instances: BTreeSet<Uuid> = keys.iter().map(|(instance, _)| *instance).collect();
    let names: BTreeSet<&String> = keys.iter().map(|(_, name)| name).collect();
    let names: Vec<String> = names.into_iter().cloned().collect();
    let own = Filter { instance_ids: Some(instances.into_iter().collect()), ..filter.clone() };
    let known = Facts::read(db, &own, Some(&names), today).await?;
    let licenses: Vec<Option<License>> = keys.iter().map(|key| known.license(key)).collect::<Result<_>>()?;
    Ok(licenses.into_iter().flatten().collect())
}

/// How many there are.
pub async fn total(reader: &Reader, filter: &Filter, today: i32) -> Result<Total> {
    let [(mut all, _), (priced, _), (contracted, _)] = keys(filter, today);
    all.union(UnionType::Distinct, priced).union(UnionType::Distinct, contracted);
    let most = MOST_COUNTED.unsigned_abs() + 1;
    let all = Query::select().column(Asterisk).from_subquery(all, "found").limit(most).take();
    let count = Query::select().expr_as(Expr::col(Asterisk).count(), "rows").from_subquery(all, "counted").take();
    let counted: Option<(i64,)> = reader.row(count).await?;
    Ok(Total::counted(counted.map_or(0, |(rows,)| rows)))
}
