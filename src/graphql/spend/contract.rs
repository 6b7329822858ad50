//! Contracts: the type.

use std::collections::HashMap;
use std::sync::Arc;

use async_graphql::{Context, ID, Object, SimpleObject};
use chrono::{DateTime, Utc};
use entity::contract::Model;
use entity::{contract_line, contract_reminder};
use uuid::Uuid;

use super::money::{Date, Decimal, Money};
use super::today;
use crate::clock::date_time;
use crate::graphql::api::Api;
use crate::graphql::batch::{Batch, Relation};
use crate::graphql::error::{ApiError, nullable};
use crate::graphql::id::{self, Kind};
use crate::graphql::instance::{Instance, InstanceById};
use crate::graphql::page::int;
use crate::graphql::written::{Fields, Rows, Written, fields};
use crate::spend::money::{self, Currency, Price};
use crate::spend::renewals::{self, State};

#[derive(Clone)]
pub struct Contract {
    pub model: Arc<Model>,
    relations: Arc<Relations>,
}

/// Shared by the contracts of one list.
struct Relations {
    contracts: Batch<Uuid>,
    instances: Batch<Uuid>,
}

impl Contract {
    /// Rows of one list.
    pub fn list(models: Vec<Model>) -> Vec<Contract> {
        let relations = Arc::new(Relations {
            contracts: Batch::new(models.iter().map(|model| model.id)),
            instances: Batch::new(models.iter().map(|model| model.instance_id)),
        });
        let row = |model| Contract { model: Arc::new(model), relations: relations.clone() };
        models.into_iter().map(row).collect()
    }

    async fn stored_lines(&self, ctx: &Context<'_>) -> Result<Vec<contract_line::Model>, ApiError> {
        let api: &Api = ctx.data_unchecked();
        Ok(self.relations.contracts.load(api, LinesOf, &self.model.id).await?.unwrap_or_default())
    }

    async fn cost(&self, ctx: &Context<'_>) -> Result<Option<Money>, ApiError> {
        let (currency, mut sum) = (self.stored_currency()?, None);
        for line in self.stored_lines(ctx).await? {
            let Some(amount) = line.amount else { continue };
            let seats = if line.is_total { line.seats } else { 1 };
            let price = Price { currency, amount, seats, months: self.model.months };
            sum = Some(money::add(sum.unwrap_or(0), price.of_year(line.seats)?)?);
        }
        Ok(sum.map(|minor| Money::of(currency, minor)))
    }

    fn stored_currency(&self) -> Result<Currency, ApiError> {
        Ok(Currency::stored(&self.model.currency)?)
    }
}

#[derive(PartialEq)]
struct LinesOf;

impl Relation for LinesOf {
    type Key = Uuid;
    type Value = Vec<contract_line::Model>;

    async fn fetch(&self, api: &Api, contracts: &[Uuid]) -> Result<HashMap<Uuid, Self::Value>, ApiError> {
        Ok(renewals::lines(api.instances.db.read(), contracts).await?)
    }
}

#[derive(PartialEq)]
struct RemindersOf;

impl Relation for RemindersOf {
    type Key = Uuid;
    type Value = Vec<contract_reminder::Model>;

    async fn fetch(&self, api: &Api, contracts: &[Uuid]) -> Result<HashMap<Uuid, Self::Value>, ApiError> {
        Ok(renewals::reminders(api.instances.db.read(), contracts).await?)
    }
}

/// The seats of one licence in a contract.
#[derive(SimpleObject, Fields)]
pub struct ContractLine {
    /// The name of the licence, as the application writes it.
    license: String,
    /// How many seats there are.
    seats: i32,
    /// What one seat costs for the months of the contract; null if it was given in total, or not at all.
    unit_price: Option<Decimal>,
    /// What all seats cost for these months; null if it was given for one seat, or not at all.
    total_price: Option<Decimal>,
}

impl ContractLine {
    fn of(line: contract_line::Model, currency: Currency) -> Self {
        let amount = line.amount.map(|amount| Decimal(currency.format(amount.into())));
        let (unit_price, total_price) = if line.is_total { (None, amount) } else { (amount, None) };
        Self { license: line.license, seats: int(line.seats), unit_price, total_price }
    }
}

