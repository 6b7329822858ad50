//! The database: how it is opened, how it is written, and who is woken by it.
//!
//! Reads go to a pool; writes go through [`Tx`], one at a time on SQLite, where a
//! second writer would only wait for the first. What a transaction announces (new
//! events, new jobs) wakes its listeners after the commit and never before. A wake-up
//! may be lost, when the process dies; the tables are the truth, and every listener
//! looks at them again by itself after a while.
//!
//! This file is the one place that knows which database it is.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use migration::{Migrator, MigratorTrait};
use sea_orm::sqlx::{
    self,
    sqlite::{SqliteJournalMode, SqliteSynchronous},
};
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, DbErr, RuntimeErr,
    SqliteTransactionMode, TransactionOptions, TransactionTrait,
};
use tokio::sync::watch;

use crate::error::{Error, Result};

pub mod keyset;

/// Older versions lose data when a checkpoint and a writer meet (the WAL-reset bug).
const OLDEST_SQLITE: (u32, u32, u32) = (3, 51, 3);
const READERS: u32 = 8;
const PATIENCE: Duration = Duration::from_secs(10);

/// What a committed transaction can announce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    Events,
    SyncJobs,
    PurgeJobs,
    MailJobs,
}

const TOPICS: usize = 4;

/// A handle on the database; clones share it.
#[derive(Clone)]
pub struct Db {
    reader: DatabaseConnection,
    writer: DatabaseConnection,
    announcements: Arc<[watch::Sender<u64>; TOPICS]>,
    statements: Arc<AtomicU64>,
}

impl Db {
    /// Opens the SQLite file, makes it if there is none, and brings its schema up to date.
    pub async fn open(file: &Path) -> Result<Self> {
        let url = format!("sqlite://{}?mode=rwc", file.display());
        let statements = Arc::new(AtomicU64::new(0));
        let mut writer = connect(&url, 1).await?;
        let mut reader = connect(&url, READERS).await?;
        for connection in [&mut writer, &mut reader] {
            let statements = statements.clone();
            connection.set_metric_callback(move |info| {
                statements.fetch_add(1, Ordering::Relaxed);
                metrics::histogram!("muster_database_statement_seconds").record(info.elapsed.as_secs_f64());
            });
        }
        check_version(&writer).await?;
        migrate(&writer, file).await?;
        let announcements = Arc::new(std::array::from_fn(|_| watch::Sender::new(0)));
        Ok(Self { reader, writer, announcements, statements })
    }

    /// For statements that change nothing.
    pub fn read(&self) -> &DatabaseConnection {
        &self.reader
    }

    /// A view that does not move while several statements look at it.
    pub async fn snapshot(&self) -> Result<DatabaseTransaction> {
        Ok(self.reader.begin().await?)
    }

    /// Starts a transaction that will write. Dropping it undoes it.
    pub async fn begin(&self) -> Result<Tx> {
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        let inner = self.writer.begin_with_options(options).await?;
        Ok(Tx { inner, announced: AtomicU8::new(0), announcements: self.announcements.clone() })
    }

    /// A receiver that changes after each commit that announced `topic`.
    pub fn listen(&self, topic: Topic) -> watch::Receiver<u64> {
        self.announcements[topic as usize].subscribe()
    }

    /// How many statements were executed since the start, transactions' own not counted.
    pub fn statements(&self) -> u64 {
        self.statements.load(Ordering::Relaxed)
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<()> {
        self.reader.execute_unprepared("SELECT 1").await?;
        Ok(())
    }

    /// Ends all connections, after what they are doing.
    pub async fn close(self) -> Result<()> {
        self.reader.close().await?;
        self.writer.close().await?;
        Ok(())
    }
}

/// A writing transaction.
pub struct Tx {
    inner: DatabaseTransaction,
    announced: AtomicU8,
    announcements: Arc<[watch::Sender<u64>; TOPICS]>,
}

impl Tx {
    /// The connection to run statements on.
    pub fn conn(&self) -> &DatabaseTransaction {
        &self.inner
    }

    /// Wakes the listeners of `topic` once this is committed.
    pub fn announce(&self, topic: Topic) {
        self.announced.fetch_or(1 << topic as u8, Ordering::Relaxed);
    }

    pub async fn commit(self) -> Result<()> {
        self.inner.commit().await?;
        let announced = self.announced.into_inner();
        for (bit, sender) in self.announcements.iter().enumerate() {
            if announced & (1 << bit) != 0 {
                sender.send_modify(|count| *count += 1);
            }
        }
        Ok(())
    }
}

/// Whether a statement failed because a unique index holds the value already.
pub fn is_duplicate(error: &DbErr) -> bool {
    matches!(error.sql_err(), Some(sea_orm::SqlErr::UniqueConstraintViolation(_)))
}

/// Brings the schema up to date; one process at a time, the others wait for it.
async fn migrate(db: &DatabaseConnection, file: &Path) -> Result<()> {
    let path = file.with_extension("migration-lock");
    let lock = tokio::task::spawn_blocking(move || {
        let lock = File::create(path)?;
        lock.lock().map(|()| lock)
    });
    let _held = lock
        .await
        .map_err(|error| Error::internal("the migration lock", error))?
        .map_err(|error| Error::internal("the migration lock", error))?;
    Migrator::up(db, None).await?;
    Ok(())
}

/// Whether the database cannot be used for the moment: locked, full, unreadable, or too busy to be reached.
pub fn is_unavailable(error: &DbErr) -> bool {
    let cause = match error {
        DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => return true,
        DbErr::Exec(RuntimeErr::SqlxError(cause)) | DbErr::Query(RuntimeErr::SqlxError(cause)) => cause,
        _ => return false,
    };
    match cause.as_ref() {
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed | sqlx::Error::Io(_) => true,
        // SQLITE_BUSY, LOCKED, READONLY, IOERR, FULL, CANTOPEN; the upper bytes hold details.
        sqlx::Error::Database(cause) => {
            let code = cause.code().and_then(|code| code.parse::<u32>().ok());
            code.is_some_and(|code| matches!(code & 0xff, 5 | 6 | 8 | 10 | 13 | 14))
        }
        _ => false,
    }
}

async fn connect(url: &str, connections: u32) -> Result<DatabaseConnection> {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(connections)
        .min_connections(1)
        .acquire_timeout(PATIENCE)
        .idle_timeout(None::<Duration>)
        .max_lifetime(None::<Duration>)
        .sqlx_logging(false)
        .map_sqlx_sqlite_opts(|options| {
            options
                .foreign_keys(true)
                .journal_mode(SqliteJournalMode::Wal)
                // In WAL mode a power cut may undo the last commits with NORMAL, and none with FULL.
                .synchronous(SqliteSynchronous::Full)
                .busy_timeout(PATIENCE)
                .pragma("cache_size", "-8192")
                .pragma("journal_size_limit", "67108864")
        });
    Ok(Database::connect(options).await?)
}

async fn check_version(db: &DatabaseConnection) -> Result<()> {
    let row = db
        .query_one_raw(sea_orm::Statement::from_string(db.get_database_backend(), "SELECT sqlite_version() AS v"))
        .await?;
    let version: String = row.ok_or_else(|| Error::Internal("SQLite tells no version".into()))?.try_get("", "v")?;
    let parts: Vec<u32> = version.split('.').filter_map(|part| part.parse().ok()).collect();
    match parts[..] {
        [major, minor, patch, ..] if (major, minor, patch) >= OLDEST_SQLITE => Ok(()),
        _ => Err(Error::Internal(format!(
            "this binary carries SQLite {version}, which can corrupt its files; build it with 3.51.3 or later"
        ))),
    }
}
