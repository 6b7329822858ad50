use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, big_integer_null, big_pk_auto, binary_len, binary_null, boolean, boolean_null, integer, integer_null,
    json_binary, json_binary_null, string, string_len, string_len_null, string_null, text, text_null, uuid, uuid_null,
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
        for table in [
            instance(),
            sync_run(),
            user_account(),
            user_change(),
            event(),
            notification(),
            job(),
            api_token(),
            recipient(),
            audit_entry(),
        ] {
            m.create_table(table).await?;
        }
        for (name, table, columns, unique) in INDEXES {
            let mut index = Index::create();
            index.name(*name).table(*table);
            for column in *columns {
                index.col(*column);
            }
            if *unique {
                index.unique();
            }
            m.create_index(index).await?;
        }
        // SeaORM has no builder for partial indexes. The SQL is the same on both databases.
        m.get_connection()
            .execute_unprepared("CREATE UNIQUE INDEX ux_instance_name ON instance(name_key) WHERE status <> 'deleted'")
            .await?;
        if m.get_database_backend() == DbBackend::Postgres {
            for statement in POSTGRES {
                m.get_connection().execute_unprepared(statement).await?;
            }
        }
        Ok(())
    }
}

/// Additional settings for PostgreSQL. Keys are compared byte by byte, as in SQLite and
/// independently of the database's locale. Tables whose rows change often leave free space on
/// each page, so that updates do not touch the indexes, and are vacuumed early.
const POSTGRES: &[&str] = &[
    r#"ALTER TABLE instance ALTER COLUMN name_key TYPE text COLLATE "C", ALTER COLUMN integration_key TYPE text COLLATE "C""#,
    r#"ALTER TABLE user_account ALTER COLUMN external_id TYPE text COLLATE "C",
        ALTER COLUMN email_key TYPE text COLLATE "C", ALTER COLUMN name_key TYPE text COLLATE "C""#,
    r#"ALTER TABLE notification ALTER COLUMN address_key TYPE text COLLATE "C""#,
    r#"ALTER TABLE recipient ALTER COLUMN address_key TYPE text COLLATE "C""#,
    "ALTER TABLE user_account SET (fillfactor = 85)",
    "ALTER TABLE instance SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05)",
    "ALTER TABLE sync_run SET (fillfactor = 70)",
    "ALTER TABLE job SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05)",
];

/// Name, table, columns, unique. Each comment names the query that needs the index.
const INDEXES: &[(&str, &str, &[&str], bool)] = &[
    // instances, ordered by name, creation, last success
    ("ix_instance_name", "instance", &["name_key", "id"], false),
    ("ix_instance_created", "instance", &["created_at", "id"], false),
    ("ix_instance_synced", "instance", &["last_success_at", "id"], false),
    // an integration's instances
    ("ix_instance_integration", "instance", &["integration_key", "id"], false),
    // the scheduler
    ("ix_instance_due", "instance", &["status", "sync_state", "next_sync_at"], false),
    // an instance's history
    ("ix_sync_run_instance", "sync_run", &["instance_id", "id"], false),
    // the conflict target of the upsert
    ("ux_user_external", "user_account", &["instance_id", "external_id"], true),
    // an instance's users; removals; the purge
    ("ix_user_instance", "user_account", &["instance_id", "id"], false),
    // prefix search
    ("ix_user_email", "user_account", &["email_key", "id"], false),
    ("ix_user_name", "user_account", &["name_key", "id"], false),
    // a run's changes
    ("ix_user_change_run", "user_change", &["run_id", "id"], false),
    // the purge
    ("ix_user_change_user", "user_change", &["user_id"], false),
    // an instance's events
    ("ix_event_instance", "event", &["instance_id", "seq"], false),
    // one mail per run, kind and address
    ("ux_notification_once", "notification", &["run_id", "kind", "address_key"], true),
    // mails dropped by a deletion; the thread of a recovery mail
    ("ix_notification_instance", "notification", &["instance_id", "id"], false),
    // one job of each kind per subject
    ("ux_job_subject", "job", &["kind", "subject"], true),
    // claiming a job
    ("ix_job_due", "job", &["kind", "lease_until", "run_at"], false),
    ("ux_api_token_hash", "api_token", &["hash"], true),
];

fn table(name: &'static str) -> TableCreateStatement {
    Table::create().table(name).to_owned()
}

