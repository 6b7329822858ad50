//! Finds which accounts of the sources are of one person, and gives each person an id.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use entity::person::{self, State};
use entity::{people_source, person_key, source_account};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, ColumnTrait, Condition, EntityTrait, IntoActiveModel, QueryFilter};
use uuid::Uuid;

use super::groups::{self, Member};
use super::lane::Lane;
use super::links::unknown;
use super::sources::Heard;
use super::states::{self, Held};
use crate::db::keyset;
use crate::error::Result;

type Account = source_account::Model;

/// How many accounts are stored by one statement.
const TOGETHER: usize = 2_000;

/// Which person each account has, and who are the same as somebody else.
#[derive(Default)]
struct Names {
    /// The id for each root.
    ids: BTreeMap<usize, Option<Uuid>>,
    new: Vec<person::Model>,
    /// People who turned out to be another one.
    merged: Vec<(Uuid, Uuid)>,
}

impl Lane<'_> {
    /// Unites these accounts of a source with those of the other sources. `before` is what the source said before.
    pub async fn unite(&mut self, source: Uuid, external: &[String], before: Vec<Account>, at: i64) -> Result<Heard> {
        let accounts = self.component(source, external, before).await?;
        let keys: Vec<(Uuid, String)> = accounts.iter().map(|it| (it.instance_id, it.external_id.clone())).collect();
        let pins = self.pinned_people(&keys).await?;
        let members: Vec<Member> =
            accounts.iter().zip(&keys).map(|(it, key)| self.member(it, pins.contains_key(key))).collect();
        let roots = groups::roots(&members);
        let names = self.name(&accounts, &roots, &pins).await?;
        let mut heard = Heard::default();
        let new = self.add_people(names.new.clone()).await?;
        let ids: HashMap<Uuid, Uuid> = names.new.iter().map(|it| it.id).zip(new.iter().map(|it| it.id)).collect();
        let real = |id: Uuid| ids.get(&id).copied().unwrap_or(id);
        let mut moved: BTreeMap<Uuid, Vec<String>> = BTreeMap::new();
        let mut losers = BTreeSet::new();
        let mut given = Vec::new();
        for (account, root) in accounts.iter().zip(&roots) {
            let person_id = names.ids.get(root).copied().flatten().map(real);
            heard.people.extend(person_id);
            if account.person_id != person_id {
                losers.extend(account.person_id);
                moved.entry(account.instance_id).or_default().push(account.external_id.clone());
                given.push(Account { person_id, ..account.clone() });
            }
        }
        self.give(given).await?;
        for (from, to) in &names.merged {
            self.repoint(&[*from], real(*to)).await?;
            losers.insert(*from);
        }
        self.adopt(&heard.people).await?;
        heard.users.extend(self.touched_by(&moved, &losers).await?);
        heard.people.extend(losers);
        self.assess(&heard.people, at).await?;
        Ok(heard)
    }

    fn member(&self, account: &Account, pinned: bool) -> Member {
        let owned = |address: &String| self.settings.owns(address) == Some(true);
        Member {
            source: self.place(account.instance_id).unwrap_or(usize::MAX),
            employee_id: account.employee_id.clone(),
            address: account.address.clone().filter(owned),
            present: account.presence == source_account::Presence::Present,
            pinned,
        }
    }

    /// The accounts of all sources that may be of the same people as these, in the order of the sources.
    async fn component(&self, source: Uuid, external: &[String], before: Vec<Account>) -> Result<Vec<Account>> {
        let mut found: BTreeMap<(usize, String), Account> = BTreeMap::new();
        let (mut employees, mut addresses) = (HashSet::new(), HashSet::new());
        // Those with whom the accounts were united before may be on their own now.
        let mut next = before;
        let own = self.source_accounts(source, external).await?;
        for account in &own {
            found.insert((self.place(source).unwrap_or(usize::MAX), account.external_id.clone()), account.clone());
        }
        next.extend(own);
        while !next.is_empty() {
            let new_employees: Vec<String> =
                next.iter().filter_map(|it| it.employee_id.clone()).filter(|it| employees.insert(it.clone())).collect();
            let new_addresses: Vec<String> =
                next.iter().filter_map(|it| it.address.clone()).filter(|it| addresses.insert(it.clone())).collect();
            let loaded = self.sharing(&new_employees, &new_addresses).await?;
            next = Vec::new();
            for account in loaded {
                let Some(place) = self.place(account.instance_id) else { continue };
                let known = found.insert((place, account.external_id.clone()), account.clone());
                if known.is_none() {
                    next.push(account);
                }
            }
        }
        Ok(found.into_values().collect())
    }

    async fn sharing(&self, employees: &[String], addresses: &[String]) -> Result<Vec<Account>> {
        use source_account::{Column, Entity};
        if employees.is_empty() && addresses.is_empty() {
            return Ok(Vec::new());
        }
        let any = Condition::any()
            .add(self.texts((Entity, Column::EmployeeId), employees))
            .add(self.texts((Entity, Column::Address), addresses));
        Ok(Entity::find().filter(any).all(self.tx.conn()).await?)
    }

    /// The people to whom members have given these accounts.
    async fn pinned_people(&self, keys: &[(Uuid, String)]) -> Result<HashMap<(Uuid, String), Option<Uuid>>> {
        use entity::person_pin::{Column, Entity};
        let external: Vec<String> = keys.iter().map(|(_, external)| external.clone()).collect();
        if external.is_empty() {
            return Ok(HashMap::new());
        }
        let pins =
            Entity::find().filter(self.texts((Entity, Column::ExternalId), &external)).filter(Column::Links.eq(true));
        let pins = pins.all(self.tx.conn()).await?;
        Ok(pins.into_iter().map(|pin| ((pin.instance_id, pin.external_id), pin.person_id)).collect())
    }

    /// Gives each root an id: the one that its accounts have, or that of the person who is known by its address, or a
    /// new one.
    async fn name(
        &self,
        accounts: &[Account],
        roots: &[usize],
        pins: &HashMap<(Uuid, String), Option<Uuid>>,
    ) -> Result<Names> {
        let at_address = self.people_at(accounts).await?;
        let mut names = Names::default();
        let mut taken: HashSet<Uuid> = HashSet::new();
        let mut groups: BTreeMap<usize, Vec<&Account>> = BTreeMap::new();
        for (account, root) in accounts.iter().zip(roots) {
            groups.entry(*root).or_default().push(account);
        }
        for (root, group) in &mut groups {
            let first = &accounts[*root];
            if let Some(person) = pins.get(&(first.instance_id, first.external_id.clone())) {
                names.ids.insert(*root, *person);
            }
            // The first account is the root, because parents come before their children.
            group.sort_by_key(|it| (self.place(it.instance_id), &it.external_id));
        }
        // An account that begins a person keeps its person, before others that were of the same person.
        for root in groups.keys() {
            if !names.ids.contains_key(root)
                && let Some(person) = accounts[*root].person_id
                && taken.insert(person)
            {
                names.ids.insert(*root, Some(person));
            }
        }
        for (root, group) in &groups {
            let first = &accounts[*root];
            let known = group.iter().filter_map(|it| it.person_id);
            let known: Vec<Uuid> =
                known.chain(first.address.iter().filter_map(|address| at_address.get(address).copied())).collect();
            let id = if let Some(id) = names.ids.get(root) {
                *id
            } else {
                let free = known.iter().copied().find(|id| taken.insert(*id));
                let id = free.unwrap_or_else(|| {
                    let new = self.new_person(first);
                    let id = new.id;
                    names.new.push(new);
                    id
                });
                names.ids.insert(*root, Some(id));
                Some(id)
            };
            let merged = known.into_iter().filter(|other| Some(*other) != id && taken.insert(*other));
            names.merged.extend(merged.filter_map(|other| Some((other, id?))));
        }
        Ok(names)
    }

    fn new_person(&self, account: &Account) -> person::Model {
        let Account { instance_id, external_id, .. } = account;
        let name = format!("account\0{instance_id}\0{external_id}");
        person::Model { id: Uuid::new_v5(&self.salt, name.as_bytes()), is_external: Some(false), ..unknown(self.now) }
    }

    /// The people who are known by an address of these accounts.
    async fn people_at(&self, accounts: &[Account]) -> Result<HashMap<String, Uuid>> {
        let addresses: Vec<String> = accounts.iter().filter_map(|account| account.address.clone()).collect();
        if addresses.is_empty() {
            return Ok(HashMap::new());
        }
        let own = self.texts((person::Entity, person::Column::Address), &addresses);
        let people = person::Entity::find().filter(own).all(self.tx.conn()).await?;
        Ok(people.into_iter().filter_map(|person| Some((person.address?, person.id))).collect())
    }

    /// Stores whose these accounts are.
    async fn give(&self, accounts: Vec<Account>) -> Result<()> {
        use source_account::{ActiveModel, Column, Entity};
        let known =
            OnConflict::columns([Column::InstanceId, Column::ExternalId]).update_column(Column::PersonId).to_owned();
        for accounts in accounts.chunks(TOGETHER) {
            let rows = accounts.iter().cloned().map(IntoActiveModel::<ActiveModel>::into_active_model);
            Entity::insert_many(rows).on_conflict(known.clone()).exec_without_returning(self.tx.conn()).await?;
        }
        Ok(())
    }

    /// People whom a source has are not known by an address any more.
    async fn adopt(&self, people: &BTreeSet<Uuid>) -> Result<()> {
        let people: Vec<Uuid> = people.iter().copied().collect();
        let set = person::ActiveModel { address: Set(None), is_external: Set(Some(false)), ..Default::default() };
        person::Entity::update_many()
            .set(set)
            .filter(keyset::among((person::Entity, person::Column::Id), &people, self.backend()))
            .filter(person::Column::Address.is_not_null())
            .exec(self.tx.conn())
            .await?;
        Ok(())
    }

    /// The accounts that may be somebody else's, because these accounts of sources are of other people now.
    async fn touched_by(&self, moved: &BTreeMap<Uuid, Vec<String>>, losers: &BTreeSet<Uuid>) -> Result<Vec<Uuid>> {
        let losers: Vec<Uuid> = losers.iter().copied().collect();
        let mut users: Vec<Uuid> = self.linked_to(&losers).await?.into_iter().map(|link| link.user_id).collect();
        for (source, external) in moved {
            users.extend(self.rows_of(*source, external).await?);
            users.extend(self.with_source_ids(external).await?);
            let keys = person_key::Entity::find()
                .filter(person_key::Column::InstanceId.eq(*source))
                .filter(self.texts((person_key::Entity, person_key::Column::ExternalId), external));
            let keys = keys.all(self.tx.conn()).await?.into_iter().map(|key| key.value);
            users.extend(self.with_addresses(&keys.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>()).await?);
        }
        Ok(users)
    }

    /// Finds the states of people.
    pub async fn assess(&mut self, people: &BTreeSet<Uuid>, at: i64) -> Result<()> {
        let ids: Vec<Uuid> = people.iter().copied().collect();
        if ids.is_empty() {
            return Ok(());
        }
        let own = keyset::among((source_account::Entity, source_account::Column::PersonId), &ids, self.backend());
        let mut held: HashMap<Uuid, Vec<Held>> = HashMap::new();
        let mut doubted = BTreeSet::new();
        for account in source_account::Entity::find().filter(own).all(self.tx.conn()).await? {
            let source = self.place(account.instance_id).map(|place| self.sources[place]);
            if let (Some(source), Some(person)) = (source, account.person_id) {
                let (rank, presence, is_believed) = (source.rank, account.presence, source.is_believed);
                held.entry(person).or_default().push(Held { rank, presence, is_believed });
                doubted.extend((!is_believed).then_some(source.instance_id));
            }
        }
        let own = keyset::among((person::Entity, person::Column::Id), &ids, self.backend());
        let mut changed: BTreeMap<State, Vec<Uuid>> = BTreeMap::new();
        for person in person::Entity::find().filter(own).all(self.tx.conn()).await? {
            let state = states::state(person.state, held.get(&person.id).map_or(&[], Vec::as_slice));
            if state != person.state {
                self.ledger.person(person.id, Some(person.state), Some(state));
                changed.entry(state).or_default().push(person.id);
            }
        }
        for (state, people) in changed {
            self.moved.extend(&people);
            let set = person::ActiveModel { state: Set(state), state_since: Set(at), ..Default::default() };
            let own = keyset::among((person::Entity, person::Column::Id), &people, self.backend());
            person::Entity::update_many().set(set).filter(own).exec(self.tx.conn()).await?;
        }
        for source in doubted {
            self.settle(source, false).await?;
        }
        Ok(())
    }

    /// Notes whether all that a source says has been heard and believed.
    pub async fn settle(&mut self, source: Uuid, settled: bool) -> Result<()> {
        let Some(place) = self.place(source).filter(|place| self.sources[*place].settled != settled) else {
            return Ok(());
        };
        self.sources[place].settled = settled;
        let set = people_source::ActiveModel { settled: Set(settled), ..Default::default() };
        people_source::Entity::update_many()
            .set(set)
            .filter(people_source::Column::InstanceId.eq(source))
            .exec(self.tx.conn())
            .await?;
        Ok(())
    }
}
