//! Which accounts describe a person: those in the sources, in the order of the sources. Of a person without any, one
//! other, so that it is known whose its name is. Whoever was connected first, it is the same one.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap, HashSet};

use entity::account_link::{self, Column, Rule};
use entity::{person, user};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect, QueryTrait};
use uuid::Uuid;

use super::lane::Lane;
use crate::db::keyset;
use crate::error::Result;

/// How many accounts are read by one statement.
const ACCOUNTS: usize = 2_000;

/// The account of each person that comes first of some that are no source's.
#[derive(Default)]
pub(super) struct Firsts {
    accounts: HashMap<Uuid, user::Model>,
    /// The people of whom nothing but all of their accounts tells which one comes first.
    pub unsure: BTreeSet<Uuid>,
}

/// Of two accounts, the one with the lower rank describes a person.
fn rank(row: &user::Model) -> ((bool, Option<&str>), Uuid, &str) {
    (rank_of_name(row.display_name.as_deref()), row.instance_id, &row.external_id)
}

fn rank_of_name(name: Option<&str>) -> (bool, Option<&str>) {
    (name.is_none(), name)
}

impl Firsts {
    pub fn of(&self, person: Uuid) -> Option<&user::Model> {
        self.accounts.get(&person)
    }

    pub fn offer(&mut self, person: Uuid, row: &user::Model) {
        match self.accounts.entry(person) {
            Entry::Vacant(place) => {
                place.insert(row.clone());
            }
            Entry::Occupied(mut place) if rank(row) < rank(place.get()) => {
                place.insert(row.clone());
            }
            Entry::Occupied(_) => {}
        }
    }
}

/// The accounts that describe people, and who has no account at all.
#[derive(Default)]
pub(super) struct Describers {
    pub accounts: HashMap<Uuid, Vec<user::Model>>,
    pub idle: HashSet<Uuid>,
}

impl Lane<'_> {
    /// Those of the people who are known by an address, and whose account that comes first is the one of before, or one
    /// of those that they have gained. Their other accounts need not be read: a person may have one in each of hundreds
    /// of instances.
    pub async fn still_first(
        &self,
        people: &[person::Model],
        sourced: &HashSet<Uuid>,
        gained: &Firsts,
    ) -> Result<HashMap<Uuid, Vec<user::Model>>> {
        let is_candidate = |person: &&person::Model| {
            person.address.is_some() && !sourced.contains(&person.id) && !gained.unsure.contains(&person.id)
        };
        let before: HashMap<Uuid, &person::Model> =
            people.iter().filter(is_candidate).filter_map(|person| Some((person.source_user_id?, person))).collect();
        if before.is_empty() {
            return Ok(HashMap::new());
        }
        let ids: Vec<Uuid> = before.keys().copied().collect();
        let links: HashMap<Uuid, Uuid> = self.links_of(Column::UserId, &ids, None).await?.into_iter().collect();
        let mut first = HashMap::new();
        for row in self.accounts(&ids).await? {
            let Some(person) = before.get(&row.id) else { continue };
            let has_it = links.get(&row.id) == Some(&person.id);
            // With another name, it may come after one of those that are not read.
            let is_first = rank_of_name(row.display_name.as_deref()) <= rank_of_name(person.display_name.as_deref());
            if has_it && is_first {
                let mut best = Firsts::default();
                best.offer(person.id, &row);
                if let Some(other) = gained.of(person.id) {
                    best.offer(person.id, other);
                }
                first.extend(best.accounts.into_iter().map(|(person, row)| (person, vec![row])));
            }
        }
        Ok(first)
    }

    /// The accounts that describe these people.
    pub async fn describers(&self, people: &[Uuid]) -> Result<Describers> {
        let mut found = Describers { idle: people.iter().copied().collect(), ..Describers::default() };
        let own = self.links_of(Column::PersonId, people, Some(Rule::Source)).await?;
        self.read(&own, |person, row| {
            if self.place(row.instance_id).is_some() {
                found.accounts.entry(person).or_default().push(row);
            }
        })
        .await?;
        found.idle.retain(|person| !found.accounts.contains_key(person));
        for accounts in found.accounts.values_mut() {
            accounts.sort_by(|a, b| {
                let place = |row: &user::Model| self.place(row.instance_id);
                place(a).cmp(&place(b)).then_with(|| rank(a).cmp(&rank(b)))
            });
        }
        let others: Vec<Uuid> = found.idle.iter().copied().collect();
        let others = self.links_of(Column::PersonId, &others, None).await?;
        for (_, person) in &others {
            found.idle.remove(person);
        }
        let mut firsts = Firsts::default();
        self.read(&others, |person, row| firsts.offer(person, &row)).await?;
        found.accounts.extend(firsts.accounts.into_iter().map(|(person, row)| (person, vec![row])));
        Ok(found)
    }

    /// Those of these people who are described by an account of no source: nobody knows them by an address, and their
    /// accounts in the sources are not reported.
    pub async fn described_by_others(&self, people: &[Uuid]) -> Result<BTreeSet<Uuid>> {
        use person::Column as P;
        if people.is_empty() {
            return Ok(BTreeSet::new());
        }
        let own = keyset::among((person::Entity, P::Id), people, self.backend());
        let rows = person::Entity::find().select_only().columns([P::Id, P::SourceInstanceId]).filter(own);
        let rows: Vec<(Uuid, Option<Uuid>)> = rows.into_tuple().all(self.tx.conn()).await?;
        let is_by_other = |by: &Option<Uuid>| by.is_none_or(|by| self.place(by).is_none());
        Ok(rows.into_iter().filter(|(_, by)| is_by_other(by)).map(|(person, _)| person).collect())
    }

    /// The accounts and the people of links that have one of these ids, and the rule.
    async fn links_of(&self, column: Column, ids: &[Uuid], rule: Option<Rule>) -> Result<Vec<(Uuid, Uuid)>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let own = keyset::among((account_link::Entity, column), ids, self.backend());
        let mut links = account_link::Entity::find().select_only().columns([Column::UserId, Column::PersonId]);
        links = links.filter(own).filter(Column::PersonId.is_not_null());
        if let Some(rule) = rule {
            links = links.filter(Column::Rule.eq(rule));
        }
        self.tx.rows(links.into_query()).await
    }

    /// Reads the accounts of links, part by part.
    async fn read(&self, links: &[(Uuid, Uuid)], mut take: impl FnMut(Uuid, user::Model)) -> Result<()> {
        for links in links.chunks(ACCOUNTS) {
            let people: HashMap<Uuid, Uuid> = links.iter().copied().collect();
            let ids: Vec<Uuid> = people.keys().copied().collect();
            for row in self.accounts(&ids).await? {
                take(people[&row.id], row);
            }
        }
        Ok(())
    }
}
