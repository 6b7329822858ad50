//! PostgreSQL: shared by several replicas.

use std::io::ErrorKind;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sea_orm::sqlx::postgres::{PgConnectOptions, PgConnection, PgListener, PgPoolOptions};
use sea_orm::sqlx::{self, Connection, Row};
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, RuntimeErr,
    Statement,
};
use tracing::{info, warn};
use uuid::Uuid;

use super::conn::{Timed, in_time, timed};
use super::trouble::{Trouble, judge};
use super::wake::Wake;
use super::{Db, STATEMENT};
use crate::clock::{Clock, SyncedClock, id_at};
use crate::error::{Error, Result};
use crate::secrets;

/// How long to wait for a connection.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a connection may take to be ready again.
const ANSWER: Duration = Duration::from_secs(2);
/// How long a connection that answered is believed to be well. Whoever repeats something because
/// its connection was lost comes back later than that, or often enough.
pub(super) const FRESH: Duration = Duration::from_millis(100);
/// How long a row or a table may be waited for.
const LOCK: Duration = Duration::from_secs(10);
/// How long a transaction may do nothing: a process that is stopped must not hold what others wait for.
const IDLE: Duration = Duration::from_secs(15);
/// How long to ask what became of a transaction.
const SETTLE: Duration = Duration::from_secs(15);
/// How often the time is read, and the listening connection tried.
const CHECK: Duration = Duration::from_secs(10);
/// Within which an answer tells the time well enough.
const PROMPT: Duration = Duration::from_millis(500);
/// Under this lock events are numbered. Any number; it must only stay the same.
const EVENTS_LOCK: i64 = 7301;
/// How often old marks of transactions are removed.
const FORGET: Duration = Duration::from_mins(5);
/// How long a mark is kept, in milliseconds.
const KEPT_MS: i64 = 3_600_000;
const CHANNEL: &str = "muster";
/// How long wake-ups are gathered before they are sent.
const GATHER: Duration = Duration::from_millis(5);

/// The readers' pool and the writers': apart, so that requests that read cannot keep the
/// workers from renewing their leases.
pub(super) async fn open(url: &str, connections: u32) -> Result<(DatabaseConnection, DatabaseConnection)> {
    let writers = Db::writers(connections);
    let reader = connect(url, connections.saturating_sub(writers).max(1), STATEMENT).await?;
    let writer = connect(url, writers, STATEMENT).await?;
    Ok((reader, writer))
}

/// A pool whose statements may take `statement`. One of a single connection keeps that one.
pub(super) async fn connect(url: &str, connections: u32, statement: Duration) -> Result<DatabaseConnection> {
    let age = (connections > 1).then_some(Duration::from_mins(30));
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(connections)
        .min_connections(1)
        .acquire_timeout(PATIENCE)
        .idle_timeout(age.map(|age| age / 6))
        .max_lifetime(age)
        .test_before_acquire(connections == 1)
        .sqlx_logging(false)
        .map_sqlx_postgres_opts(move |options| session(options, statement))
        .map_sqlx_postgres_pool_opts(move |options| if connections > 1 { careful(options) } else { options });
    match Database::connect(options).await {
        Ok(db) => Ok(timed(db)),
        Err(error) => Err(refused(url, &reason(url).await.unwrap_or(error))),
    }
}

fn session(options: PgConnectOptions, statement: Duration) -> PgConnectOptions {
    let ms = |time: Duration| time.as_millis().to_string();
    options.application_name("muster").options([
        ("statement_timeout", ms(statement)),
        ("lock_timeout", ms(LOCK)),
        ("idle_in_transaction_session_timeout", ms(IDLE)),
        // What is asked here is answered sooner than compiled.
        ("jit", "off".into()),
        // The server's side of a connection whose other end is gone.
        ("tcp_keepalives_idle", "30".into()),
        ("tcp_keepalives_interval", "10".into()),
        ("tcp_keepalives_count", "3".into()),
    ])
}

/// What a pool does not say: that the server refuses connections, or that its name is not known.
async fn reason(url: &str) -> Option<DbErr> {
    let options = PgConnectOptions::from_str(url).ok()?;
    let tried = tokio::time::timeout(ANSWER, PgConnection::connect_with(&options)).await.ok()?;
    tried.err().map(|error| DbErr::Conn(RuntimeErr::SqlxError(Arc::new(error))))
}

