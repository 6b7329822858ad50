use sea_orm_migration::prelude::*;

use crate::concurrently::create_index;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// `CREATE INDEX CONCURRENTLY` is not allowed in a transaction.
    fn use_transaction(&self) -> Option<bool> {
        Some(false)
    }

    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        // claiming a job: in order of due time, skipping the few that are leased
        create_index(m, "ix_job_next", "job(kind, run_at, id)").await?;
        // retention of removed users
        create_index(m, "ix_user_removed", "user_account(removed_at) WHERE removed_at IS NOT NULL").await?;
        // Replaced by ix_job_next. Releases that used it ran alone on their database.
        m.get_connection().execute_unprepared("DROP INDEX IF EXISTS ix_job_due").await?;
        Ok(())
    }
}
