//! A durable job queue: a table of jobs that workers claim with leases.
//!
//! A job names a row and what to do with it; it carries no data. It is enqueued in the transaction that made the
//! work necessary, claimed by one worker at a time, and deleted in the transaction that records its result.
//!
//! If a worker dies, its lease expires, and the next claim of the job counts as a take-over. `(id, claims)` is the
//! fencing token: a worker that lost its lease no longer matches it, and must not write. Work is therefore done at
//! least once, and recorded exactly once.
//!
//! A wrong clock can write a due time or a lease that is far in the future. [`repair`] finds and corrects these.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use entity::job::{Column, Entity, Kind, Model};
use parking_lot::Mutex;
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select,
};
use tokio::time::Instant;
use uuid::Uuid;

use crate::clock::DAY_MS;
use crate::db::{Db, Topic, Tx};
use crate::error::Result;

use place::Place;

mod place;
pub mod replicas;
pub mod worker;

/// How long a lease lasts unless it is renewed, in milliseconds.
pub const LEASE_MS: i64 = 30_000;
const LEASE: Duration = Duration::from_millis(LEASE_MS as u64);
/// No job is postponed for longer than this: the longest wait of a mail or a run, and a margin.
const LONGEST_WAIT_MS: i64 = 2 * 3_600_000;
/// The same for the tries of a credential.
const LONGEST_TRY_MS: i64 = DAY_MS;
/// How many jobs one call of [`repair`] corrects at most.
const REPAIR_BATCH: u64 = 1_000;

/// Which jobs of a kind are claimed first. Jobs of equal priority are claimed in the order in which they are due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// Somebody waits for it, or jobs of its kind have no priorities.
    First = 0,
    Usual = 1,
    /// It is expected to occupy its place for long.
    Last = 2,
}

/// A worker's claim on a job.
#[derive(Clone, Debug)]
pub struct Claim {
    pub job: i64,
    pub subject: Uuid,
    claims: i32,
    /// How often a worker lost this job without giving it back.
    pub take_overs: i32,
    /// When the lease ends at the earliest, by this process's monotonic clock.
    until: Arc<Mutex<Instant>>,
    /// The worker's place (concurrency slot) that the job occupies.
    place: Arc<Place>,
}

impl Claim {
    /// Whether our lease is certainly unexpired. Check before effects outside a transaction, such as sending mail;
    /// inside one, [`renew`] and [`finish`] check the claim.
    pub fn is_held(&self) -> bool {
        Instant::now() < *self.until.lock()
    }

    /// Notes a renewal whose statement was begun at `begun`.
    fn extend(&self, begun: Instant) {
        *self.until.lock() = begun + LEASE;
    }
}

fn topic(kind: Kind) -> Topic {
    match kind {
        Kind::Sync => Topic::SyncJobs,
        Kind::Purge => Topic::PurgeJobs,
        Kind::Mail => Topic::MailJobs,
        Kind::Recovery => Topic::RecoveryJobs,
        Kind::People => Topic::PeopleJobs,
        Kind::Tally => Topic::TallyJobs,
        Kind::Findings => Topic::FindingJobs,
        Kind::Webhook => Topic::WebhookJobs,
    }
}

/// Adds a job for each of `subjects`, due at `run_at`. A subject that already has a job of this kind keeps it.
pub async fn enqueue(tx: &Tx, kind: Kind, subjects: &[Uuid], run_at: i64) -> Result<()> {
    enqueue_with(tx, kind, Priority::First, subjects, run_at).await
}

/// [`enqueue`] with a priority.
pub async fn enqueue_with(tx: &Tx, kind: Kind, priority: Priority, subjects: &[Uuid], run_at: i64) -> Result<()> {
    if subjects.is_empty() {
        return Ok(());
    }
    let rows = subjects.iter().map(|subject| entity::job::ActiveModel {
        kind: Set(kind),
        subject: Set(*subject),
        run_at: Set(run_at),
        lease_until: Set(0),
        claims: Set(0),
        take_overs: Set(0),
        priority: Set(priority as i32),
        ..Default::default()
    });
    Entity::insert_many(rows)
        .on_conflict(OnConflict::columns([Column::Kind, Column::Subject]).do_nothing().to_owned())
        .exec_without_returning(tx.conn())
        .await?;
    tx.announce(topic(kind));
    Ok(())
}

/// The jobs that a worker may claim.
struct Claimable<'a> {
    kind: Kind,
    priorities: &'a Range<i32>,
    /// The worker's own jobs, which are left out: their leases may have expired while the database could not be
    /// written.
    in_progress: &'a [i64],
    limit: usize,
}

