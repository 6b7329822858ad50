use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub struct Migration;

/// `{id}` is the type of ids, and `{text}` that of texts, which are compared byte by byte.
const STATEMENTS: &[&str] = &[
    "ALTER TABLE license_count ADD COLUMN departed bigint NOT NULL DEFAULT 0",
    "ALTER TABLE license_count ADD COLUMN departed_unknown bigint NOT NULL DEFAULT 0",
    "ALTER TABLE license_count ADD COLUMN disabled bigint NOT NULL DEFAULT 0",
    "ALTER TABLE license_count ADD COLUMN disabled_unknown bigint NOT NULL DEFAULT 0",
    // Until they are counted again, nobody is known to have left.
    "UPDATE license_count SET departed_unknown = active + suspended + invited + unknown,
        disabled = suspended, disabled_unknown = unknown",
    "CREATE TABLE license_group (instance_id {id} NOT NULL, license {text} NOT NULL, kind varchar(16) NOT NULL,
        department {text} NOT NULL, holders bigint NOT NULL, people bigint NOT NULL,
        PRIMARY KEY (instance_id, license, kind, department))",
    "INSERT INTO job (kind, subject, run_at, lease_until, claims, take_overs, priority)
        SELECT 'tally', id, 0, 0, 0, 0, 1 FROM instance i WHERE status IN ('live', 'inactive')
        AND NOT EXISTS (SELECT 1 FROM job j WHERE j.kind = 'tally' AND j.subject = i.id)",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// All or nothing, even if the process is killed.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    /// No replica of an earlier release may run beside this one: what it counts would have no suspended holders, nobody
    /// who has left, and the groups of before.
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let postgres = m.get_database_backend() == DbBackend::Postgres;
        let (id, text) = if postgres { ("uuid", r#"text COLLATE "C""#) } else { ("blob", "text") };
        for statement in STATEMENTS {
            m.get_connection().execute_unprepared(&statement.replace("{id}", id).replace("{text}", text)).await?;
        }
        Ok(())
    }
}
