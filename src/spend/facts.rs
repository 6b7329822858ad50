//! What is known of licences: who holds them, what they cost, and how many seats there are.

use std::cmp::max;
use std::collections::{BTreeMap, HashMap};

use entity::instance::{self, Status};
use entity::{contract, contract_line, license_count, license_group, license_tally, price};
use sea_orm::sea_query::{Expr, ExprTrait, Query, SelectStatement};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, Order, QueryFilter, QueryResult, QueryTrait, TryGetableMany,
};
use uuid::Uuid;

use super::money::{Currency, Price};
use super::reclaim::Reason;
use crate::auth::Seen;
use crate::db::Db;
use crate::error::Result;

/// Which instances' licences are meant. `None` matches all that are not deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    pub instance_ids: Option<Vec<Uuid>>,
    pub integration_keys: Option<Vec<String>>,
    /// What the caller sees.
    pub seen: Seen,
}

impl Filter {
    /// Of the table of instances.
    pub(super) fn condition(&self) -> Condition {
        use instance::Column;
        Condition::all()
            .add(Column::Status.is_in(Status::KEPT))
            .add_option(self.instance_ids.as_ref().map(|ids| Column::Id.is_in(ids.iter().copied())))
            .add_option(self.integration_keys.as_ref().map(|keys| Column::IntegrationKey.is_in(keys)))
            .add_option(self.seen.as_ref().map(|scope| scope.condition(Column::IntegrationKey, Column::Id)))
    }
}

/// A licence: the instance, and its name.
pub type Key = (Uuid, String);

/// Selects the rows of a table whose instances match.
pub(super) fn of_instances<C: ColumnTrait>(select: &mut SelectStatement, instance_id: C, filter: &Filter) {
    let own = Expr::col(instance_id.as_column_ref()).equals((instance::Entity, instance::Column::Id));
    select.inner_join(instance::Entity, own).cond_where(filter.condition());
}

/// The tally of each instance, unless users were deleted since.
pub(super) fn with_tally(select: &mut SelectStatement) {
    select.inner_join(license_tally::Entity, is_valid_tally());
}

/// A tally is that of an instance, and no users of it were deleted since.
fn is_valid_tally() -> Expr {
    let of = |column| Expr::col((license_tally::Entity, column));
    let own = of(license_tally::Column::InstanceId).equals((instance::Entity, instance::Column::Id));
    let valid = of(license_tally::Column::PurgeThrough).equals((instance::Entity, instance::Column::PurgeThrough));
    own.and(valid)
}

/// Selects the lines of the contracts that are not over.
pub(super) fn lines(filter: &Filter, today: i32) -> SelectStatement {
    let mut lines = Query::select();
    let contract = Expr::col((contract::Entity, contract::Column::Id));
    let own = contract.equals((contract_line::Entity, contract_line::Column::ContractId));
    lines.from(contract_line::Entity).inner_join(contract::Entity, own);
    of_instances(&mut lines, contract::Column::InstanceId, filter);
    lines.and_where(contract::Column::EndsOn.gte(today));
    lines
}

/// The seats of a licence in a contract that is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seats {
    pub seats: i64,
    /// `None` if the price of the licence counts.
    pub price: Option<Price>,
}

/// A licence of an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct License {
    pub instance_id: Uuid,
    pub integration_key: String,
    pub name: String,
    /// `None` if the licences of the instance have not been counted since its users were deleted.
    pub tally: Option<license_tally::Model>,
    /// `None` if nobody is known to hold it.
    pub count: Option<license_count::Model>,
    pub price: Option<(Price, price::Model)>,
    /// In the order in which holders fill them: the contract that began first comes first.
    pub lines: Vec<Seats>,
}

/// How many holders something is true of, and of how many it is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    pub count: i64,
    pub unknown: i64,
}

impl License {
    /// How many users hold it; `None` if the application has told nobody's licences.
    pub fn assigned(&self) -> Option<i64> {
        let tally = self.tally.as_ref()?;
        if let Some(count) = &self.count {
            return Some(count.active + count.suspended + count.invited + count.unknown);
        }
        let is_told = tally.accounts > tally.untold || (tally.accounts == 0 && tally.as_of.is_some());
        (is_told && tally.left_out == 0).then_some(0)
    }