impl Claimable<'_> {
    /// Their ids, in the order in which they are claimed.
    fn due(&self, now: i64) -> Select<Entity> {
        Entity::find()
            .select_only()
            .column(Column::Id)
            .filter(Column::Kind.eq(self.kind))
            .filter(Column::LeaseUntil.lt(now))
            .filter(Column::RunAt.lte(now))
            .filter(Column::Priority.gte(self.priorities.start))
            .filter(Column::Priority.lt(self.priorities.end))
            .filter(Column::Id.is_not_in(self.in_progress.iter().copied()))
            .order_by_asc(Column::Priority)
            .order_by_asc(Column::RunAt)
            .order_by_asc(Column::Id)
            .limit(u64::try_from(self.limit).unwrap_or(u64::MAX))
    }

    /// How many there are, up to the limit. Takes no lock.
    async fn count<C: ConnectionTrait>(&self, conn: &C, now: i64) -> Result<usize> {
        Ok(self.due(now).into_tuple::<i64>().all(conn).await?.len())
    }

    /// Claims them: a job and its fencing token each.
    async fn claim(&self, tx: &Tx, now: i64) -> Result<Vec<Model>> {
        let ids: Vec<i64> = tx.hold_free(self.due(now)).await?;
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let claimed = Entity::update_many()
            .col_expr(Column::Claims, Expr::col(Column::Claims).add(1))
            .col_expr(
                Column::TakeOvers,
                Expr::col(Column::TakeOvers).add(Expr::case(Expr::col(Column::LeaseUntil).gt(0_i64), 1).finally(0)),
            )
            .col_expr(Column::LeaseUntil, Expr::value(now + LEASE_MS))
            .filter(Column::Id.is_in(ids))
            .exec_with_returning(tx.conn());
        Ok(claimed.await?)
    }
}

/// Renews the leases of `claims` that are still held, in one transaction, and returns the jobs whose leases were
/// renewed. Rows that are locked by the work on the job are skipped.
async fn renew_all(tx: &Tx, claims: &[Claim], now: i64) -> Result<Vec<i64>> {
    let held = held_of(claims).order_by_asc(Column::Id);
    let held: Vec<(i64, i32)> = tx.hold_free(held).await?;
    let held: HashSet<(i64, i32)> = held.into_iter().collect();
    let ours = claims.iter().filter(|claim| held.contains(&(claim.job, claim.claims))).map(|claim| claim.job);
    let ours: Vec<i64> = ours.collect();
    Entity::update_many()
        .col_expr(Column::LeaseUntil, Expr::value(now + LEASE_MS))
        .filter(Column::Id.is_in(ours.iter().copied()))
        .exec(tx.conn())
        .await?;
    Ok(ours)
}

/// Those of `claims` that were lost, because the job is gone or another worker has it. Takes no lock.
async fn lost<'a, C: ConnectionTrait>(conn: &C, claims: &'a [Claim]) -> Result<Vec<&'a Claim>> {
    let held: HashSet<(i64, i32)> = held_of(claims).into_tuple().all(conn).await?.into_iter().collect();
    Ok(claims.iter().filter(|claim| !held.contains(&(claim.job, claim.claims))).collect())
}

/// The ids and fencing tokens of the jobs of `claims` that somebody holds.
fn held_of(claims: &[Claim]) -> Select<Entity> {
    Entity::find()
        .select_only()
        .columns([Column::Id, Column::Claims])
        .filter(Column::Id.is_in(claims.iter().map(|claim| claim.job)))
        .filter(Column::LeaseUntil.gt(0))
}

/// How long the oldest due job has been waiting, in milliseconds; 0 if none is due.
pub async fn longest_wait<C: ConnectionTrait>(conn: &C, now: i64) -> Result<i64> {
    let oldest: Option<i64> = Entity::find()
        .select_only()
        .column(Column::RunAt)
        .filter(Column::LeaseUntil.lt(now))
        .filter(Column::RunAt.lte(now))
        .order_by_asc(Column::RunAt)
        .limit(1)
        .into_tuple()
        .one(conn)
        .await?;
    Ok(oldest.map_or(0, |due| now - due))
}

/// Matches the job as long as the claim is the latest one.
fn still_ours(claim: &Claim) -> sea_orm::Condition {
    sea_orm::Condition::all()
        .add(Column::Id.eq(claim.job))
        .add(Column::Claims.eq(claim.claims))
        .add(Column::LeaseUntil.gt(0))
}

/// Extends the lease. False if the claim was lost or the job is gone: the caller must then write nothing more.
#[must_use = "a lost claim must stop the work"]
pub async fn renew<C: ConnectionTrait>(conn: &C, claim: &Claim, now: i64) -> Result<bool> {
    let updated = Entity::update_many()
        .col_expr(Column::LeaseUntil, Expr::value(now + LEASE_MS))
        .filter(still_ours(claim))
        .exec(conn)
        .await?;
    Ok(updated.rows_affected == 1)
}

/// Deletes a job whose work is done. False as in [`renew`].
#[must_use = "a lost claim must not be committed"]
pub async fn finish(tx: &Tx, claim: &Claim) -> Result<bool> {
    Ok(Entity::delete_many().filter(still_ours(claim)).exec(tx.conn()).await?.rows_affected == 1)
}

