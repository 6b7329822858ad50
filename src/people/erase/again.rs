//! Brings the ledger and the database together: carries out again what an older database lacks, and completes the ledger.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use entity::audit_entry::Action;
use entity::{erased_account, erased_name, erasure, person, person_pin, source_account, user};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, Order, QueryFilter, QueryOrder, QuerySelect};
use tracing::{info, warn};
use uuid::Uuid;

use super::belongings::{Account, Found};
use super::ledger::Noted;
use crate::audit::{self, Entry};
use crate::db::{Reader, keyset};
use crate::directory::erased;
use crate::error::Result;
use crate::people::People;
use crate::people::lane::Lane;
use crate::secrets::HashKey;

/// How many rows are read at a time.
const PAGE: u64 = 5_000;

impl People {
    /// Who was erased, the first one first.
    pub async fn erasures(&self) -> Result<Vec<erasure::Model>> {
        Ok(erasure::Entity::find().order_by_asc(erasure::Column::At).all(self.db.read()).await?)
    }

    /// Carries out the erasures of the ledger that the database does not have, as one does that was restored from a backup.
    /// Then adds to the ledger what only the database has. Returns how many people were erased.
    ///
    /// # Errors
    /// Also if the ledger cannot be read or written.
    pub async fn settle_erasures(&self) -> Result<usize> {
        let _turn = self.ledger.turn().await;
        let known = erasure::Entity::find().all(self.db.read()).await?;
        let ids: HashSet<Uuid> = known.iter().map(|erasure| erasure.id).collect();
        let noted = self.ledger.read()?;
        let lost = known.into_iter().filter(|erasure| !noted.iter().any(|noted| noted.id == erasure.id));
        for erasure in lost {
            self.note_again(erasure).await?;
        }
        let missing: Vec<&Noted> = noted.iter().filter(|noted| !ids.contains(&noted.id)).collect();
        let mut erased = 0;
        for (noted, found) in missing.iter().zip(self.look_for(&missing).await?) {
            erased += usize::from(Box::pin(self.erase_again(noted, &found)).await?);
        }
        if erased > 0 {
            info!(people = erased, "people were erased again, of whom an older database knew something");
        }
        Ok(erased)
    }

    /// Adds an erasure to the ledger, which another server has carried out.
    async fn note_again(&self, erasure: erasure::Model) -> Result<()> {
        let id = erasure.id;
        let noted = self.db.write(|tx| {
            let erasure = erasure.clone();
            async move {
                let key = erased::needed_key(tx.conn(), tx.keys()?).await?;
                let mut noted = Noted::new(id, erasure.at, erasure.reason, &key);
                noted.person = erasure.person;
                let accounts = erased_account::Entity::find().filter(erased_account::Column::ErasureId.eq(id));
                let accounts = accounts.all(tx.conn()).await?;
                noted.accounts = accounts.into_iter().map(|row| (row.instance_id, row.stand_in)).collect();
                let names = erased_name::Entity::find().filter(erased_name::Column::ErasureId.eq(id));
                let names: BTreeSet<String> = names.all(tx.conn()).await?.into_iter().map(|row| row.name).collect();
                noted.names = names.into_iter().collect();
                Ok(noted)
            }
        });
        self.ledger.note(&noted.await?)
    }

    /// Erases what is known of somebody who was erased before. Returns false if another server has done it.
    async fn erase_again(&self, noted: &Noted, found: &Found) -> Result<bool> {
        let now = self.clock.now();
        self.db
            .write(|tx| async move {
                let mut lane = Lane::enter(&tx, now).await?;
                if erasure::Entity::find_by_id(noted.id).one(tx.conn()).await?.is_some() {
                    return Ok(false);
                }
                let all = lane.belongings(found).await?;
                let key = lane.hash_key(&self.ledger).await?;
                let mut again = noted.clone();
                if !noted.is_of(&key) {
                    warn!("an erasure of the ledger is of another key: accounts that are not here now may come back");
                    again = Noted::new(noted.id, noted.at, noted.reason.clone(), &key);
                }
                all.note(&mut again, &key);
                let accounts = all.rows.len();
                Box::pin(lane.carry_out(all, &again, &key)).await?;
                self.ledger.note(&again)?;
                let detail = format!("A person was erased again in an older database, with {accounts} accounts.");
                audit::record(&tx, Entry::new(now, Action::PersonErased, detail));
                Ok(true)
            })
            .await
    }

