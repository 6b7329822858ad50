use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{boolean, uuid};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// All or nothing, even if the process is killed.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let own = boolean("own_redirect").default(false).take();
        m.alter_table(Table::alter().table("oauth_authorization").add_column(own).take()).await?;
        let shared = Table::create().table("oauth_shared_redirect").col(uuid("instance_id").primary_key()).to_owned();
        m.create_table(shared).await?;
        // The applications of these instances are registered with the address that all integrations shared.
        let registered = "INSERT INTO oauth_shared_redirect (instance_id) SELECT instance_id FROM oauth_grant";
        m.get_connection().execute_unprepared(registered).await?;
        Ok(())
    }
}