/// [`release`] in a transaction of its own.
pub async fn give_back(db: &Db, claim: &Claim, run_at: i64) -> Result<()> {
    db.write(|tx| async move { release(&tx, claim, run_at).await }).await
}

/// Gives a job back, due again at `run_at`. The next claim does not count as a take-over.
pub async fn release(tx: &Tx, claim: &Claim, run_at: i64) -> Result<()> {
    Entity::update_many()
        .col_expr(Column::LeaseUntil, Expr::value(0_i64))
        .col_expr(Column::RunAt, Expr::value(run_at))
        .filter(still_ours(claim))
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// Locks the jobs of `subjects`, claimed or not, until the transaction ends. Waits for other transactions.
pub async fn lock(tx: &Tx, kind: Kind, subjects: &[Uuid]) -> Result<()> {
    let jobs = Entity::find().select_only().column(Column::Id).filter(Column::Kind.eq(kind));
    let jobs = jobs.filter(Column::Subject.is_in(subjects.iter().copied())).order_by_asc(Column::Id);
    jobs.lock_exclusive().into_tuple::<i64>().all(tx.conn()).await?;
    Ok(())
}

/// Makes the jobs of `subjects` due at `now` if no worker holds them and they would be due later.
pub async fn hasten(tx: &Tx, kind: Kind, subjects: &[Uuid], now: i64) -> Result<()> {
    let hastened = Entity::update_many()
        .col_expr(Column::RunAt, Expr::value(now))
        .filter(Column::Kind.eq(kind))
        .filter(Column::Subject.is_in(subjects.iter().copied()))
        .filter(Column::LeaseUntil.eq(0))
        .filter(Column::RunAt.gt(now))
        .exec(tx.conn())
        .await?;
    if hastened.rows_affected > 0 {
        tx.announce(topic(kind));
    }
    Ok(())
}

/// Deletes the jobs of `subjects`, claimed or not.
pub async fn cancel(tx: &Tx, kind: Kind, subjects: &[Uuid]) -> Result<()> {
    Entity::delete_many()
        .filter(Column::Kind.eq(kind))
        .filter(Column::Subject.is_in(subjects.iter().copied()))
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// Ends every lease. Only for a process that is alone with the database: whatever is claimed at its start was
/// claimed by a process that died.
pub async fn expire_leases(tx: &Tx) -> Result<u64> {
    let expired = Entity::update_many()
        .col_expr(Column::LeaseUntil, Expr::value(1_i64))
        .filter(Column::LeaseUntil.gt(0))
        .exec(tx.conn())
        .await?;
    Ok(expired.rows_affected)
}

/// Matches jobs whose due time only a wrong clock can have written.
fn is_late(now: i64) -> sea_orm::Condition {
    let longest = Expr::case(Column::Kind.eq(Kind::Recovery), now + LONGEST_TRY_MS).finally(now + LONGEST_WAIT_MS);
    sea_orm::Condition::all().add(Expr::col(Column::RunAt).gt(longest))
}

/// Corrects times that a wrong clock wrote: a job whose due time or lease is impossibly late becomes due now. A live
/// worker corrects its lease by renewing it, so a lease must be wrong in two consecutive calls. `suspects` keeps the
/// jobs with a wrong lease from one call to the next.
pub async fn repair(db: &Db, suspects: &mut Vec<i64>, now: i64) -> Result<()> {
    let wrong = Entity::find().select_only().column(Column::Id).filter(Column::LeaseUntil.gt(now + 2 * LEASE_MS));
    let wrong: Vec<i64> = wrong.limit(REPAIR_BATCH).into_tuple().all(db.read()).await?;
    let late = Entity::find().select_only().column(Column::Id).filter(is_late(now));
    let late: Vec<i64> = late.limit(REPAIR_BATCH).into_tuple().all(db.read()).await?;
    let twice: Vec<i64> = wrong.iter().copied().filter(|job| suspects.contains(job)).collect();
    *suspects = wrong;
    if twice.is_empty() && late.is_empty() {
        return Ok(());
    }
    tracing::warn!(
        leases = twice.len(),
        jobs = late.len(),
        "jobs had due times or leases that only a wrong clock can have written; they are due now"
    );
    let (twice, late) = (&twice, &late);
    db.write(|tx| async move {
        let jobs = |ids: &[i64]| Entity::update_many().filter(Column::Id.is_in(ids.iter().copied()));
        // Checked again, as another replica may have repaired or claimed them since.
        let wrong = jobs(twice).filter(Column::LeaseUntil.gt(now + 2 * LEASE_MS));
        wrong.col_expr(Column::LeaseUntil, Expr::value(1_i64)).exec(tx.conn()).await?;
        let late = jobs(late).filter(is_late(now));
        late.col_expr(Column::RunAt, Expr::value(now)).exec(tx.conn()).await?;
        Ok(())
    })
    .await
}
