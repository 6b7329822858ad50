//! PostgreSQL, which several replicas share: connections, the database's clock, lost commits, wake-ups.

use std::io::ErrorKind;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sea_orm::sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions};
use sea_orm::sqlx::{self, Connection, Row};
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, RuntimeErr,
    Statement,
};

use super::classify::{ErrorClass, classify};
use super::conn::{Pools, Timed, measured};
use super::{Db, STATEMENT};
use crate::error::{Error, Failure, Result};

mod clock;
mod commit;
mod wakeups;

pub(super) use clock::follow as follow_time;
pub(super) use commit::{mark, resolve};

/// How many connections all requests share at most.
const SHARED: u32 = 4;
/// How long to wait for a connection of the pool.
pub(super) const ACQUIRE: Duration = Duration::from_secs(5);
/// How old a connection may become.
pub(super) const AGE: Duration = Duration::from_mins(30);
/// How long a connection may take to pass a test.
pub(super) const TEST: Duration = Duration::from_secs(2);
/// A connection that was idle for less than this is used without a test. Code that repeats a statement after a lost
/// connection must wait at least this long, or repeat it several times.
pub(super) const FRESH: Duration = Duration::from_millis(100);
/// How long a statement may wait for a lock.
const LOCK: Duration = Duration::from_secs(10);
/// How long a transaction may be idle: a process that hangs must not keep its locks.
const IDLE: Duration = Duration::from_secs(15);

/// Starts what runs in the background until the database is closed.
pub(super) fn spawn(db: &Db, url: &str) {
    wakeups::exchange(db, url);
    tokio::spawn(commit::prune_marks(db.clone()));
}

/// Pools for readers and for writers, so that requests that only read cannot keep the workers from renewing their
/// leases.
pub(super) async fn open(url: &str, connections: u32) -> Result<Pools> {
    let share = Share::of(connections);
    let reader = connect(url, Pool::Of(share.readers), STATEMENT).await?;
    let reserved = match share.reserved {
        0 => None,
        reserved => Some(connect(url, Pool::Of(reserved), STATEMENT).await?),
    };
    let writer = connect(url, Pool::Of(share.writers), STATEMENT).await?;
    Ok(Pools { reader, reserved, writer })
}

/// What the connections of a process are for.
pub(super) struct Share {
    pub(super) writers: u32,
    pub(super) readers: u32,
    /// Read what must not wait.
    pub(super) reserved: u32,
    /// Read rows for all requests.
    pub(super) shared: u32,
}

impl Share {
    pub(super) fn of(connections: u32) -> Self {
        let writers = (connections / 2).max(1);
        let rest = connections.saturating_sub(writers).max(1);
        let shared = (rest / 2).min(SHARED);
        let reserved = (rest - shared) / 3;
        Self { writers, readers: rest - shared - reserved, reserved, shared }
    }
}

/// How many connections a pool has.
#[derive(Clone, Copy)]
pub(super) enum Pool {
    Of(u32),
    /// A connection that is never replaced while it works.
    One,
}

/// A pool whose statements may take as long as `statement`.
pub(super) async fn connect(url: &str, pool: Pool, statement: Duration) -> Result<DatabaseConnection> {
    let (connections, age) = match pool {
        Pool::Of(connections) => (connections, Some(AGE)),
        Pool::One => (1, None),
    };
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(connections)
        .min_connections(1)
        .acquire_timeout(ACQUIRE)
        .idle_timeout(age.map(|age| age / 6))
        .max_lifetime(age)
        .test_before_acquire(age.is_none())
        .sqlx_logging(false)
        .map_sqlx_postgres_opts(move |options| session(options, statement))
        .map_sqlx_postgres_pool_opts(move |options| if age.is_some() { tested(options) } else { options });
    match Database::connect(options).await {
        Ok(db) => Ok(measured(db)),
        Err(error) => Err(refused(url, reason(url).await.unwrap_or(error))),
    }
}

pub(super) fn session(options: PgConnectOptions, statement: Duration) -> PgConnectOptions {
    let ms = |time: Duration| time.as_millis().to_string();
    let named = options.get_application_name().is_some();
    let options = if named { options } else { options.application_name("muster") };
    options.options([
        ("statement_timeout", ms(statement)),
        ("lock_timeout", ms(LOCK)),
        ("idle_in_transaction_session_timeout", ms(IDLE)),
        // Our statements take less time than their compilation would.
        ("jit", "off".into()),
        // The server then notices a client that is gone.
        ("tcp_keepalives_idle", "30".into()),
        ("tcp_keepalives_interval", "10".into()),
        ("tcp_keepalives_count", "3".into()),
    ])
}

/// The reason that a pool hides behind its timeout, such as a refused connection or an unknown host.
async fn reason(url: &str) -> Option<DbErr> {
    let options = PgConnectOptions::from_str(url).ok()?;
    let tried = tokio::time::timeout(TEST, PgConnection::connect_with(&options)).await.ok()?;
    tried.err().map(|error| DbErr::Conn(RuntimeErr::SqlxError(Arc::new(error))))
}

/// Distinguishes a wrong setting (internal) from a server that may become available.
fn refused(url: &str, error: DbErr) -> Error {
    let class = classify(&error);
    if let DbErr::Conn(RuntimeErr::SqlxError(cause)) = &error {
        // A missing socket is a server that has not started yet.
        let local = PgConnectOptions::from_str(url).is_ok_and(|at| at.get_socket().is_some());
        let fatal = match cause.as_ref() {
            sqlx::Error::Tls(_) => true,
            sqlx::Error::Io(cause) => match cause.kind() {
                // An untrusted certificate.
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
            return Error::internal("no connection", error);
        }
    }
    let failure = Failure::new("no connection", error);
    match class {
        ErrorClass::Undone | ErrorClass::Unavailable | ErrorClass::Full => Error::Unavailable(failure),
        ErrorClass::Damaged | ErrorClass::Text | ErrorClass::Other => Error::Internal(failure),
    }
}

/// Tests connections when they return to the pool, and again before use unless that was a moment ago. A connection
/// that does not answer is dropped; the pool itself would wait for it without end.
fn tested(options: PgPoolOptions) -> PgPoolOptions {
    let options = options.before_acquire(|connection, known| {
        Box::pin(async move {
            if known.idle_for < FRESH {
                return Ok(true);
            }
            Ok(tokio::time::timeout(TEST, connection.ping()).await.is_ok_and(|answer| answer.is_ok()))
        })
    });
    options.after_release(|connection, _| {
        Box::pin(async move {
            // If BEGIN was interrupted, a transaction may be open that the library does not know of, and the next
            // user would read old data. Inside a transaction the two times differ. This must be a raw query, because
            // a prepared one consists of several messages, each with its own time.
            let alone = sqlx::raw_sql("SELECT now() = statement_timestamp()").fetch_one(connection);
            let answered = tokio::time::timeout(TEST, alone).await;
            Ok(answered.is_ok_and(|row| row.and_then(|row| row.try_get::<bool, _>(0)).unwrap_or(false)))
        })
    })
}

fn statement(sql: &str) -> Statement {
    Statement::from_string(DbBackend::Postgres, sql)
}

/// Lets each later statement of the transaction take as long as `time`.
pub(super) async fn allow(tx: &Timed<DatabaseTransaction>, time: Duration) -> Result<()> {
    if tx.get_database_backend() == DbBackend::Postgres {
        tx.execute_raw(statement(&format!("SET LOCAL statement_timeout = {}", time.as_millis()))).await?;
    }
    Ok(())
}
