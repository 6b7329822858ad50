//! The one lane in which people and links are written: a transaction that has locked the settings.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use entity::instance::{self, Health, Status};
use entity::{
    account_link, account_owner, equivalent_domain, owned_domain, people_setting, people_source, person_pin, user,
};
use sea_orm::sea_query::{IntoColumnRef, SimpleExpr};
use sea_orm::{ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait};
use uuid::Uuid;

use super::rules::Settings;
use super::settings::Ledger;
use crate::db::{Tx, keyset};
use crate::directory::evaluations::{self, Changed};
use crate::error::{Error, Result};
use crate::instance::freshness::{Freshness, FreshnessState};

/// The primary key of the only row of settings.
pub(super) const SETTING: i32 = 1;

/// A people source.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source {
    pub instance_id: Uuid,
    pub rank: i32,
    pub settled: bool,
    /// Whether what it says now makes leavers.
    pub is_believed: bool,
}

/// A transaction that writes people and links.
pub(super) struct Lane<'a> {
    pub tx: &'a Tx,
    pub now: i64,
    pub settings: Settings,
    /// In the order in which they have the last word.
    pub sources: Vec<Source>,
    pub salt: Uuid,
    /// What it has changed so far.
    pub ledger: Ledger,
    /// The instances whose links have changed, and the people whose states or departments have.
    pub relinked: BTreeSet<Uuid>,
    pub moved: BTreeSet<Uuid>,
}

impl<'a> Lane<'a> {
    /// Waits for the lane, and reads the settings.
    pub async fn enter(tx: &'a Tx, now: i64) -> Result<Self> {
        let conn = tx.conn();
        let setting = people_setting::Entity::find_by_id(SETTING).lock_exclusive().one(conn).await?;
        let setting = setting.ok_or_else(|| Error::Internal("the settings of people have no row".into()))?;
        let mut settings = Settings { strip_tags: setting.strip_tags, ..Settings::default() };
        settings.owned = owned_domain::Entity::find().all(conn).await?.into_iter().map(|row| row.domain).collect();
        for row in equivalent_domain::Entity::find().all(conn).await? {
            settings.declare_equivalent(&row.domain, &row.same_as);
        }
        let rows = people_source::Entity::find().all(conn).await?;
        let ids: Vec<Uuid> = rows.iter().map(|row| row.instance_id).collect();
        let own = keyset::among((instance::Entity, instance::Column::Id), &ids, conn.get_database_backend());
        let believed = match &ids[..] {
            [] => Vec::new(),
            _ => instance::Entity::find().filter(own).all(conn).await?,
        };
        let believed: BTreeSet<Uuid> =
            believed.iter().filter(|instance| is_believed(instance, now)).map(|instance| instance.id).collect();
        let source = |people_source::Model { instance_id, rank, settled }| Source {
            instance_id,
            rank,
            settled,
            is_believed: believed.contains(&instance_id),
        };
        let mut sources: Vec<Source> = rows.into_iter().map(source).collect();
        // Instances have ids in the order of their creation.
        sources.sort_by_key(|source| (source.rank, source.instance_id));
        settings.ranks = sources.iter().map(|source| (source.instance_id, source.rank)).collect();
        let ledger = Ledger::default();
        let (relinked, moved) = (BTreeSet::new(), BTreeSet::new());
        Ok(Self { tx, now, settings, sources, salt: setting.salt, ledger, relinked, moved })
    }

    /// The place of a source in their order.
    pub fn place(&self, instance: Uuid) -> Option<usize> {
        self.sources.iter().position(|source| source.instance_id == instance)
    }

    /// Those of these accounts that are reported, or are removed and kept.
    pub async fn accounts(&self, ids: &[Uuid]) -> Result<Vec<user::Model>> {
        let own = keyset::among((user::Entity, user::Column::Id), ids, self.backend());
        let accounts = user::Entity::find().filter(own).order_by_asc(user::Column::Id);
        self.reported(self.tx.rows(accounts.into_query()).await?).await
    }

