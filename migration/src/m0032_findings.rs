use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub struct Migration;

/// The tables and indexes. `{id}` is the type of ids, and `{text}` that of texts, which are compared byte by byte.
const FINDINGS: &[&str] = &[
    "CREATE TABLE finding (id {id} NOT NULL PRIMARY KEY, kind varchar(24) NOT NULL, instance_id {id} NOT NULL,
        user_id {id} NOT NULL, severity varchar(16) NOT NULL, confirmed boolean NOT NULL, excepted_until bigint,
        opened_at bigint NOT NULL, closed_at bigint, close_reason varchar(24), evidence text NOT NULL)",
    "CREATE UNIQUE INDEX ux_finding_open ON finding(kind, user_id) WHERE closed_at IS NULL",
    "CREATE INDEX ix_finding_account ON finding(instance_id, user_id) WHERE closed_at IS NULL",
    "CREATE INDEX ix_finding_kind ON finding(kind, id) WHERE closed_at IS NULL",
    "CREATE INDEX ix_finding_list ON finding(kind, instance_id, id) WHERE closed_at IS NULL",
    "CREATE INDEX ix_finding_user ON finding(user_id, id)",
    "CREATE INDEX ix_finding_excepted ON finding(instance_id, kind) WHERE closed_at IS NULL AND excepted_until IS NOT NULL",
    "CREATE INDEX ix_finding_closed ON finding(closed_at) WHERE closed_at IS NOT NULL",
    "CREATE TABLE finding_exception (instance_id {id} NOT NULL, external_id {text} NOT NULL, kind varchar(24) NOT NULL,
        severity varchar(16) NOT NULL, reason text NOT NULL, decided_by text NOT NULL, decided_at bigint NOT NULL,
        until bigint NOT NULL, PRIMARY KEY (instance_id, external_id, kind))",
    "CREATE TABLE evaluation (instance_id {id} NOT NULL PRIMARY KEY, requested bigint NOT NULL, begun bigint NOT NULL,
        is_whole boolean NOT NULL, rules_changed boolean NOT NULL, position {id}, pending text, counts text, open text NOT NULL, evaluated_at bigint)",
    "CREATE TABLE report_setting (id integer NOT NULL PRIMARY KEY, inactive_days integer NOT NULL, disabled text NOT NULL)",
    "INSERT INTO report_setting (id, inactive_days, disabled) VALUES (1, 90, '[]')",
    "CREATE TABLE sign_in_provider (instance_id {id} NOT NULL PRIMARY KEY, provider_id {id} NOT NULL)",
    // the accounts of a person in one instance
    "CREATE INDEX ix_account_link_duplicate ON account_link(instance_id, person_id, user_id) WHERE person_id IS NOT NULL",
    // of what uses an account, members decide little
    "CREATE INDEX ix_account_link_kind ON account_link(instance_id, user_id) WHERE kind IS NOT NULL",
    // Everything is evaluated once.
    "INSERT INTO evaluation (instance_id, requested, begun, is_whole, rules_changed, open)
        SELECT id, 1, 0, TRUE, FALSE, '{}' FROM instance WHERE status IN ('live', 'inactive')",
    "INSERT INTO job (kind, subject, run_at, lease_until, claims, take_overs, priority)
        SELECT 'findings', instance_id, 0, 0, 0, 0, 1 FROM evaluation",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// All or nothing, even if the process is killed.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    /// Replicas of the previous release request no evaluation of what they change. The next run of the instance does.
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let (db, postgres) = (m.get_connection(), m.get_database_backend() == DbBackend::Postgres);
        let (id, text) = if postgres { ("uuid", r#"text COLLATE "C""#) } else { ("blob", "text") };
        for statement in FINDINGS {
            db.execute_unprepared(&statement.replace("{id}", id).replace("{text}", text)).await?;
        }
        Ok(())
    }
}