    /// What the database knows of the people of these erasures, for each of them.
    async fn look_for(&self, erasures: &[&Noted]) -> Result<Vec<Found>> {
        let mut search = Search::new(erasures)?;
        if erasures.is_empty() {
            return Ok(search.found);
        }
        let reader = self.db.read();
        let people = person::Entity::find().select_only().column(person::Column::Id);
        for id in people.into_tuple::<Uuid>().all(reader).await? {
            search.person(id);
        }
        for instance in search.instances.clone() {
            search.accounts_of(reader, instance).await?;
        }
        Ok(search.found)
    }
}

/// A search for people of whom only hashes are known.
struct Search {
    /// The keys of the hashes, usually one.
    keys: Vec<HashKey>,
    instances: BTreeSet<Uuid>,
    /// The erasures of which each hash is one.
    of_person: BTreeMap<String, usize>,
    of_account: BTreeMap<Account, usize>,
    found: Vec<Found>,
}

impl Search {
    fn new(erasures: &[&Noted]) -> Result<Self> {
        let mut keys: Vec<HashKey> = Vec::new();
        let (mut of_person, mut of_account) = (BTreeMap::new(), BTreeMap::new());
        for (place, noted) in erasures.iter().enumerate() {
            if !keys.iter().any(|key| noted.is_of(key)) {
                keys.push(noted.key()?);
            }
            of_person.insert(noted.person.clone(), place);
            of_account.extend(noted.accounts.iter().map(|account| (account.clone(), place)));
        }
        let instances = of_account.keys().map(|(instance, _): &Account| *instance).collect();
        Ok(Self { keys, instances, of_person, of_account, found: vec![Found::default(); erasures.len()] })
    }

    fn person(&mut self, id: Uuid) {
        for key in &self.keys {
            if let Some(place) = self.of_person.get(&erased::person(key, id)) {
                self.found[*place].people.insert(id);
            }
        }
    }

    fn account(&mut self, instance: Uuid, external_id: &str, user: Option<Uuid>) {
        for key in &self.keys {
            let hashed = (instance, erased::stand_in(key, instance, external_id));
            if let Some(place) = self.of_account.get(&hashed) {
                let found = &mut self.found[*place];
                found.accounts.insert((instance, external_id.to_owned()));
                found.users.extend(user);
            }
        }
    }

    /// Looks at all accounts of an instance, and at what sources and members have said of them.
    async fn accounts_of(&mut self, reader: &Reader, instance: Uuid) -> Result<()> {
        use user::{Column, Entity};
        let mut after = Uuid::nil();
        loop {
            let rows = Entity::find().select_only().columns([Column::Id, Column::ExternalId]);
            let rows = rows.filter(Column::Id.gt(after)).limit(PAGE);
            let own = (Column::InstanceId, instance);
            let rows = keyset::of_parent(rows, own, Column::Id, Order::Asc, reader.get_database_backend());
            let rows: Vec<(Uuid, String)> = rows.into_tuple().all(reader).await?;
            let Some((last, _)) = rows.last() else { break };
            after = *last;
            for (id, external_id) in rows {
                self.account(instance, &external_id, Some(id));
            }
        }
        let said = source_account::Entity::find().select_only().column(source_account::Column::ExternalId);
        let said = said.filter(source_account::Column::InstanceId.eq(instance));
        let pins = person_pin::Entity::find().select_only().column(person_pin::Column::ExternalId);
        let pins = pins.filter(person_pin::Column::InstanceId.eq(instance));
        let mut external: Vec<String> = said.into_tuple().all(reader).await?;
        external.extend(pins.order_by_asc(person_pin::Column::ExternalId).into_tuple::<String>().all(reader).await?);
        for external_id in external {
            self.account(instance, &external_id, None);
        }
        Ok(())
    }
}
