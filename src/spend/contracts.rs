//! Contracts: creating, changing and deleting them.
//!
//! A contract belongs to one instance, and ends with it. It is written as a whole, with its lines.

use std::collections::HashSet;

use chrono::{Datelike, NaiveDate};
use entity::audit_entry::Action;
use entity::contract::{ActiveModel, Column, Entity, Model};
use entity::instance;
use entity::{contract_line, contract_reminder};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter,
    QuerySelect,
};
use uuid::Uuid;

use super::money;
use super::money::MOST_SEATS;
use super::prices::{self, Refusals};
use crate::audit::{self, Entry, Subject};
use crate::auth::Caller;
use crate::clock::{date_of, day_of_date};
use crate::db::{Tx, is_duplicate};
use crate::directory::evaluations::{self, Changed};
use crate::error::{Error, Refusal, RefusalCode, Result};
use crate::instance::{self as instances, Instances, input};

/// How many contracts an instance has at most, and how many lines a contract.
const MOST_CONTRACTS: u64 = 1_000;
const MOST_LINES: usize = 100;
/// The longest notice.
const MOST_NOTICE_DAYS: i32 = 730;
/// The years that a contract can be in.
const YEARS: std::ops::RangeInclusive<i32> = 1970..=2999;

/// A contract as it is given.
#[derive(Clone, Debug)]
pub struct NewContract {
    /// The contract to change; `None` for a new one.
    pub id: Option<Uuid>,
    pub instance_id: Uuid,
    pub name: String,
    pub currency: String,
    pub months: i32,
    pub starts_on: NaiveDate,
    pub ends_on: NaiveDate,
    pub notice_days: i32,
    pub lines: Vec<NewLine>,
    /// If the contract is no longer at this revision, it is not changed.
    pub expected_revision: Option<i32>,
}

/// The seats of one licence.
#[derive(Clone, Debug)]
pub struct NewLine {
    pub license: String,
    pub seats: i32,
    pub unit_price: Option<String>,
    pub total_price: Option<String>,
}

/// The columns of a contract that has been checked.
struct Checked {
    name: String,
    currency: money::Currency,
    starts_on: i32,
    ends_on: i32,
    notice_by: i32,
    lines: Vec<contract_line::Model>,
}

fn check(given: &NewContract) -> Result<Checked> {
    let mut refusals = Vec::new();
    let name = input::name(&given.name).map_err(|refusal| refusals.push(refusal)).unwrap_or_default();
    let currency = prices::currency(&given.currency, &[], &mut refusals);
    prices::months(given.months, &[], &mut refusals);
    let notice_by = check_term(given, &mut refusals);
    let lines = check_lines(&given.lines, currency, &mut refusals);
    match (currency, refusals.is_empty()) {
        (Some(currency), true) => Ok(Checked {
            name,
            currency,
            starts_on: day_of_date(given.starts_on),
            ends_on: day_of_date(given.ends_on),
            notice_by,
            lines,
        }),
        _ => Err(Error::Refused(refusals)),
    }
}

/// The last day for notice.
fn check_term(given: &NewContract, refusals: &mut Refusals) -> i32 {
    for (date, field) in [(given.starts_on, "startsOn"), (given.ends_on, "endsOn")] {
        if !YEARS.contains(&date.year()) {
            let message = format!("The year is from {} to {}.", YEARS.start(), YEARS.end());
            refusals.push(Refusal::invalid(message, [field]));
        }
    }
    let (start, end) = (day_of_date(given.starts_on), day_of_date(given.ends_on));
    if end < start {
        refusals.push(Refusal::invalid("The last day of a contract is not before its first.", ["endsOn"]));
    }
    let notice = given.notice_days;
    if !(0..=MOST_NOTICE_DAYS).contains(&notice) {
        let message = format!("The notice is from 0 to {MOST_NOTICE_DAYS} days.");
        refusals.push(Refusal::invalid(message, ["noticeDays"]));
    } else if end >= start && end - notice < start {
        let message = "The notice is longer than the contract.";
        refusals.push(Refusal::invalid(message, ["noticeDays"]));
    }
    end.saturating_sub(notice)
}

