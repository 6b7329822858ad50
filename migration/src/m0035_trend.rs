use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub struct Migration;

/// `{id}` is the type of ids.
const TREND: &[&str] = &[
    "CREATE TABLE posture_day (instance_id {id} NOT NULL, question varchar(24) NOT NULL, day integer NOT NULL,
        yes bigint NOT NULL, no bigint NOT NULL, unknown bigint NOT NULL, PRIMARY KEY (instance_id, question, day))",
    "ALTER TABLE evaluation ADD COLUMN recorded text NOT NULL DEFAULT '{}'",
    // So that the first day has the figures of all instances.
    "UPDATE evaluation SET requested = requested + 1 WHERE counts IS NOT NULL",
    "INSERT INTO job (kind, subject, run_at, lease_until, claims, take_overs, priority)
        SELECT 'findings', instance_id, 0, 0, 0, 0, 1 FROM evaluation e WHERE requested > begun
        AND NOT EXISTS (SELECT 1 FROM job j WHERE j.kind = 'findings' AND j.subject = e.instance_id)",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// All or nothing, even if the process is killed.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    /// No replica of an earlier release may run beside this one: an instance whose deletion it ends would stay in the
    /// trend.
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let (db, postgres) = (m.get_connection(), m.get_database_backend() == DbBackend::Postgres);
        for statement in TREND {
            let statement = statement.replace("{id}", if postgres { "uuid" } else { "blob" });
            db.execute_unprepared(&statement).await?;
        }
        Ok(())
    }
}
