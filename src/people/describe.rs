//! Describes people by what their accounts say, and forgets those who have none.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::slice::from_ref;

use entity::person::{self, Model};
use entity::{account_owner, person_pin, person_word, source_account, user};
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, IntoActiveModel, Iterable, QueryFilter, QueryOrder,
    QuerySelect,
};
use uuid::Uuid;

use super::describers::Firsts;
use super::lane::Lane;
use crate::db::keyset;
use crate::directory::keys::match_key;
use crate::directory::words::Words;
use crate::error::Result;

/// How many people are described by one set of statements.
const TOGETHER: usize = 500;
/// How many words are stored by one statement.
const WORDS: usize = 4_000;

impl Lane<'_> {
    /// Copies what the accounts of these people say of them. People without any account are forgotten, unless a member
    /// has given them one that is not here at present.
    pub async fn describe(&mut self, people: BTreeSet<Uuid>) -> Result<()> {
        let people: Vec<Uuid> = people.into_iter().collect();
        for people in people.chunks(TOGETHER) {
            let sourced = self.sourced(people).await?;
            let changed = self.described_anew(people, &sourced).await?;
            self.store(changed).await?;
        }
        Ok(())
    }

    /// [`Self::describe`] for people of whom it is known which accounts they have gained.
    pub async fn describe_again(&mut self, people: BTreeSet<Uuid>, gained: &Firsts) -> Result<()> {
        let people: Vec<Uuid> = people.into_iter().collect();
        for people in people.chunks(TOGETHER) {
            let sourced = self.sourced(people).await?;
            let known = self.people(people).await?;
            let first = self.still_first(&known, &sourced, gained).await?;
            let rest: Vec<Uuid> = people.iter().copied().filter(|person| !first.contains_key(person)).collect();
            let mut changed = self.changes(known, &sourced, &first);
            changed.extend(self.described_anew(&rest, &sourced).await?);
            self.store(changed).await?;
        }
        Ok(())
    }

    /// People whose accounts describe them differently, before and after it. All of their accounts count.
    async fn described_anew(&mut self, people: &[Uuid], sourced: &HashSet<Uuid>) -> Result<Vec<(Model, Model)>> {
        if people.is_empty() {
            return Ok(Vec::new());
        }
        let found = self.describers(people).await?;
        self.forget_people(&found.idle).await?;
        self.keep_known(people, sourced).await?;
        let known = self.people(people).await?;
        Ok(self.changes(known, sourced, &found.accounts))
    }

    async fn people(&self, ids: &[Uuid]) -> Result<Vec<Model>> {
        let own = keyset::among((person::Entity, person::Column::Id), ids, self.backend());
        Ok(person::Entity::find().filter(own).all(self.tx.conn()).await?)
    }

    /// Those of the people whom these accounts describe differently.
    fn changes(
        &mut self,
        known: Vec<Model>,
        sourced: &HashSet<Uuid>,
        accounts: &HashMap<Uuid, Vec<user::Model>>,
    ) -> Vec<(Model, Model)> {
        // Without an account: all of them may be deleted, and come back.
        let changed = known.into_iter().filter_map(|row| {
            let after = self.described(&row, sourced.contains(&row.id), accounts.get(&row.id)?);
            (after != row).then_some((row, after))
        });
        let changed: Vec<(Model, Model)> = changed.collect();
        let others = changed.iter().filter(|(before, after)| before.department != after.department);
        self.moved.extend(others.map(|(before, _)| before.id));
        changed
    }

    /// Stores new people who are known by an address, as the accounts describe them to which they are linked.
    pub async fn introduce(&self, people: Vec<Model>, accounts: &Firsts) -> Result<()> {
        let described = people.into_iter().map(|row| {
            let after = accounts.of(row.id).map(|account| self.described(&row, false, from_ref(account)));
            (row.clone(), after.unwrap_or(row))
        });
        self.store(described.collect()).await
    }

    /// Those of the people whom a source has.
    async fn sourced(&self, people: &[Uuid]) -> Result<HashSet<Uuid>> {
        use source_account::Column;
        let own = keyset::among((source_account::Entity, Column::PersonId), people, self.backend());
        let rows: Vec<(Uuid, Option<Uuid>)> = source_account::Entity::find()
            .select_only()
            .columns([Column::InstanceId, Column::PersonId])
            .filter(own)
            .into_tuple()
            .all(self.tx.conn())
            .await?;
        Ok(rows
            .into_iter()
            .filter(|(source, _)| self.place(*source).is_some())
            .filter_map(|(_, person)| person)
            .collect())
    }

    fn described(&self, before: &Model, is_sourced: bool, accounts: &[user::Model]) -> Model {
        let first = |value: fn(&user::Model) -> &Option<String>| accounts.iter().find_map(|row| value(row).clone());
        let name = accounts.iter().find(|row| row.display_name.is_some()).or(accounts.first());
        let address = before.address.clone().filter(|_| !is_sourced);
        Model {
            is_external: match &address {
                Some(address) => self.settings.owns(address).map(|owned| !owned),
                None => Some(false),
            },
            address,
            display_name: first(|row| &row.display_name),
            email: first(|row| &row.email),
            department: first(|row| &row.department),
            employee_id: first(|row| &row.employee_id),
            manager: first(|row| &row.manager),
            source_instance_id: name.map(|row| row.instance_id),
            source_user_id: name.map(|row| row.id),
            ..before.clone()
        }
    }

    /// Lets people whom no source has any more be known by their address, unless somebody else is.
    async fn keep_known(&self, people: &[Uuid], sourced: &HashSet<Uuid>) -> Result<()> {
        let own = keyset::among((person::Entity, person::Column::Id), people, self.backend());
        let rows = person::Entity::find().filter(own).filter(person::Column::Address.is_null());
        let rows = rows.order_by_asc(person::Column::Id).all(self.tx.conn()).await?;
        let mut wanted: BTreeMap<String, Uuid> = BTreeMap::new();
        for row in rows.iter().filter(|row| !sourced.contains(&row.id)) {
            if let Some(address) = row.email.as_deref().and_then(match_key) {
                wanted.entry(address).or_insert(row.id);
            }
        }
        if wanted.is_empty() {
            return Ok(());
        }
        let addresses: Vec<String> = wanted.keys().cloned().collect();
        let taken = self.texts((person::Entity, person::Column::Address), &addresses);
        for other in person::Entity::find().filter(taken).all(self.tx.conn()).await? {
            if let Some(address) = &other.address {
                wanted.remove(address);
            }
        }
        for (address, id) in wanted {
            let set = person::ActiveModel { id: Set(id), address: Set(Some(address)), ..Default::default() };
            set.update(self.tx.conn()).await?;
        }
        Ok(())
    }

    /// [`Self::keep_known`] for people whose accounts are linked anew afterwards.
    pub async fn keep_known_by_address(&self, people: &BTreeSet<Uuid>) -> Result<()> {
        let people: Vec<Uuid> = people.iter().copied().collect();
        let sourced = self.sourced(&people).await?;
        self.keep_known(&people, &sourced).await
    }

    /// Stores people who are described differently, with their words.
    async fn store(&self, changed: Vec<(Model, Model)>) -> Result<()> {
        use person_word::{Column, Entity};
        let words = |person: &Model| Words::of(person.email.as_deref(), person.display_name.as_deref());
        let (mut renamed, mut found) = (Vec::new(), Vec::new());
        for (before, after) in &changed {
            let (old, new) = (words(before), words(after));
            if old == new {
                continue;
            }
            if !old.is_empty() {
                renamed.push(after.id);
            }
            let word = |word: &str| person_word::ActiveModel { word: Set(word.to_owned()), person_id: Set(after.id) };
            found.extend(new.iter().map(word));
        }
        let conn = self.tx.conn();
        if !renamed.is_empty() {
            let own = keyset::among((Entity, Column::PersonId), &renamed, self.backend());
            Entity::delete_many().filter(own).exec(conn).await?;
        }
        for found in found.chunks(WORDS) {
            Entity::insert_many(found.iter().cloned()).exec_without_returning(conn).await?;
        }
        if changed.is_empty() {
            return Ok(());
        }
        let copied = person::Column::iter().filter(|column| {
            use person::Column as C;
            !matches!(column, C::Id | C::State | C::StateSince)
        });
        let known = OnConflict::column(person::Column::Id).update_columns(copied).to_owned();
        for changed in changed.chunks(TOGETHER) {
            let rows = changed.iter().map(|(_, after)| after.clone());
            let rows = rows.map(IntoActiveModel::<person::ActiveModel>::into_active_model);
            person::Entity::insert_many(rows).on_conflict(known.clone()).exec_without_returning(conn).await?;
        }
        Ok(())
    }

    /// Deletes those of these people, who have no account, whom no member has given one.
    async fn forget_people(&mut self, people: &HashSet<Uuid>) -> Result<()> {
        if people.is_empty() {
            return Ok(());
        }
        let (conn, backend) = (self.tx.conn(), self.backend());
        let ids: Vec<Uuid> = people.iter().copied().collect();
        let pins = keyset::among((person_pin::Entity, person_pin::Column::PersonId), &ids, backend);
        let kept: Vec<Option<Uuid>> = person_pin::Entity::find()
            .select_only()
            .column(person_pin::Column::PersonId)
            .filter(pins)
            .into_tuple()
            .all(conn)
            .await?;
        let owners = keyset::among((account_owner::Entity, account_owner::Column::PersonId), &ids, backend);
        let owners: Vec<Uuid> = account_owner::Entity::find()
            .select_only()
            .column(account_owner::Column::PersonId)
            .filter(owners)
            .into_tuple()
            .all(conn)
            .await?;
        let kept: HashSet<Uuid> = kept.into_iter().flatten().chain(owners).collect();
        let gone: Vec<Uuid> = ids.into_iter().filter(|id| !kept.contains(id)).collect();
        let own = keyset::among((source_account::Entity, source_account::Column::PersonId), &gone, backend);
        let mut said: BTreeMap<Uuid, Vec<String>> = BTreeMap::new();
        for account in source_account::Entity::find().filter(own).all(conn).await? {
            said.entry(account.instance_id).or_default().push(account.external_id);
        }
        for (source, external) in said {
            self.forget(source, &external).await?;
        }
        let own = keyset::among((person_word::Entity, person_word::Column::PersonId), &gone, backend);
        person_word::Entity::delete_many().filter(own).exec(conn).await?;
        let own = || keyset::among((person::Entity, person::Column::Id), &gone, backend);
        for person in person::Entity::find().filter(own()).all(conn).await? {
            self.ledger.person(person.id, Some(person.state), None);
        }
        person::Entity::delete_many().filter(own()).exec(conn).await?;
        Ok(())
    }
}