fn check_lines(
    given: &[NewLine],
    currency: Option<money::Currency>,
    refusals: &mut Refusals,
) -> Vec<contract_line::Model> {
    if given.is_empty() || given.len() > MOST_LINES {
        let message = format!("A contract has 1 to {MOST_LINES} lines.");
        refusals.push(Refusal::invalid(message, ["lines"]));
        return Vec::new();
    }
    let (mut seen, mut lines) = (HashSet::new(), Vec::new());
    for (position, line) in (0..).zip(given) {
        let index = position.to_string();
        let base = &["lines", index.as_str()];
        prices::license(&line.license, base, refusals);
        let at = |field: &str| [base[0], base[1], field].map(str::to_owned);
        if !seen.insert(line.license.as_str()) {
            refusals.push(Refusal::invalid("Another line of the contract has this licence.", at("license")));
        }
        let seats = i64::from(line.seats);
        let least = i64::from(line.total_price.is_some());
        if !(least..=MOST_SEATS).contains(&seats) {
            let message = format!("The number of seats is from {least} to {MOST_SEATS}.");
            refusals.push(Refusal::invalid(message, at("seats")));
        }
        let prices = (line.unit_price.as_deref(), line.total_price.as_deref());
        let amount = prices::amount(currency, prices, base, refusals);
        lines.push(contract_line::Model {
            contract_id: Uuid::nil(),
            license: line.license.clone(),
            position,
            seats,
            amount: amount.map(|(amount, _)| amount),
            is_total: amount.is_some_and(|(_, is_total)| is_total),
        });
    }
    lines
}

/// The instance, locked, if it is not deleted.
pub(super) async fn owner(tx: &Tx, id: Uuid) -> Result<instance::Model> {
    let owner = instances::lock(tx, id).await?;
    if owner.status.is_deleted() {
        let message = "The instance is deleted.";
        return Err(Refusal::new(RefusalCode::InstanceDeleted, message).at(["instanceId"]).into());
    }
    Ok(owner)
}

/// There is no contract with this id.
pub fn not_found() -> Error {
    Refusal::new(RefusalCode::NotFound, "There is no contract with this id.").at(["id"]).into()
}

/// The instance of a contract.
pub async fn instance_of(instances: &Instances, id: Uuid) -> Result<Uuid> {
    let found = Entity::find_by_id(id).one(instances.db.read()).await?;
    Ok(found.ok_or_else(not_found)?.instance_id)
}

/// Creates a contract, or changes it. Returns its id.
pub async fn upsert(instances: &Instances, caller: &Caller, given: &NewContract) -> Result<Uuid> {
    let (checked, now, id) = (&check(given)?, instances.clock.now(), given.id.unwrap_or_else(Uuid::now_v7));
    instances
        .db
        .write(|tx| async move {
            let owner = owner(&tx, given.instance_id).await?;
            let Checked { name, currency, starts_on, ends_on, notice_by, lines } = checked;
            let row = ActiveModel {
                id: Set(id),
                instance_id: Set(owner.id),
                name: Set(name.clone()),
                name_key: Set(input::name_key(name)),
                currency: Set(currency.code().to_owned()),
                months: Set(given.months),
                starts_on: Set(*starts_on),
                ends_on: Set(*ends_on),
                notice_days: Set(given.notice_days),
                notice_by: Set(*notice_by),
                updated_at: Set(now),
                ..Default::default()
            };
            let action = store(&tx, caller, given, row, now).await?;
            contract_line::Entity::delete_many()
                .filter(contract_line::Column::ContractId.eq(id))
                .exec(tx.conn())
                .await?;
            let rows =
                lines.iter().cloned().map(|line| contract_line::Model { contract_id: id, ..line }.into_active_model());
            contract_line::Entity::insert_many(rows).exec_without_returning(tx.conn()).await?;
            evaluations::request(&tx, &[owner.id].into(), Changed::Rules, now).await?;
            let what = if action == Action::ContractCreated { "created" } else { "changed" };
            let (first, last) = (given.starts_on, given.ends_on);
            let notice = given.notice_days;
            let detail = format!(
                "A contract about {} licences was {what}: from {first} to {last}, with a notice of {notice} days.",
                lines.len()
            );
            audit::record(&tx, Entry::new(now, action, detail).about(Subject::instance(owner.id).named(&owner.name)));
            Ok(id)
        })
        .await
}

