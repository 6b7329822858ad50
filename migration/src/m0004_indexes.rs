use sea_orm_migration::prelude::*;

use crate::concurrently::create_index;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// An index that others can go on writing beside cannot be built in a transaction.
    fn use_transaction(&self) -> Option<bool> {
        Some(false)
    }

    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        // the claim: in the order in which jobs are due, past the few that somebody holds
        create_index(m, "ix_job_next", "job(kind, run_at, id)").await?;
        // what is kept of users that left
        create_index(m, "ix_user_removed", "user_account(removed_at) WHERE removed_at IS NOT NULL").await?;
        // the claim, before there was the other; whoever used it was alone with its database
        m.get_connection().execute_unprepared("DROP INDEX IF EXISTS ix_job_due").await?;
        Ok(())
    }
}
