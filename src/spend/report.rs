//! What licences cost in a year.
//!
//! The bill has a line for each licence of an instance and each contract about it. A line is rounded once, and divided
//! into what is held, what is free, and what nobody knows the holders of. Everything else is a sum of lines, so that the
//! parts of every total add up to it. What is held is divided further among those who hold it, see [`super::holders`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::facts::{Facts, Filter, Holders, Key, License};
use super::holders::{self, Rates};
use super::money::{self, Currency, Price};
use crate::db::Db;
use crate::error::Result;

/// By what the costs are grouped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, async_graphql::Enum)]
#[graphql(name = "SpendGroup")]
pub enum GroupBy {
    /// A group for each application.
    Application,
    /// A group for each licence of each instance.
    License,
    /// A group for each department of the people who hold licences.
    Department,
    /// A group for each person who holds licences.
    Person,
}

/// An amount, and what it is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// For licences that somebody holds, also beyond the seats of the contract.
    pub held: i128,
    /// For seats that nobody holds.
    pub free: i128,
    /// For seats of which nobody knows whether they are held.
    pub unknown: i128,
    /// How many licences and seats are paid for.
    pub quantity: i64,
}

impl Cost {
    pub fn amount(self) -> Result<i128> {
        money::add(money::add(self.held, self.free)?, self.unknown)
    }

    pub(super) fn add(&mut self, other: Self) -> Result<()> {
        *self = Self {
            held: money::add(self.held, other.held)?,
            free: money::add(self.free, other.free)?,
            unknown: money::add(self.unknown, other.unknown)?,
            quantity: self.quantity.saturating_add(other.quantity),
        };
        Ok(())
    }
}

/// How many licences are held, free, and unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quantities {
    pub held: i64,
    pub free: i64,
    pub unknown: i64,
}

impl Quantities {
    fn sum(self) -> i64 {
        self.held.saturating_add(self.free).saturating_add(self.unknown)
    }

    fn line(self, price: Price) -> Result<Line> {
        let quantity = self.sum();
        let parts = money::divide(price.of_year(quantity)?, &[self.held, self.free, self.unknown])?;
        let cost = Cost { held: parts[0], free: parts[1], unknown: parts[2], quantity };
        Ok(Line { currency: price.currency, cost, quantities: self })
    }
}

/// Why something is not in the bill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, async_graphql::Enum)]
#[graphql(name = "UnpricedReason")]
pub enum Reason {
    /// It has no price.
    NoPrice,
    /// It has a price, but no contract, and the application has not told who holds it.
    HoldersUnknown,
}

/// A licence that is not in the bill, or not with all its seats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unpriced {
    pub instance_id: Uuid,
    pub license: String,
    pub reason: Reason,
    /// How many licences and seats have no price; `None` if it is not known.
    pub quantity: Option<i64>,
}

/// What a licence costs by one contract, or without any.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    pub currency: Currency,
    pub cost: Cost,
    pub quantities: Quantities,
}

/// The lines of one licence.
pub struct Bill {
    pub lines: Vec<Line>,
    pub unpriced: Option<Unpriced>,
}

impl License {
    /// What it costs in a year.
    pub fn bill(&self) -> Result<Bill> {
        let price = self.price.as_ref().map(|(price, _)| *price);
        let unpriced =
            |reason, quantity| Unpriced { instance_id: self.instance_id, license: self.name.clone(), reason, quantity };
        if self.lines.is_empty() {
            let (lines, unpriced) = match (price, self.assigned()) {
                (Some(price), Some(held)) => (vec![Quantities { held, ..Quantities::default() }.line(price)?], None),
                (Some(_), None) => (Vec::new(), Some(unpriced(Reason::HoldersUnknown, None))),
                (None, Some(0)) => (Vec::new(), None),
                (None, assigned) => (Vec::new(), Some(unpriced(Reason::NoPrice, assigned))),
            };
            return Ok(Bill { lines, unpriced });
        }
        let (mut lines, mut without) = (Vec::new(), 0_i64);
        for (line, quantities) in self.lines.iter().zip(self.quantities()) {
            match line.price.or(price) {
                Some(price) => lines.push(quantities.line(price)?),
                None => without = without.saturating_add(quantities.sum()),
            }
        }
        Ok(Bill { lines, unpriced: (without > 0).then(|| unpriced(Reason::NoPrice, Some(without))) })
    }

    /// How many seats of each line are held. Holders beyond all seats are in the last line, and pay its price.
    fn quantities(&self) -> Vec<Quantities> {
        let (mut left, last) = (self.assigned(), self.lines.len().saturating_sub(1));
        let of_line = |(index, seats): (usize, i64)| {
            let Some(holders) = left else { return Quantities { held: 0, free: 0, unknown: seats } };
            let held = if index == last { holders } else { holders.min(seats) };
            left = Some(holders - held);
            Quantities { held, free: (seats - held).max(0), unknown: 0 }
        };
        self.lines.iter().map(|line| line.seats).enumerate().map(of_line).collect()
    }
}

