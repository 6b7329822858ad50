//! The list of contracts, in the order of the last days on which notice can be given.

use std::collections::HashMap;

use entity::contract::{Column, Entity, Model};
use entity::{contract_line, contract_reminder};
use sea_orm::sea_query::{Expr, Order};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select,
};
use uuid::Uuid;

use super::facts;
use crate::db::{self, Reader, Total, keyset};
use crate::error::Result;

/// Whether a contract is in force today (UTC).
#[derive(Clone, Copy, Debug, PartialEq, Eq, async_graphql::Enum)]
#[graphql(name = "ContractState")]
pub enum State {
    /// It begins later. Its seats do not count yet.
    Upcoming,
    /// It is in force.
    Active,
    /// It is over. Its seats do not count any more, and cost nothing.
    Ended,
}

impl State {
    /// Of a contract on a day.
    pub fn of(contract: &Model, today: i32) -> Self {
        match (contract.starts_on, contract.ends_on) {
            (_, end) if end < today => Self::Ended,
            (start, _) if start > today => Self::Upcoming,
            _ => Self::Active,
        }
    }
}

/// A filter for contracts.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub of: facts::Filter,
    /// The last day for notice is on this day or before it.
    pub notice_by: Option<i32>,
    /// Also those that are over.
    pub include_ended: bool,
}

/// The position of a contract: its last day for notice, and its id.
pub type Position = (i32, Uuid);

fn select(filter: &Filter, today: i32) -> Select<Entity> {
    let mut all = Condition::all().add_option(filter.notice_by.map(|day| Column::NoticeBy.lte(day)));
    if !filter.include_ended {
        all = all.add(Column::EndsOn.gte(today));
    }
    let mut select = Entity::find().filter(all);
    facts::of_instances(QueryTrait::query(&mut select), Column::InstanceId, &filter.of);
    select
}

/// One page.
pub async fn page(
    reader: &Reader,
    filter: &Filter,
    today: i32,
    after: Option<Position>,
    limit: u64,
) -> Result<Vec<Model>> {
    let mut select = select(filter, today);
    if let Some((notice_by, id)) = after {
        let (key, own) = ((Entity, Column::NoticeBy), (Entity, Column::Id));
        select = select.filter(keyset::after(key, own, &Order::Asc, Expr::value(notice_by), Expr::value(id)));
    }
    let select = select.order_by_asc(Column::NoticeBy).order_by_asc(Column::Id).limit(limit);
    reader.rows(select.into_query()).await
}

/// How many there are.
pub async fn total(reader: &Reader, filter: &Filter, today: i32) -> Result<Total> {
    db::total(reader, select(filter, today)).await
}

/// One contract, also if it is over.
pub async fn find(reader: &Reader, id: Uuid, of: &facts::Filter) -> Result<Option<Model>> {
    let filter = Filter { of: of.clone(), notice_by: None, include_ended: true };
    reader.row(select(&filter, 0).filter(Column::Id.eq(id)).into_query()).await
}

/// The lines of several contracts, in their order.
pub async fn lines(reader: &Reader, contracts: &[Uuid]) -> Result<HashMap<Uuid, Vec<contract_line::Model>>> {
    use contract_line::Column as Line;
    let own = keyset::among((contract_line::Entity, Line::ContractId), contracts, reader.get_database_backend());
    let lines = contract_line::Entity::find().filter(own).order_by_asc(Line::Position);
    let mut found: HashMap<Uuid, Vec<contract_line::Model>> = HashMap::new();
    for line in reader.rows::<contract_line::Model>(lines.into_query()).await? {
        found.entry(line.contract_id).or_default().push(line);
    }
    Ok(found)
}

/// The reminders that were decided of several contracts, the latest first.
pub async fn reminders(reader: &Reader, contracts: &[Uuid]) -> Result<HashMap<Uuid, Vec<contract_reminder::Model>>> {
    use contract_reminder::Column as Told;
    let own = keyset::among((contract_reminder::Entity, Told::ContractId), contracts, reader.get_database_backend());
    let told = contract_reminder::Entity::find().filter(own).order_by_desc(Told::DecidedAt).order_by_asc(Told::Days);
    let mut found: HashMap<Uuid, Vec<contract_reminder::Model>> = HashMap::new();
    for reminder in reader.rows::<contract_reminder::Model>(told.into_query()).await? {
        found.entry(reminder.contract_id).or_default().push(reminder);
    }
    Ok(found)
}
