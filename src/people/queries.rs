//! Queries for people.

use std::collections::{HashMap, HashSet};

use entity::person::{Column, Entity, Model, State};
use entity::{account_owner, instance, people_source, person_key, source_account, user};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, Iterable, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    Select,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::search;
use crate::db::{self, Columns, Reader, Total, keyset};
use crate::directory::keys::match_key;
use crate::directory::linked::has_account;
use crate::directory::words::Terms;
use crate::error::Result;

/// A filter for people. `None` matches all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    pub states: Option<Vec<State>>,
    pub is_external: Option<bool>,
    /// What is searched for. Empty for all.
    pub search: Terms,
}

impl Filter {
    /// The conditions without the states and the search. Only people with a reported account are shown.
    fn condition(&self) -> Condition {
        let mut all = Condition::all().add(has_account(Expr::col((Entity, Column::Id))));
        if let Some(is_external) = self.is_external {
            all = all.add(Column::IsExternal.eq(is_external));
        }
        all
    }

    /// The people, without the search.
    pub(super) fn select(&self) -> Select<Entity> {
        let mut select = Entity::find().filter(self.condition());
        if let Some(states) = &self.states {
            select = select.filter(Column::State.is_in(states.iter().copied()));
        }
        select
    }
}

/// A position in a list of people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Position {
    /// In the order of ids.
    Id(Uuid),
    /// In the order of a search.
    Word(search::Position),
}

/// A person of a page, with the position in the list.
pub struct Found {
    pub person: Model,
    pub position: Position,
}

/// Whether a position can be one of a list with this filter.
pub fn is_in(filter: &Filter, position: &Position) -> bool {
    match position {
        Position::Id(_) => filter.search.is_empty(),
        Position::Word(_) => !filter.search.is_empty(),
    }
}

/// One page of people.
pub async fn page(reader: &Reader, filter: &Filter, after: Option<Position>, limit: u64) -> Result<Vec<Found>> {
    let after = match after {
        Some(Position::Id(id)) => id,
        _ if filter.search.is_empty() => Uuid::nil(),
        Some(Position::Word(position)) => return search::page(reader, filter, Some(position), limit).await,
        None => return search::page(reader, filter, None, limit).await,
    };
    let of = |state: Option<State>| {
        let select = Entity::find().filter(filter.condition()).filter(Column::Id.gt(after));
        let select = match state {
            // The index of states has the people of each in the order of their ids.
            Some(state) => select.filter(Column::State.eq(state)),
            None => select,
        };
        select.order_by_asc(Column::Id).limit(limit).into_query()
    };
    let pages = match &filter.states {
        Some(states) => {
            let mut states = states.clone();
            states.sort_unstable();
            states.dedup();
            states.into_iter().map(|state| of(Some(state))).collect()
        }
        None => vec![of(None)],
    };
    let mut found = keyset::pages(reader, pages, Columns::ALL, |_: &Model| ()).await?;
    let mut people: Vec<Model> = found.remove(&()).unwrap_or_default();
    people.sort_by_key(|person| person.id);
    people.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(people.into_iter().map(|person| Found { position: Position::Id(person.id), person }).collect())
}

/// How many people match.
pub async fn total(reader: &Reader, filter: &Filter) -> Result<Total> {
    if !filter.search.is_empty() {
        return search::total(reader, filter).await;
    }
    db::total(reader, filter.select()).await
}

/// Those of these people who have a reported account.
pub async fn by_ids(reader: &Reader, ids: &[Uuid]) -> Result<HashMap<Uuid, Model>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let own = keyset::among((Entity, Column::Id), ids, reader.get_database_backend());
    let people: Vec<Model> = reader.rows(Filter::default().select().filter(own).into_query()).await?;
    Ok(people.into_iter().map(|person| (person.id, person)).collect())
}

/// Who is responsible for each of several accounts.
pub async fn owners(reader: &Reader, users: &[Uuid]) -> Result<HashMap<Uuid, Model>> {
    let own = keyset::among((user::Entity, user::Column::Id), users, reader.get_database_backend());
    let accounts: Vec<(Uuid, Uuid, String)> = user::Entity::find()
        .select_only()
        .columns([user::Column::Id, user::Column::InstanceId, user::Column::ExternalId])
        .filter(own)
        .into_tuple()
        .all(reader)
        .await?;
    let instances: HashSet<Uuid> = accounts.iter().map(|(_, instance, _)| *instance).collect();
    let external = accounts.iter().map(|(.., external)| external.clone());
    let rows = account_owner::Entity::find()
        .filter(account_owner::Column::InstanceId.is_in(instances))
        .filter(account_owner::Column::ExternalId.is_in(external));
    let owners: HashMap<(Uuid, String), Uuid> =
        rows.all(reader).await?.into_iter().map(|row| ((row.instance_id, row.external_id), row.person_id)).collect();
    let ids: Vec<Uuid> = owners.values().copied().collect();
    let people = by_ids(reader, &ids).await?;
    let owner = |(user, instance, external)| Some((user, people.get(owners.get(&(instance, external))?)?.clone()));
    Ok(accounts.into_iter().filter_map(owner).collect())
}

