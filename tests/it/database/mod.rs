//! The database itself: migrations, query plans, and features of PostgreSQL.
//!
//! All other tests use the server, and run once on each database; see `support::Place`.

mod migrations;
mod on_postgres;
mod plans;
mod rows;

use entity::instance;
use muster::db::Location;
use sea_orm::{ColumnTrait, Database, DatabaseConnection, EntityTrait, PaginatorTrait, QueryFilter};

use crate::support::Server;

/// Connects to the database without migrating it.
pub async fn connect(location: &Location) -> DatabaseConnection {
    let url = match location {
        Location::Sqlite(file) => format!("sqlite://{}?mode=rwc", file.display()),
        Location::Postgres(url) => url.clone(),
    };
    Database::connect(url).await.unwrap()
}

#[tokio::test]
async fn the_same_statement_may_have_integers_of_several_sizes() {
    let server = Server::start().await;
    let outcome = server
        .db
        .write(|tx| async move {
            let rows = |filter| instance::Entity::find().filter(filter).count(tx.conn());
            let found = [
                rows(instance::Column::UserCount.gte(1)).await?,
                rows(instance::Column::UserCount.gte(1_i64 << 40)).await?,
                rows(instance::Column::UserCount.gte(1_i16)).await?,
            ];
            Ok(found)
        })
        .await;
    assert_eq!(outcome.unwrap(), [0; 3]);
    let small = instance::Entity::find().filter(instance::Column::Revision.gte(1)).count(server.db.read());
    let large = instance::Entity::find().filter(instance::Column::Revision.gte(1_i64 << 40)).count(server.db.read());
    assert_eq!((small.await.unwrap(), large.await.unwrap()), (0, 0));
}
