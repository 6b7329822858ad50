//! Links accounts: reads what the rules need, and writes what they decide.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use entity::account_link::{self, Column, Entity, Model, Rule};
use entity::person::{self, State};
use entity::{person_key, person_pin, source_account, user};
use sea_orm::sea_query::{LockType, OnConflict};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, DbBackend, EntityTrait, IntoActiveModel, Iterable, QueryFilter, QueryOrder,
    QuerySelect, QueryTrait,
};
use uuid::Uuid;

use super::describers::Firsts;
use super::lane::Lane;
use super::rules::{self, Account, Claim, Claims, Decision, Pin, Whose};
use crate::db::keyset;
use crate::directory::erased::is_stand_in;
use crate::error::Result;

/// How many accounts are linked by one set of statements.
const LINKS: usize = 1_000;

/// What is known of the accounts that are to be linked.
struct Known {
    links: HashMap<Uuid, Model>,
    pins: BTreeMap<(Uuid, String), person_pin::Model>,
    /// The people who are pinned, and exist.
    pinned: HashSet<Uuid>,
    /// The people of accounts of sources.
    own: HashMap<(Uuid, String), Option<Uuid>>,
}

impl Lane<'_> {
    /// Links the accounts, and describes the people who gain or lose them, and these ones.
    pub async fn relink(&mut self, users: &BTreeSet<Uuid>, people: BTreeSet<Uuid>) -> Result<()> {
        let users: Vec<Uuid> = users.iter().copied().collect();
        let mut gained = Firsts::default();
        gained.unsure = people;
        let mut touched = BTreeSet::new();
        for users in users.chunks(LINKS) {
            touched.extend(self.link(users, &mut gained).await?);
        }
        touched.extend(&gained.unsure);
        self.describe_again(touched, &gained).await
    }

    /// Links the accounts, and notes what people gain that are described by one of their accounts. Returns the people
    /// that are to be described.
    async fn link(&mut self, users: &[Uuid], gained: &mut Firsts) -> Result<BTreeSet<Uuid>> {
        let rows = self.accounts(users).await?;
        if rows.is_empty() {
            return Ok(BTreeSet::new());
        }
        let known = self.known(&rows).await?;
        let accounts: Vec<Account> = rows.iter().map(|row| known.account(row)).collect();
        let claims = self.claims(&accounts).await?;
        let decided = rows.iter().zip(&accounts).map(|(row, account)| {
            let own = known.own.get(&key(row)).copied().flatten();
            rules::decide(account, known.pin(row).as_ref(), own, &claims, &self.settings)
        });
        let decided: Vec<Decision> = decided.collect();
        let at_address: BTreeMap<&String, Option<bool>> = accounts
            .iter()
            .zip(&decided)
            .filter_map(|(account, decision)| match decision.whose {
                Whose::AtAddress { is_external } => Some((account.address.as_ref()?, is_external)),
                Whose::Nobody | Whose::Person(_) => None,
            })
            .collect();
        let (people, new) = self.at_addresses(&at_address).await?;
        let at = |address: &String| people.get(address).copied().or_else(|| new.get(address).map(|person| person.id));
        let links = rows.iter().zip(&accounts).zip(decided).map(|((row, account), decision)| {
            let person = match decision.whose {
                Whose::Nobody => None,
                Whose::Person(person) => Some(person),
                Whose::AtAddress { .. } => account.address.as_ref().and_then(at),
            };
            known.link(row, account, person, decision)
        });
        let links: Vec<Model> = links.collect();
        let mut touched = BTreeSet::new();
        let mut of_sources = BTreeSet::new();
        for (link, row) in links.iter().zip(&rows) {
            match (link.person_id, link.rule) {
                (Some(person), Some(rule)) if describes(rule) => {
                    // Also if the account stays where it is: its name may be new.
                    touched.insert(person);
                    gained.offer(person, row);
                }
                (Some(person), Some(_)) => drop(of_sources.insert(person)),
                (_, _) => {}
            }
        }
        let of_sources: Vec<Uuid> = of_sources.into_iter().collect();
        gained.unsure.extend(self.described_by_others(&of_sources).await?);
        let changed: Vec<Model> =
            links.into_iter().filter(|link| known.links.get(&link.user_id) != Some(link)).collect();
        for person in new.values() {
            touched.remove(&person.id);
        }
        self.introduce(new.into_values().collect(), gained).await?;
        touched.extend(self.note(&known, &changed));
        // What has been offered of them may be deleted.
        gained.unsure.extend(self.write(&known, changed).await?);
        Ok(touched)
    }

    async fn known(&self, rows: &[user::Model]) -> Result<Known> {
        let (conn, backend) = (self.tx.conn(), self.backend());
        let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
        let links = Entity::find().filter(keyset::among((Entity, Column::UserId), &ids, backend)).all(conn).await?;
        let pins = self.pins(rows).await?;
        let pinned: Vec<Uuid> = pins.values().filter_map(|pin| pin.person_id).collect();
        let pinned: Vec<Uuid> = match &pinned[..] {
            [] => Vec::new(),
            ids => {
                let own = keyset::among((person::Entity, person::Column::Id), ids, backend);
                let people = person::Entity::find().select_only().column(person::Column::Id).filter(own);
                people.into_tuple().all(conn).await?
            }
        };
        let mut own = HashMap::new();
        for source in &self.sources {
            let external: Vec<String> = rows
                .iter()
                .filter(|row| row.instance_id == source.instance_id)
                .map(|row| row.external_id.clone())
                .collect();
            for account in self.source_accounts(source.instance_id, &external).await? {
                own.insert((account.instance_id, account.external_id), account.person_id);
            }
        }
        Ok(Known {
            links: links.into_iter().map(|link| (link.user_id, link)).collect(),
            pins,
            pinned: pinned.into_iter().collect(),
            own,
        })
    }

    /// What a source says about these accounts.
    pub async fn source_accounts(&self, source: Uuid, external: &[String]) -> Result<Vec<source_account::Model>> {
        use source_account::Column;
        if external.is_empty() {
            return Ok(Vec::new());
        }
        let own = self.texts((source_account::Entity, Column::ExternalId), external);
        let found = source_account::Entity::find().filter(Column::InstanceId.eq(source)).filter(own);
        Ok(found.all(self.tx.conn()).await?)
    }

    /// What the sources say about the ids and the addresses of these accounts.
    async fn claims(&self, accounts: &[Account]) -> Result<Claims> {
        let mut claims = Claims::default();
        if self.sources.is_empty() {
            return Ok(claims);
        }
        let ids: BTreeSet<String> = accounts.iter().filter_map(|account| account.source_id.clone()).collect();
        let ids: Vec<String> = ids.into_iter().collect();
        if !ids.is_empty() {
            let own = self.texts((source_account::Entity, source_account::Column::ExternalId), &ids);
            for account in source_account::Entity::find().filter(own).all(self.tx.conn()).await? {
                let rank = self.settings.ranks.get(&account.instance_id);
                if let (Some(rank), Some(person)) = (rank, account.person_id) {
                    let claim = Claim { rank: *rank, person, from: 0, to: None };
                    claims.ids.entry(account.external_id).or_default().push(claim);
                }
            }
        }
        let addresses = accounts.iter().filter_map(|account| account.address.as_ref());
        let addresses: BTreeSet<String> = addresses.flat_map(|address| self.settings.addresses(address)).collect();
        let addresses: Vec<String> = addresses.into_iter().collect();
        for (key, account) in self.keys_of(&addresses).await? {
            let rank = self.settings.ranks.get(&key.instance_id);
            if let (Some(rank), Some(person)) = (rank, account.and_then(|account| account.person_id)) {
                let claim = Claim { rank: *rank, person, from: key.valid_from, to: key.valid_to };
                claims.addresses.entry(key.value).or_default().push(claim);
            }
        }
        Ok(claims)
    }

    /// The keys of these addresses, each with the account of its source.
    async fn keys_of(&self, addresses: &[String]) -> Result<Vec<(person_key::Model, Option<source_account::Model>)>> {
        if addresses.is_empty() {
            return Ok(Vec::new());
        }
        let own = self.texts((person_key::Entity, person_key::Column::Value), addresses);
        let keys = person_key::Entity::find().filter(own).all(self.tx.conn()).await?;
        let mut external: BTreeMap<Uuid, Vec<String>> = BTreeMap::new();
        for key in &keys {
            external.entry(key.instance_id).or_default().push(key.external_id.clone());
        }
        let mut accounts = HashMap::new();
        for (source, external) in external {
            for account in self.source_accounts(source, &external).await? {
                accounts.insert((source, account.external_id.clone()), account);
            }
        }
        let with_account = |key: person_key::Model| {
            let account = accounts.get(&(key.instance_id, key.external_id.clone())).cloned();
            (key, account)
        };
        Ok(keys.into_iter().map(with_account).collect())
    }

    /// The people who are known by these addresses, and those who are new, each by the address.
    async fn at_addresses(
        &mut self,
        wanted: &BTreeMap<&String, Option<bool>>,
    ) -> Result<(HashMap<String, Uuid>, HashMap<String, person::Model>)> {
        use person::Column;
        let addresses: Vec<String> = wanted.keys().map(|address| (*address).clone()).collect();
        if addresses.is_empty() {
            return Ok(Default::default());
        }
        let own = self.texts((person::Entity, Column::Address), &addresses);
        let known = person::Entity::find().select_only().columns([Column::Address, Column::Id]).filter(own);
        let known: Vec<(String, Uuid)> = self.tx.rows(known.into_query()).await?;
        let known: HashMap<String, Uuid> = known.into_iter().collect();
        let missing = wanted.iter().filter(|(address, _)| !known.contains_key(**address));
        let new = missing.map(|(address, is_external)| person::Model {
            id: Uuid::new_v5(&self.salt, format!("address\0{address}").as_bytes()),
            address: Some((*address).clone()),
            is_external: *is_external,
            ..unknown(self.now)
        });
        let new = self.with_free_ids(new.collect()).await?;
        let new = new.into_iter().filter_map(|person| Some((person.address.clone()?, person))).collect();
        Ok((known, new))
    }

    /// Stores new people. One whose id is taken gets another.
    pub async fn add_people(&mut self, new: Vec<person::Model>) -> Result<Vec<person::Model>> {
        let new = self.with_free_ids(new).await?;
        for new in new.chunks(LINKS) {
            let rows = new.iter().cloned().map(IntoActiveModel::<person::ActiveModel>::into_active_model);
            person::Entity::insert_many(rows).exec_without_returning(self.tx.conn()).await?;
        }
        Ok(new)
    }

    /// New people, each with an id that nobody has.
    async fn with_free_ids(&mut self, mut new: Vec<person::Model>) -> Result<Vec<person::Model>> {
        if new.is_empty() {
            return Ok(new);
        }
        let ids: Vec<Uuid> = new.iter().map(|person| person.id).collect();
        let own = keyset::among((person::Entity, person::Column::Id), &ids, self.backend());
        let taken = person::Entity::find().select_only().column(person::Column::Id).filter(own);
        let taken: HashSet<Uuid> = taken.into_tuple().all(self.tx.conn()).await?.into_iter().collect();
        for person in new.iter_mut().filter(|person| taken.contains(&person.id)) {
            person.id = Uuid::now_v7();
        }
        for person in &new {
            self.ledger.person(person.id, None, Some(person.state));
        }
        Ok(new)
    }

    /// Counts the changes. Returns the people who lose an account.
    fn note(&mut self, known: &Known, changed: &[Model]) -> BTreeSet<Uuid> {
        let mut losers = BTreeSet::new();
        for link in changed {
            self.relinked.insert(link.instance_id);
            let before = known.links.get(&link.user_id).and_then(|link| link.person_id);
            self.ledger.account(link.user_id, before, link.person_id);
            if before != link.person_id {
                losers.extend(before);
            }
        }
        losers
    }

    /// Stores links. Returns the people of accounts that were deleted meanwhile.
    async fn write(&self, known: &Known, mut links: Vec<Model>) -> Result<Vec<Uuid>> {
        let (conn, backend) = (self.tx.conn(), self.backend());
        let new: Vec<Uuid> =
            links.iter().map(|link| link.user_id).filter(|user| !known.links.contains_key(user)).collect();
        let mut lost = Vec::new();
        // On SQLite, nobody else writes meanwhile.
        if !new.is_empty() && backend == DbBackend::Postgres {
            // Held, so that nobody deletes an account whose link is not written yet.
            let own = keyset::among((user::Entity, user::Column::Id), &new, backend);
            let held = user::Entity::find().select_only().column(user::Column::Id).filter(own);
            let held = held.order_by_asc(user::Column::Id).lock(LockType::KeyShare);
            let held: HashSet<Uuid> = held.into_tuple().all(conn).await?.into_iter().collect();
            let is_here = |link: &Model| known.links.contains_key(&link.user_id) || held.contains(&link.user_id);
            lost.extend(links.iter().filter(|link| !is_here(link)).filter_map(|link| link.person_id));
            links.retain(is_here);
        }
        let columns = Column::iter().filter(|column| !matches!(column, Column::UserId));
        let known = OnConflict::column(Column::UserId).update_columns(columns).to_owned();
        for links in links.chunks(LINKS) {
            let rows = links.iter().cloned().map(IntoActiveModel::<account_link::ActiveModel>::into_active_model);
            Entity::insert_many(rows).on_conflict(known.clone()).exec_without_returning(conn).await?;
        }
        Ok(lost)
    }

    /// Lets what was said of some people be said of another one, because they are the same.
    pub async fn repoint(&mut self, from: &[Uuid], to: Uuid) -> Result<()> {
        use entity::account_owner;
        self.moved.insert(to);
        let (conn, backend) = (self.tx.conn(), self.backend());
        person_pin::Entity::update_many()
            .set(person_pin::ActiveModel { person_id: Set(Some(to)), ..Default::default() })
            .filter(keyset::among((person_pin::Entity, person_pin::Column::PersonId), from, backend))
            .exec(conn)
            .await?;
        account_owner::Entity::update_many()
            .set(account_owner::ActiveModel { person_id: Set(to), ..Default::default() })
            .filter(keyset::among((account_owner::Entity, account_owner::Column::PersonId), from, backend))
            .exec(conn)
            .await?;
        Ok(())
    }
}

