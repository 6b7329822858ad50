//! The database itself: migrations, query plans, and features of PostgreSQL.
//!
//! All other tests use the server, and run once on each database; see `support::Place`.

mod migrations;
mod on_postgres;
mod plans;
mod rows;

use muster::db::Location;
use sea_orm::{Database, DatabaseConnection};

/// Connects to the database without migrating it.
pub async fn connect(location: &Location) -> DatabaseConnection {
    let url = match location {
        Location::Sqlite(file) => format!("sqlite://{}?mode=rwc", file.display()),
        Location::Postgres(url) => url.clone(),
    };
    Database::connect(url).await.unwrap()
}
