use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// All or nothing, even if the process is killed.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        for statement in [
            "ALTER TABLE installation ADD COLUMN history_since bigint NOT NULL DEFAULT 0",
            // The old values of changes are kept since that migration.
            "UPDATE installation SET history_since = 1000 * (SELECT applied_at FROM seaql_migrations
                WHERE version = 'm0026_account_fields')",
        ] {
            m.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }
}