/// Whether an account may describe a person by this rule, though the person is in no source.
fn describes(rule: Rule) -> bool {
    match rule {
        Rule::Pin | Rule::OwnedAddress | Rule::ForeignAddress => true,
        Rule::Source | Rule::SourceId | Rule::Address | Rule::EquivalentDomain | Rule::Tag => false,
    }
}

/// A person of whom nothing is known yet.
pub(super) fn unknown(now: i64) -> person::Model {
    person::Model {
        id: Uuid::nil(),
        address: None,
        state: State::Unknown,
        state_since: now,
        is_external: None,
        display_name: None,
        email: None,
        department: None,
        employee_id: None,
        manager: None,
        source_instance_id: None,
        source_user_id: None,
    }
}

fn key(row: &user::Model) -> (Uuid, String) {
    (row.instance_id, row.external_id.clone())
}

impl Known {
    fn account(&self, row: &user::Model) -> Account {
        let address_since = match self.links.get(&row.id) {
            Some(link) if link.address == row.match_key => link.address_since,
            Some(_) => row.last_seen_at,
            None => row.first_seen_at,
        };
        Account {
            source_id: row.source_id.clone(),
            address: row.match_key.clone(),
            address_since,
            kind: self.pins.get(&key(row)).and_then(|pin| pin.kind).or(row.kind),
            is_erased: is_stand_in(&row.external_id),
        }
    }

    fn pin(&self, row: &user::Model) -> Option<Pin> {
        let pin = self.pins.get(&key(row)).filter(|pin| pin.links)?;
        let evidence = match &pin.reason {
            Some(reason) => format!("{}: {reason}", pin.decided_by),
            None => pin.decided_by.clone(),
        };
        let is_known = pin.person_id.is_some_and(|person| self.pinned.contains(&person));
        Some(Pin { person: pin.person_id, is_known, evidence })
    }

    fn link(&self, row: &user::Model, account: &Account, person: Option<Uuid>, decision: Decision) -> Model {
        Model {
            user_id: row.id,
            instance_id: row.instance_id,
            person_id: person,
            rule: decision.rule,
            state: decision.state,
            evidence: decision.evidence,
            address: account.address.clone(),
            address_since: account.address_since,
            source_id: account.source_id.clone(),
            kind: self.pins.get(&key(row)).and_then(|pin| pin.kind),
        }
    }
}
