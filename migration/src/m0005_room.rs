use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub struct Migration;

/// A run touches every user it sees, and so all rows of a page at once: half of a page has to be
/// free, or most of the new versions land on other pages and every index is written, too.
///
/// Marks are removed by their age, and found by it as well: their age comes first.
const POSTGRES: &[&str] = &[
    "ALTER TABLE user_account SET (fillfactor = 50)",
    "ALTER TABLE commit_mark DROP CONSTRAINT commit_mark_pkey, ADD PRIMARY KEY (at, id)",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// Whole or not at all, also when the process is killed in the middle.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        if m.get_database_backend() == DbBackend::Postgres {
            for statement in POSTGRES {
                m.get_connection().execute_unprepared(statement).await?;
            }
        }
        Ok(())
    }
}
