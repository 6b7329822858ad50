//! Work that survives the worker: a table of jobs, claimed with leases.
//!
//! A job names a row and what to do to it; it carries no data. It is enqueued in the
//! transaction that made the work necessary, claimed by one worker at a time, and
//! deleted in the transaction that records its result. A worker that dies leaves a
//! lease that runs out, and the next claim counts as a take-over. `(id, claims)` is the
//! fencing token: a worker that lost its lease finds that its claim no longer matches,
//! and must not write. So work is done at least once, and recorded exactly once.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use entity::job::{Column, Entity, Kind, Model};
use sea_orm::sea_query::{Expr, ExprTrait, LockBehavior, LockType, OnConflict, SimpleExpr};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    Select,
};
use tokio::time::Instant;
use uuid::Uuid;

use crate::db::{Db, Topic, Tx};
use crate::error::Result;

pub mod worker;

/// How long a claim holds without being renewed, in milliseconds.
pub const LEASE_MS: i64 = 30_000;
const LEASE: Duration = Duration::from_millis(LEASE_MS as u64);
/// How far ahead a job may be put off: the longest wait of a mail or a run, and some more.
const FURTHEST_MS: i64 = 2 * 3_600_000;
const MENDED_AT_ONCE: u64 = 1_000;

/// A job in the hands of a worker.
#[derive(Clone, Debug)]
pub struct Claim {
    pub job: i64,
    pub subject: Uuid,
    claims: i32,
    /// How often a worker lost this job without giving it back.
    pub take_overs: i32,
    /// Until when, by the clock of this process that nobody sets, nobody else can have it.
    until: Arc<Mutex<Instant>>,
}

impl Claim {
    /// Whether nobody else can have the job, as far as this process knows. For what no
    /// transaction can fence; rows are fenced by [`renew`] and [`finish`].
    pub fn is_held(&self) -> bool {
        Instant::now() < *self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lease was extended by a statement that was begun then.
    fn extend(&self, begun: Instant) {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = begun + LEASE;
    }
}

fn topic(kind: Kind) -> Topic {
    match kind {
        Kind::Sync => Topic::SyncJobs,
        Kind::Purge => Topic::PurgeJobs,
        Kind::Mail => Topic::MailJobs,
    }
}

/// Adds jobs for `subjects`, not before `run_at`. One that has a job of this kind keeps it.
pub async fn enqueue(tx: &Tx, kind: Kind, subjects: &[Uuid], run_at: i64) -> Result<()> {
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
        ..Default::default()
    });
    Entity::insert_many(rows)
        .on_conflict(OnConflict::columns([Column::Kind, Column::Subject]).do_nothing().to_owned())
        .exec_without_returning(tx.conn())
        .await?;
    tx.announce(topic(kind));
    Ok(())
}

/// Takes the job that has waited longest, if one is due. `held` are those that the
/// caller works on already: its leases may have run out while nobody could write.
pub async fn claim(tx: &Tx, kind: Kind, held: &[i64], now: i64) -> Result<Option<Claim>> {
    let until = Instant::now() + LEASE;
    // One value, and not a list: PostgreSQL may look a list up more than once, and lock more than it answers.
    let due = due(kind, held, now).lock_with_behavior(LockType::Update, LockBehavior::SkipLocked).into_query();
    let claimed: Vec<Model> = Entity::update_many()
        .col_expr(Column::Claims, Expr::col(Column::Claims).add(1))
        .col_expr(
            Column::TakeOvers,
            Expr::col(Column::TakeOvers).add(Expr::case(Expr::col(Column::LeaseUntil).gt(0_i64), 1).finally(0)),
        )
        .col_expr(Column::LeaseUntil, Expr::value(now + LEASE_MS))
        .filter(Expr::col(Column::Id).eq(SimpleExpr::SubQuery(None, Box::new(due.into()))))
        .exec_with_returning(tx.conn())
        .await?;
    Ok(claimed.into_iter().next().map(|job| Claim {
        job: job.id,
        subject: job.subject,
        claims: job.claims,
        take_overs: job.take_overs,
        until: Arc::new(Mutex::new(until)),
    }))
}

/// The job that has waited longest.
fn due(kind: Kind, held: &[i64], now: i64) -> Select<Entity> {
    Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::Kind.eq(kind))
        .filter(Column::LeaseUntil.lt(now))
        .filter(Column::RunAt.lte(now))
        .filter(Column::Id.is_not_in(held.iter().copied()))
        .order_by_asc(Column::RunAt)
        .order_by_asc(Column::Id)
        .limit(1)
}

