//! What people cost: read by pages, in the order of people.

use std::collections::{BTreeMap, BTreeSet};

use entity::{account_link, instance, user};
use sea_orm::ConnectionTrait;
use sea_orm::sea_query::{Expr, ExprTrait, Order, Query, SelectStatement};
use uuid::Uuid;

use super::money::Currency;
use super::report::{Bucket, Cost, Group, Report};
use crate::db::{Reader, keyset};
use crate::error::Result;

/// The place of what a person costs: the person, and the code of the currency.
pub type Place = (Uuid, String);

/// After all codes of currencies.
const AFTER_ALL: &str = "~";

/// A page of the costs of people. A person who holds nothing that has a price is in none.
pub struct Page {
    pub buckets: Vec<Bucket>,
    /// Where the list goes on if more people were looked at than were found to cost something.
    pub rest: Option<Place>,
}

/// Selects from the accounts that hold licences with a rate.
fn accounts(report: &Report, reader: &Reader) -> SelectStatement {
    use {account_link as l, instance as i, user as u};
    let instances: BTreeSet<Uuid> = report.rates.keys().map(|(instance, _)| *instance).collect();
    let instances: Vec<Uuid> = instances.into_iter().collect();
    let account = Expr::col((u::Entity, u::Column::Id)).equals((l::Entity, l::Column::UserId));
    let instance = Expr::col((i::Entity, i::Column::Id)).equals((l::Entity, l::Column::InstanceId));
    let of_user = |column| Expr::col((u::Entity, column));
    let mut accounts = Query::select();
    accounts
        .from(l::Entity)
        .inner_join(u::Entity, account)
        .inner_join(i::Entity, instance)
        .and_where(Expr::col((l::Entity, l::Column::State)).eq(l::State::Linked))
        .and_where(keyset::among((l::Entity, l::Column::InstanceId), &instances, reader.get_database_backend()))
        .and_where(of_user(u::Column::RemovedAt).is_null())
        .and_where(of_user(u::Column::Generation).gt(Expr::col((i::Entity, i::Column::PurgeThrough))))
        .and_where(of_user(u::Column::Licenses).is_not_null())
        .and_where(of_user(u::Column::Licenses).ne("[]"));
    accounts
}

/// The next of the people of a report, each with a group for each currency.
pub async fn page(reader: &Reader, report: &Report, after: Option<&Place>, limit: u64) -> Result<Page> {
    use {account_link as l, user as u};
    let (person, most) = (Expr::col((l::Entity, l::Column::PersonId)), usize::try_from(limit).unwrap_or(usize::MAX));
    if report.rates.is_empty() || limit == 0 {
        return Ok(Page { buckets: Vec::new(), rest: None });
    }
    let mut people = accounts(report, reader);
    people.distinct().expr_as(person.clone(), "person_id");
    match after {
        Some((after, currency)) if currency == AFTER_ALL => people.and_where(person.clone().gt(*after)),
        // There may be more currencies.
        Some((after, _)) => people.and_where(person.clone().gte(*after)),
        None => people.and_where(person.clone().is_not_null()),
    };
    people.order_by_expr(person, Order::Asc).limit(limit);
    let people: Vec<(Uuid,)> = reader.rows(people).await?;
    let people: Vec<Uuid> = people.into_iter().map(|(person,)| person).collect();
    let Some(last) = people.last().copied() else { return Ok(Page { buckets: Vec::new(), rest: None }) };

    let mut held = accounts(report, reader);
    held.columns([(l::Entity, l::Column::PersonId), (l::Entity, l::Column::InstanceId)])
        .column((u::Entity, u::Column::Licenses))
        .and_where(keyset::among((l::Entity, l::Column::PersonId), &people, reader.get_database_backend()));
    let mut costs: BTreeMap<Place, (Currency, Cost)> = BTreeMap::new();
    for (person, instance, licenses) in reader.rows::<(Uuid, Uuid, String)>(held).await? {
        for license in serde_json::from_str::<BTreeSet<String>>(&licenses)? {
            for (currency, cost) in report.rates.get(&(instance, license)).into_iter().flatten() {
                let place = (person, currency.code().to_owned());
                costs.entry(place).or_insert((*currency, Cost::default())).1.add(*cost)?;
            }
        }
    }
    let is_later = |(place, _): &(Place, (Currency, Cost))| after.is_none_or(|after| place > after);
    let later = costs.into_iter().filter(is_later);
    let bucket = |((person, _), (currency, cost))| Bucket { group: Group::Person(person), currency, cost };
    let buckets: Vec<Bucket> = later.take(most).map(bucket).collect();
    let is_full = buckets.len() == most;
    let rest = (!is_full && people.len() == most).then(|| (last, AFTER_ALL.to_owned()));
    Ok(Page { buckets, rest })
}