    /// How many seats the contracts in force have; `None` without a contract, which does not mean that there is no limit.
    pub fn seats(&self) -> Option<i64> {
        (!self.lines.is_empty()).then(|| self.lines.iter().map(|line| line.seats).sum())
    }

    pub fn free(&self) -> Option<i64> {
        Some(max(self.seats()? - self.assigned()?, 0))
    }

    pub fn over(&self) -> Option<i64> {
        Some(max(self.assigned()? - self.seats()?, 0))
    }

    /// The holders who may not need it any more for this reason, and for no earlier one.
    pub fn reclaimable_for(&self, reason: Reason) -> Known {
        let Some(count) = &self.count else { return Known::default() };
        match reason {
            Reason::Left => Known { count: count.departed, unknown: count.departed_unknown },
            Reason::Suspended => Known { count: count.disabled, unknown: count.disabled_unknown },
            Reason::Never => Known { count: count.never, unknown: count.never_unknown },
            Reason::Inactive => Known { count: count.inactive, unknown: count.inactive_unknown },
        }
    }

    /// The same for all reasons.
    pub fn reclaimable(&self) -> Known {
        let count = Reason::ALL.into_iter().map(|reason| self.reclaimable_for(reason).count).sum();
        Known { count, unknown: self.count.as_ref().map_or(0, |count| count.undecided) }
    }
}

/// A line as it is read: instance, licence, seats, amount, whether it is a total, currency and months.
type Line = (Uuid, String, i64, Option<i64>, bool, String, i32);

/// By whom each licence is held, always in the same order.
pub type Holders = BTreeMap<Key, Vec<license_group::Model>>;

/// Everything that is known of some licences.
pub struct Facts {
    integrations: HashMap<Uuid, String>,
    tallies: HashMap<Uuid, license_tally::Model>,
    counts: BTreeMap<Key, license_count::Model>,
    prices: BTreeMap<Key, price::Model>,
    lines: BTreeMap<Key, Vec<Seats>>,
}

impl Facts {
    /// Reads those of all licences, and by whom they are held.
    pub async fn with_holders(db: &Db, filter: &Filter, today: i32) -> Result<(Self, Holders)> {
        let view = db.view().await?;
        let known = Self::read_from(view.conn(), filter, None, today).await?;
        let mut groups = license_group::Entity::find();
        of_instances(QueryTrait::query(&mut groups), license_group::Column::InstanceId, filter);
        let groups = groups.all(view.conn()).await?;
        view.close().await?;
        let mut holders = Holders::new();
        for group in groups {
            holders.entry((group.instance_id, group.license.clone())).or_default().push(group);
        }
        for groups in holders.values_mut() {
            groups.sort_by(|a, b| (a.kind, &a.department).cmp(&(b.kind, &b.department)));
        }
        Ok((known, holders))
    }

    /// Reads them in a few statements, all of one moment: counts may be replaced, and become valid, at any time. With
    /// `names`, only licences with one of these names.
    pub async fn read(db: &Db, filter: &Filter, names: Option<&[String]>, today: i32) -> Result<Self> {
        let view = db.view().await?;
        let known = Self::read_from(view.conn(), filter, names, today).await?;
        view.close().await?;
        Ok(known)
    }

