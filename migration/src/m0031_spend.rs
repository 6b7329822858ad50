use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, big_integer_null, boolean, integer, string_len, text, text_null, uuid, uuid_null,
};
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
        for table in [license_tally(), license_count(), price(), contract(), contract_line(), contract_reminder()] {
            m.create_table(table).await?;
        }
        if m.get_database_backend() == DbBackend::Postgres {
            // Names are compared byte by byte, as in SQLite and independently of the database's locale.
            for column in [
                "license_count ALTER COLUMN license",
                "price ALTER COLUMN license",
                "contract_line ALTER COLUMN license",
                "contract ALTER COLUMN name_key",
            ] {
                let sql = format!("ALTER TABLE {column} TYPE text COLLATE \"C\"");
                m.get_connection().execute_unprepared(&sql).await?;
            }
        }
        for index in [
            "INDEX ix_contract_notice ON contract(notice_by, id)",
            "UNIQUE INDEX ux_contract_name ON contract(instance_id, name_key)",
        ] {
            m.get_connection().execute_unprepared(&format!("CREATE {index}")).await?;
        }
        // The licences of the users that there are already are counted soon.
        let jobs = "INSERT INTO job (kind, subject, run_at, lease_until, claims, take_overs, priority) \
            SELECT 'tally', id, 0, 0, 0, 0, 0 FROM instance WHERE status IN ('live', 'inactive')";
        m.get_connection().execute_unprepared(jobs).await?;
        Ok(())
    }
}

fn license_tally() -> TableCreateStatement {
    Table::create()
        .table("license_tally")
        .col(uuid("instance_id").primary_key())
        .col(uuid_null("run_id"))
        .col(big_integer("purge_through"))
        .col(big_integer("counted_at"))
        .col(big_integer("accounts"))
        .col(big_integer("untold"))
        .col(big_integer("left_out"))
        .col(big_integer_null("as_of"))
        .col(big_integer_null("activity_as_of"))
        .to_owned()
}

fn license_count() -> TableCreateStatement {
    let mut table = Table::create();
    table.table("license_count").col(uuid("instance_id")).col(text("license"));
    for column in [
        "active",
        "suspended",
        "invited",
        "unknown",
        "never",
        "inactive",
        "never_unknown",
        "inactive_unknown",
        "undecided",
    ] {
        table.col(big_integer(column));
    }
    table.primary_key(Index::create().col("instance_id").col("license"));
    table
}

fn price() -> TableCreateStatement {
    Table::create()
        .table("price")
        .col(uuid("instance_id"))
        .col(text("license"))
        .col(string_len("currency", 3))
        .col(big_integer("amount"))
        .col(big_integer_null("seats"))
        .col(integer("months"))
        .col(big_integer("updated_at"))
        .primary_key(Index::create().col("instance_id").col("license"))
        .to_owned()
}

fn contract() -> TableCreateStatement {
    Table::create()
        .table("contract")
        .col(uuid("id").primary_key())
        .col(uuid("instance_id"))
        .col(text("name"))
        .col(text("name_key"))
        .col(string_len("currency", 3))
        .col(integer("months"))
        .col(integer("starts_on"))
        .col(integer("ends_on"))
        .col(integer("notice_days"))
        .col(integer("notice_by"))
        .col(text("created_by"))
        .col(text_null("created_by_email"))
        .col(big_integer("created_at"))
        .col(big_integer("updated_at"))
        .col(integer("revision"))
        .to_owned()
}

fn contract_line() -> TableCreateStatement {
    Table::create()
        .table("contract_line")
        .col(uuid("contract_id"))
        .col(text("license"))
        .col(integer("position"))
        .col(big_integer("seats"))
        .col(big_integer_null("amount"))
        .col(boolean("is_total"))
        .primary_key(Index::create().col("contract_id").col("license"))
        .to_owned()
}

fn contract_reminder() -> TableCreateStatement {
    Table::create()
        .table("contract_reminder")
        .col(uuid("contract_id"))
        .col(integer("ends_on"))
        .col(integer("days"))
        .col(big_integer("decided_at"))
        .col(integer("mails"))
        .primary_key(Index::create().col("contract_id").col("ends_on").col("days"))
        .to_owned()
}
