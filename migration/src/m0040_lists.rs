use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub struct Migration;

/// `{id}` is the type of ids.
const STATEMENTS: &[&str] = &[
    "CREATE TABLE list_delivery (id {id} NOT NULL PRIMARY KEY, instance_id {id} NOT NULL, state varchar(16) NOT NULL,
        user_count bigint NOT NULL, bytes bigint NOT NULL, batches bigint NOT NULL, form text NOT NULL,
        delivered_by text NOT NULL, begun_at bigint NOT NULL, touched_at bigint NOT NULL, delivered_at bigint)",
    "CREATE INDEX ix_list_delivery_instance ON list_delivery(instance_id)",
    "CREATE TABLE list_batch (delivery_id {id} NOT NULL, number bigint NOT NULL, users text NOT NULL,
        PRIMARY KEY (delivery_id, number))",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// All or nothing, even if the process is killed.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let postgres = m.get_database_backend() == DbBackend::Postgres;
        let id = if postgres { "uuid" } else { "blob" };
        for statement in STATEMENTS {
            m.get_connection().execute_unprepared(&statement.replace("{id}", id)).await?;
        }
        Ok(())
    }
}
