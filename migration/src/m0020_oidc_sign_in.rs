use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, binary_len, string_len};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// All or nothing, even if the process is killed.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let mut table = Table::create();
        table
            .table("oidc_sign_in")
            .col(binary_len("state_hash", 32).primary_key())
            .col(binary_len("browser_hash", 32))
            .col(string_len("return_to", 512))
            .col(string_len("address", 45))
            .col(big_integer("expires_at"));
        m.create_table(table).await
    }
}
