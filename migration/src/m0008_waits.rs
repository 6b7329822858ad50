use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, big_integer_null, integer, json_binary_null, string_len_null, text_null, uuid,
};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// All or nothing, even if the process is killed.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        // SQLite adds one column per statement.
        for (table, column) in [
            ("sync_run", string_len_null("waiting_for", 24)),
            ("sync_run", text_null("waiting_reason")),
            ("sync_run", big_integer_null("waiting_until")),
            ("sync_run", integer("waits").default(0).take()),
            ("sync_run", big_integer("waited_ms").default(0).take()),
            ("sync_run", integer("looks").default(0).take()),
            ("instance", big_integer_null("next_try_at")),
            ("instance", integer("tries").default(0).take()),
            ("notification", string_len_null("reason", 24)),
            ("notification", json_binary_null("stands_for")),
            ("job", integer("priority").default(0).take()),
        ] {
            let mut alter = Table::alter();
            alter.table(table).add_column(column);
            m.alter_table(alter).await?;
        }
        let mut replica = Table::create();
        replica.table("replica").col(uuid("id").primary_key()).col(big_integer("seen_at"));
        m.create_table(replica).await
    }
}
