//! Scalars and small objects about money.

use async_graphql::{Context, InputValueError, InputValueResult, Scalar, ScalarType, SimpleObject, Value};
use chrono::{NaiveDate, Utc};
use entity::price;

use crate::clock::date_of;
use crate::clock::date_time;
use crate::graphql::json;
use crate::graphql::written::{Fields, Plan, WriteJson};
use crate::spend::money::{self, Currency};

/// A decimal number as text.
#[derive(Clone)]
pub struct Decimal(pub String);

/// An exact decimal number as text, such as `"250.00"`. An amount of money has all decimal places of its currency. As an
/// input, a whole number may also be given as a number.
#[Scalar]
impl ScalarType for Decimal {
    fn parse(value: Value) -> InputValueResult<Self> {
        match value {
            Value::String(text) => Ok(Self(text)),
            Value::Number(number) if number.is_u64() => Ok(Self(number.to_string())),
            _ => Err(InputValueError::custom("Give the number as text, such as \"250.00\".")),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.clone())
    }
}

impl WriteJson for Decimal {
    fn write(&self, _: Option<&Plan<'_>>, _: &Context<'_>, text: &mut Vec<u8>) {
        json::write_text(&self.0, text);
    }
}

/// A day.
#[derive(Clone, Copy)]
pub struct Date(pub NaiveDate);

impl Date {
    pub fn of_day(day: i32) -> Self {
        Self(date_of(day))
    }
}

/// A day, such as `2027-01-31`. Days begin and end in UTC.
#[Scalar]
impl ScalarType for Date {
    fn parse(value: Value) -> InputValueResult<Self> {
        let date = match &value {
            Value::String(text) if text.len() == 10 => NaiveDate::parse_from_str(text, "%Y-%m-%d").ok(),
            _ => None,
        };
        date.map(Self).ok_or_else(|| InputValueError::custom("Give the day as text, such as \"2027-01-31\"."))
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}

impl WriteJson for Date {
    fn write(&self, _: Option<&Plan<'_>>, _: &Context<'_>, text: &mut Vec<u8>) {
        json::write_text(&self.0.to_string(), text);
    }
}

/// An amount of money.
#[derive(Clone, SimpleObject, Fields)]
pub struct Money {
    /// The amount, with all decimal places of the currency.
    amount: Decimal,
    /// The code of the currency by ISO 4217.
    currency: String,
}

impl Money {
    pub fn of(currency: Currency, minor: i128) -> Self {
        Self { amount: Decimal(currency.format(minor)), currency: currency.code().to_owned() }
    }
}

/// What a licence costs: for one seat, or in total for several.
#[derive(SimpleObject, Fields)]
pub struct LicensePrice {
    /// What one seat costs; null if the price was given in total.
    unit_price: Option<Money>,
    /// What all `seats` cost; null if the price was given for one seat.
    total_price: Option<Money>,
    /// How many seats the total is for; null if the price was given for one seat.
    seats: Option<i32>,
    /// How many months the price is for: 1 for a monthly price, 12 for a yearly one.
    billing_months: i32,
    /// When it was set.
    updated_at: chrono::DateTime<Utc>,
}

impl LicensePrice {
    pub fn of(price: money::Price, row: &price::Model) -> Self {
        let amount = Money::of(price.currency, price.amount.into());
        let (unit_price, total_price) = if row.seats.is_some() { (None, Some(amount)) } else { (Some(amount), None) };
        Self {
            unit_price,
            total_price,
            seats: row.seats.map(crate::graphql::page::int),
            billing_months: row.months,
            updated_at: date_time(row.updated_at),
        }
    }
}
