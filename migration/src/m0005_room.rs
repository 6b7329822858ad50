use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// Whole or not at all, also when the process is killed in the middle.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        if m.get_database_backend() == DbBackend::Postgres {
            // A run touches every user it sees, and so all rows of a page at once: half of a page has to be free,
            // or most of the new versions land on other pages and every index is written, too. Holds for pages
            // that are written from now on; readers and writers go on meanwhile.
            let sql = "ALTER TABLE user_account SET (fillfactor = 50)";
            m.get_connection().execute_unprepared(sql).await?;
        }
        Ok(())
    }
}
