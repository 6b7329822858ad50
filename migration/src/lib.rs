//! The database schema, as a list of migrations. Released migrations are never changed.
//!
//! **Rolling upgrades.** Replicas are replaced one after another. The first new replica
//! migrates the database while old replicas keep using it, so every migration must follow the expand/contract
//! pattern:
//!
//! - A new column is nullable or has a default, because old binaries do not write it.
//! - A new value of a stored enum (such as an instance's status) is first written one release after the release that can
//!   read it. Those that grow from release to release (`entity::growing`, and the columns of the audit log) may get a value
//!   at any time: a release that does not know it shows `UNKNOWN`. It claims no jobs of a kind that it does not know.
//! - What the signature of a row covers is first written one release after the release that can read it. Otherwise the
//!   row counts as forged for old replicas, as with `m0024` and `m0025`: they refuse tokens that are created meanwhile.
//! - A column or table is renamed or dropped only if the previous release no longer used it.
//!   Such a migration sets `installation.needs` to the number of migrations that a binary
//!   must know. Binaries that know fewer refuse to start, and stop if they are running. `m0006`, `m0012` and `m0014` are
//!   exceptions: the previous release cannot work next to them (see the operations guide).
//! - A migration is fast: it does not rewrite large tables, and it builds indexes with
//!   [`concurrently`].

use sea_orm_migration::prelude::*;

mod concurrently;
mod m0001_first_tables;
mod m0002_consent;
mod m0003_installation;
mod m0004_indexes;
mod m0005_room;
mod m0006_event_record;
mod m0007_what_is_known;
mod m0008_waits;
mod m0009_search_keys;
mod m0010_indexes;
mod m0011_user_words;
mod m0012_indexes;
mod m0013_token_limits;
mod m0014_sealing;
mod m0015_unlogged_changes;
mod m0016_members;
mod m0017_token_scopes;
mod m0018_audit_chain;
mod m0019_redirects;
mod m0020_oidc_sign_in;
mod m0021_failure_class;
mod m0022_user_names;
mod m0023_audit_proof;
mod m0024_token_makers;
mod m0025_token_creators;
mod m0026_account_fields;
mod m0029_outdated_keys;
mod m0030_people;
mod m0031_spend;
mod m0032_findings;
mod m0033_group_spend;
mod m0034_erasures;
mod m0035_trend;
mod m0036_digest;
mod m0037_webhooks;
mod m0038_history;
mod m0039_channels;
mod m0040_lists;
mod m0041_finding_changes;
mod m0042_erased_names;

pub use sea_orm_migration::MigratorTrait;

/// All migrations, in order.
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_first_tables::Migration),
            Box::new(m0002_consent::Migration),
            Box::new(m0003_installation::Migration),
            Box::new(m0004_indexes::Migration),
            Box::new(m0005_room::Migration),
            Box::new(m0006_event_record::Migration),
            Box::new(m0007_what_is_known::Migration),
            Box::new(m0008_waits::Migration),
            Box::new(m0009_search_keys::Migration),
            Box::new(m0010_indexes::Migration),
            Box::new(m0011_user_words::Migration),
            Box::new(m0012_indexes::Migration),
            Box::new(m0013_token_limits::Migration),
            Box::new(m0014_sealing::Migration),
            Box::new(m0015_unlogged_changes::Migration),
            Box::new(m0016_members::Migration),
            Box::new(m0017_token_scopes::Migration),
            Box::new(m0018_audit_chain::Migration),
            Box::new(m0019_redirects::Migration),
            Box::new(m0020_oidc_sign_in::Migration),
            Box::new(m0021_failure_class::Migration),
            Box::new(m0022_user_names::Migration),
            Box::new(m0023_audit_proof::Migration),
            Box::new(m0024_token_makers::Migration),
            Box::new(m0025_token_creators::Migration),
            Box::new(m0026_account_fields::Migration),
            Box::new(m0029_outdated_keys::Migration),
            Box::new(m0030_people::Migration),
            Box::new(m0031_spend::Migration),
            Box::new(m0032_findings::Migration),
            Box::new(m0033_group_spend::Migration),
            Box::new(m0034_erasures::Migration),
            Box::new(m0035_trend::Migration),
            Box::new(m0036_digest::Migration),
            Box::new(m0037_webhooks::Migration),
            Box::new(m0038_history::Migration),
            Box::new(m0039_channels::Migration),
            Box::new(m0040_lists::Migration),
            Box::new(m0041_finding_changes::Migration),
            Box::new(m0042_erased_names::Migration),
        ]
    }
}

fn known() -> Vec<String> {
    Migrator::migrations().iter().map(|migration| migration.name().to_owned()).collect()
}

/// True if this binary knows every migration that was applied to a database.
#[must_use]
pub fn knows_all_migrations(applied: &[String]) -> bool {
    let known = known();
    applied.iter().all(|name| known.contains(name))
}

/// True if this binary can use a database that a newer binary migrated: every migration that it
/// knows was applied, and it knows at least `needs` (`installation.needs`) of them.
#[must_use]
pub fn is_compatible(applied: &[String], needs: i64) -> bool {
    let known = known();
    usize::try_from(needs).is_ok_and(|needs| needs <= known.len()) && known.iter().all(|name| applied.contains(name))
}

/// How many migrations a binary must know to keep erased people away. An older one stores them again.
#[must_use]
pub fn that_know_erasures() -> usize {
    known().iter().position(|name| name == "m0035_trend").map_or(0, |last| last + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_that_know_erasures_know_their_migrations() {
        assert!(known()[..that_know_erasures()].contains(&"m0034_erasures".to_owned()));
    }

    /// Without a word of its own, a migration is a transaction on PostgreSQL only, and SQLite is left with half of it
    /// after a kill. One that is no transaction must be able to run twice.
    #[test]
    fn every_migration_says_whether_it_is_a_transaction() {
        for migration in Migrator::migrations() {
            assert!(migration.use_transaction().is_some(), "{}", migration.name());
        }
    }
}
