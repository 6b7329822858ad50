use sea_orm_migration::prelude::*;

use crate::concurrently::create_index;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// `CREATE INDEX CONCURRENTLY` is not allowed in a transaction.
    fn use_transaction(&self) -> Option<bool> {
        Some(false)
    }

    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        // the users whose keys and words are of an earlier version; usually none
        create_index(m, "ix_user_outdated_keys", "user_account(id) WHERE key_version < 3").await
    }
}