/// Writes the row of a contract whose instance is locked.
async fn store(tx: &Tx, caller: &Caller, given: &NewContract, row: ActiveModel, now: i64) -> Result<Action> {
    let (written, action) = match given.id {
        None => {
            let others = Entity::find().filter(Column::InstanceId.eq(given.instance_id));
            if others.count(tx.conn()).await? >= MOST_CONTRACTS {
                let message = format!("An instance has at most {MOST_CONTRACTS} contracts.");
                return Err(Refusal::invalid(message, ["instanceId"]).into());
            }
            let row = ActiveModel {
                created_by: Set(caller.label()),
                created_by_email: Set(caller.email.clone()),
                created_at: Set(now),
                revision: Set(1),
                ..row
            };
            (Entity::insert(row).exec_without_returning(tx.conn()).await.map(drop), Action::ContractCreated)
        }
        Some(id) => {
            let before = locked(tx, id).await?;
            if before.instance_id != given.instance_id {
                let message = "A contract stays with its instance: create another one.";
                return Err(Refusal::invalid(message, ["instanceId"]).into());
            }
            if given.expected_revision.is_some_and(|expected| expected != before.revision) {
                let message = "Somebody has changed the contract meanwhile: read it again.";
                return Err(Refusal::new(RefusalCode::RevisionConflict, message).at(["expectedRevision"]).into());
            }
            let row = ActiveModel { revision: Set(before.revision + 1), ..row };
            (row.update(tx.conn()).await.map(drop), Action::ContractUpdated)
        }
    };
    match written {
        Ok(()) => Ok(action),
        Err(error) if is_duplicate(&error) => {
            let message = "Another contract of the instance has this name.";
            Err(Refusal::new(RefusalCode::NameTaken, message).at(["name"]).into())
        }
        Err(error) => Err(error.into()),
    }
}

/// A contract whose instance is locked.
async fn locked(tx: &Tx, id: Uuid) -> Result<Model> {
    Entity::find_by_id(id).lock_exclusive().one(tx.conn()).await?.ok_or_else(not_found)
}

/// Deletes a contract.
pub async fn delete(instances: &Instances, id: Uuid) -> Result<()> {
    let (now, instance) = (instances.clock.now(), instance_of(instances, id).await?);
    instances
        .db
        .write(|tx| async move {
            let owner = owner(&tx, instance).await?;
            let contract = locked(&tx, id).await?;
            let lines = contract_line::Entity::delete_many().filter(contract_line::Column::ContractId.eq(id));
            lines.exec(tx.conn()).await?;
            let told = contract_reminder::Entity::delete_many().filter(contract_reminder::Column::ContractId.eq(id));
            told.exec(tx.conn()).await?;
            Entity::delete_by_id(id).exec(tx.conn()).await?;
            evaluations::request(&tx, &[instance].into(), Changed::Rules, now).await?;
            let (first, last) = (date_of(contract.starts_on), date_of(contract.ends_on));
            let detail = format!("A contract from {first} to {last} was deleted.");
            let entry = Entry::new(now, Action::ContractDeleted, detail);
            audit::record(&tx, entry.about(Subject::instance(instance).named(&owner.name)));
            Ok(())
        })
        .await
}
