use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, big_integer_null, binary_len, binary_null, string, string_len, string_null, uuid, uuid_null,
};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// All or nothing, even if the process is killed.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        for table in [member(), member_identity(), member_link(), session(), sign_in_attempt()] {
            m.create_table(table).await?;
        }
        for (name, table, column) in [
            ("ix_session_member", "session", "member_id"),
            // removal of old attempts
            ("ix_sign_in_attempt_last", "sign_in_attempt", "last_at"),
        ] {
            m.create_index(Index::create().name(name).table(table).col(column).take()).await?;
        }
        Ok(())
    }
}

fn member() -> TableCreateStatement {
    Table::create()
        .table("member")
        .col(uuid("id").primary_key())
        .col(string("name"))
        .col(string_null("email").unique_key())
        .col(string_len("role", 16))
        .col(string_null("password_hash"))
        .col(big_integer("created_at"))
        .col(big_integer_null("disabled_at"))
        .col(binary_null("signature"))
        .take()
}

fn member_identity() -> TableCreateStatement {
    Table::create()
        .table("member_identity")
        .col(string("issuer"))
        .col(string("subject"))
        .col(uuid("member_id"))
        .col(big_integer("created_at"))
        .col(binary_null("signature"))
        .primary_key(Index::create().col("issuer").col("subject"))
        .take()
}

fn member_link() -> TableCreateStatement {
    Table::create()
        .table("member_link")
        .col(binary_len("hash", 32).primary_key())
        .col(string_len("purpose", 16))
        .col(uuid_null("member_id"))
        .col(big_integer("expires_at"))
        .col(binary_null("signature"))
        .take()
}

fn session() -> TableCreateStatement {
    Table::create()
        .table("session")
        .col(uuid("id").primary_key())
        .col(binary_len("hash", 32).unique_key())
        .col(uuid("member_id"))
        .col(big_integer("created_at"))
        .col(big_integer("last_used_at"))
        .col(big_integer("expires_at"))
        .col(string_null("address"))
        .col(string("user_agent"))
        .col(binary_null("signature"))
        .take()
}

fn sign_in_attempt() -> TableCreateStatement {
    Table::create()
        .table("sign_in_attempt")
        .col(binary_len("account", 32).primary_key())
        .col(big_integer("count"))
        .col(big_integer("last_at"))
        .take()
}
