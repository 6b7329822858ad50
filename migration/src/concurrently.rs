//! Builds indexes of large tables without blocking readers and writers.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{DbBackend, Statement};

/// Creates an index on `target`, such as `job(kind, run_at) WHERE …`. Can be repeated after an
/// interruption, which leaves an invalid index on PostgreSQL.
pub async fn create_index(m: &SchemaManager<'_>, name: &str, target: &str) -> Result<(), DbErr> {
    let db = m.get_connection();
    if m.get_database_backend() != DbBackend::Postgres {
        db.execute_unprepared(&format!("CREATE INDEX IF NOT EXISTS {name} ON {target}")).await?;
        return Ok(());
    }
    let invalid = format!("SELECT 1 FROM pg_index WHERE indexrelid = to_regclass('{name}') AND NOT indisvalid");
    if db.query_one_raw(Statement::from_string(DbBackend::Postgres, invalid)).await?.is_some() {
        db.execute_unprepared(&format!("DROP INDEX CONCURRENTLY {name}")).await?;
    }
    // The statement waits for all older transactions, but blocks nobody while it waits.
    db.execute_unprepared("SET lock_timeout = 0").await?;
    db.execute_unprepared(&format!("CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON {target}")).await?;
    db.execute_unprepared("RESET lock_timeout").await?;
    Ok(())
}
