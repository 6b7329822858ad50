use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::text_null;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// All or nothing, even if the process is killed.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    /// The previous release does not know the new column. It refuses tokens that have a value in it, because it does not
    /// find their signature correct; those are the tokens that this release creates through the API.
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let column = text_null("created_by");
        m.alter_table(Table::alter().table("api_token").add_column(column).take()).await
    }
}