/// What a group is of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Group {
    /// The key of its integration.
    Application(String),
    License {
        integration_key: String,
        key: Key,
    },
    Department(String),
    Person(Uuid),
    Rest(Rest),
}

/// What no department or person can be named for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Rest {
    FreeSeats,
    UnknownHolders,
    Unmatched,
    NoDepartment,
    Rounding,
    Suppressed,
}

/// What a group of costs is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, async_graphql::Enum)]
#[graphql(name = "SpendBucketKind")]
pub enum BucketKind {
    /// An application.
    Application,
    /// A licence of an instance.
    License,
    /// The people of a department.
    Department,
    /// A person.
    Person,
    /// Seats that nobody holds.
    FreeSeats,
    /// Seats of which it is not known whether somebody holds them.
    UnknownHolders,
    /// Accounts that hold licences, and have no person.
    Unmatched,
    /// People of whom no department is known.
    NoDepartment,
    /// What is left because a licence costs each of its holders the same, without the fraction of a minor unit.
    Rounding,
    /// What your role does not show, because it tells about fewer than five people.
    Suppressed,
}

impl Group {
    pub fn kind(&self) -> BucketKind {
        match self {
            Group::Application(_) => BucketKind::Application,
            Group::License { .. } => BucketKind::License,
            Group::Department(_) => BucketKind::Department,
            Group::Person(_) => BucketKind::Person,
            Group::Rest(Rest::FreeSeats) => BucketKind::FreeSeats,
            Group::Rest(Rest::UnknownHolders) => BucketKind::UnknownHolders,
            Group::Rest(Rest::Unmatched) => BucketKind::Unmatched,
            Group::Rest(Rest::NoDepartment) => BucketKind::NoDepartment,
            Group::Rest(Rest::Rounding) => BucketKind::Rounding,
            Group::Rest(Rest::Suppressed) => BucketKind::Suppressed,
        }
    }
}

/// The costs of a group in one currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    pub group: Group,
    pub currency: Currency,
    pub cost: Cost,
}

/// The costs of everything that matches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// In the order of the codes.
    pub totals: Vec<(Currency, Cost)>,
    /// By currency, the largest amount first.
    pub buckets: Vec<Bucket>,
    pub unpriced: Vec<Unpriced>,
    /// What each holder pays, if the groups are people: they are read by pages, and are not in the buckets.
    pub rates: Rates,
}

/// Computes the costs of the licences that match. For a caller who may not see people, small groups are suppressed.
pub async fn report(db: &Db, filter: &Filter, group_by: GroupBy, shows_people: bool, today: i32) -> Result<Report> {
    let (facts, holders) = match group_by {
        GroupBy::Application | GroupBy::License => (Facts::read(db, filter, None, today).await?, Holders::new()),
        GroupBy::Department | GroupBy::Person => Facts::with_holders(db, filter, today).await?,
    };
    let mut licenses = Vec::new();
    for key in facts.keys() {
        licenses.extend(facts.license(&key)?);
    }
    sum_up(&licenses, &holders, group_by, shows_people)
}

fn sum_up(licenses: &[License], holders: &Holders, group_by: GroupBy, shows_people: bool) -> Result<Report> {
    let mut totals: BTreeMap<&str, (Currency, Cost)> = BTreeMap::new();
    let mut groups: BTreeMap<(&str, Group), (Currency, Cost)> = BTreeMap::new();
    let mut report = Report::default();
    for license in licenses {
        let Bill { lines, unpriced } = license.bill()?;
        report.unpriced.extend(unpriced);
        for Line { currency, cost, .. } in &lines {
            totals.entry(currency.code()).or_insert((*currency, Cost::default())).1.add(*cost)?;
        }
        let key = (license.instance_id, license.name.clone());
        let integration_key = license.integration_key.clone();
        let parts: Vec<(Group, Currency, Cost)> = match group_by {
            GroupBy::Application | GroupBy::License => {
                let group = match group_by {
                    GroupBy::License => Group::License { integration_key, key },
                    _ => Group::Application(integration_key),
                };
                lines.iter().map(|line| (group.clone(), line.currency, line.cost)).collect()
            }
            GroupBy::Department => holders::by_department(license, &lines, holders.get(&key), shows_people)?,
            GroupBy::Person => {
                let rates = shows_people.then_some(&mut report.rates);
                holders::without_people(license, &lines, holders.get(&key), rates)?
            }
        };
        for (group, currency, cost) in parts {
            groups.entry((currency.code(), group)).or_insert((currency, Cost::default())).1.add(cost)?;
        }
    }
    report.totals = totals.into_values().collect();
    let mut buckets = Vec::with_capacity(groups.len());
    for ((_, group), (currency, cost)) in groups {
        buckets.push((cost.amount()?, Bucket { group, currency, cost }));
    }
    buckets.sort_by(|(a, first), (b, second)| {
        let by_group = || first.group.cmp(&second.group);
        first.currency.code().cmp(second.currency.code()).then(b.cmp(a)).then_with(by_group)
    });
    report.buckets = buckets.into_iter().map(|(_, bucket)| bucket).collect();
    Ok(report)
}

#[cfg(test)]
mod tests;
