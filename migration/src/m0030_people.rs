use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub struct Migration;

/// The tables and indexes. `{id}` is the type of ids, and `{text}` that of texts, which are compared byte by byte.
const TABLES: &[&str] = &[
    "CREATE TABLE person (id {id} NOT NULL PRIMARY KEY, address {text}, state varchar(16) NOT NULL,
        state_since bigint NOT NULL, is_external boolean, display_name text, email text, department text, employee_id text,
        manager text, source_instance_id {id}, source_user_id {id})",
    "CREATE UNIQUE INDEX ux_person_address ON person(address)",
    "CREATE INDEX ix_person_state ON person(state, id)",
    "CREATE INDEX ix_person_source ON person(source_instance_id, id)",
    "CREATE TABLE person_word (word {text} NOT NULL, person_id {id} NOT NULL, PRIMARY KEY (word, person_id))",
    "CREATE INDEX ix_person_word_person ON person_word(person_id, word)",
    // what people sources say
    "CREATE TABLE source_account (instance_id {id} NOT NULL, external_id {text} NOT NULL, person_id {id}, employee_id {text},
        address {text}, presence varchar(16) NOT NULL, PRIMARY KEY (instance_id, external_id))",
    "CREATE INDEX ix_source_account_person ON source_account(person_id)",
    "CREATE INDEX ix_source_account_employee ON source_account(employee_id)",
    "CREATE INDEX ix_source_account_address ON source_account(address)",
    "CREATE INDEX ix_source_account_external ON source_account(external_id)",
    "CREATE TABLE person_key (id {id} NOT NULL PRIMARY KEY, value {text} NOT NULL, instance_id {id} NOT NULL,
        external_id {text} NOT NULL, listed boolean NOT NULL, valid_from bigint NOT NULL, valid_to bigint,
        recorded_at bigint NOT NULL)",
    "CREATE INDEX ix_person_key_value ON person_key(value, instance_id)",
    "CREATE INDEX ix_person_key_account ON person_key(instance_id, external_id)",
    // whose accounts are
    "CREATE TABLE account_link (user_id {id} NOT NULL PRIMARY KEY, instance_id {id} NOT NULL, person_id {id}, rule varchar(32),
        state varchar(16) NOT NULL, evidence text, address {text}, address_since bigint NOT NULL, source_id {text},
        kind varchar(16))",
    "CREATE INDEX ix_account_link_person ON account_link(person_id, user_id)",
    "CREATE INDEX ix_account_link_address ON account_link(address)",
    "CREATE INDEX ix_account_link_source_id ON account_link(source_id) WHERE source_id IS NOT NULL",
    // what members have decided
    "CREATE TABLE person_pin (instance_id {id} NOT NULL, external_id {text} NOT NULL, links boolean NOT NULL, person_id {id},
        kind varchar(16), decided_by text NOT NULL, decided_at bigint NOT NULL, reason text,
        PRIMARY KEY (instance_id, external_id))",
    "CREATE INDEX ix_person_pin_person ON person_pin(person_id)",
    "CREATE TABLE account_owner (instance_id {id} NOT NULL, external_id {text} NOT NULL, person_id {id} NOT NULL,
        decided_by text NOT NULL, decided_at bigint NOT NULL, PRIMARY KEY (instance_id, external_id))",
    "CREATE INDEX ix_account_owner_person ON account_owner(person_id)",
    // settings
    "CREATE TABLE people_source (instance_id {id} NOT NULL PRIMARY KEY, rank integer NOT NULL, settled boolean NOT NULL)",
    "CREATE TABLE owned_domain (domain {text} NOT NULL PRIMARY KEY)",
    "CREATE TABLE equivalent_domain (domain {text} NOT NULL, same_as {text} NOT NULL, PRIMARY KEY (domain, same_as))",
    "CREATE TABLE people_setting (id integer NOT NULL PRIMARY KEY, strip_tags boolean NOT NULL, salt {id} NOT NULL)",
    // work that is left
    "CREATE TABLE people_task (id {id} NOT NULL PRIMARY KEY, kind varchar(16) NOT NULL, instance_id {id}, run_id {id},
        at bigint NOT NULL, phase integer NOT NULL, position text)",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// All or nothing, even if the process is killed.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    /// Replicas of the previous release queue no tasks for the runs that they end. The accounts of these runs are looked
    /// at when an account changes again, or when a setting of people changes.
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let (db, postgres) = (m.get_connection(), m.get_database_backend() == DbBackend::Postgres);
        let (id, text) = if postgres { ("uuid", r#"text COLLATE "C""#) } else { ("blob", "text") };
        for table in TABLES {
            db.execute_unprepared(&table.replace("{id}", id).replace("{text}", text)).await?;
        }
        let random = if postgres { "gen_random_uuid()" } else { "randomblob(16)" };
        db.execute_unprepared(&format!(
            "INSERT INTO people_setting (id, strip_tags, salt) VALUES (1, FALSE, {random})"
        ))
        .await?;
        db.execute_unprepared(&format!(
            "INSERT INTO people_task (id, kind, at, phase)
            SELECT {random}, 'everything', 0, 0 WHERE EXISTS (SELECT 1 FROM user_account)"
        ))
        .await?;
        db.execute_unprepared(
            "INSERT INTO job (kind, subject, run_at, lease_until, claims, take_overs, priority)
            SELECT 'people', id, 0, 0, 0, 0, 0 FROM people_task",
        )
        .await?;
        Ok(())
    }
}
