//! The database schema, as a chain of migrations that is only ever added to.
//!
//! **Old and new work side by side** while replicas are replaced one after another: the
//! first new one migrates, and the old ones go on. So a release expands before a later one
//! contracts:
//!
//! - A new column has a default or is nullable; an old binary neither reads nor writes it.
//! - A new value of a stored enum (a cause, a kind of job) is written by the release after
//!   the one that can read it.
//! - What is renamed or dropped was not used by the release before. Such a migration sets
//!   `installation.needs` to the number of migrations that a binary must know at least;
//!   binaries that know fewer refuse to start.
//! - A change is short: no rewrite of a large table; indexes by [`concurrently`].

use sea_orm_migration::prelude::*;

mod concurrently;
mod m0001_first_tables;
mod m0002_consent;
mod m0003_installation;
mod m0004_indexes;
mod m0005_room;

pub use sea_orm_migration::MigratorTrait;

/// The chain.
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
        ]
    }
}

fn known() -> Vec<String> {
    Migrator::migrations().iter().map(|migration| migration.name().to_owned()).collect()
}

/// Whether this binary knows all migrations that were applied to a database.
#[must_use]
pub fn knows_all(applied: &[String]) -> bool {
    let known = known();
    applied.iter().all(|name| known.contains(name))
}

/// Whether this binary can work on a database that a newer one brought up to date: all that it
/// knows was applied, and `needs`, as `installation.needs` says, is no more than that.
#[must_use]
pub fn works_beside(applied: &[String], needs: i64) -> bool {
    let known = known();
    usize::try_from(needs).is_ok_and(|needs| needs <= known.len()) && known.iter().all(|name| applied.contains(name))
}
