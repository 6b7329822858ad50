//! Counts the holders of each licence of an instance when a run has ended, after its users were deleted, and when it has
//! changed whose accounts they are.
//!
//! The count reads a snapshot, in batches, and locks nothing. The result is stored only if no run has ended and no users
//! were deleted meanwhile; otherwise it is counted again. If it may have changed whose accounts are, the result is stored,
//! and it is counted again a little later. The job ends in the transaction that stores it, so that a
//! change that finds the job still there needs no other one.

use std::collections::{BTreeMap, BTreeSet};

use entity::instance;
use entity::license_group::Kind;
use entity::user::{Column, Entity, UserStatus};
use entity::{
    account_link, contract, contract_line, contract_reminder, evaluation, license_count, license_group, license_tally,
    person, price,
};
use integration::source::Capability;
use sea_orm::sea_query::{Asterisk, Expr, ExprTrait, Query};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, IntoActiveModel, Order, QueryFilter, QueryResult,
    QuerySelect, QueryTrait, Statement,
};
use tokio_util::sync::CancellationToken;
use tracing::warn;
use uuid::Uuid;

use super::reclaim::{self, Class, Standing};
use crate::db::{Tx, keyset};
use crate::directory::evaluations::SOON_MS;
use crate::directory::users;
use crate::error::Result;
use crate::instance::{self as instances, Instances, capability};
use crate::queue::{self, Claim, worker::Handler};

/// How many instances are counted at once.
pub const CONCURRENCY: usize = 2;
/// How many users one statement counts.
const BATCH: u64 = 20_000;
/// How many different licences of an instance are counted. An application that names one for each user has no licences
/// that anybody could compare.
const MOST_LICENSES: usize = 5_000;
/// How many groups of holders of an instance are counted. Holders beyond them count as people without a department.
const MOST_GROUPS: usize = 20_000;
/// How many rows one statement stores.
const ROWS_AT_ONCE: usize = 1_000;

/// The worker for tally jobs.
pub struct Tally(pub Instances);

impl Handler for Tally {
    async fn handle(&self, claim: Claim, stop: CancellationToken) -> Result<()> {
        let Tally(instances) = self;
        while !stop.is_cancelled() {
            let counted = count(instances, claim.subject, &stop).await?;
            if !stop.is_cancelled() && store(instances, &claim, counted).await? {
                return Ok(());
            }
        }
        queue::give_back(&instances.db, &claim, instances.clock.now()).await
    }
}

/// The licences of an instance that is not deleted.
struct Counted {
    tally: license_tally::Model,
    licenses: BTreeMap<String, license_count::Model>,
    groups: BTreeMap<(String, Kind, String), license_group::Model>,
    /// How often an evaluation had been requested.
    requested: i64,
}

/// What some users have in common: their licences, status, class and standing, and the department of their people.
struct Group {
    licenses: Option<String>,
    status: UserStatus,
    class: Class,
    standing: Standing,
    /// Empty if it is not known; `None` if they have no person.
    department: Option<String>,
    users: i64,
}

/// `None` if there is nothing to count, because the instance is gone or deleted.
async fn count(all: &Instances, id: Uuid, stop: &CancellationToken) -> Result<Option<Counted>> {
    let now = all.clock.now();
    let view = all.db.view().await?;
    let Some(instance) = instance::Entity::find_by_id(id).one(view.conn()).await? else { return Ok(None) };
    if instance.status.is_deleted() {
        return Ok(None);
    }
    let known = capability::as_of(view.conn(), id).await?;
    let as_of = |capability| known.get(&capability).copied();
    let mut counted = Counted {
        tally: license_tally::Model {
            run_id: instance.last_run_id,
            counted_at: now,
            as_of: as_of(Capability::Licenses),
            activity_as_of: as_of(Capability::LastActivity),
            ..license_tally::Model::none(id, instance.purge_through)
        },
        licenses: BTreeMap::new(),
        groups: BTreeMap::new(),
        requested: requested(view.conn(), id, false).await?,
    };
    let mut after = Some(Uuid::nil());
    while let Some(first) = after.filter(|_| !stop.is_cancelled()) {
        let last = last_of_batch(view.conn(), id, first).await?;
        for group in groups(view.conn(), id, (first, last), counted.tally.activity_as_of).await? {
            counted.add(id, &group)?;
        }
        after = last;
    }
    counted.count_people(view.conn(), id, instance.purge_through).await?;
    view.close().await?;
    Ok(Some(counted))
}

