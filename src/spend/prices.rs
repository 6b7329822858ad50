//! Prices of licences.

use std::fmt;

use entity::audit_entry::Action;
use entity::price::{ActiveModel, Column, Entity};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, ExprTrait, PaginatorTrait, QueryFilter};
use uuid::Uuid;

use super::facts::{Filter, License};
use super::licenses;
use super::money::{Currency, MOST_MONTHS, MOST_SEATS};
use crate::audit::{self, Entry, Subject};
use crate::clock::day_of;
use crate::db::Tx;
use crate::directory::evaluations::{self, Changed};
use crate::error::{Error, Refusal, Result};
use crate::instance::Instances;

/// How many prices an instance has at most.
const MOST_PRICES: u64 = 10_000;
/// The longest name of a licence, in characters, as syncs store it.
const LONGEST_LICENSE: usize = 200;

/// A price as it is given: of one seat, or in total for several.
#[derive(Clone, Debug)]
pub struct NewPrice {
    pub currency: String,
    pub unit_price: Option<String>,
    pub total_price: Option<String>,
    pub seats: Option<i32>,
    pub months: i32,
}

/// The refusals of an input, each with the path of its field.
pub(super) type Refusals = Vec<Refusal>;

fn path(base: &[&str], field: &str) -> Vec<String> {
    base.iter().copied().chain([field]).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// The currency with this code.
pub(super) fn currency(code: &str, base: &[&str], refusals: &mut Refusals) -> Option<Currency> {
    let found = Currency::find(code);
    if found.is_none() {
        let message = "This is no currency of ISO 4217: give its three letters, such as EUR.";
        refusals.push(Refusal::invalid(message, path(base, "currency")));
    }
    found
}

/// The months of a billing period.
pub(super) fn months(months: i32, base: &[&str], refusals: &mut Refusals) {
    if !(1..=MOST_MONTHS).contains(&months) {
        let message = format!("A price is for 1 to {MOST_MONTHS} months.");
        refusals.push(Refusal::invalid(message, path(base, "billingMonths")));
    }
}

/// The name of a licence.
pub(super) fn license(name: &str, base: &[&str], refusals: &mut Refusals) {
    let message = if name.trim().is_empty() {
        "The name of a licence must not be blank.".to_owned()
    } else if name.chars().count() > LONGEST_LICENSE {
        format!("The name of a licence has at most {LONGEST_LICENSE} characters.")
    } else if name.chars().any(char::is_control) {
        "The name of a licence must not contain control characters.".to_owned()
    } else {
        return;
    };
    refusals.push(Refusal::invalid(message, path(base, "license")));
}

/// An amount in minor units, and whether it is a total; at most one of the two may be given.
pub(super) fn amount(
    currency: Option<Currency>,
    (unit, total): (Option<&str>, Option<&str>),
    base: &[&str],
    refusals: &mut Refusals,
) -> Option<(i64, bool)> {
    let (text, is_total, field) = match (unit, total) {
        (Some(_), Some(_)) => {
            let message = "Give the price of one seat or the price of all seats, and not both.";
            refusals.push(Refusal::invalid(message, path(base, "totalPrice")));
            return None;
        }
        (Some(unit), None) => (unit, false, "unitPrice"),
        (None, Some(total)) => (total, true, "totalPrice"),
        (None, None) => return None,
    };
    match currency?.parse(text) {
        Ok(amount) => Some((amount, is_total)),
        Err(message) => {
            refusals.push(Refusal::invalid(message, path(base, field)));
            None
        }
    }
}

struct Checked {
    currency: Currency,
    amount: i64,
    seats: Option<i64>,
    months: i32,
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { currency, amount, seats, months } = self;
        let amount = currency.format((*amount).into());
        let seats = seats.map_or_else(|| "seat".to_owned(), |seats| format!("{seats} seats"));
        write!(f, "{amount} {currency} per {seats} for {months} months")
    }
}

