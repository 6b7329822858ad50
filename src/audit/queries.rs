//! What is read of the audit log.

use std::collections::HashMap;
use std::net::IpAddr;

use entity::audit_entry::{Action, Column, Entity, Model, Outcome};
use entity::audit_person::{self, Column as Person};
use sea_orm::{ColumnTrait, EntityTrait, JoinType, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select};
use uuid::Uuid;

use crate::db::{self, Reader, Total};
use crate::error::Result;

/// Selects entries. All conditions that are given must match.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// The token or the member that did it.
    pub actor_id: Option<Uuid>,
    pub actions: Option<Vec<Action>>,
    /// What it was done to.
    pub subject_id: Option<Uuid>,
    pub outcomes: Option<Vec<Outcome>>,
    /// The address that the request came from.
    pub address: Option<IpAddr>,
    /// Unix milliseconds; entries at this time are included.
    pub from: Option<i64>,
    /// Unix milliseconds; entries at this time are left out.
    pub to: Option<i64>,
}

impl Filter {
    async fn select(&self, reader: &Reader) -> Result<Select<Entity>> {
        let Self { actor_id, actions, subject_id, outcomes, address, from, to } = self;
        let mut select = Entity::find()
            .apply_if(*actor_id, |select, id| select.filter(Column::ActorId.eq(id)))
            .apply_if(actions.clone(), |select, actions| select.filter(Column::Action.is_in(actions)))
            .apply_if(*subject_id, |select, id| select.filter(Column::SubjectId.eq(id)))
            .apply_if(outcomes.clone(), |select, outcomes| select.filter(Column::Outcome.is_in(outcomes)));
        if let Some(address) = address {
            let person = Entity::belongs_to(audit_person::Entity).from(Column::Id).to(Person::EntryId).into();
            select = select.join(JoinType::InnerJoin, person).filter(Person::Address.eq(address.to_string()));
        }
        // Times decrease along the log only where a clock was set back, so that a span of time is a span of numbers.
        if let Some(from) = from {
            select = select.filter(Column::Id.gte(first_at(reader, *from).await?.unwrap_or(i64::MAX)));
        }
        if let Some(to) = to
            && first_at(reader, *to).await?.is_some()
        {
            select = select.filter(Column::Id.lte(last_before(reader, *to).await?.unwrap_or(i64::MIN)));
        }
        Ok(select)
    }

    /// The entries before an entry, newest first. With an address, the index of the addresses has the order.
    async fn page(&self, reader: &Reader, before: Option<i64>, limit: u64) -> Result<Vec<Model>> {
        let select = self.select(reader).await?;
        let ordered = match (before, self.address) {
            (None, None) => select.order_by_desc(Column::Id),
            (Some(before), None) => select.filter(Column::Id.lt(before)).order_by_desc(Column::Id),
            (None, Some(_)) => select.order_by_desc(Person::EntryId),
            (Some(before), Some(_)) => select.filter(Person::EntryId.lt(before)).order_by_desc(Person::EntryId),
        };
        reader.rows(ordered.limit(limit).into_query()).await
    }
}

/// The first entry of this time or later.
async fn first_at(reader: &Reader, at: i64) -> Result<Option<i64>> {
    let first = Entity::find().select_only().column(Column::Id).filter(Column::At.gte(at));
    let first = first.order_by_asc(Column::At).order_by_asc(Column::Id).limit(1);
    Ok(reader.row::<(i64,)>(first.into_query()).await?.map(|(id,)| id))
}

/// The last entry of before this time.
async fn last_before(reader: &Reader, at: i64) -> Result<Option<i64>> {
    let last = Entity::find().select_only().column(Column::Id).filter(Column::At.lt(at));
    let last = last.order_by_desc(Column::At).order_by_desc(Column::Id).limit(1);
    Ok(reader.row::<(i64,)>(last.into_query()).await?.map(|(id,)| id))
}

/// An entry, and what is personal in it unless that was erased.
pub struct Found {
    pub entry: Model,
    pub person: Option<audit_person::Model>,
}

/// One page, newest first.
pub async fn page(reader: &Reader, filter: &Filter, before: Option<i64>, limit: u64) -> Result<Vec<Found>> {
    let entries = filter.page(reader, before, limit).await?;
    with_persons(reader, entries).await
}

/// The entries after an entry, oldest first.
pub async fn after(reader: &Reader, after: i64, limit: u64) -> Result<Vec<Found>> {
    let page = Entity::find().filter(Column::Id.gt(after)).order_by_asc(Column::Id).limit(limit);
    let entries = reader.rows(page.into_query()).await?;
    with_persons(reader, entries).await
}

async fn with_persons(reader: &Reader, entries: Vec<Model>) -> Result<Vec<Found>> {
    if entries.is_empty() {
        return Ok(Vec::new());
    }
    let ids = entries.iter().map(|entry| entry.id);
    let persons = audit_person::Entity::find().filter(Person::EntryId.is_in(ids));
    let persons: Vec<audit_person::Model> = reader.rows(persons.into_query()).await?;
    let mut persons: HashMap<i64, _> = persons.into_iter().map(|person| (person.entry_id, person)).collect();
    let found = |entry: Model| Found { person: persons.remove(&entry.id), entry };
    Ok(entries.into_iter().map(found).collect())
}

/// How many entries there are.
pub async fn total(reader: &Reader, filter: &Filter) -> Result<Total> {
    db::total(reader, filter.select(reader).await?).await
}