/// How often an evaluation of an instance was requested: it is when whose its accounts are has changed.
async fn requested<C: ConnectionTrait>(conn: &C, id: Uuid, locked: bool) -> Result<i64> {
    let mut row = evaluation::Entity::find_by_id(id);
    if locked {
        row = row.lock_exclusive();
    }
    Ok(row.one(conn).await?.map_or(0, |row| row.requested))
}

/// The id at which the batch after `first` ends; `None` if it is the last one. An index alone has the ids.
async fn last_of_batch<C: ConnectionTrait>(conn: &C, instance: Uuid, first: Uuid) -> Result<Option<Uuid>> {
    let ids = Entity::find().select_only().column(Column::Id).filter(Column::Id.gt(first));
    let ids =
        keyset::of_parent(ids, (Column::InstanceId, instance), Column::Id, Order::Asc, conn.get_database_backend());
    Ok(ids.offset(BATCH - 1).limit(1).into_tuple().one(conn).await?)
}

/// Counts the users of a batch that the instance reports, by what they have in common.
async fn groups<C: ConnectionTrait>(
    conn: &C,
    instance: Uuid,
    (first, last): (Uuid, Option<Uuid>),
    activity_as_of: Option<i64>,
) -> Result<Vec<Group>> {
    let end = Condition::all().add_option(last.map(|last| Column::Id.lte(last)));
    let mut batch = users::Filter::default().select_of(instance).filter(Column::InstanceId.eq(instance));
    let link = Expr::col((account_link::Entity, account_link::Column::UserId)).equals((Entity, Column::Id));
    let person = Expr::col((person::Entity, person::Column::Id));
    let person = person.equals((account_link::Entity, account_link::Column::PersonId));
    QueryTrait::query(&mut batch).left_join(account_link::Entity, link).left_join(person::Entity, person);
    let batch = batch.filter(Column::Id.gt(first)).filter(end).select_only();
    let batch = batch.column(Column::Licenses).column(Column::Status);
    let batch = batch.expr_as(reclaim::class(activity_as_of), "class").expr_as(reclaim::standing(), "standing");
    let batch = batch.expr_as(reclaim::department(), "department").into_query();
    let common = ["licenses", "status", "class", "standing", "department"];
    let select = Query::select()
        .columns(common)
        .expr_as(Expr::col(Asterisk).count(), "users")
        .from_subquery(batch, "batch")
        .group_by_columns(common)
        .take();
    let rows = conn.query_all(&select).await?;
    let group = |row: &QueryResult| {
        Ok(Group {
            licenses: row.try_get_by_index(0)?,
            status: row.try_get_by_index(1)?,
            class: Class::of(row.try_get_by_index(2)?),
            standing: Standing::of(row.try_get_by_index(3)?),
            department: row.try_get_by_index(4)?,
            users: row.try_get_by_index(5)?,
        })
    };
    rows.iter().map(group).collect()
}

impl Counted {
    fn add(&mut self, instance: Uuid, group: &Group) -> Result<()> {
        let users = group.users;
        self.tally.accounts += users;
        let Some(licenses) = &group.licenses else {
            self.tally.untold += users;
            return Ok(());
        };
        // A user who has a licence twice holds it once.
        for license in serde_json::from_str::<BTreeSet<String>>(licenses)? {
            if self.licenses.len() >= MOST_LICENSES && !self.licenses.contains_key(&license) {
                self.tally.left_out += users;
                continue;
            }
            let none = || license_count::Model::none(instance, license.clone());
            add(self.licenses.entry(license.clone()).or_insert_with(none), group);
            self.add_to_group(instance, license, group.department.as_deref(), users);
        }
        Ok(())
    }

