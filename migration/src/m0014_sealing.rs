use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, binary_null};

/// How many migrations a binary must know to open what is sealed.
const NEEDS: usize = 14;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// All or nothing, even if the process is killed.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    /// The server seals and signs what is there at its next start, because migrations do not have the key.
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        for (table, column) in
            [("instance", big_integer("secrets_generation").default(0).take()), ("api_token", binary_null("signature"))]
        {
            m.alter_table(Table::alter().table(table).add_column(column).take()).await?;
        }
        let needs = format!("UPDATE installation SET needs = {NEEDS}");
        m.get_connection().execute_unprepared(&needs).await?;
        Ok(())
    }
}
