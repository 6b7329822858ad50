//! A database that has its tables already. Tests get copies of it, because migrating takes longer than most of them.
//! The first test after a build makes it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use muster::db::{Db, Location};
use sea_orm::sqlx::postgres::PgConnection;
use sea_orm::sqlx::{self, Connection};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use super::place::{administer, postgres, url_of};

const FOLDER: &str = env!("CARGO_TARGET_TMPDIR");

/// The name of the template in PostgreSQL.
pub async fn on_postgres() -> &'static str {
    static NAME: OnceCell<String> = OnceCell::const_new();
    NAME.get_or_init(made_on_postgres).await
}

/// The file of the template of SQLite.
pub async fn on_sqlite() -> &'static Path {
    static FILE: OnceCell<PathBuf> = OnceCell::const_new();
    FILE.get_or_init(made_on_sqlite).await
}

async fn made_on_postgres() -> String {
    let name = name();
    let _held = lock();
    let mut connection = PgConnection::connect(postgres().as_str()).await.unwrap();
    let names = "SELECT datname FROM pg_database WHERE datname LIKE 'muster_template_%'";
    let made: Vec<String> = sqlx::query_scalar(names).fetch_all(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    if !made.contains(&name) {
        for old in made {
            administer(format!("DROP DATABASE IF EXISTS {old} WITH (FORCE)")).unwrap();
        }
        let unfinished = format!("muster_template_of_{}", std::process::id());
        administer(format!("CREATE DATABASE {unfinished} TEMPLATE template0 ENCODING 'UTF8'")).unwrap();
        migrate(&Location::Postgres(url_of(&unfinished))).await;
        administer(format!("ALTER DATABASE {unfinished} RENAME TO {name}")).unwrap();
    }
    name
}

async fn made_on_sqlite() -> PathBuf {
    let file = Path::new(FOLDER).join(name()).with_extension("db");
    let _held = lock();
    if !file.exists() {
        let old = fs::read_dir(FOLDER).unwrap().map(|entry| entry.unwrap().path());
        for old in old.filter(|path| path.extension().is_some_and(|extension| extension == "db")) {
            fs::remove_file(old).unwrap();
        }
        let unfinished = TempDir::new_in(FOLDER).unwrap();
        let made = unfinished.path().join("muster.db");
        migrate(&Location::Sqlite(made.clone())).await;
        assert!(!made.with_extension("db-wal").exists(), "the file is not all of the database");
        fs::rename(made, &file).unwrap();
    }
    file
}

async fn migrate(location: &Location) {
    Db::open(location, 4).await.unwrap().close().await.unwrap();
}

/// Names this build of the tests.
fn name() -> String {
    let built = std::env::current_exe().unwrap().metadata().unwrap().modified().unwrap();
    format!("muster_template_{:x}", built.duration_since(UNIX_EPOCH).unwrap().as_millis())
}

/// Only one process makes it.
fn lock() -> File {
    let held = File::create(Path::new(FOLDER).join("template.lock")).unwrap();
    held.lock().unwrap();
    held
}
