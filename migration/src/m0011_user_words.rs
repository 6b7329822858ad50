use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, big_pk_auto, binary, uuid, uuid_null};
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// All or nothing, even if the process is killed.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    /// The workers write the words of the users that are there, because that takes a while.
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let (db, postgres) = (m.get_connection(), m.get_database_backend() == DbBackend::Postgres);
        // Small rows that are found by their primary key: SQLite keeps them in its tree.
        let (text, id, rest) = if postgres {
            (r#"text COLLATE "C" NOT NULL"#, "uuid NOT NULL", "")
        } else {
            ("text NOT NULL", "blob NOT NULL", " WITHOUT ROWID")
        };
        db.execute_unprepared(&format!(
            "CREATE TABLE user_word (word {text}, user_id {id}, instance_id {id}, words {text}, shared integer NOT NULL,
                removed boolean NOT NULL, PRIMARY KEY (word, user_id)){rest}"
        ))
        .await?;
        // a search within an instance; SQLite reads the other columns faster from the index
        let more = if postgres { "" } else { ", shared, removed" };
        db.execute_unprepared(&format!(
            "CREATE INDEX ix_user_word_instance ON user_word(instance_id, word, user_id{more})"
        ))
        .await?;
        m.create_table(user_backlog()).await?;
        m.alter_table(Table::alter().table("installation").add_column(uuid_null("searchable_through")).take()).await?;
        let first = if postgres { "'00000000-0000-0000-0000-000000000000'" } else { "zeroblob(16)" };
        db.execute_unprepared(&format!(
            "UPDATE installation SET searchable_through = {first} WHERE EXISTS (SELECT 1 FROM user_account)"
        ))
        .await?;
        Ok(())
    }
}

fn user_backlog() -> TableCreateStatement {
    Table::create()
        .table("user_backlog")
        .col(big_pk_auto("id"))
        .col(uuid("instance_id"))
        .col(binary("users"))
        .col(big_integer("stored_at"))
        .to_owned()
}
