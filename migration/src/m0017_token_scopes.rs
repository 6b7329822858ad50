use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer_null, text_null, uuid_null};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// All or nothing, even if the process is killed.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    /// Tokens that exist do not expire. The previous release does not know the new columns. It refuses tokens that have a
    /// value in one of them, because it does not find their signature correct.
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        for column in [
            big_integer_null("expires_at"),
            big_integer_null("last_used_at"),
            text_null("scope"),
            uuid_null("member_id"),
        ] {
            m.alter_table(Table::alter().table("api_token").add_column(column).take()).await?;
        }
        Ok(())
    }
}
