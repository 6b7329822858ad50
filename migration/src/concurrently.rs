//! Indexes of tables that may be large, built while others read and write.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{DbBackend, Statement};

/// Creates an index on `target`: a table with columns in brackets, and a condition if it has
/// one. Safe to be run again after it was cut: PostgreSQL leaves an invalid index then.
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
    // It waits for older transactions, however long they take, and holds nobody up meanwhile.
    db.execute_unprepared("SET lock_timeout = 0").await?;
    db.execute_unprepared(&format!("CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON {target}")).await?;
    db.execute_unprepared("RESET lock_timeout").await?;
    Ok(())
}