fn instance() -> TableCreateStatement {
    table("instance")
        .col(uuid("id").primary_key())
        .col(string_len("integration_key", 64))
        .col(string("name"))
        .col(string("name_key"))
        .col(string_len("status", 16))
        .col(string_len_null("inactive_reason", 32))
        .col(big_integer_null("inactive_since"))
        .col(string_len("sync_state", 16))
        .col(string_len("health", 16))
        .col(big_integer_null("failing_since"))
        .col(integer("consecutive_failures"))
        .col(boolean("revocation_mailed"))
        .col(big_integer("last_success_at"))
        .col(string_null("tenant"))
        .col(string("created_by"))
        .col(string_null("created_by_email"))
        .col(big_integer("created_at"))
        .col(big_integer("updated_at"))
        .col(integer("revision"))
        .col(json_binary("config"))
        .col(binary_null("secrets"))
        .col(integer("sync_interval_minutes"))
        .col(big_integer_null("next_sync_at"))
        .col(big_integer("user_count"))
        .col(uuid_null("last_run_id"))
        .col(uuid_null("current_run_id"))
        .col(big_integer("run_number"))
        .col(big_integer("purge_through"))
        .col(boolean("purging"))
        .col(big_integer("purged_users"))
        .to_owned()
}

fn sync_run() -> TableCreateStatement {
    table("sync_run")
        .col(uuid("id").primary_key())
        .col(uuid("instance_id"))
        .col(string_len("integration_key", 64))
        .col(string_len("trigger", 24))
        .col(string_len_null("outcome", 24))
        .col(big_integer("number"))
        .col(big_integer("queued_at"))
        .col(big_integer_null("started_at"))
        .col(big_integer_null("finished_at"))
        .col(big_integer("seen"))
        .col(big_integer("added"))
        .col(big_integer("changed"))
        .col(big_integer("removed"))
        .col(integer("pages"))
        .col(big_integer_null("expected"))
        .col(boolean("accept_removals"))
        .col(big_integer("users_before"))
        .col(boolean("listed"))
        .col(json_binary_null("checkpoint"))
        .col(string_len_null("failure_class", 24))
        .col(text_null("failure_message"))
        .col(integer_null("http_status"))
        .col(json_binary("lost"))
        .col(json_binary("missing_permissions"))
        .col(string_len_null("mail_kind", 32))
        .col(string_len_null("mail_reason", 16))
        .to_owned()
}

fn user_account() -> TableCreateStatement {
    table("user_account")
        .col(uuid("id").primary_key())
        .col(uuid("instance_id"))
        .col(text("external_id"))
        .col(text_null("email"))
        .col(text_null("email_key"))
        .col(text_null("display_name"))
        .col(text_null("name_key"))
        .col(string_len("status", 16))
        .col(boolean_null("is_admin"))
        .col(boolean_null("mfa_enabled"))
        .col(text_null("licenses"))
        .col(big_integer_null("last_active_at"))
        .col(big_integer("first_seen_at"))
        .col(big_integer("last_seen_at"))
        .col(big_integer_null("removed_at"))
        .col(big_integer("generation"))
        .to_owned()
}

fn user_change() -> TableCreateStatement {
    table("user_change")
        .col(big_pk_auto("id"))
        .col(uuid("run_id"))
        .col(uuid("user_id"))
        .col(string_len("kind", 8))
        .col(text("fields"))
        .to_owned()
}

fn event() -> TableCreateStatement {
    table("event")
        .col(big_pk_auto("seq"))
        .col(uuid("instance_id"))
        .col(big_integer("at"))
        .col(string_len("cause", 32))
        .col(string_null("actor"))
        .col(json_binary("state"))
        .to_owned()
}

fn notification() -> TableCreateStatement {
    table("notification")
        .col(uuid("id").primary_key())
        .col(string_len("kind", 32))
        .col(string_len("state", 16))
        .col(uuid_null("instance_id"))
        .col(uuid_null("run_id"))
        .col(text("address"))
        .col(text("address_key"))
        .col(text("subject"))
        .col(text("text"))
        .col(text("html"))
        .col(text("message_id"))
        .col(text_null("in_reply_to"))
        .col(integer("attempts"))
        .col(text_null("last_error"))
        .col(big_integer("created_at"))
        .col(big_integer_null("sent_at"))
        .to_owned()
}

fn job() -> TableCreateStatement {
    table("job")
        .col(big_pk_auto("id"))
        .col(string_len("kind", 16))
        .col(uuid("subject"))
        .col(big_integer("run_at"))
        .col(big_integer("lease_until"))
        .col(integer("claims"))
        .col(integer("take_overs"))
        .to_owned()
}

fn api_token() -> TableCreateStatement {
    table("api_token")
        .col(uuid("id").primary_key())
        .col(string("name"))
        .col(binary_len("hash", 32))
        .col(string_len("role", 16))
        .col(string_null("email"))
        .col(big_integer("created_at"))
        .col(big_integer_null("revoked_at"))
        .to_owned()
}

fn recipient() -> TableCreateStatement {
    table("recipient").col(text("address_key").primary_key()).col(text("address")).col(integer("position")).to_owned()
}

fn audit_entry() -> TableCreateStatement {
    table("audit_entry")
        .col(big_pk_auto("id"))
        .col(big_integer("at"))
        .col(string("actor"))
        .col(string_len("action", 32))
        .col(uuid_null("instance_id"))
        .col(text("detail"))
        .to_owned()
}
