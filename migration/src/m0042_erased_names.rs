use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub struct Migration;

/// The addresses of erased people are known in the instances in which they had accounts, and until they are not named there
/// for long. `{id}` is the type of ids, and `{text}` that of texts, which are compared byte by byte.
const STATEMENTS: &[&str] = &[
    "CREATE TABLE erased_name_of_instance (instance_id {id} NOT NULL, name {text} NOT NULL, erasure_id {id} NOT NULL,
        listed_at bigint NOT NULL, PRIMARY KEY (instance_id, name))",
    "INSERT INTO erased_name_of_instance SELECT a.instance_id, n.name, n.erasure_id, a.listed_at FROM erased_name n
        JOIN erased_account a ON a.erasure_id = n.erasure_id WHERE true ORDER BY a.listed_at DESC ON CONFLICT DO NOTHING",
    "DROP TABLE erased_name",
    "ALTER TABLE erased_name_of_instance RENAME TO erased_name",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// All or nothing, even if the process is killed.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    /// Replicas of the previous release still read the names. They cannot erase anybody: what they would store does not say
    /// where the person was.
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let postgres = m.get_database_backend() == DbBackend::Postgres;
        let (id, text) = if postgres { ("uuid", r#"text COLLATE "C""#) } else { ("blob", "text") };
        for statement in STATEMENTS {
            let statement = statement.replace("{id}", id).replace("{text}", text);
            m.get_connection().execute_unprepared(&statement).await?;
        }
        Ok(())
    }
}
