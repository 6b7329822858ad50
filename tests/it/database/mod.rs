//! The database itself: how it comes to its schema, how its statements find their rows, and what
//! PostgreSQL has besides.
//!
//! Everything else here asks the server, and is run once on each database; see `support::Place`.

mod migrations;
mod on_postgres;
mod plans;

use muster::db::Location;
use sea_orm::{Database, DatabaseConnection};

/// The database as it is, without being brought up to date.
async fn connect(location: &Location) -> DatabaseConnection {
    let url = match location {
        Location::Sqlite(file) => format!("sqlite://{}?mode=rwc", file.display()),
        Location::Postgres(url) => url.clone(),
    };
    Database::connect(url).await.unwrap()
}
