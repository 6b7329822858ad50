use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub struct Migration;

/// `{id}` is the type of ids, `{bytes}` that of bytes, and `{text}` that of texts, which are compared byte by byte.
const TABLES: &[&str] = &[
    "CREATE TABLE erasure_key (id integer NOT NULL PRIMARY KEY, sealed {bytes} NOT NULL)",
    "CREATE TABLE erasure (id {id} NOT NULL PRIMARY KEY, at bigint NOT NULL, person {text} NOT NULL, reason text NOT NULL,
        accounts bigint NOT NULL, swept boolean NOT NULL)",
    "CREATE TABLE erased_account (instance_id {id} NOT NULL, stand_in {text} NOT NULL, erasure_id {id} NOT NULL,
        listed_at bigint NOT NULL, PRIMARY KEY (instance_id, stand_in))",
    "CREATE TABLE erased_name (name {text} NOT NULL, erasure_id {id} NOT NULL, PRIMARY KEY (name, erasure_id))",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// All or nothing, even if the process is killed.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    /// Replicas of the previous release do not know erased accounts, and store what an application lists of them. Nobody
    /// should be erased before all replicas are of this release.
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let postgres = m.get_database_backend() == DbBackend::Postgres;
        let (id, text) = if postgres { ("uuid", r#"text COLLATE "C""#) } else { ("blob", "text") };
        let bytes = if postgres { "bytea" } else { "blob" };
        for table in TABLES {
            let table = table.replace("{id}", id).replace("{text}", text).replace("{bytes}", bytes);
            m.get_connection().execute_unprepared(&table).await?;
        }
        Ok(())
    }
}
