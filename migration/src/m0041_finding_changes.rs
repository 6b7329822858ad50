use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub struct Migration;

/// `{id}` is the type of ids. There were 4 places for messages from one event to the next, and there are 2^24 now, so that
/// what evaluations have changed finds a place there.
const STATEMENTS: &[&str] = &[
    "CREATE TABLE finding_change (place bigint NOT NULL PRIMARY KEY, instance_id {id} NOT NULL, at bigint NOT NULL,
        counts text NOT NULL)",
    "CREATE TABLE finding_log (id integer NOT NULL PRIMARY KEY, newest bigint NOT NULL)",
    "INSERT INTO finding_log (id, newest) VALUES (1, 0)",
    "ALTER TABLE webhook ADD COLUMN finding_changes boolean NOT NULL DEFAULT FALSE",
    "ALTER TABLE webhook ADD COLUMN findings_through bigint NOT NULL DEFAULT 0",
    // Without the index, because places are taken for a moment that others have.
    "DROP INDEX ux_webhook_delivery_position",
    "UPDATE webhook_delivery SET position = position / 4 * 16777216 + position % 4 WHERE position IS NOT NULL",
    "CREATE UNIQUE INDEX ux_webhook_delivery_position ON webhook_delivery(webhook_id, position)",
    "UPDATE webhook_alert SET position = position / 4 * 16777216 + position % 4",
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