/// Why there is no connection at the start: a setting to be mended, or something to wait for.
fn refused(url: &str, error: &DbErr) -> Error {
    let text = error.to_string();
    if let DbErr::Conn(RuntimeErr::SqlxError(cause)) = error {
        // A socket that is not there yet is a server that is not there yet.
        let local = PgConnectOptions::from_str(url).is_ok_and(|at| at.get_socket().is_some());
        let fatal = match cause.as_ref() {
            sqlx::Error::Tls(_) => true,
            sqlx::Error::Io(cause) => match cause.kind() {
                // How a certificate that is not trusted shows.
                ErrorKind::InvalidData => true,
                // The file of a certificate or a key.
                ErrorKind::NotFound | ErrorKind::PermissionDenied => !local,
                _ => false,
            },
            // The user, the password.
            sqlx::Error::Database(cause) => cause.code().is_some_and(|code| code.starts_with("28")),
            _ => false,
        };
        if fatal {
            return Error::Internal(text);
        }
    }
    match judge(error) {
        Trouble::Undone | Trouble::Unavailable => Error::Unavailable(text),
        Trouble::Text | Trouble::Other => Error::Internal(text),
    }
}

/// A connection that does not answer is thrown away when it is given back; the pool itself would wait for ever.
/// Before it is used it is asked again, unless that was a moment ago.
fn careful(options: PgPoolOptions) -> PgPoolOptions {
    let options = options.before_acquire(|connection, known| {
        Box::pin(async move {
            if known.idle_for < FRESH {
                return Ok(true);
            }
            Ok(tokio::time::timeout(ANSWER, connection.ping()).await.is_ok_and(|answer| answer.is_ok()))
        })
    });
    options.after_release(|connection, _| {
        Box::pin(async move {
            // What was cut short is waited for, and undone, here. A transaction whose beginning was cut short is
            // open without the library's knowledge, and whoever came next would see the past.
            // As one message: of a statement in several, each has a time of its own.
            let alone = sqlx::raw_sql("SELECT now() = statement_timestamp()").fetch_one(connection);
            let answered = tokio::time::timeout(ANSWER, alone).await;
            Ok(answered.is_ok_and(|row| row.and_then(|row| row.try_get::<bool, _>(0)).unwrap_or(false)))
        })
    })
}

fn statement(sql: &str) -> Statement {
    Statement::from_string(DbBackend::Postgres, sql)
}

/// Lets the statements of a transaction take longer.
pub(super) async fn allow(tx: &Timed<DatabaseTransaction>, time: Duration) -> Result<()> {
    if tx.get_database_backend() == DbBackend::Postgres {
        tx.execute_raw(statement(&format!("SET LOCAL statement_timeout = {}", time.as_millis()))).await?;
    }
    Ok(())
}

/// By which a transaction can be found again: a row that is there exactly when it was
/// committed, and its number, which tells whether it goes on. The number alone would not
/// do: one that was not committed may be given again after a crash.
pub(super) struct Fate {
    mark: Uuid,
    number: String,
}

/// Marks the transaction, and, if it has events, waits for its turn to number them:
/// numbers are drawn before a commit and seen after it, and without the lock a reader
/// would see a later one first, and never the earlier.
pub(super) async fn fate(tx: &Timed<DatabaseTransaction>, events: bool, now: i64) -> Result<Fate> {
    let turn = if events { format!("pg_advisory_xact_lock({EVENTS_LOCK})") } else { "(SELECT 1) one".into() };
    let sql = format!(
        "WITH mark AS (INSERT INTO commit_mark (id) VALUES ($1)) SELECT pg_current_xact_id()::xid::text AS number FROM {turn}"
    );
    // By the database's clock: marks are removed by their age, and found by it in their key.
    let mark = id_at(now, &secrets::random());
    let row = tx.query_one_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, [mark.into()])).await?;
    let number = row.ok_or_else(|| Error::Internal("a query without a row".into()))?.try_get("", "number")?;
    Ok(Fate { mark, number })
}

/// Learns what became of a transaction whose commit gave no answer.
///
/// # Errors
/// [`Error::Undone`]: it did not happen. [`Error::Uncertain`]: nobody answers.
pub(super) async fn settle(db: &Db, fate: Fate, cause: &DbErr) -> Result<()> {
    warn!(error = %cause, "a commit was not answered; asking what became of it");
    let deadline = tokio::time::Instant::now() + SETTLE;
    while tokio::time::Instant::now() < deadline {
        match committed(db, &fate).await {
            Ok(Some(true)) => return Ok(()),
            Ok(Some(false)) => return Err(Error::Undone(format!("commit: {cause}"))),
            // Its backend has not noticed yet that nobody listens, or the database is not back.
            Ok(None) | Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
    Err(Error::Uncertain(format!("a transaction whose commit was not answered: {cause}")))
}

/// Whether the transaction was committed; `None`: it goes on.
async fn committed(db: &Db, fate: &Fate) -> Result<Option<bool>, DbErr> {
    let going_on = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "SELECT 1 FROM pg_locks WHERE locktype = 'transactionid' AND transactionid::text = $1",
        [fate.number.clone().into()],
    );
    if db.reader.query_one_raw(going_on).await?.is_some() {
        return Ok(None);
    }
    // Asked for only now: whatever has ended is seen.
    let mark = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "SELECT 1 FROM commit_mark WHERE id = $1",
        [fate.mark.into()],
    );
    Ok(Some(db.reader.query_one_raw(mark).await?.is_some()))
}

