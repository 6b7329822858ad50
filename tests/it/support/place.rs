//! The storage of a test's server: a data folder and a database of its own.
//!
//! By default the database is SQLite, a file in the folder. With `TEST_DATABASE=postgres` it is created in the server
//! of `TEST_POSTGRES_URL`, and dropped with its guard. `tests/run` sets both. A test with `on_sqlite` or `on_postgres`
//! in its name runs on that database only.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use muster::db::{Db, Location};
use sea_orm::sqlx::postgres::PgConnection;
use sea_orm::sqlx::{AssertSqlSafe, Connection, Executor};
use sea_orm::{ConnectionTrait, Statement};
use tempfile::TempDir;
use uuid::Uuid;

use super::template;

/// How many connections a server in a test has.
const CONNECTIONS: u32 = 4;

/// Whether the tests run on PostgreSQL.
fn on_postgres() -> bool {
    match std::env::var("TEST_DATABASE").as_deref() {
        Err(_) | Ok("sqlite") => false,
        Ok("postgres") => true,
        Ok(other) => panic!("TEST_DATABASE is sqlite or postgres, not {other}"),
    }
}

/// The URL of a database in PostgreSQL.
pub(super) fn url_of(name: &str) -> String {
    let mut url = postgres();
    url.set_path(name);
    url.into()
}

/// The URL of PostgreSQL's administrator.
pub(super) fn postgres() -> url::Url {
    let url = std::env::var("TEST_POSTGRES_URL").expect("TEST_POSTGRES_URL: run the tests by tests/run");
    url.parse().expect("TEST_POSTGRES_URL is an address")
}

/// A database for one test, empty at first. Dropping this drops the database.
pub enum Database {
    /// `muster.db` in the data folder, the default of the server.
    File,
    /// The URL of a database in PostgreSQL.
    Made(String),
}

impl Database {
    pub fn new() -> Self {
        if on_postgres() { Self::made() } else { Self::File }
    }

    fn made() -> Self {
        Self::made_of("template0 ENCODING 'UTF8'")
    }

    fn made_of(template: &str) -> Self {
        let name = format!("muster_test_{}", Uuid::now_v7().simple());
        administer(format!("CREATE DATABASE {name} TEMPLATE {template}")).expect("a new database");
        Self::Made(url_of(&name))
    }

    /// The URL, unless it is the default.
    pub fn url(&self) -> Option<&str> {
        match self {
            Self::File => None,
            Self::Made(url) => Some(url),
        }
    }

