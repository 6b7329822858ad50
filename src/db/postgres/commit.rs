//! Whether a transaction was committed, when the answer to COMMIT is lost.

use std::fmt::Write;
use std::time::Duration;

use entity::event;
use sea_orm::{ActiveModelTrait, ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, Statement, Value};
use tracing::{info, warn};
use uuid::Uuid;

use super::wakeups::CHANNEL;
use crate::clock::{Clock, id_at};
use crate::db::changes::{COUNT_UNLOGGED, Changes};
use crate::db::conn::{Timed, in_time};
use crate::db::{Db, STATEMENT};
use crate::error::{Chain, Error, Failure, Result};
use crate::secrets;

/// The advisory lock under which events are numbered. The number is arbitrary, and must stay the same.
const EVENTS_LOCK: i64 = 7301;
/// What of an event is given; its number is drawn when its row is made, and thus under the lock.
const LOGGED: [event::Column; 6] = [
    event::Column::InstanceId,
    event::Column::At,
    event::Column::Cause,
    event::Column::Actor,
    event::Column::Uncompressed,
    event::Column::Record,
];
const LOG: &str = ", log AS (INSERT INTO event (instance_id, at, cause, actor, uncompressed, record) SELECT ";
/// How long the database is asked whether a transaction was committed.
const RESOLVE: Duration = Duration::from_secs(15);
/// How often old marks are removed.
const PRUNE: Duration = Duration::from_mins(5);
/// How long a mark is kept, in milliseconds.
const KEEP_MS: i64 = 3_600_000;

/// Identifies a transaction after its connection was lost. The mark is a row of the transaction, present exactly
/// if it was committed. The number shows whether the transaction is still running. The number alone is not enough,
/// because the number of a transaction that was never committed may be reused after a crash.
pub(in crate::db) struct CommitMark {
    id: Uuid,
    number: String,
}

/// Writes the mark and the changes, in one statement, and wakes the other replicas if there are events. Events are
/// numbered under a lock: numbers are drawn before the commit and visible after it, so that without the lock a reader
/// could see a later number first and miss the earlier one for good.
pub(in crate::db) async fn mark(
    tx: &Timed<DatabaseTransaction>,
    changes: Changes,
    wake_up: String,
    now: i64,
) -> Result<CommitMark> {
    // By the database's clock, because old marks are found by the time in their id.
    let id = id_at(now, &secrets::random());
    let (mut log, mut values) = (String::new(), vec![id.into()]);
    for event in changes.events {
        log.push_str(if log.is_empty() { LOG } else { " UNION ALL SELECT " });
        for (index, column) in LOGGED.into_iter().enumerate() {
            values.push(event.get(column).into_value().unwrap_or(Value::String(None)));
            let _always_written = write!(log, "{}${}", if index > 0 { ", " } else { "" }, values.len());
        }
        let _always_written = write!(log, " FROM pg_advisory_xact_lock({EVENTS_LOCK})");
    }
    if !log.is_empty() {
        values.push(wake_up.into());
        let _always_written = write!(log, "), wake AS (SELECT pg_notify('{CHANNEL}', ${}))", values.len());
    }
    let waked = if log.is_empty() { "" } else { " FROM wake" };
    if changes.unlogged {
        let _always_written = write!(log, ", unlogged AS ({COUNT_UNLOGGED})");
    }
    let sql = format!(
        "WITH mark AS (INSERT INTO commit_mark (id) VALUES ($1)){log} SELECT pg_current_xact_id()::xid::text AS number{waked}"
    );
    let row = tx.query_one_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values)).await?;
    let number = row.ok_or_else(|| Error::Internal("a query without a row".into()))?.try_get("", "number")?;
    Ok(CommitMark { id, number })
}

/// Finds out whether a transaction was committed when its COMMIT was not answered.
///
/// # Errors
/// [`Error::Undone`] if it was not; [`Error::Uncertain`] if the database does not answer in time.
pub(in crate::db) async fn resolve(db: &Db, mark: CommitMark, cause: DbErr) -> Result<()> {
    warn!(error = %Chain(&cause), "a commit was not answered; asking the database whether it happened");
    let deadline = tokio::time::Instant::now() + RESOLVE;
    while tokio::time::Instant::now() < deadline {
        match committed(db, &mark).await {
            Ok(Some(true)) => return Ok(()),
            Ok(Some(false)) => return Err(Error::Undone(Failure::new("a commit was lost", cause))),
            // Its backend has not noticed the lost connection yet, or the database is not back.
            Ok(None) | Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
    Err(Error::Uncertain(Failure::new("a commit was not answered", cause)))
}

/// Whether the transaction was committed; `None` if it is still running.
async fn committed(db: &Db, mark: &CommitMark) -> Result<Option<bool>, DbErr> {
    let running = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "SELECT 1 FROM pg_locks WHERE locktype = 'transactionid' AND transactionid::text = $1",
        [mark.number.clone().into()],
    );
    if db.reader.query_one_raw(running).await?.is_some() {
        return Ok(None);
    }
    // In this order: a transaction that is no longer running has made its mark visible.
    let found = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "SELECT 1 FROM commit_mark WHERE id = $1",
        [mark.id.into()],
    );
    Ok(Some(db.reader.query_one_raw(found).await?.is_some()))
}

/// Removes old marks, until the database is closed.
pub(super) async fn prune_marks(db: Db) {
    while db.stop.run_until_cancelled(tokio::time::sleep(PRUNE)).await.is_some() {
        let sql =
            "DELETE FROM commit_mark WHERE id IN (SELECT id FROM commit_mark WHERE id < $1 ORDER BY id LIMIT 10000)";
        let before = id_at(db.clock(Clock::System).now() - KEEP_MS, &[0; 10]);
        loop {
            let old = Statement::from_sql_and_values(DbBackend::Postgres, sql, [before.into()]);
            match in_time(STATEMENT, db.writer.execute_raw(old)).await {
                Ok(removed) if removed.rows_affected() > 0 => {}
                Ok(_) => break,
                Err(error) => {
                    info!(error = %Chain(&error), "old marks of transactions could not be removed; trying again");
                    break;
                }
            }
        }
    }
}
