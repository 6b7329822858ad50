use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, big_integer_null, binary, binary_null, integer, string, string_len, string_len_null, string_null,
    uuid_null,
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
        for mut column in [
            string_len_null("actor_kind", 16),
            uuid_null("actor_id"),
            string_len_null("subject_kind", 16),
            uuid_null("subject_id"),
            uuid_null("request_id"),
            string_len("outcome", 8).default("ok").take(),
            string_len_null("code", 64),
            big_integer("times").default(1).take(),
            binary_null("person_digest"),
            binary_null("hash"),
        ] {
            m.alter_table(Table::alter().table("audit_entry").add_column(column.take()).take()).await?;
        }
        let person = Table::create()
            .table("audit_person")
            .col(big_integer("entry_id").primary_key())
            .col(binary("key"))
            .col(string("actor_name"))
            .col(string_len_null("address", 45))
            .col(string_null("subject_name"))
            .to_owned();
        let chain = Table::create()
            .table("audit_chain")
            .col(integer("id").primary_key())
            .col(big_integer("last_id"))
            .col(big_integer("last_at"))
            .col(binary_null("last_hash"))
            .col(big_integer("anchor_id"))
            .col(binary_null("anchor_hash"))
            .col(big_integer_null("broken_at"))
            .col(binary_null("signature"))
            .to_owned();
        m.create_table(person).await?;
        m.create_table(chain).await?;
        let db = m.get_connection();
        // The chain begins after the entries that are there.
        db.execute_unprepared(
            "INSERT INTO audit_chain (id, last_id, last_at, anchor_id)
             SELECT 1, COALESCE(MAX(id), 0), 0, COALESCE(MAX(id), 0) FROM audit_entry",
        )
        .await?;
        // The audit log is small, and nobody waits long for it.
        for index in [
            "ix_audit_entry_at ON audit_entry(at, id)",
            "ix_audit_entry_actor ON audit_entry(actor_id, id)",
            "ix_audit_entry_action ON audit_entry(action, id)",
            "ix_audit_entry_subject ON audit_entry(subject_id, id)",
            "ix_audit_entry_outcome ON audit_entry(outcome, id)",
            "ix_audit_person_address ON audit_person(address, entry_id)",
        ] {
            db.execute_unprepared(&format!("CREATE INDEX {index}")).await?;
        }
        Ok(())
    }
}
