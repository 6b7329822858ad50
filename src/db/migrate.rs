//! Bringing the schema up to date: one process at a time, beside others that work.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::Duration;

use migration::{Migrator, MigratorTrait, is_compatible, knows_all_migrations};
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement, TryGetable};
use tracing::info;

use super::{Db, Location, postgres};
use crate::error::{Error, Result};

/// Who holds it migrates. Any number; it must only stay the same.
const LOCK: i64 = 7302;
const POLL: Duration = Duration::from_millis(200);
/// How long a migration's statement may take: indexes of large tables are built concurrently.
const STATEMENT: Duration = Duration::from_hours(24);

pub(super) async fn up(db: &Db) -> Result<()> {
    match db.location.as_ref() {
        Location::Sqlite(file) => {
            let _held = lock_file(file).await?;
            up_to_date(&db.writer).await
        }
        Location::Postgres(url) => {
            // On a connection of its own, which the lock belongs to and ends with.
            let own = postgres::connect(url, 1, STATEMENT).await?;
            lock(&own).await?;
            let done = up_to_date(&own).await;
            let _ = own.close().await;
            done
        }
    }
}

async fn up_to_date(db: &DatabaseConnection) -> Result<()> {
    Migrator::install(db).await?;
    let applied: Vec<String> = column(db, "SELECT version FROM seaql_migrations").await?;
    if knows_all_migrations(&applied) {
        return Ok(Migrator::up(db, None).await?);
    }
    let needs: Option<i32> = column(db, "SELECT needs FROM installation").await?.pop();
    if !needs.is_some_and(|needs| is_compatible(&applied, needs.into())) {
        return Err(Error::Internal(
            "it was brought up to date by a newer Muster, which this one cannot work beside; start the newer one"
                .into(),
        ));
    }
    info!("the database was brought up to date by a newer Muster, which this one can work beside");
    Ok(())
}

async fn column<T: TryGetable>(db: &DatabaseConnection, sql: &str) -> Result<Vec<T>> {
    let rows = db.query_all_raw(text(db, sql)).await?;
    rows.iter().map(|row| Ok(row.try_get_by_index(0)?)).collect()
}

fn text(db: &DatabaseConnection, sql: &str) -> Statement {
    Statement::from_string(db.get_database_backend(), sql)
}

/// Waits for the lock by asking again: a statement that waits inside the database would
/// itself be waited for by whoever builds an index concurrently.
async fn lock(db: &DatabaseConnection) -> Result<()> {
    loop {
        let row = db.query_one_raw(text(db, &format!("SELECT pg_try_advisory_lock({LOCK}) AS held"))).await?;
        if row.is_some_and(|row| row.try_get("", "held").unwrap_or(false)) {
            return Ok(());
        }
        tokio::time::sleep(POLL).await;
    }
}

/// The same for a file: also by asking again, so that a process that is told to stop does not wait on.
async fn lock_file(database: &Path) -> Result<File> {
    let failed = |error: std::io::Error| Error::internal("the migration lock", error);
    let lock = File::create(database.with_extension("migration-lock")).map_err(failed)?;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::WouldBlock) => tokio::time::sleep(POLL).await,
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
    }
}
