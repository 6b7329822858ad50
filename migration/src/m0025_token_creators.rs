use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{boolean, uuid_null};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// All or nothing, even if the process is killed.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    /// The previous release does not know the new column of tokens. It refuses tokens that have a value in it, because it
    /// does not find their signature correct; those are the tokens that members create with this release.
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let creator = uuid_null("creator_id");
        m.alter_table(Table::alter().table("api_token").add_column(creator).take()).await?;
        let from_provider = boolean("from_provider").default(false).take();
        m.alter_table(Table::alter().table("session").add_column(from_provider).take()).await
    }
}
