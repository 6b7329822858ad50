use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::string_len_null;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// All or nothing, even if the process is killed.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let column = string_len_null("failure_class", 24);
        m.alter_table(Table::alter().table("instance").add_column(column).take()).await?;
        // The run that ended last is the last completed one, unless it was cancelled.
        let known = "UPDATE instance SET failure_class = (SELECT failure_class FROM sync_run \
                     WHERE sync_run.id = instance.last_run_id) WHERE health = 'failing'";
        m.get_connection().execute_unprepared(known).await?;
        Ok(())
    }
}
