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
        // claiming a job: by priority, then in order of due time
        create_index(m, "ix_job_claim", "job(kind, priority, run_at, id)").await?;
        // mails to one address that may be merged
        create_index(m, "ix_notification_alike", "notification(address_key, created_at) WHERE reason IS NOT NULL")
            .await?;
        // Replaced by ix_job_claim. Releases that used it cannot work next to this one.
        m.get_connection().execute_unprepared("DROP INDEX IF EXISTS ix_job_next").await?;
        Ok(())
    }
}