/// A reminder that was decided. Each is decided once for a term, and the mails are among the notifications.
#[derive(SimpleObject, Fields)]
pub struct ContractReminder {
    /// The step: how many days before `noticeBy` it was due at the latest.
    days_before: i32,
    /// The last day of the contract at that time, which identifies the term.
    ends_on: Date,
    /// When it was decided.
    decided_at: DateTime<Utc>,
    /// How many mails were written; 0 if there was no address.
    mails: i32,
}

/// A contract about licences of one instance.
#[fields]
#[Object]
impl Contract {
    /// The opaque, permanent id.
    fn id(&self) -> ID {
        id::encode(Kind::Contract, self.model.id)
    }

    /// The instance whose licences it is about.
    async fn instance(&self, ctx: &Context<'_>) -> Result<Written<Instance>, ApiError> {
        InstanceById::of_row(&self.relations.instances, ctx, self.model.instance_id, "a contract").await.map(Written)
    }

    /// The name; unique among the contracts of the instance.
    fn name(&self) -> &str {
        &self.model.name
    }

    /// Whether it is in force today.
    fn state(&self, ctx: &Context<'_>) -> State {
        State::of(&self.model, today(ctx.data_unchecked()))
    }

    /// The currency of its prices, by ISO 4217.
    fn currency(&self) -> &str {
        &self.model.currency
    }

    /// How many months its prices are for: 1 for monthly prices, 12 for yearly ones.
    fn billing_months(&self) -> i32 {
        self.model.months
    }

    /// The first day.
    fn starts_on(&self) -> Date {
        Date::of_day(self.model.starts_on)
    }

    /// The last day.
    fn ends_on(&self) -> Date {
        Date::of_day(self.model.ends_on)
    }

    /// How many days before the end notice must be given.
    fn notice_days(&self) -> i32 {
        self.model.notice_days
    }

    /// The last day on which notice can be given: `endsOn` without `noticeDays`.
    fn notice_by(&self) -> Date {
        Date::of_day(self.model.notice_by)
    }

    /// How many days are left until `noticeBy`; negative when it has passed.
    fn days_to_notice(&self, ctx: &Context<'_>) -> i32 {
        self.model.notice_by.saturating_sub(today(ctx.data_unchecked()))
    }

    /// Its lines, in the order in which they were given.
    async fn lines(&self, ctx: &Context<'_>) -> Result<Rows<Vec<ContractLine>>, ApiError> {
        let currency = self.stored_currency()?;
        let lines = self.stored_lines(ctx).await?;
        Ok(Rows(lines.into_iter().map(|line| ContractLine::of(line, currency)).collect()))
    }

    /// What the seats of all lines with a price cost in a year, whoever holds them; null if no line has one.
    async fn annual_cost(&self, ctx: &Context<'_>) -> Option<Money> {
        nullable(ctx, self.cost(ctx).await)
    }

    /// The reminders that were decided, the latest first.
    async fn reminders(&self, ctx: &Context<'_>) -> Result<Rows<Vec<ContractReminder>>, ApiError> {
        let api: &Api = ctx.data_unchecked();
        let told = self.relations.contracts.load(api, RemindersOf, &self.model.id).await?.unwrap_or_default();
        let reminder = |told: contract_reminder::Model| ContractReminder {
            days_before: told.days,
            ends_on: Date::of_day(told.ends_on),
            decided_at: date_time(told.decided_at),
            mails: told.mails,
        };
        Ok(Rows(told.into_iter().map(reminder).collect()))
    }

    /// Who created it: the e-mail address of a member, or the name of a token.
    fn created_by(&self) -> &str {
        &self.model.created_by
    }

    /// When it was created.
    fn created_at(&self) -> DateTime<Utc> {
        date_time(self.model.created_at)
    }

    /// When it was changed last.
    fn updated_at(&self) -> DateTime<Utc> {
        date_time(self.model.updated_at)
    }

    /// The number of changes, from 1.
    fn revision(&self) -> i32 {
        self.model.revision
    }
}