    /// The location as a server with the data folder `folder` sees it.
    pub fn location(&self, folder: &Path) -> Location {
        match self {
            Self::File => Location::Sqlite(folder.join("muster.db")),
            Self::Made(url) => Location::Postgres(url.clone()),
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Self::Made(url) = self {
            let name = url.rsplit_once('/').map_or_else(String::new, |(_, name)| name.to_owned());
            // If it fails, the database is removed with the server.
            let _ = administer(format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
        }
    }
}

/// Runs a statement as PostgreSQL's administrator, on its own thread because a guard can be dropped inside a runtime.
pub(super) fn administer(statement: String) -> Result<(), sea_orm::sqlx::Error> {
    let work = async move {
        let mut connection = PgConnection::connect(postgres().as_str()).await?;
        connection.execute(AssertSqlSafe(statement)).await?;
        connection.close().await
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::spawn(move || runtime.block_on(work)).join().expect("no panic")
}

/// A data folder and its database. They outlive the servers that work on them.
pub struct Place {
    dir: TempDir,
    pub database: Arc<Database>,
}

impl Place {
    pub fn new() -> Self {
        Self::on(Arc::new(Database::new()))
    }

    /// Another data folder with the same secret key and database. PostgreSQL only.
    pub fn replica(&self) -> Self {
        let replica = Self::on(self.database.clone());
        std::fs::copy(self.path().join("secret.key"), replica.path().join("secret.key")).unwrap();
        replica
    }

    /// In the folder, with a database that has its tables.
    pub async fn migrated(dir: TempDir) -> Self {
        let database = if on_postgres() {
            Database::made_of(template::on_postgres().await)
        } else {
            std::fs::copy(template::on_sqlite().await, dir.path().join("muster.db")).unwrap();
            Database::File
        };
        let place = Self { dir, database: Arc::new(database) };
        // Each is an installation of its own.
        let epoch = fastrand::u32(..1_000_000_000);
        let sql = format!("UPDATE installation SET log_epoch = {epoch} RETURNING 'done'");
        assert_eq!(one(&place.location(), &sql).await, "done");
        place
    }

    fn on(database: Arc<Database>) -> Self {
        Self { dir: tempfile::tempdir().unwrap(), database }
    }

    /// The data folder.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn location(&self) -> Location {
        self.database.location(self.path())
    }

    /// Opens the database, also while a server uses it.
    pub async fn open(&self) -> Db {
        Db::open(&self.location(), CONNECTIONS).await.unwrap()
    }

    /// Everything that is stored: the files of the folder and, on PostgreSQL, the rows of all tables.
    pub async fn stored(&self) -> Vec<(String, Vec<u8>)> {
        stored(&self.database, self.path()).await
    }
}

/// Everything that is stored in a data folder and a database, with names.
pub async fn stored(database: &Database, folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found: Vec<_> =
        files(folder).into_iter().map(|path| (path.display().to_string(), std::fs::read(&path).unwrap())).collect();
    if let Database::Made(url) = database {
        found.extend(rows(url).await);
    }
    found
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let paths = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Every table in the format of PostgreSQL's binary COPY, in which texts and bytes are not encoded.
async fn rows(url: &str) -> Vec<(String, Vec<u8>)> {
    use futures_util::TryStreamExt;
    let mut connection = PgConnection::connect(url).await.unwrap();
    let tables = "SELECT string_agg(tablename, ',') FROM pg_tables WHERE schemaname = 'public'";
    let tables: String = sea_orm::sqlx::query_scalar(tables).fetch_one(&mut connection).await.unwrap();
    let mut found = Vec::new();
    for table in tables.split(',') {
        let copy = format!("COPY \"{table}\" TO STDOUT (FORMAT binary)");
        let parts: Vec<_> = connection.copy_out_raw(&copy).await.unwrap().try_collect().await.unwrap();
        found.push((table.to_owned(), parts.concat()));
    }
    found
}

/// Changes rows without the server.
pub async fn change(db: &Db, statement: &str) {
    let changed = db.write(|tx| async move { Ok(tx.conn().execute_unprepared(statement).await?) }).await;
    changed.unwrap_or_else(|error| panic!("{statement}: {error}"));
}

/// The first column of the first row, as text.
pub async fn one(location: &Location, sql: &str) -> String {
    let url = match location {
        Location::Sqlite(file) => format!("sqlite://{}?mode=rw", file.display()),
        Location::Postgres(url) => url.clone(),
    };
    let db = sea_orm::Database::connect(url).await.unwrap();
    let row = db.query_one_raw(Statement::from_string(location.backend(), sql)).await.unwrap().expect("a row");
    let value = row.try_get_by_index::<String>(0).unwrap();
    db.close().await.unwrap();
    value
}

/// Asserts that the database passes its own integrity check.
pub async fn assert_intact(location: &Location) {
    let check = match location {
        Location::Sqlite(_) => "PRAGMA integrity_check",
        Location::Postgres(url) => {
            let mut connection = PgConnection::connect(url).await.unwrap();
            connection.execute("CREATE EXTENSION IF NOT EXISTS amcheck").await.unwrap();
            connection.close().await.unwrap();
            POSTGRES_CHECK
        }
    };
    assert_eq!(one(location, check).await, "ok");
}

/// Checks the pages of every table, and every index against all rows of its table.
const POSTGRES_CHECK: &str = "
    WITH tables AS (SELECT oid FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace),
        faults AS (SELECT msg FROM tables, LATERAL verify_heapam(tables.oid)),
        indexes AS MATERIALIZED (
            SELECT count(bt_index_check(indexrelid, true)) AS checked FROM pg_index JOIN tables ON indrelid = tables.oid)
    SELECT coalesce((SELECT string_agg(msg, '; ') FROM faults), 'ok') FROM indexes WHERE checked > 0";
