use sea_orm_migration::prelude::*;

use crate::concurrently::create_index;

/// How many migrations a binary must know to write users.
const NEEDS: usize = 12;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// `CREATE INDEX CONCURRENTLY` is not allowed in a transaction.
    fn use_transaction(&self) -> Option<bool> {
        Some(false)
    }

    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        // users of a status that few have: of all instances, and of one
        // The last two columns let SQLite count without reading the rows.
        create_index(
            m,
            "ix_user_status",
            "user_account(status, id, instance_id, removed_at) WHERE status IN ('suspended', 'invited')",
        )
        .await?;
        create_index(
            m,
            "ix_user_instance_status",
            "user_account(instance_id, status, id) WHERE status IN ('suspended', 'invited')",
        )
        .await?;
        // instances whose users are being removed
        create_index(m, "ix_instance_purging", "instance(id) WHERE purging").await?;
        // Replaced by user_word. They hold old names, which nobody would correct any more.
        let db = m.get_connection();
        for (index, column) in [("ix_user_email", "email_key"), ("ix_user_name", "name_key")] {
            db.execute_unprepared(&format!("DROP INDEX IF EXISTS {index}")).await?;
            if m.has_column("user_account", column).await? {
                db.execute_unprepared(&format!("ALTER TABLE user_account DROP COLUMN {column}")).await?;
            }
        }
        db.execute_unprepared(&format!("UPDATE installation SET needs = {NEEDS}")).await?;
        Ok(())
    }
}
