use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::binary_null;

/// How many migrations a binary must know to read and write records.
const NEEDS: usize = 6;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// All or nothing, even if the process is killed.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let db = m.get_connection();
        // The previous release reads this column, and would skip every event that has a record instead. With the new
        // name, its statements fail until it is replaced.
        db.execute_unprepared("ALTER TABLE event RENAME COLUMN state TO uncompressed").await?;
        let mut event = Table::alter();
        event.table("event").add_column(binary_null("record"));
        m.alter_table(event).await?;
        db.execute_unprepared(&format!("UPDATE installation SET needs = {NEEDS}")).await?;
        Ok(())
    }
}
