use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub struct Migration;

/// `{id}` is the type of ids, and `{bytes}` that of bytes.
const STATEMENTS: &[&str] = &[
    "CREATE TABLE webhook (id {id} NOT NULL PRIMARY KEY, url text NOT NULL, description text NOT NULL, causes text,
        only_changes boolean NOT NULL, account_changes text NOT NULL, scope text, state varchar(16) NOT NULL,
        disabled_reason varchar(16), disabled_at bigint, secret {bytes} NOT NULL, secret_generation bigint NOT NULL,
        previous_until bigint, decided_through bigint NOT NULL, failing_since bigint, failures integer NOT NULL,
        retry_at bigint, last_error text, last_success_at bigint, created_by text NOT NULL, created_by_email text,
        created_at bigint NOT NULL, updated_at bigint NOT NULL, revision integer NOT NULL)",
    "CREATE TABLE webhook_delivery (id {id} NOT NULL PRIMARY KEY, webhook_id {id} NOT NULL, position bigint,
        instance_id {id}, message_type varchar(48) NOT NULL, body text NOT NULL, state varchar(16) NOT NULL,
        attempts integer NOT NULL, queued_at bigint NOT NULL, next_try_at bigint NOT NULL, last_try_at bigint,
        delivered_at bigint, status integer, last_error text, answer text, created_at bigint NOT NULL)",
    // What is decided twice is stored once. Tests have no position.
    "CREATE UNIQUE INDEX ux_webhook_delivery_position ON webhook_delivery(webhook_id, position)",
    "CREATE INDEX ix_webhook_delivery_queue ON webhook_delivery(webhook_id, state, position)",
    "CREATE INDEX ix_webhook_delivery_lane ON webhook_delivery(webhook_id, state, instance_id, position)",
    "CREATE INDEX ix_webhook_delivery_page ON webhook_delivery(webhook_id, id)",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// All or nothing, even if the process is killed.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let postgres = m.get_database_backend() == DbBackend::Postgres;
        let (id, bytes) = if postgres { ("uuid", "bytea") } else { ("blob", "blob") };
        for statement in STATEMENTS {
            let statement = statement.replace("{id}", id).replace("{bytes}", bytes);
            m.get_connection().execute_unprepared(&statement).await?;
        }
        Ok(())
    }
}
