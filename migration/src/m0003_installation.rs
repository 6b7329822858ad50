use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, binary_null, integer};
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// All or nothing, even if the process is killed.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table("installation")
            .col(integer("id").primary_key())
            .col(binary_null("key_check"))
            .col(big_integer("log_epoch"))
            .col(integer("needs"))
            .to_owned();
        m.create_table(table).await?;
        let random = match m.get_database_backend() {
            DbBackend::Postgres => "floor(random() * 1000000000)::bigint",
            _ => "abs(random()) % 1000000000",
        };
        let sql = format!("INSERT INTO installation (id, log_epoch, needs) VALUES (1, {random}, 3)");
        m.get_connection().execute_unprepared(&sql).await?;
        if m.get_database_backend() == DbBackend::Postgres {
            // Tells whether a transaction was committed if the connection is lost during COMMIT. PostgreSQL's own
            // transaction ids cannot tell, because they may be reused after a crash.
            let sql = "CREATE TABLE commit_mark (id uuid PRIMARY KEY, at timestamptz NOT NULL DEFAULT now())";
            m.get_connection().execute_unprepared(sql).await?;
        }
        Ok(())
    }
}
