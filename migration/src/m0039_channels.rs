use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub struct Migration;

/// `{id}` is the type of ids.
const STATEMENTS: &[&str] = &[
    "ALTER TABLE webhook ADD COLUMN kind varchar(24) NOT NULL DEFAULT 'standard'",
    "ALTER TABLE webhook_delivery ADD COLUMN held_until bigint",
    "CREATE TABLE webhook_alert (webhook_id {id} NOT NULL, instance_id {id} NOT NULL, position bigint NOT NULL,
        reported varchar(64) NOT NULL, body text NOT NULL, repeated_at bigint NOT NULL,
        PRIMARY KEY (webhook_id, instance_id))",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// All or nothing, even if the process is killed.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let id = if m.get_database_backend() == DbBackend::Postgres { "uuid" } else { "blob" };
        for statement in STATEMENTS {
            m.get_connection().execute_unprepared(&statement.replace("{id}", id)).await?;
        }
        Ok(())
    }
}