/// When the source that decides the state of each person was last read. Of several, the one that is the furthest behind.
pub async fn as_of(reader: &Reader, people: &[Uuid]) -> Result<HashMap<Uuid, i64>> {
    let own = keyset::among(
        (source_account::Entity, source_account::Column::PersonId),
        people,
        reader.get_database_backend(),
    );
    let accounts = source_account::Entity::find().filter(own).all(reader).await?;
    let sources = people_source::Entity::find().all(reader).await?;
    let ids: Vec<Uuid> = sources.iter().map(|source| source.instance_id).collect();
    let own = keyset::among((instance::Entity, instance::Column::Id), &ids, reader.get_database_backend());
    let read: Vec<(Uuid, i64)> = instance::Entity::find()
        .select_only()
        .columns([instance::Column::Id, instance::Column::LastSuccessAt])
        .filter(own)
        .into_tuple()
        .all(reader)
        .await?;
    let read: HashMap<Uuid, i64> = read.into_iter().collect();
    let ranks: HashMap<Uuid, i32> = sources.into_iter().map(|source| (source.instance_id, source.rank)).collect();
    let mut found: HashMap<Uuid, (i32, i64)> = HashMap::new();
    for account in accounts {
        let source = (ranks.get(&account.instance_id), read.get(&account.instance_id), account.person_id);
        // 0 if it was never read.
        if let (Some(rank), Some(at @ 1..), Some(person)) = source {
            let best = found.entry(person).or_insert((*rank, *at));
            *best = (*best).min((*rank, *at));
        }
    }
    Ok(found.into_iter().map(|(person, (_, at))| (person, at)).collect())
}

/// How a people source names a manager: the source, and an id or an address there.
pub type Manager = (Uuid, String);

/// Who the managers are.
pub async fn managers(reader: &Reader, named: &[Manager]) -> Result<HashMap<Manager, Model>> {
    let texts: Vec<String> = named.iter().map(|(_, text)| text.clone()).collect();
    let by_id = source_account::Entity::find().filter(source_account::Column::ExternalId.is_in(texts.clone()));
    let by_id = by_id.all(reader).await?;
    let keys: Vec<String> = texts.iter().filter_map(|text| match_key(text)).collect();
    let keys = person_key::Entity::find()
        .filter(person_key::Column::Value.is_in(keys))
        .filter(person_key::Column::ValidTo.is_null())
        .all(reader)
        .await?;
    let holders = keys.iter().map(|key| key.external_id.clone());
    let holders = source_account::Entity::find().filter(source_account::Column::ExternalId.is_in(holders));
    let holders: HashMap<(Uuid, String), Option<Uuid>> = holders
        .all(reader)
        .await?
        .into_iter()
        .map(|account| ((account.instance_id, account.external_id), account.person_id))
        .collect();
    let person = |(source, text): &Manager| {
        let own = by_id.iter().find(|account| account.instance_id == *source && account.external_id == *text);
        let by_address = || {
            let value = match_key(text)?;
            let mut own = keys.iter().filter(|key| key.instance_id == *source && key.value == value);
            // Of an address that two people have, nobody knows whose it is.
            let key = own.next().filter(|_| own.next().is_none())?;
            holders.get(&(*source, key.external_id.clone())).copied().flatten()
        };
        own.and_then(|account| account.person_id).or_else(by_address)
    };
    let found: HashMap<&Manager, Uuid> = named.iter().filter_map(|named| Some((named, person(named)?))).collect();
    let ids: Vec<Uuid> = found.values().copied().collect();
    let people = by_ids(reader, &ids).await?;
    Ok(found.into_iter().filter_map(|(named, id)| Some((named.clone(), people.get(&id)?.clone()))).collect())
}

/// How many people are in each state, also those who have no account at present.
pub async fn by_state(conn: &impl ConnectionTrait) -> Result<Vec<(State, i64)>> {
    let counts = Entity::find().select_only().column(Column::State).column_as(Column::Id.count(), "people");
    let counts: Vec<(State, i64)> = counts.group_by(Column::State).into_tuple().all(conn).await?;
    let counts: HashMap<State, i64> = counts.into_iter().collect();
    Ok(State::iter().map(|state| (state, counts.get(&state).copied().unwrap_or(0))).collect())
}
