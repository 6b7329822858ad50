//! SQLite: one file, one writer at a time.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sea_orm::sqlx::Connection;
use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, Statement};
use tokio::time::Instant;

use super::classify::is_locked;
use super::conn::{Pools, measured};
use super::trouble::Trouble;
use crate::error::{Chain, Error, Result};

/// The first bytes of every SQLite file.
const HEADER: &[u8; 16] = b"SQLite format 3\0";
/// Older versions can lose data when a checkpoint and a write coincide (the WAL-reset bug).
const OLDEST: (u32, u32, u32) = (3, 51, 3);
const READERS: u32 = 8;
const RESERVED: u32 = 2;
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// How often a locked file is tried again.
const POLL: Duration = Duration::from_millis(20);

/// A write-ahead log of so many bytes is emptied.
const LARGE_LOG: u64 = 32 << 20;
/// How long emptying it may wait for readers.
const FOR_READERS: Duration = Duration::from_millis(500);

/// The page cache of a connection, in KiB if negative.
pub(super) const CACHE: &str = "-8192";

/// Pools for readers, and one connection for writing: SQLite lets only one connection write.
pub(super) async fn open(file: &Path) -> Result<Pools> {
    check_header(file)?;
    let writer = connect(file, "rwc", 1).await?;
    let reader = connect(file, "rwc", READERS).await?;
    let reserved = connect(file, "rwc", RESERVED).await?;
    check_version(&writer).await?;
    read_schema(&writer).await?;
    Ok(Pools { reader, reserved: Some(reserved), writer })
}

/// One connection to an existing file, for reading.
pub(super) async fn inspect(file: &Path) -> Result<Pools> {
    check_header(file)?;
    // Not "ro": reading the write-ahead log of a file that no process has open needs write access.
    let reader = connect(file, "rw", 1).await?;
    check_version(&reader).await?;
    Ok(Pools { writer: reader.clone(), reserved: None, reader })
}

async fn connect(file: &Path, mode: &str, connections: u32) -> Result<DatabaseConnection> {
    let mut options = ConnectOptions::new(format!("sqlite://{}?mode={mode}", file.display()));
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
                .pragma("cache_size", CACHE)
                .pragma("journal_size_limit", "67108864")
        })
        .map_sqlx_sqlite_pool_opts(|options| {
            options.after_release(|connection, _| {
                Box::pin(async move {
                    // SQLite rolls back by itself when the disk is full or fails. The library does not notice, and
                    // would take later transactions for savepoints that are never committed.
                    connection.ping().await?;
                    Ok(!connection.is_in_transaction())
                })
            })
        });
    // Who turns WAL mode on locks the file, and SQLite does not let others wait for that.
    let deadline = Instant::now() + PATIENCE;
    loop {
        match Database::connect(options.clone()).await {
            Err(error) if is_locked(&error) && Instant::now() < deadline => tokio::time::sleep(POLL).await,
            connected => return Ok(measured(connected?)),
        }
    }
}

/// The write-ahead log of a database.
pub(super) struct Log {
    path: PathBuf,
    /// The size at which it is emptied.
    large: AtomicU64,
}

impl Log {
    pub(super) fn of(file: &Path) -> Self {
        let mut path = file.as_os_str().to_owned();
        path.push("-wal");
        Self { path: path.into(), large: AtomicU64::new(LARGE_LOG) }
    }

    /// Empties the log after a commit if it is large. By itself, SQLite begins it anew only at a moment when nobody
    /// reads, and there is none while several readers are at work.
    pub(super) async fn trim(&self, writer: &DatabaseConnection) {
        let size = || std::fs::metadata(&self.path).map_or(0, |log| log.len());
        if size() < self.large.load(Ordering::Relaxed) {
            return;
        }
        let (short, usual) = (FOR_READERS.as_millis(), PATIENCE.as_millis());
        let sql =
            format!("PRAGMA busy_timeout = {short}; PRAGMA wal_checkpoint(TRUNCATE); PRAGMA busy_timeout = {usual}");
        if let Err(error) = writer.execute_unprepared(&sql).await {
            tracing::debug!(error = %Chain(&error), "the write-ahead log could not be emptied");
        }
        // If somebody has been reading for long, the next try comes later.
        let left = size();
        self.large.store(left + LARGE_LOG, Ordering::Relaxed);
    }
}

/// Checks that an existing file begins as SQLite files do. SQLite itself takes a file without its first page for a
/// new one in some cases.
fn check_header(file: &Path) -> Result<()> {
    let Ok(mut open) = File::open(file) else { return Ok(()) };
    let mut header = [0; HEADER.len()];
    match open.read_exact(&mut header) {
        Ok(()) if header == *HEADER => Ok(()),
        // A new, empty file.
        Err(_) if open.metadata().is_ok_and(|found| found.len() == 0) => Ok(()),
        _ => Err(Error::internal("the file does not begin as one of SQLite does", Trouble::Damaged)),
    }
}

/// Reads every page of the schema, so that damage is found before anything is served.
async fn read_schema(db: &DatabaseConnection) -> Result<()> {
    let sql = "SELECT SUM(LENGTH(sql)) FROM sqlite_master";
    db.query_one_raw(Statement::from_string(db.get_database_backend(), sql)).await?;
    Ok(())
}

async fn check_version(db: &DatabaseConnection) -> Result<()> {
    let row =
        db.query_one_raw(Statement::from_string(db.get_database_backend(), "SELECT sqlite_version() AS v")).await?;
    let version: String =
        row.ok_or_else(|| Error::Internal("SQLite did not report its version".into()))?.try_get("", "v")?;
    let parts: Vec<u32> = version.split('.').filter_map(|part| part.parse().ok()).collect();
    match parts[..] {
        [major, minor, patch, ..] if (major, minor, patch) >= OLDEST => Ok(()),
        _ => {
            let old = format!(
                "this binary carries SQLite {version}, which can corrupt its files; build it with 3.51.3 or later"
            );
            Err(Error::Internal(old.into()))
        }
    }
}
