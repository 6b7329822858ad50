//! SQLite: one file, one writer at a time.

use std::path::Path;
use std::time::Duration;

use sea_orm::sqlx::Connection;
use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, Statement};

use super::conn::timed;
use crate::error::{Error, Result};

/// Older versions lose data when a checkpoint and a writer meet (the WAL-reset bug).
const OLDEST: (u32, u32, u32) = (3, 51, 3);
const READERS: u32 = 8;
const PATIENCE: Duration = Duration::from_secs(10);

/// The readers' pool and the writer's, where a second writer would only wait for the first.
pub(super) async fn open(file: &Path) -> Result<(DatabaseConnection, DatabaseConnection)> {
    let writer = connect(file, "rwc", 1).await?;
    let reader = connect(file, "rwc", READERS).await?;
    check_version(&writer).await?;
    Ok((reader, writer))
}

/// The same for somebody who only looks. The file must be there.
pub(super) async fn inspect(file: &Path) -> Result<(DatabaseConnection, DatabaseConnection)> {
    // Not "ro": without write access a WAL that nobody has open cannot be read.
    let reader = connect(file, "rw", 1).await?;
    check_version(&reader).await?;
    Ok((reader.clone(), reader))
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
                .pragma("cache_size", "-8192")
                .pragma("journal_size_limit", "67108864")
        })
        .map_sqlx_sqlite_pool_opts(|options| {
            options.after_release(|connection, _| {
                Box::pin(async move {
                    // SQLite ends a transaction by itself when its disk is full, or fails. The library then takes
                    // the next ones for parts of that one, and none of them would ever be committed.
                    connection.ping().await?;
                    Ok(!connection.is_in_transaction())
                })
            })
        });
    Ok(timed(Database::connect(options).await?))
}

async fn check_version(db: &DatabaseConnection) -> Result<()> {
    let row =
        db.query_one_raw(Statement::from_string(db.get_database_backend(), "SELECT sqlite_version() AS v")).await?;
    let version: String = row.ok_or_else(|| Error::Internal("SQLite tells no version".into()))?.try_get("", "v")?;
    let parts: Vec<u32> = version.split('.').filter_map(|part| part.parse().ok()).collect();
    match parts[..] {
        [major, minor, patch, ..] if (major, minor, patch) >= OLDEST => Ok(()),
        _ => Err(Error::Internal(format!(
            "this binary carries SQLite {version}, which can corrupt its files; build it with 3.51.3 or later"
        ))),
    }
}