    fn add_to_group(&mut self, instance_id: Uuid, license: String, department: Option<&str>, users: i64) {
        let mut key = key(license, department);
        if self.groups.len() >= MOST_GROUPS && !self.groups.contains_key(&key) && key.1 == Kind::Department {
            key = (key.0, Kind::NoDepartment, String::new());
        }
        let (license, kind, department) = key.clone();
        let none = || license_group::Model { instance_id, license, kind, department, holders: 0, people: 0 };
        let group = self.groups.entry(key).or_insert_with(none);
        group.holders += users;
        group.people += users;
    }

    /// Counts people once who hold a licence with several accounts. Few have several in one instance.
    async fn count_people<C: ConnectionTrait>(&mut self, conn: &C, id: Uuid, purge_through: i64) -> Result<()> {
        let sql = "SELECT l.person_id, COALESCE(p.department, ''), u.licenses FROM account_link l
            JOIN user_account u ON u.id = l.user_id JOIN person p ON p.id = l.person_id
            WHERE l.instance_id = $1 AND l.state = 'linked' AND u.removed_at IS NULL AND u.generation > $2
            AND u.licenses IS NOT NULL AND l.person_id IN (SELECT person_id FROM account_link
                WHERE instance_id = $1 AND person_id IS NOT NULL GROUP BY person_id HAVING count(*) > 1)";
        let values = [id.into(), purge_through.into()];
        let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, values);
        let mut seen = BTreeSet::new();
        for row in conn.query_all_raw(statement).await? {
            let person: Uuid = row.try_get_by_index(0)?;
            let (department, licenses): (String, String) = (row.try_get_by_index(1)?, row.try_get_by_index(2)?);
            for license in serde_json::from_str::<BTreeSet<String>>(&licenses)? {
                if seen.insert((person, license.clone())) {
                    continue;
                }
                if let Some(group) = self.groups.get_mut(&key(license, Some(&department))) {
                    group.people -= 1;
                }
            }
        }
        Ok(())
    }
}

/// The group of the holders of a licence who are of a department, see [`Group`].
fn key(license: String, department: Option<&str>) -> (String, Kind, String) {
    match department {
        Some("") => (license, Kind::NoDepartment, String::new()),
        Some(department) => (license, Kind::Department, department.to_owned()),
        None => (license, Kind::Unmatched, String::new()),
    }
}

fn add(count: &mut license_count::Model, group: &Group) {
    let Group { status, class, standing, users, .. } = *group;
    *match status {
        UserStatus::Active => &mut count.active,
        UserStatus::Suspended => &mut count.suspended,
        UserStatus::Invited => &mut count.invited,
        UserStatus::Unknown => &mut count.unknown,
    } += users;
    match standing {
        // The first reason that holds is the only one.
        Standing::Left => {
            count.departed += users;
            return;
        }
        Standing::Unknown => count.departed_unknown += users,
        Standing::Stays => {}
    }
    if status == UserStatus::Unknown {
        count.disabled_unknown += users;
    }
    match class {
        Class::Needed => {}
        Class::Suspended => count.disabled += users,
        Class::Never => count.never += users,
        Class::Inactive => count.inactive += users,
        Class::Silent => {
            count.never_unknown += users;
            count.inactive_unknown += users;
        }
        Class::NeverOfUnknownAge => count.never_unknown += users,
        Class::InactiveOfUnknownStatus => count.inactive_unknown += users,
    }
    // An account of unknown status may be suspended.
    let is_reclaimable = matches!(class, Class::Suspended | Class::Never | Class::Inactive);
    if !is_reclaimable && (class != Class::Needed || status == UserStatus::Unknown) {
        count.undecided += users;
    }
}

