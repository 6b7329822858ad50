use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

const DIGEST: &[&str] = &[
    "CREATE TABLE digest (monday integer NOT NULL PRIMARY KEY, decided_at bigint NOT NULL, mails integer NOT NULL)",
    "ALTER TABLE report_setting ADD COLUMN digest_since bigint",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// All or nothing, even if the process is killed.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        for statement in DIGEST {
            m.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }
}