/// Removes the marks that nobody asks after any more.
async fn forget_marks(db: Db) {
    loop {
        tokio::select! {
            () = db.stop.cancelled() => return,
            () = tokio::time::sleep(FORGET) => {}
        }
        let sql =
            "DELETE FROM commit_mark WHERE id IN (SELECT id FROM commit_mark WHERE id < $1 ORDER BY id LIMIT 10000)";
        let before = id_at(db.clock(Clock::System).now() - KEPT_MS, &[0; 10]);
        loop {
            let old = Statement::from_sql_and_values(DbBackend::Postgres, sql, [before.into()]);
            match in_time(STATEMENT, db.writer.execute_raw(old)).await {
                Ok(removed) if removed.rows_affected() > 0 => {}
                Ok(_) => break,
                Err(error) => {
                    info!(error = %error, "old marks of transactions could not be removed; trying again");
                    break;
                }
            }
        }
    }
}

/// The clock of the database, as far as it can be told from here.
pub(super) async fn follow_time(db: &Db) -> Result<Clock> {
    let told = now(db).await?;
    let off = (Clock::System.now() - told) / 1000;
    if off.abs() > 60 {
        warn!(seconds = off, "the clock of this machine is not the database's; ids carry its time: set it right");
    }
    let time = Arc::new(SyncedClock::new(told));
    let (db, kept) = (db.clone(), time.clone());
    tokio::spawn(async move {
        loop {
            tokio::select! {
                () = db.stop.cancelled() => return,
                () = tokio::time::sleep(CHECK) => {}
            }
            let asked = tokio::time::Instant::now();
            let told = now(&db).await;
            // An answer that took long says little about when it was given.
            if let Ok(now) = told
                && asked.elapsed() < PROMPT
            {
                let moved = kept.set(now);
                if moved.abs() > 5_000 {
                    warn!(milliseconds = moved, "the database's clock was changed; leases and schedules go by it");
                }
            }
        }
    });
    Ok(Clock::Database(time))
}

/// The database's time when the answer came, give or take half the way there and back.
async fn now(db: &Db) -> Result<i64> {
    let asked = tokio::time::Instant::now();
    let sql = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now";
    let row = db.reader.query_one_raw(statement(sql)).await?;
    let told: i64 = row.ok_or_else(|| Error::Internal("a query without a row".into()))?.try_get("", "now")?;
    Ok(told + i64::try_from(asked.elapsed().as_millis() / 2).unwrap_or(0))
}

/// Tells the other replicas what was announced here, and this process what was announced there.
pub(super) fn spread(db: &Db, url: &str) {
    let own = Uuid::now_v7().simple().to_string();
    tokio::spawn(tell(db.clone(), own.clone()));
    tokio::spawn(forget_marks(db.clone()));
    let (url, wake, stop) = (url.to_owned(), db.wake.clone(), db.stop.clone());
    tokio::spawn(async move {
        tokio::select! {
            () = stop.cancelled() => {}
            () = hear(&url, &own, &wake) => {}
        }
    });
}

async fn tell(db: Db, own: String) {
    loop {
        let topics = tokio::select! {
            () = db.stop.cancelled() => return,
            topics = db.wake.outgoing() => topics,
        };
        let sql = format!("SELECT pg_notify('{CHANNEL}', '{own} {topics}')");
        // Lost, it costs the others the time until they look by themselves.
        if let Err(error) = db.reader.execute_unprepared(&sql).await {
            info!(error = %error, "the other replicas could not be told of news");
        }
        tokio::time::sleep(GATHER).await;
    }
}

/// Listens for ever. Whatever was sent while nobody listened is lost, so whenever that may
/// have been, everybody is woken.
async fn hear(url: &str, own: &str, wake: &Wake) {
    loop {
        if let Err(error) = listen(url, own, wake).await {
            info!(error = %error, "the connection for wake-ups was lost; connecting again");
        }
        wake.rouse(u8::MAX);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn listen(url: &str, own: &str, wake: &Wake) -> Result<(), sqlx::Error> {
    let options = session(PgConnectOptions::from_str(url)?, STATEMENT);
    let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(PATIENCE).connect_lazy_with(options);
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.listen(CHANNEL).await?;
    wake.rouse(u8::MAX);
    loop {
        let Ok(heard) = tokio::time::timeout(CHECK, listener.try_recv()).await else {
            // Silence: is there still somebody?
            let asked = tokio::time::timeout(PATIENCE, sqlx::query("SELECT 1").execute(&mut listener)).await;
            asked.map_err(|_| sqlx::Error::PoolTimedOut)??;
            continue;
        };
        let Some(heard) = heard? else { return Ok(()) };
        if let Some((sender, topics)) = heard.payload().split_once(' ')
            && sender != own
        {
            wake.rouse(topics.parse().unwrap_or(u8::MAX));
        }
    }
}
