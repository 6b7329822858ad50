use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, big_integer_null, boolean_null, string_len_null, text_null};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// All or nothing, even if the process is killed.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        for column in [
            string_len_null("kind", 16),
            boolean_null("guest"),
            big_integer_null("created_at"),
            text_null("aliases"),
            text_null("source_id"),
            text_null("employee_id"),
            text_null("department"),
            text_null("manager"),
        ] {
            m.alter_table(Table::alter().table("user_account").add_column(column).take()).await?;
        }
        // 0 for what an earlier release writes: its changes lack old values, so the history begins with this migration.
        let at = big_integer("at").default(0).take();
        m.alter_table(Table::alter().table("user_change").add_column(at).take()).await
    }
}