/// Stores what was counted, and ends the job. False if it must be counted again.
async fn store(all: &Instances, claim: &Claim, counted: Option<Counted>) -> Result<bool> {
    let (id, counted) = (claim.subject, &counted);
    let stored = all.db.write(|tx| async move {
        // The instance is locked first, so that its next change queues a job after this one has ended.
        let now = instances::lock_existing(&tx, id).await?;
        let is_as_counted = match (&now, counted) {
            (Some(now), Some(Counted { tally, .. })) => {
                now.last_run_id == tally.run_id && now.purge_through == tally.purge_through && !now.status.is_deleted()
            }
            (now, None) => now.as_ref().is_none_or(|now| now.status.is_deleted()),
            (None, Some(_)) => false,
        };
        if !is_as_counted {
            // A worker that lost its claim counts nothing more.
            return Ok(!queue::renew(tx.conn(), claim, all.clock.now()).await?);
        }
        let is_latest = match counted {
            Some(counted) => requested(tx.conn(), id, true).await? == counted.requested,
            None => true,
        };
        let is_ours = if is_latest {
            queue::finish(&tx, claim).await?
        } else {
            // It is counted again a little later, because there may be more changes soon.
            let is_ours = queue::renew(tx.conn(), claim, all.clock.now()).await?;
            queue::release(&tx, claim, all.clock.now() + SOON_MS).await?;
            is_ours
        };
        if is_ours {
            replace(&tx, id, counted.as_ref()).await?;
            if counted.is_none() {
                forget(&tx, id).await?;
            }
        }
        Ok(true)
    });
    let stored = stored.await?;
    let left_out = counted.as_ref().map_or(0, |counted| counted.tally.left_out);
    if stored && left_out > 0 {
        warn!(left_out, "an instance has more than {MOST_LICENSES} different licences; the others are not counted");
    }
    Ok(stored)
}

async fn replace(tx: &Tx, id: Uuid, counted: Option<&Counted>) -> Result<()> {
    license_count::Entity::delete_many().filter(license_count::Column::InstanceId.eq(id)).exec(tx.conn()).await?;
    license_tally::Entity::delete_by_id(id).exec(tx.conn()).await?;
    license_group::Entity::delete_many().filter(license_group::Column::InstanceId.eq(id)).exec(tx.conn()).await?;
    let Some(Counted { tally, licenses, groups, .. }) = counted else { return Ok(()) };
    license_tally::Entity::insert(tally.clone().into_active_model()).exec_without_returning(tx.conn()).await?;
    let rows: Vec<_> = licenses.values().cloned().map(IntoActiveModel::into_active_model).collect();
    for rows in rows.chunks(ROWS_AT_ONCE) {
        license_count::Entity::insert_many(rows.to_vec()).exec_without_returning(tx.conn()).await?;
    }
    let rows: Vec<_> = groups.values().cloned().map(IntoActiveModel::into_active_model).collect();
    for rows in rows.chunks(ROWS_AT_ONCE) {
        license_group::Entity::insert_many(rows.to_vec()).exec_without_returning(tx.conn()).await?;
    }
    Ok(())
}

/// Deletes the prices and contracts of an instance that is deleted.
async fn forget(tx: &Tx, id: Uuid) -> Result<()> {
    let own = || {
        let own = contract::Entity::find().select_only().column(contract::Column::Id);
        own.filter(contract::Column::InstanceId.eq(id)).into_query()
    };
    let lines = contract_line::Column::ContractId.in_subquery(own());
    contract_line::Entity::delete_many().filter(lines).exec(tx.conn()).await?;
    let reminders = contract_reminder::Column::ContractId.in_subquery(own());
    contract_reminder::Entity::delete_many().filter(reminders).exec(tx.conn()).await?;
    contract::Entity::delete_many().filter(contract::Column::InstanceId.eq(id)).exec(tx.conn()).await?;
    price::Entity::delete_many().filter(price::Column::InstanceId.eq(id)).exec(tx.conn()).await?;
    Ok(())
}

#[cfg(test)]
mod tests;
