//! Finds everything that is known of somebody who is to be erased.

use std::collections::{BTreeMap, BTreeSet};

use entity::job::Kind;
use entity::{person, person_key, person_pin, source_account, user};
use sea_orm::sea_query::LockType;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::ledger::Noted;
use crate::db::keyset;
use crate::directory::erased;
use crate::directory::keys::{match_key, plain};
use crate::directory::words::Words;
use crate::error::Result;
use crate::people::lane::Lane;
use crate::secrets::HashKey;
use crate::{instance, queue};

/// An instance, and the application's id of an account.
pub(super) type Account = (Uuid, String);

/// Whom and what an erasure is about.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    pub people: BTreeSet<Uuid>,
    /// Accounts, with the ids in their applications.
    pub users: BTreeSet<Uuid>,
    pub accounts: BTreeSet<Account>,
}

/// Everything that is known of them. The rows and their instances are locked.
pub(super) struct Belongings {
    pub people: Vec<person::Model>,
    pub rows: Vec<user::Model>,
    /// The accounts of people sources.
    pub said: BTreeMap<Uuid, Vec<String>>,
    /// All accounts, also those that are gone and may come back.
    pub accounts: BTreeSet<Account>,
    /// All addresses, as match keys.
    pub addresses: BTreeSet<String>,
}

impl Lane<'_> {
    /// Finds everything that is known of somebody, and lets no sync store anything of it until the transaction ends.
    pub(super) async fn belongings(&self, of: &Found) -> Result<Belongings> {
        let (conn, backend) = (self.tx.conn(), self.backend());
        let ids: Vec<Uuid> = of.people.iter().copied().collect();
        let own = keyset::among((person::Entity, person::Column::Id), &ids, backend);
        let people = person::Entity::find().filter(own).all(conn).await?;
        let own = keyset::among((source_account::Entity, source_account::Column::PersonId), &ids, backend);
        let sources = source_account::Entity::find().filter(own).all(conn).await?;
        let own = keyset::among((person_pin::Entity, person_pin::Column::PersonId), &ids, backend);
        let pins = person_pin::Entity::find().filter(own).all(conn).await?;
        let links = self.linked_to(&ids).await?;
        let mut accounts = of.accounts.clone();
        accounts.extend(sources.iter().map(|account| (account.instance_id, account.external_id.clone())));
        accounts.extend(pins.into_iter().map(|pin| (pin.instance_id, pin.external_id)));
        let mut instances: BTreeSet<Uuid> = accounts.iter().map(|(instance, _)| *instance).collect();
        instances.extend(links.iter().map(|link| link.instance_id));
        self.hold(&instances).await?;
        let users: BTreeSet<Uuid> = of.users.iter().copied().chain(links.iter().map(|link| link.user_id)).collect();
        let users: Vec<Uuid> = users.into_iter().collect();
        let own = keyset::among((user::Entity, user::Column::Id), &users, backend);
        let rows = user::Entity::find().filter(own).order_by_asc(user::Column::Id).lock(LockType::Update);
        let rows = rows.all(conn).await?;
        accounts.extend(rows.iter().map(|row| (row.instance_id, row.external_id.clone())));
        let mut said: BTreeMap<Uuid, Vec<String>> = BTreeMap::new();
        for (instance, external_id) in &accounts {
            said.entry(*instance).or_default().push(external_id.clone());
        }
        let mut addresses = self.said_addresses(&said).await?;
        addresses.extend(sources.into_iter().filter_map(|account| account.address));
        addresses.extend(rows.iter().flat_map(addresses_of));
        for person in &people {
            addresses.extend(person.address.clone());
            addresses.extend(person.email.as_deref().and_then(match_key));
        }
        Ok(Belongings { people, rows, said, accounts, addresses })
    }

    /// Locks these instances, and the work of their runs. A page of a run that is stored at this moment is stored before,
    /// and the next one after the transaction.
    async fn hold(&self, instances: &BTreeSet<Uuid>) -> Result<()> {
        let mut runs = Vec::new();
        for id in instances {
            runs.extend(instance::lock_existing(self.tx, *id).await?.and_then(|row| row.current_run_id));
        }
        if runs.is_empty() { Ok(()) } else { queue::lock(self.tx, Kind::Sync, &runs).await }
    }

    /// The addresses that people sources give these accounts, or gave them.
    async fn said_addresses(&self, said: &BTreeMap<Uuid, Vec<String>>) -> Result<BTreeSet<String>> {
        use person_key::{Column, Entity};
        let mut found = BTreeSet::new();
        for (source, external) in said {
            let keys = Entity::find().filter(Column::InstanceId.eq(*source));
            let keys = keys.filter(self.texts((Entity, Column::ExternalId), external));
            found.extend(keys.all(self.tx.conn()).await?.into_iter().map(|key| key.value));
        }
        Ok(found)
    }
}

/// The addresses of an account.
fn addresses_of(row: &user::Model) -> Vec<String> {
    let aliases: Vec<String> =
        row.aliases.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    row.match_key.iter().cloned().chain(aliases.iter().filter_map(|alias| match_key(alias))).collect()
}

impl Belongings {
    /// Whether a text names them: by an address, or by all words of a name.
    pub fn is_named_by(&self, text: &str) -> bool {
        let text = plain(text);
        let has_words = |name: &str| {
            let words = Words::of(None, Some(name));
            !words.is_empty() && words.iter().all(|word| text.contains(word))
        };
        let names = self.people.iter().filter_map(|person| person.display_name.as_deref());
        let mut names = names.chain(self.rows.iter().filter_map(|row| row.display_name.as_deref()));
        self.addresses.iter().any(|address| text.contains(&plain(address))) || names.any(has_words)
    }

    /// Completes what the ledger keeps of the erasure.
    pub fn note(&self, noted: &mut Noted, key: &HashKey) {
        if let Some(person) = self.people.first() {
            noted.person = erased::person(key, person.id);
        }
        let accounts = self.accounts.iter().map(|(instance, id)| (*instance, erased::stand_in(key, *instance, id)));
        let accounts: BTreeSet<Account> = noted.accounts.drain(..).chain(accounts).collect();
        noted.accounts = accounts.into_iter().collect();
        let names = self.addresses.iter().filter_map(|address| erased::name(key, address));
        let names: BTreeSet<String> = noted.names.drain(..).chain(names).collect();
        noted.names = names.into_iter().collect();
    }
}
