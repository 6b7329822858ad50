use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{integer, text_null};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// All or nothing, even if the process is killed.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    /// The workers fill the columns, because that rewrites a large table.
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        // SQLite adds one column at a time.
        for column in [text_null("match_key"), integer("key_version").default(0).take()] {
            m.alter_table(Table::alter().table("user_account").add_column(column).take()).await?;
        }
        Ok(())
    }
}
