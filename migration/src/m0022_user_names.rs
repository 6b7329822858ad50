use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

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
        // Compared byte by byte, as in SQLite and independently of the database's locale.
        let name = match m.get_database_backend() {
            DbBackend::Postgres => r#"lower(display_name COLLATE "C")"#,
            _ => "lower(display_name)",
        };
        // an instance's users in the order of their names: all, and those of a status that few have
        create_index(m, "ix_user_instance_name", &format!("user_account(instance_id, {name}, id)")).await?;
        let few = "status IN ('suspended', 'invited')";
        let of_few = format!("user_account(instance_id, status, {name}, id) WHERE {few}");
        create_index(m, "ix_user_instance_status_name", &of_few).await
    }
}