    async fn read_from<C: ConnectionTrait>(
        conn: &C,
        filter: &Filter,
        names: Option<&[String]>,
        today: i32,
    ) -> Result<Self> {
        let named = |column: Expr| names.map(|names| column.is_in(names));
        let of = |condition: Option<Expr>| Condition::all().add_option(condition);

        let mut counts = license_count::Entity::find()
            .filter(of(named(Expr::col((license_count::Entity, license_count::Column::License)))));
        of_instances(QueryTrait::query(&mut counts), license_count::Column::InstanceId, filter);
        let counts = counts.all(conn).await?;

        let mut prices = price::Entity::find().filter(of(named(Expr::col((price::Entity, price::Column::License)))));
        of_instances(QueryTrait::query(&mut prices), price::Column::InstanceId, filter);
        let prices = prices.all(conn).await?;

        let mut lines = lines(filter, today);
        lines
            .column((contract::Entity, contract::Column::InstanceId))
            .columns(
                [contract_line::Column::License, contract_line::Column::Seats].map(|it| (contract_line::Entity, it)),
            )
            .columns(
                [contract_line::Column::Amount, contract_line::Column::IsTotal].map(|it| (contract_line::Entity, it)),
            )
            .columns([contract::Column::Currency, contract::Column::Months].map(|it| (contract::Entity, it)))
            .and_where(contract::Column::StartsOn.lte(today))
            .cond_where(of(named(Expr::col((contract_line::Entity, contract_line::Column::License)))))
            .order_by((contract::Entity, contract::Column::StartsOn), Order::Asc)
            .order_by((contract::Entity, contract::Column::Id), Order::Asc);
        let lines: Vec<Line> = rows(conn, &lines).await?;

        let mut tallies = license_tally::Entity::find();
        QueryTrait::query(&mut tallies).inner_join(instance::Entity, is_valid_tally()).cond_where(filter.condition());
        let tallies = tallies.all(conn).await?;

        let mut instances = Query::select();
        instances.columns([instance::Column::Id, instance::Column::IntegrationKey]).from(instance::Entity);
        let integrations: Vec<(Uuid, String)> = rows(conn, instances.cond_where(filter.condition())).await?;
        Ok(Self {
            integrations: integrations.into_iter().collect(),
            tallies: tallies.into_iter().map(|tally| (tally.instance_id, tally)).collect(),
            counts: counts.into_iter().map(|count| ((count.instance_id, count.license.clone()), count)).collect(),
            prices: prices.into_iter().map(|price| ((price.instance_id, price.license.clone()), price)).collect(),
            lines: seats(lines)?,
        })
    }

    /// The licences that somebody holds, that have a price, or that a contract in force has.
    pub fn keys(&self) -> Vec<Key> {
        let held = self.counts.keys().filter(|(instance, _)| self.tallies.contains_key(instance));
        let mut keys: Vec<Key> = held.chain(self.prices.keys()).chain(self.lines.keys()).cloned().collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// One of them. `None` if its instance does not match.
    pub fn license(&self, (instance_id, name): &Key) -> Result<Option<License>> {
        let key = (*instance_id, name.clone());
        let Some(integration_key) = self.integrations.get(instance_id).cloned() else { return Ok(None) };
        let tally = self.tallies.get(instance_id).cloned();
        let price = match self.prices.get(&key) {
            Some(row) => Some((stored_price(row)?, row.clone())),
            None => None,
        };
        Ok(Some(License {
            instance_id: *instance_id,
            integration_key,
            name: name.clone(),
            count: self.counts.get(&key).filter(|_| tally.is_some()).cloned(),
            tally,
            price,
            lines: self.lines.get(&key).cloned().unwrap_or_default(),
        }))
    }
}

/// The rows that a statement finds, by the position of their columns.
async fn rows<T: TryGetableMany>(conn: &impl ConnectionTrait, select: &SelectStatement) -> Result<Vec<T>> {
    let rows = conn.query_all(select).await?;
    Ok(rows.iter().map(QueryResult::try_get_many_by_index).collect::<Result<_, _>>()?)
}

fn stored_price(row: &price::Model) -> Result<Price> {
    let currency = Currency::stored(&row.currency)?;
    Ok(Price { currency, amount: row.amount, seats: row.seats.unwrap_or(1), months: row.months })
}

fn seats(rows: Vec<Line>) -> Result<BTreeMap<Key, Vec<Seats>>> {
    let mut lines: BTreeMap<Key, Vec<Seats>> = BTreeMap::new();
    for (instance, license, seats, amount, is_total, currency, months) in rows {
        let price = match amount {
            Some(amount) => {
                let currency = Currency::stored(&currency)?;
                Some(Price { currency, amount, seats: if is_total { seats } else { 1 }, months })
            }
            None => None,
        };
        lines.entry((instance, license)).or_default().push(Seats { seats, price });
    }
    Ok(lines)
}