/// Whether there is a job to claim. A look costs no lock.
pub async fn is_due<C: ConnectionTrait>(conn: &C, kind: Kind, held: &[i64], now: i64) -> Result<bool> {
    Ok(due(kind, held, now).into_tuple::<i64>().one(conn).await?.is_some())
}

/// For how long the job that has waited longest is due, in milliseconds; none waits: 0.
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

fn held(claim: &Claim) -> sea_orm::Condition {
    sea_orm::Condition::all()
        .add(Column::Id.eq(claim.job))
        .add(Column::Claims.eq(claim.claims))
        .add(Column::LeaseUntil.gt(0))
}

/// Extends the lease. False: somebody else has the job, or it is gone, and nothing more may be written for it.
#[must_use = "a lost claim must stop the work"]
pub async fn renew<C: ConnectionTrait>(conn: &C, claim: &Claim, now: i64) -> Result<bool> {
    let updated = Entity::update_many()
        .col_expr(Column::LeaseUntil, Expr::value(now + LEASE_MS))
        .filter(held(claim))
        .exec(conn)
        .await?;
    Ok(updated.rows_affected == 1)
}

/// Deletes a job whose work is done. False as in [`renew`].
#[must_use = "a lost claim must not be committed"]
pub async fn finish(tx: &Tx, claim: &Claim) -> Result<bool> {
    Ok(Entity::delete_many().filter(held(claim)).exec(tx.conn()).await?.rows_affected == 1)
}

/// As [`release`], in a transaction of its own.
pub async fn give_back(db: &Db, claim: &Claim, run_at: i64) -> Result<()> {
    db.write(|tx| async move { release(&tx, claim, run_at).await }).await
}

/// Gives a job back, to be done not before `run_at`; that is no take-over.
pub async fn release(tx: &Tx, claim: &Claim, run_at: i64) -> Result<()> {
    Entity::update_many()
        .col_expr(Column::LeaseUntil, Expr::value(0_i64))
        .col_expr(Column::RunAt, Expr::value(run_at))
        .filter(held(claim))
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// Deletes the jobs of `subjects`, whoever has them.
pub async fn cancel(tx: &Tx, kind: Kind, subjects: &[Uuid]) -> Result<()> {
    Entity::delete_many()
        .filter(Column::Kind.eq(kind))
        .filter(Column::Subject.is_in(subjects.iter().copied()))
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// Lets every lease run out now. Only for a process that knows that it is alone with
/// the database: what it finds claimed was claimed by one that died.
pub async fn expire_leases(tx: &Tx) -> Result<u64> {
    let expired = Entity::update_many()
        .col_expr(Column::LeaseUntil, Expr::value(1_i64))
        .filter(Column::LeaseUntil.gt(0))
        .exec(tx.conn())
        .await?;
    Ok(expired.rows_affected)
}

/// Looks for what a clock that was wrong has written down: jobs that are put off for longer
/// than anybody puts one off are due now, and so are those whose lease lasts longer than any.
/// A worker that lives renews its lease meanwhile, so a lease must look wrong twice: `suspects`
/// are the jobs of the last look, and then of this one.
pub async fn mend(db: &Db, suspects: &mut Vec<i64>, now: i64) -> Result<()> {
    let wrong = Entity::find().select_only().column(Column::Id).filter(Column::LeaseUntil.gt(now + 2 * LEASE_MS));
    let wrong: Vec<i64> = wrong.limit(MENDED_AT_ONCE).into_tuple().all(db.read()).await?;
    let late = Entity::find().select_only().column(Column::Id).filter(Column::RunAt.gt(now + FURTHEST_MS));
    let late: Vec<i64> = late.limit(MENDED_AT_ONCE).into_tuple().all(db.read()).await?;
    let twice: Vec<i64> = wrong.iter().copied().filter(|job| suspects.contains(job)).collect();
    *suspects = wrong;
    if twice.is_empty() && late.is_empty() {
        return Ok(());
    }
    tracing::warn!(
        leases = twice.len(),
        jobs = late.len(),
        "a clock that was wrong wrote down when jobs are due; they are due now"
    );
    let (twice, late) = (&twice, &late);
    db.write(|tx| async move {
        let jobs = |ids: &[i64]| Entity::update_many().filter(Column::Id.is_in(ids.iter().copied()));
        // As they are now: another replica may have been here, and somebody at work since.
        let wrong = jobs(twice).filter(Column::LeaseUntil.gt(now + 2 * LEASE_MS));
        wrong.col_expr(Column::LeaseUntil, Expr::value(1_i64)).exec(tx.conn()).await?;
        let late = jobs(late).filter(Column::RunAt.gt(now + FURTHEST_MS));
        late.col_expr(Column::RunAt, Expr::value(now)).exec(tx.conn()).await?;
        Ok(())
    })
    .await
}
