use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// All or nothing, even if the process is killed.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        if m.get_database_backend() == DbBackend::Postgres {
            // A run updates every user that it sees, and so all rows of a page at once. Half of the page must be
            // free, or most new row versions go to other pages and every index has to be written too. This applies
            // to pages written from now on, and does not block readers or writers.
            let sql = "ALTER TABLE user_account SET (fillfactor = 50)";
            m.get_connection().execute_unprepared(sql).await?;
        }
        Ok(())
    }
}
