//! Schema migrations: one process at a time, while older replicas keep working.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::Duration;

use migration::{Migrator, MigratorTrait, is_compatible, knows_all_migrations};
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement, TryGetable};
use tracing::info;

use super::{Db, Location, postgres};
use crate::error::{Error, Result};

/// The advisory lock of the process that migrates. The number is arbitrary, and must stay the same.
const LOCK: i64 = 7302;
const POLL: Duration = Duration::from_millis(200);
/// How long a statement of a migration may take: building the index of a large table takes long.
const STATEMENT: Duration = Duration::from_hours(24);
/// The names of the migrations that were applied.
const APPLIED: &str = "SELECT version FROM seaql_migrations";

pub(super) async fn up(db: &Db) -> Result<()> {
    match db.location.as_ref() {
        Location::Sqlite(file) => {
            let _held = lock_file(file).await?;
            up_to_date(&db.writer).await
        }
        Location::Postgres(url) => {
            // On a connection of its own, because the lock ends with its connection.
            let own = postgres::connect(url, postgres::Pool::One, STATEMENT).await?;
            lock(&own).await?;
            let done = up_to_date(&own).await;
            let _ = own.close().await;
            done
        }
    }
}

async fn up_to_date(db: &DatabaseConnection) -> Result<()> {
    Migrator::install(db).await?;
    let applied: Vec<String> = column(db, APPLIED).await?;
    if knows_all_migrations(&applied) {
        return Ok(Migrator::up(db, None).await?);
    }
    if !is_compatible(&applied, needs(db).await?) {
        return Err(Error::Internal(
            "a newer Muster has migrated it, and this version cannot work with the new schema; start the newer one"
                .into(),
        ));
    }
    info!("a newer Muster has migrated the database; this version can still work with it");
    Ok(())
}

/// The least number of migrations that a binary must know to use the database.
async fn needs(db: &impl ConnectionTrait) -> Result<i64> {
    let needs: Option<i32> = column(db, "SELECT needs FROM installation").await?.pop();
    Ok(needs.ok_or_else(|| Error::Internal("the table installation is empty".into()))?.into())
}

/// True if a newer Muster has migrated the schema since the start, and this version can no longer work with it.
pub(super) async fn is_outdated(db: &impl ConnectionTrait) -> Result<bool> {
    let applied: Vec<String> = column(db, APPLIED).await?;
    Ok(!is_compatible(&applied, needs(db).await?))
}

async fn column<T: TryGetable>(db: &impl ConnectionTrait, sql: &str) -> Result<Vec<T>> {
    let rows = db.query_all_raw(text(db, sql)).await?;
    rows.iter().map(|row| Ok(row.try_get_by_index(0)?)).collect()
}

fn text(db: &impl ConnectionTrait, sql: &str) -> Statement {
    Statement::from_string(db.get_database_backend(), sql)
}

/// Polls for the lock. A statement that waits inside the database would block CREATE INDEX CONCURRENTLY, which waits
/// for all running statements.
async fn lock(db: &DatabaseConnection) -> Result<()> {
    loop {
        let row = db.query_one_raw(text(db, &format!("SELECT pg_try_advisory_lock({LOCK}) AS held"))).await?;
        if row.is_some_and(|row| row.try_get("", "held").unwrap_or(false)) {
            return Ok(());
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Polls for the lock of a file, so that a process can be stopped while it waits.
async fn lock_file(database: &Path) -> Result<File> {
    let failed = |error: std::io::Error| Error::internal("taking the migration lock", error);
    let lock = File::create(database.with_extension("migration-lock")).map_err(failed)?;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::WouldBlock) => tokio::time::sleep(POLL).await,
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
    }
}
