use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, big_integer_null, binary, binary_len, binary_len_null, integer_null, string, string_len, string_null,
    uuid, uuid_null,
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
        let mut instance = Table::alter();
        instance.table("instance").add_column(big_integer_null("credential_expires_at"));
        m.alter_table(instance).await?;
        for table in [oauth_grant(), oauth_authorization()] {
            m.create_table(table).await?;
        }
        // removal of expired authorizations
        let mut index = Index::create();
        index.name("ix_oauth_authorization_expires").table("oauth_authorization").col("expires_at");
        m.create_index(index).await
    }
}

fn oauth_grant() -> TableCreateStatement {
    Table::create()
        .table("oauth_grant")
        .col(uuid("instance_id").primary_key())
        .col(binary("sealed"))
        .col(big_integer("generation"))
        .col(uuid_null("lease_owner"))
        .col(big_integer("lease_until"))
        .to_owned()
}

fn oauth_authorization() -> TableCreateStatement {
    Table::create()
        .table("oauth_authorization")
        .col(binary_len("state_hash", 32).primary_key())
        .col(binary_len_null("browser_hash", 32))
        .col(string_len("integration_key", 64))
        .col(uuid_null("instance_id"))
        .col(string_null("name"))
        .col(integer_null("sync_interval_minutes"))
        .col(binary("sealed"))
        .col(uuid("token_id"))
        .col(string("actor"))
        .col(big_integer("created_at"))
        .col(big_integer("expires_at"))
        .to_owned()
}
