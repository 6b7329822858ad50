//! Opens, copies and checks SQLite files for backup and restore.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use migration::{Migrator, MigratorTrait, is_compatible, knows_all_migrations};
use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbErr, QueryResult, Statement};

/// How long to wait for another writer.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// Opens one connection to an existing SQLite file, without migrating it.
pub(super) async fn connect(file: &Path) -> Result<DatabaseConnection, String> {
    open(file, |options| options.busy_timeout(BUSY_TIMEOUT)).await
}

/// The same without a write-ahead log, so that closing it leaves no `-wal` or `-shm` file.
pub(super) async fn connect_without_wal(file: &Path) -> Result<DatabaseConnection, String> {
    open(file, |options| options.journal_mode(SqliteJournalMode::Delete)).await
}

async fn open(
    file: &Path,
    configure: fn(SqliteConnectOptions) -> SqliteConnectOptions,
) -> Result<DatabaseConnection, String> {
    let mut options = ConnectOptions::new("sqlite://");
    let name = file.to_path_buf();
    options.max_connections(1).sqlx_logging(false).map_sqlx_sqlite_opts(move |options| {
        configure(options.filename(&name).create_if_missing(false).synchronous(SqliteSynchronous::Full))
    });
    Database::connect(options).await.map_err(|error| at(file, &format!("cannot be opened and may be damaged: {error}")))
}

/// An error message of one line about a file.
pub(super) fn at(file: &Path, error: &dyn std::fmt::Display) -> String {
    format!("{}: {error}", file.display())
}

pub(super) fn statement(sql: &str) -> Statement {
    Statement::from_string(sea_orm::DbBackend::Sqlite, sql)
}

pub(super) async fn rows(db: &DatabaseConnection, sql: &str) -> Result<Vec<QueryResult>, DbErr> {
    db.query_all_raw(statement(sql)).await
}

/// Reads one number; 0 if there is no row.
pub(super) async fn number(db: &DatabaseConnection, sql: &str) -> Result<i64, DbErr> {
    let rows = rows(db, sql).await?;
    rows.first().map_or(Ok(0), |row| row.try_get_by_index(0))
}

/// Copies a consistent snapshot of `db` into the new `file`, readable by its owner only.
/// The file is complete: it needs no `-wal` file.
pub(super) async fn copy(db: &DatabaseConnection, file: &Path) -> Result<(), String> {
    let error = |error: &dyn std::fmt::Display| at(file, error);
    // SQLite accepts an empty target file and keeps its mode.
    let made = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file).map_err(|e| error(&e))?;
    let into = Statement::from_sql_and_values(
        sea_orm::DbBackend::Sqlite,
        "VACUUM INTO ?",
        [file.display().to_string().into()],
    );
    db.execute_raw(into).await.map_err(|e| error(&e))?;
    made.sync_all().map_err(|e| error(&e))
}

/// The path with `ending` appended to its file name.
pub(super) fn with_suffix(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.file_name().unwrap_or_default().to_os_string();
    name.push(ending);
    file.with_file_name(name)
}

/// Checks that the file begins like a SQLite database.
pub(super) fn check_header(file: &Path) -> Result<(), String> {
    let mut header = [0; 16];
    let mut open = File::open(file).map_err(|error| at(file, &error))?;
    match open.read_exact(&mut header) {
        Ok(()) if header == *b"SQLite format 3\0" => Ok(()),
        _ => Err(at(file, &"is not a database of Muster")),
    }
}

/// Checks that a file without a write-ahead log has all the pages that its header counts.
pub(super) fn check_size(file: &Path) -> Result<(), String> {
    let read = || -> std::io::Result<(u64, u64)> {
        let mut header = [0; 32];
        let mut open = File::open(file)?;
        open.read_exact(&mut header)?;
        // 1 stands for 65,536, which has no room in two bytes.
        let page = match u64::from(u16::from_be_bytes([header[16], header[17]])) {
            1 => 65_536,
            size => size,
        };
        let pages = u32::from_be_bytes([header[28], header[29], header[30], header[31]]);
        Ok((page * u64::from(pages), open.metadata()?.len()))
    };
    let (expected, found) = read().map_err(|error| at(file, &error))?;
    if found == expected {
        return Ok(());
    }
    Err(at(file, &format!("is not complete: it has {found} bytes, and {expected} are needed; use another copy")))
}

/// Checks the consistency of every page and index.
pub(super) async fn check_integrity(db: &DatabaseConnection, file: &Path) -> Result<(), String> {
    let damaged = |detail: &dyn std::fmt::Display| at(file, &format!("is damaged: {detail}"));
    let rows = rows(db, "PRAGMA integrity_check(1)").await.map_err(|error| damaged(&error))?;
    let result: String =
        rows.first().map_or_else(|| Ok(String::new()), |row| row.try_get_by_index(0)).map_err(|e| damaged(&e))?;
    if result == "ok" { Ok(()) } else { Err(damaged(&result)) }
}

/// Checks that it is a Muster database that this version can use.
pub(super) async fn check_schema(db: &DatabaseConnection, file: &Path) -> Result<(), String> {
    let error = |error: &dyn std::fmt::Display| at(file, error);
    let ours = "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name IN ('seaql_migrations', 'instance')";
    if number(db, ours).await.map_err(|e| error(&e))? < 2 {
        return Err(error(&"is not a database of Muster"));
    }
    let names = rows(db, "SELECT version FROM seaql_migrations").await.map_err(|e| error(&e))?;
    let applied: Vec<String> =
        names.iter().map(|row| row.try_get_by_index(0)).collect::<Result<_, _>>().map_err(|e| error(&e))?;
    let first = Migrator::migrations().first().map(|migration| migration.name().to_owned());
    if first.is_none_or(|first| !applied.contains(&first)) {
        return Err(error(&"is not a database of Muster"));
    }
    if knows_all_migrations(&applied) {
        return Ok(());
    }
    let needs = number(db, "SELECT needs FROM installation").await.map_err(|e| error(&e))?;
    if is_compatible(&applied, needs) {
        return Ok(());
    }
    Err(error(&"comes from a newer Muster; restore it with that version"))
}

/// True if the database has this table.
pub(super) async fn has_table(db: &DatabaseConnection, name: &str) -> Result<bool, DbErr> {
    let sql = format!("SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = '{name}'");
    Ok(number(db, &sql).await? > 0)
}