    /// Those of the accounts that are not deleted.
    pub async fn reported(&self, rows: Vec<user::Model>) -> Result<Vec<user::Model>> {
        if rows.is_empty() {
            return Ok(rows);
        }
        let ids: BTreeSet<Uuid> = rows.iter().map(|row| row.instance_id).collect();
        let ids: Vec<Uuid> = ids.into_iter().collect();
        let purged: Vec<(Uuid, i64)> = instance::Entity::find()
            .select_only()
            .columns([instance::Column::Id, instance::Column::PurgeThrough])
            .filter(keyset::among((instance::Entity, instance::Column::Id), &ids, self.backend()))
            .into_tuple()
            .all(self.tx.conn())
            .await?;
        let purged: HashMap<Uuid, i64> = purged.into_iter().collect();
        let is_reported =
            |row: &user::Model| purged.get(&row.instance_id).is_some_and(|through| row.generation > *through);
        Ok(rows.into_iter().filter(is_reported).collect())
    }

    /// What members have decided about these accounts.
    pub async fn pins(&self, rows: &[user::Model]) -> Result<BTreeMap<(Uuid, String), person_pin::Model>> {
        use person_pin::Column;
        let external: Vec<String> = rows.iter().map(|row| row.external_id.clone()).collect();
        let instances: BTreeSet<Uuid> = rows.iter().map(|row| row.instance_id).collect();
        let instances: Vec<Uuid> = instances.into_iter().collect();
        let pins = person_pin::Entity::find()
            .filter(keyset::among((person_pin::Entity, Column::InstanceId), &instances, self.backend()))
            .filter(self.texts((person_pin::Entity, Column::ExternalId), &external))
            .all(self.tx.conn())
            .await?;
        Ok(pins.into_iter().map(|pin| ((pin.instance_id, pin.external_id.clone()), pin)).collect())
    }

    /// Requests that the findings of all accounts are evaluated that this has touched.
    pub async fn request_evaluations(&mut self, due: i64) -> Result<()> {
        let people: Vec<Uuid> = std::mem::take(&mut self.moved).into_iter().collect();
        let mut instances = std::mem::take(&mut self.relinked);
        if !people.is_empty() {
            use {account_link as l, account_owner as o};
            let (conn, backend) = (self.tx.conn(), self.backend());
            let own = keyset::among((l::Entity, l::Column::PersonId), &people, backend);
            let linked = l::Entity::find().select_only().column(l::Column::InstanceId).distinct().filter(own);
            instances.extend(linked.into_tuple::<Uuid>().all(conn).await?);
            let own = keyset::among((o::Entity, o::Column::PersonId), &people, backend);
            let owned = o::Entity::find().select_only().column(o::Column::InstanceId).distinct().filter(own);
            instances.extend(owned.into_tuple::<Uuid>().all(conn).await?);
        }
        evaluations::request(self.tx, &instances, Changed::Accounts, due).await
    }

    /// The accounts that are linked to these people.
    pub async fn linked_to(&self, people: &[Uuid]) -> Result<Vec<account_link::Model>> {
        if people.is_empty() {
            return Ok(Vec::new());
        }
        let own = keyset::among((account_link::Entity, account_link::Column::PersonId), people, self.backend());
        let links = account_link::Entity::find().filter(own).order_by_asc(account_link::Column::UserId);
        Ok(links.all(self.tx.conn()).await?)
    }

    pub fn backend(&self) -> DbBackend {
        self.tx.conn().get_database_backend()
    }

    /// The condition that a column has one of these texts.
    pub fn texts(&self, column: impl IntoColumnRef, values: &[String]) -> SimpleExpr {
        keyset::among_texts(column, values, self.backend())
    }
}

/// Whether what an instance says now makes leavers: it is fresh, and its last run has not failed. A run that failed, or
/// that a guard holds, may have stored some of what it was told.
fn is_believed(instance: &instance::Model, now: i64) -> bool {
    let succeeded = matches!(instance.health, Health::Ok | Health::Partial);
    instance.status == Status::Live && succeeded && Freshness::of(instance, now).state == FreshnessState::Fresh
}
