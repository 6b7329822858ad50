use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub struct Migration;

/// `{id}` is the type of ids.
const TREND: &[&str] = &[
    "CREATE TABLE posture_day (instance_id {id} NOT NULL, question varchar(24) NOT NULL, day integer NOT NULL,
        yes bigint NOT NULL, no bigint NOT NULL, unknown bigint NOT NULL, PRIMARY KEY (instance_id, question, day))",
    "ALTER TABLE evaluation ADD COLUMN recorded text NOT NULL DEFAULT '{}'",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// All or nothing, even if the process is killed.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    /// The trend begins with the next evaluation of each instance.
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let (db, postgres) = (m.get_connection(), m.get_database_backend() == DbBackend::Postgres);
        for statement in TREND {
            let statement = statement.replace("{id}", if postgres { "uuid" } else { "blob" });
            db.execute_unprepared(&statement).await?;
        }
        Ok(())
    }
}
