//! Counts the holders of each licence of an instance when a run has ended, and after its users were deleted.
//!
//! The count reads a snapshot, in batches, and locks nothing. The result is stored only if no run has ended and no users
//! were deleted meanwhile; otherwise it is counted again. The job ends in the transaction that stores it, so that a
//! change that finds the job still there needs no other one.

use std::collections::{BTreeMap, BTreeSet};

use entity::instance;
use entity::user::{Column, Entity, UserStatus};
use entity::{contract, contract_line, contract_reminder, license_count, license_tally, price};
use integration::source::Capability;
use sea_orm::sea_query::{Asterisk, Expr, ExprTrait, Query};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, IntoActiveModel, Order, QueryFilter, QueryResult,
    QuerySelect, QueryTrait,
};
use tokio_util::sync::CancellationToken;
use tracing::warn;
use uuid::Uuid;

use super::reclaim::{self, Class};
use crate::db::{Tx, keyset};
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
}

/// A list of licences as users have it, their status, what is known of them, and how many there are.
type Group = (Option<String>, UserStatus, i64, i64);

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
    };
    let mut after = Some(Uuid::nil());
    while let Some(first) = after.filter(|_| !stop.is_cancelled()) {
        let last = last_of_batch(view.conn(), id, first).await?;
        for group in groups(view.conn(), id, (first, last), counted.tally.activity_as_of).await? {
            counted.add(id, group)?;
        }
        after = last;
    }
    view.close().await?;
    Ok(Some(counted))
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
    let batch = users::Filter::default().select_of(instance).filter(Column::InstanceId.eq(instance));
    let batch = batch.filter(Column::Id.gt(first)).filter(end).select_only();
    let batch = batch.column(Column::Licenses).column(Column::Status);
    let batch = batch.expr_as(reclaim::class(activity_as_of), "class").into_query();
    let select = Query::select()
        .columns(["licenses", "status", "class"])
        .expr_as(Expr::col(Asterisk).count(), "users")
        .from_subquery(batch, "batch")
        .group_by_columns(["licenses", "status", "class"])
        .take();
    let rows = conn.query_all(&select).await?;
    let group = |row: &QueryResult| {
        Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?, row.try_get_by_index(2)?, row.try_get_by_index(3)?))
    };
    rows.iter().map(group).collect()
}

impl Counted {
    fn add(&mut self, instance: Uuid, (licenses, status, class, users): Group) -> Result<()> {
        self.tally.accounts += users;
        let Some(licenses) = licenses else {
            self.tally.untold += users;
            return Ok(());
        };
        // A user who has a licence twice holds it once.
        for license in serde_json::from_str::<BTreeSet<String>>(&licenses)? {
            if self.licenses.len() >= MOST_LICENSES && !self.licenses.contains_key(&license) {
                self.tally.left_out += users;
                continue;
            }
            let none = || license_count::Model::none(instance, license.clone());
            add(self.licenses.entry(license.clone()).or_insert_with(none), status, Class::of(class), users);
        }
        Ok(())
    }
}

fn add(count: &mut license_count::Model, status: UserStatus, class: Class, users: i64) {
    *match status {
        UserStatus::Active => &mut count.active,
        UserStatus::Suspended => &mut count.suspended,
        UserStatus::Invited => &mut count.invited,
        UserStatus::Unknown => &mut count.unknown,
    } += users;
    match class {
        Class::Needed | Class::Suspended => {}
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
        if queue::finish(&tx, claim).await? {
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
    let Some(Counted { tally, licenses }) = counted else { return Ok(()) };
    license_tally::Entity::insert(tally.clone().into_active_model()).exec_without_returning(tx.conn()).await?;
    let rows: Vec<_> = licenses.values().cloned().map(IntoActiveModel::into_active_model).collect();
    for rows in rows.chunks(ROWS_AT_ONCE) {
        license_count::Entity::insert_many(rows.to_vec()).exec_without_returning(tx.conn()).await?;
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
mod tests {
    use super::*;

    fn counted(groups: &[(Option<&str>, UserStatus, Class, i64)]) -> Counted {
        let tally = license_tally::Model::none(Uuid::nil(), -1);
        let mut counted = Counted { tally, licenses: BTreeMap::new() };
        for (licenses, status, class, users) in groups {
            counted.add(Uuid::nil(), (licenses.map(str::to_owned), *status, *class as i64, *users)).unwrap();
        }
        counted
    }

    #[test]
    fn every_holder_is_counted_once_for_each_licence() {
        let counted = counted(&[
            (Some(r#"["Full","Add-on","Full"]"#), UserStatus::Active, Class::Needed, 3),
            (Some(r#"["Full"]"#), UserStatus::Suspended, Class::Suspended, 2),
            (Some("[]"), UserStatus::Active, Class::Inactive, 5),
            (None, UserStatus::Active, Class::Inactive, 7),
        ]);
        assert_eq!((counted.tally.accounts, counted.tally.untold), (17, 7));
        let names: Vec<_> = counted.licenses.keys().collect();
        assert_eq!(names, ["Add-on", "Full"]);
        let full = &counted.licenses["Full"];
        assert_eq!((full.active, full.suspended, full.inactive, full.undecided), (3, 2, 0, 0));
    }

    #[test]
    fn what_is_unknown_of_a_holder_is_in_no_reason() {
        let of = |status, class| counted(&[(Some(r#"["A"]"#), status, class, 1)]).licenses.remove("A").unwrap();
        for (status, class, never, inactive, never_unknown, inactive_unknown, undecided) in [
            (UserStatus::Active, Class::Needed, 0, 0, 0, 0, 0),
            (UserStatus::Unknown, Class::Needed, 0, 0, 0, 0, 1),
            (UserStatus::Active, Class::Never, 1, 0, 0, 0, 0),
            (UserStatus::Unknown, Class::Never, 1, 0, 0, 0, 0),
            (UserStatus::Active, Class::Inactive, 0, 1, 0, 0, 0),
            (UserStatus::Invited, Class::Silent, 0, 0, 1, 1, 1),
            (UserStatus::Active, Class::NeverOfUnknownAge, 0, 0, 1, 0, 1),
            (UserStatus::Unknown, Class::InactiveOfUnknownStatus, 0, 0, 0, 1, 1),
        ] {
            let count = of(status, class);
            let found = (count.never, count.inactive, count.never_unknown, count.inactive_unknown, count.undecided);
            assert_eq!(found, (never, inactive, never_unknown, inactive_unknown, undecided), "{status:?} {class:?}");
        }
    }

    #[test]
    fn an_instance_with_too_many_licences_says_how_many_were_left_out() {
        let names: Vec<String> = (0..MOST_LICENSES + 3).map(|number| format!("{number:05}")).collect();
        let list = serde_json::to_string(&names).unwrap();
        let counted = counted(&[(Some(&list), UserStatus::Active, Class::Needed, 2)]);
        assert_eq!((counted.licenses.len(), counted.tally.left_out), (MOST_LICENSES, 6));
    }
}
