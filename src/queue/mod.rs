//! Work that survives the worker: a table of jobs, claimed with leases.
//!
//! A job names a row and what to do to it; it carries no data. It is enqueued in the
//! transaction that made the work necessary, claimed by one worker at a time, and
//! deleted in the transaction that records its result. A worker that dies leaves a
//! lease that runs out, and the next claim counts as a take-over. `(id, claims)` is the
//! fencing token: a worker that lost its lease finds that its claim no longer matches,
//! and must not write. So work is done at least once, and recorded exactly once.

use entity::job::{Column, Entity, Kind, Model};
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict, Query};
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};
use uuid::Uuid;

use crate::db::{Topic, Tx};
use crate::error::Result;

pub mod worker;

/// How long a claim holds without being renewed, in milliseconds.
pub const LEASE_MS: i64 = 30_000;

/// A job in the hands of a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    pub job: i64,
    pub subject: Uuid,
    claims: i32,
    /// How often a worker lost this job without giving it back.
    pub take_overs: i32,
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
    let due = Query::select()
        .column(Column::Id)
        .from(Entity)
        .and_where(Column::Kind.eq(kind))
        .and_where(Column::LeaseUntil.lt(now))
        .and_where(Column::RunAt.lte(now))
        .and_where(Column::Id.is_not_in(held.iter().copied()))
        .order_by(Column::RunAt, sea_orm::Order::Asc)
        .order_by(Column::Id, sea_orm::Order::Asc)
        .limit(1)
        .take();
    let claimed: Vec<Model> = Entity::update_many()
        .col_expr(Column::Claims, Expr::col(Column::Claims).add(1))
        .col_expr(
            Column::TakeOvers,
            Expr::col(Column::TakeOvers).add(Expr::case(Expr::col(Column::LeaseUntil).gt(0), 1).finally(0)),
        )
        .col_expr(Column::LeaseUntil, Expr::value(now + LEASE_MS))
        .filter(Column::Id.in_subquery(due))
        .exec_with_returning(tx.conn())
        .await?;
    Ok(claimed.into_iter().next().map(|job| Claim {
        job: job.id,
        subject: job.subject,
        claims: job.claims,
        take_overs: job.take_overs,
    }))
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

/// Gives a job back, to be done not before `run_at`; that is no take-over.
pub async fn release(tx: &Tx, claim: &Claim, run_at: i64) -> Result<()> {
    Entity::update_many()
        .col_expr(Column::LeaseUntil, Expr::value(0))
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
        .col_expr(Column::LeaseUntil, Expr::value(1))
        .filter(Column::LeaseUntil.gt(0))
        .exec(tx.conn())
        .await?;
    Ok(expired.rows_affected)
}
