use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer_null, boolean, string_len, text, text_null, uuid};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// All or nothing, even if the process is killed.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        m.create_table(capability_state()).await?;
        for (table, column) in [
            ("instance", text_null("manifest_digest")),
            ("instance", big_integer_null("known_users")),
            ("sync_run", text_null("manifest_digest")),
            ("sync_run", boolean("new_baseline").default(false).take()),
            ("sync_run", boolean("accept_growth").default(false).take()),
            ("sync_run", text_null("remark")),
            ("user_change", text("old_values").default("").take()),
        ] {
            m.alter_table(Table::alter().table(table).add_column(column).take()).await?;
        }
        Ok(())
    }
}

fn capability_state() -> TableCreateStatement {
    Table::create()
        .table("capability_state")
        .col(uuid("instance_id"))
        .col(string_len("capability", 24))
        .col(boolean("provided"))
        .col(big_integer_null("as_of"))
        .col(big_integer_null("lost_since"))
        .col(text_null("reason"))
        .col(text_null("missing_permission"))
        .primary_key(Index::create().col("instance_id").col("capability"))
        .to_owned()
}
