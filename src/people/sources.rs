//! Hears what a people source says of its accounts: who they are, and which addresses they have.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use entity::source_account::{self, Presence};
use entity::user::{self, UserStatus};
use entity::{account_link, person_key};
use sea_orm::sea_query::{ExprTrait, OnConflict};
use sea_orm::{ColumnTrait, Condition, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::keys::{self, Claim};
use super::lane::Lane;
use super::rules::is_personal;
use crate::db::keyset;
use crate::directory::erased::is_stand_in;
use crate::directory::keys::match_key;
use crate::error::Result;

/// How many addresses are looked for in one statement.
const ADDRESSES: usize = 100;
/// How many keys are stored by one statement.
const KEYS: usize = 2_000;

/// What is to be done after a source was heard.
#[derive(Default)]
pub(super) struct Heard {
    /// The accounts that may be somebody else's now.
    pub users: BTreeSet<Uuid>,
    /// The people of whom something new was said.
    pub people: BTreeSet<Uuid>,
}

impl Heard {
    pub fn add(&mut self, more: Heard) {
        self.users.extend(more.users);
        self.people.extend(more.people);
    }
}

/// What a source says of one account.
struct Said {
    external_id: String,
    presence: Presence,
    employee_id: Option<String>,
    address: Option<String>,
    /// All its addresses; empty for an account that is no person's own.
    addresses: BTreeSet<String>,
    is_person: bool,
}

impl Said {
    fn of(row: &user::Model, kind: Option<user::AccountKind>) -> Self {
        let presence = match (row.removed_at, row.status) {
            (Some(_), _) => Presence::Absent,
            (None, UserStatus::Suspended) => Presence::Suspended,
            (None, UserStatus::Active | UserStatus::Invited | UserStatus::Unknown) => Presence::Present,
        };
        // A guest belongs to somebody else's company.
        let is_person = is_personal(kind) && row.guest != Some(true) && !is_stand_in(&row.external_id);
        let aliases: Vec<String> =
            row.aliases.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let aliases = aliases.iter().filter_map(|alias| match_key(alias));
        let addresses = row.match_key.iter().cloned().chain(aliases).filter(|_| is_person).collect();
        let employee_id = row.employee_id.as_deref().map(str::trim).filter(|id| !id.is_empty()).map(str::to_owned);
        Said {
            external_id: row.external_id.clone(),
            presence,
            employee_id,
            address: row.match_key.clone(),
            addresses,
            is_person,
        }
    }

    fn is_present(&self) -> bool {
        self.presence == Presence::Present
    }
}

impl Lane<'_> {
    /// Hears a source, which said this in a run of the time `at`.
    pub async fn hear(&mut self, source: Uuid, rows: &[user::Model], at: i64) -> Result<Heard> {
        let pins = self.pins(rows).await?;
        let said: Vec<Said> = rows
            .iter()
            .map(|row| {
                let pin = pins.get(&(row.instance_id, row.external_id.clone()));
                Said::of(row, pin.and_then(|pin| pin.kind).or(row.kind))
            })
            .collect();
        let external: Vec<String> = said.iter().map(|said| said.external_id.clone()).collect();
        let before = self.source_accounts(source, &external).await?;
        let values = self.hear_keys(source, &said, at).await?;
        self.store_accounts(source, &said, &before).await?;
        let gone = said.iter().filter(|said| !said.is_person).map(|said| said.external_id.clone());
        let mut heard = self.forget(source, &gone.collect::<Vec<_>>()).await?;
        heard.add(self.unite(source, &external, before, at).await?);
        heard.users.extend(self.with_addresses(&values).await?);
        Ok(heard)
    }

    /// Stores who has which address. Returns the addresses whose holders may be others now.
    async fn hear_keys(&self, source: Uuid, said: &[Said], at: i64) -> Result<Vec<String>> {
        use person_key::Column;
        let external: Vec<String> = said.iter().map(|said| said.external_id.clone()).collect();
        let own = person_key::Entity::find()
            .filter(Column::InstanceId.eq(source))
            .filter(self.texts((person_key::Entity, Column::ExternalId), &external));
        let mut values: BTreeSet<String> = said.iter().flat_map(|said| said.addresses.iter().cloned()).collect();
        values.extend(own.all(self.tx.conn()).await?.into_iter().map(|key| key.value));
        let values: Vec<String> = values.into_iter().collect();
        if values.is_empty() {
            return Ok(values);
        }
        let all = person_key::Entity::find()
            .filter(Column::InstanceId.eq(source))
            .filter(self.texts((person_key::Entity, Column::Value), &values))
            .all(self.tx.conn())
            .await?;
        let holders: Vec<String> = all.iter().map(|key| key.external_id.clone()).collect();
        let holders = self.source_accounts(source, &holders).await?;
        let present: HashMap<String, bool> =
            holders.into_iter().map(|account| (account.external_id, account.presence == Presence::Present)).collect();
        let mut of_value: BTreeMap<&str, Vec<&person_key::Model>> = BTreeMap::new();
        for key in &all {
            of_value.entry(&key.value).or_default().push(key);
        }
        let (mut changed, mut gone, mut written) = (Vec::new(), Vec::new(), Vec::new());
        for value in &values {
            let known = of_value.remove(value.as_str()).unwrap_or_default();
            let mut claims: Vec<Claim> = known.iter().map(|key| claim(key, &present)).collect();
            hear_value(&mut claims, value, said, at);
            let (lost, new) = compare(source, value, &known, &claims);
            if !lost.is_empty() || !new.is_empty() {
                changed.push(value.clone());
            }
            gone.extend(lost);
            written.extend(new);
        }
        self.store_keys(gone, written).await?;
        Ok(changed)
    }

    async fn store_keys(&self, gone: Vec<Uuid>, written: Vec<person_key::Model>) -> Result<()> {
        use person_key::{ActiveModel, Column, Entity};
        if !gone.is_empty() {
            let gone = keyset::among((Entity, Column::Id), &gone, self.backend());
            Entity::delete_many().filter(gone).exec(self.tx.conn()).await?;
        }
        let known = OnConflict::column(Column::Id).update_columns([Column::Listed, Column::ValidTo]).to_owned();
        for written in written.chunks(KEYS) {
            let rows = written.iter().cloned().map(IntoActiveModel::<ActiveModel>::into_active_model);
            Entity::insert_many(rows).on_conflict(known.clone()).exec_without_returning(self.tx.conn()).await?;
        }
        Ok(())
    }

    /// Stores what is said of people. Their accounts keep their people.
    async fn store_accounts(&self, source: Uuid, said: &[Said], before: &[source_account::Model]) -> Result<()> {
        use source_account::Column;
        let known: HashMap<&str, &source_account::Model> =
            before.iter().map(|account| (account.external_id.as_str(), account)).collect();
        let rows = said.iter().filter(|said| said.is_person).filter_map(|said| {
            let known = known.get(said.external_id.as_str());
            let row = source_account::Model {
                instance_id: source,
                external_id: said.external_id.clone(),
                person_id: known.and_then(|known| known.person_id),
                employee_id: said.employee_id.clone(),
                address: said.address.clone(),
                presence: said.presence,
            };
            known.is_none_or(|known| **known != row).then_some(row)
        });
        let rows: Vec<_> = rows.map(IntoActiveModel::<source_account::ActiveModel>::into_active_model).collect();
        if rows.is_empty() {
            return Ok(());
        }
        let known = OnConflict::columns([Column::InstanceId, Column::ExternalId])
            .update_columns([Column::EmployeeId, Column::Address, Column::Presence])
            .to_owned();
        source_account::Entity::insert_many(rows).on_conflict(known).exec_without_returning(self.tx.conn()).await?;
        Ok(())
    }

    /// Forgets what a source said of these accounts.
    pub async fn forget(&self, source: Uuid, external: &[String]) -> Result<Heard> {
        let known = self.source_accounts(source, external).await?;
        if known.is_empty() {
            return Ok(Heard::default());
        }
        let gone: Vec<String> = known.iter().map(|account| account.external_id.clone()).collect();
        let people: BTreeSet<Uuid> = known.iter().filter_map(|account| account.person_id).collect();
        let conn = self.tx.conn();
        person_key::Entity::delete_many()
            .filter(person_key::Column::InstanceId.eq(source))
            .filter(self.texts((person_key::Entity, person_key::Column::ExternalId), &gone))
            .exec(conn)
            .await?;
        source_account::Entity::delete_many()
            .filter(source_account::Column::InstanceId.eq(source))
            .filter(self.texts((source_account::Entity, source_account::Column::ExternalId), &gone))
            .exec(conn)
            .await?;
        let ids: Vec<Uuid> = people.iter().copied().collect();
        let users = self.linked_to(&ids).await?.into_iter().map(|link| link.user_id).collect();
        Ok(Heard { users, people })
    }

    /// The accounts that have one of these addresses, as sources or as the settings know them.
    pub async fn with_addresses(&self, values: &[String]) -> Result<Vec<Uuid>> {
        use account_link::Column;
        let mut found = Vec::new();
        for values in values.chunks(ADDRESSES) {
            let mut all: BTreeSet<String> = values.iter().cloned().collect();
            all.extend(values.iter().flat_map(|value| self.settings.equivalents(value)));
            let all: Vec<String> = all.into_iter().collect();
            let mut any = Condition::any().add(self.texts((account_link::Entity, Column::Address), &all));
            for value in
                values.iter().filter(|value| self.settings.strip_tags && self.settings.owns(value) == Some(true))
            {
                if let Some((local, domain)) = value.rsplit_once('@') {
                    let (from, to) = (format!("{local}+"), format!("{local},"));
                    let tagged = Column::Address.gte(from).and(Column::Address.lt(to));
                    any = any.add(tagged.and(Column::Address.ends_with(format!("@{domain}"))));
                }
            }
            let users = account_link::Entity::find().select_only().column(Column::UserId).filter(any);
            found.extend(users.order_by_asc(Column::UserId).into_tuple::<Uuid>().all(self.tx.conn()).await?);
        }
        Ok(found)
    }

    /// The accounts whose source id is one of these.
    pub async fn with_source_ids(&self, ids: &[String]) -> Result<Vec<Uuid>> {
        use account_link::Column;
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let own = self.texts((account_link::Entity, Column::SourceId), ids);
        let users = account_link::Entity::find().select_only().column(Column::UserId).filter(own);
        Ok(users.into_tuple().all(self.tx.conn()).await?)
    }

    /// The rows of accounts of a source.
    pub async fn rows_of(&self, source: Uuid, external: &[String]) -> Result<Vec<Uuid>> {
        if external.is_empty() {
            return Ok(Vec::new());
        }
        let own = self.texts((user::Entity, user::Column::ExternalId), external);
        let rows = user::Entity::find().select_only().column(user::Column::Id);
        let rows = rows.filter(keyset::among((user::Entity, user::Column::InstanceId), &[source], self.backend()));
        Ok(rows.filter(own).into_tuple().all(self.tx.conn()).await?)
    }
}

