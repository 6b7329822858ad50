//! The database schema, as a chain of migrations that is only ever added to.

use sea_orm_migration::prelude::*;

mod m0001_first_tables;
mod m0002_consent;

pub use sea_orm_migration::MigratorTrait;

/// The chain.
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(m0001_first_tables::Migration), Box::new(m0002_consent::Migration)]
    }
}