fn check(given: &NewPrice, refusals: &mut Refusals) -> Option<Checked> {
    let base = &["price"];
    let currency = currency(&given.currency, base, refusals);
    months(given.months, base, refusals);
    let prices = (given.unit_price.as_deref(), given.total_price.as_deref());
    if prices == (None, None) {
        let message = "Give the price of one seat, or the price of all seats and their number.";
        refusals.push(Refusal::invalid(message, path(base, "unitPrice")));
    }
    let amount = amount(currency, prices, base, refusals);
    let seats = given.seats.map(i64::from);
    let fits = match given.total_price {
        Some(_) => seats.is_some_and(|seats| (1..=MOST_SEATS).contains(&seats)),
        None => seats.is_none(),
    };
    if !fits {
        let message =
            format!("A total price is for 1 to {MOST_SEATS} seats, and the price of one seat has no number of seats.");
        refusals.push(Refusal::invalid(message, path(base, "seats")));
    }
    let (currency, (amount, _)) = (currency?, amount?);
    Some(Checked { currency, amount, seats, months: given.months })
}

/// Sets the price of a licence, or removes it. Returns the licence as it is then; `None` if its instance is deleted
/// meanwhile.
pub async fn set(
    instances: &Instances,
    instance: Uuid,
    name: &str,
    given: Option<&NewPrice>,
) -> Result<Option<License>> {
    let mut refusals = Vec::new();
    license(name, &[], &mut refusals);
    let checked = given.and_then(|given| check(given, &mut refusals));
    if !refusals.is_empty() {
        return Err(Error::Refused(refusals));
    }
    let (now, checked) = (instances.clock.now(), checked.as_ref());
    let set = instances.db.write(|tx| async move {
        let owner = super::contracts::owner(&tx, instance).await?;
        let detail = match checked {
            None => {
                remove(&tx, instance, name).await?;
                format!("The price of the licence {name:?} was removed.")
            }
            Some(price) => {
                store(&tx, instance, name, price, now).await?;
                format!("The price of the licence {name:?} was set to {price}.")
            }
        };
        evaluations::request(&tx, &[instance].into(), Changed::Rules, now).await?;
        let entry = Entry::new(now, Action::PriceSet, detail);
        audit::record(&tx, entry.about(Subject::instance(instance).named(&owner.name)));
        Ok(())
    });
    set.await?;
    let own = Filter { instance_ids: Some(vec![instance]), ..Filter::default() };
    let keys = [(instance, name.to_owned())];
    Ok(licenses::of_keys(&instances.db, &own, day_of(now), &keys).await?.pop())
}

async fn remove(tx: &Tx, instance: Uuid, name: &str) -> Result<()> {
    let own = Column::InstanceId.eq(instance).and(Column::License.eq(name));
    Entity::delete_many().filter(own).exec(tx.conn()).await?;
    Ok(())
}

async fn store(tx: &Tx, instance: Uuid, name: &str, price: &Checked, now: i64) -> Result<()> {
    let others = Entity::find().filter(Column::InstanceId.eq(instance)).filter(Column::License.ne(name));
    if others.count(tx.conn()).await? >= MOST_PRICES {
        let message = format!("An instance has at most {MOST_PRICES} prices.");
        return Err(Refusal::invalid(message, ["license"]).into());
    }
    let row = ActiveModel {
        instance_id: Set(instance),
        license: Set(name.to_owned()),
        currency: Set(price.currency.code().to_owned()),
        amount: Set(price.amount),
        seats: Set(price.seats),
        months: Set(price.months),
        updated_at: Set(now),
    };
    let values = [Column::Currency, Column::Amount, Column::Seats, Column::Months, Column::UpdatedAt];
    let known = OnConflict::columns([Column::InstanceId, Column::License]).update_columns(values).to_owned();
    Entity::insert(row).on_conflict(known).exec_without_returning(tx.conn()).await?;
    Ok(())
}