fn claim(key: &person_key::Model, present: &HashMap<String, bool>) -> Claim {
    Claim {
        account: key.external_id.clone(),
        listed: key.listed,
        present: present.get(&key.external_id).copied().unwrap_or(false),
        from: key.valid_from,
        to: key.valid_to,
        recorded_at: key.recorded_at,
    }
}

/// The keys of an address that are gone, and those that are new or have changed.
fn compare(
    source: Uuid,
    value: &str,
    known: &[&person_key::Model],
    claims: &[Claim],
) -> (Vec<Uuid>, Vec<person_key::Model>) {
    let is_of =
        |key: &person_key::Model, claim: &Claim| key.external_id == claim.account && key.valid_from == claim.from;
    let is_gone = |key: &&&person_key::Model| !claims.iter().any(|claim| is_of(key, claim));
    let gone = known.iter().filter(is_gone).map(|key| key.id).collect();
    let written = claims.iter().filter_map(|claim| {
        let before = known.iter().find(|key| is_of(key, claim));
        let after = person_key::Model {
            id: before.map_or_else(Uuid::now_v7, |key| key.id),
            value: value.to_owned(),
            instance_id: source,
            external_id: claim.account.clone(),
            listed: claim.listed,
            valid_from: claim.from,
            valid_to: claim.to,
            recorded_at: claim.recorded_at,
        };
        before.is_none_or(|key| **key != after).then_some(after)
    });
    (gone, written.collect())
}

/// What is said of one address.
fn hear_value(claims: &mut Vec<Claim>, value: &str, said: &[Said], at: i64) {
    for said in said {
        let listed = said.addresses.contains(value);
        if !said.is_person {
            claims.retain(|claim| claim.account != said.external_id);
        }
        for claim in claims.iter_mut().filter(|claim| claim.account == said.external_id) {
            (claim.listed, claim.present) = (listed, said.is_present());
        }
        if listed {
            keys::add(claims, &said.external_id, said.is_present(), at);
        }
    }
    keys::settle(claims, at);
}
