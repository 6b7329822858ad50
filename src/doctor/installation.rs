//! The checks of the whole installation: schema, database file, disk.

use std::path::Path;

use entity::installation;
use migration::{Migrator, MigratorTrait, is_compatible, knows_all_migrations};
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DbBackend, EntityTrait, Statement};

use super::{Finding, MAX_FINDINGS, Report, Subject};
use crate::error::{Error, Result};

fn finding(check: &'static str, wrong: String, remedy: &'static str) -> Finding {
    Finding { check, about: Subject::Database, id: None, wrong, remedy }
}

/// The schemas that the other checks can work with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Schema {
    /// The schema of this version.
    Current,
    /// A compatible schema of a newer version, which may lack things that this version does not need.
    Newer,
}

/// Compares the applied migrations with those of this version. `None` if the other checks cannot work with the schema.
pub(super) async fn migrations<C: ConnectionTrait>(conn: &C, report: &mut Report) -> Result<Option<Schema>> {
    let sql = Statement::from_string(conn.get_database_backend(), "SELECT version FROM seaql_migrations");
    let rows = conn.query_all_raw(sql).await?;
    let applied: Vec<String> = rows.iter().map(|row| row.try_get("", "version")).collect::<Result<_, _>>()?;
    let known: Vec<String> = Migrator::migrations().iter().map(|migration| migration.name().to_owned()).collect();
    let missing: Vec<_> = known.iter().filter(|name| !applied.contains(name)).cloned().collect();
    let mut found = Vec::new();
    let mut schema = None;
    if !missing.is_empty() {
        let wrong = format!("these migrations were not applied: {}", missing.join(", "));
        let remedy = "Start `muster serve` of this version: it migrates the database.";
        found.push(finding("migrations", wrong, remedy));
    } else if knows_all_migrations(&applied) {
        schema = Some(Schema::Current);
    } else {
        let row = installation::Entity::find_by_id(installation::ID).one(conn).await?;
        if row.is_some_and(|row| is_compatible(&applied, row.needs.into())) {
            let note = "a newer version has migrated the database; this version can still work with it";
            report.notes.push(note.into());
            schema = Some(Schema::Newer);
        } else {
            let wrong = "a newer version has migrated the database".to_owned();
            found.push(finding("migrations", wrong, "Run the doctor of that version."));
        }
    }
    report.add("migrations", "The schema is that of this version or a compatible one.", found);
    Ok(schema)
}

/// Lists the tables, columns and indexes of a database.
const OBJECTS_ON_SQLITE: &str = "
    SELECT 'the table ' || name AS name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'
    UNION ALL
    SELECT 'the column ' || t.name || '.' || c.name FROM sqlite_master t JOIN pragma_table_info(t.name) c
    WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%'
    UNION ALL
    SELECT 'the index ' || name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL";
const OBJECTS_ON_POSTGRES: &str = "
    SELECT 'the table ' || tablename AS name FROM pg_tables WHERE schemaname = current_schema()
    UNION ALL
    SELECT 'the column ' || table_name || '.' || column_name FROM information_schema.columns
    WHERE table_schema = current_schema()
    UNION ALL
    SELECT 'the index ' || relname FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
    WHERE relnamespace = current_schema()::regnamespace AND indisvalid";

async fn list_objects<C: ConnectionTrait>(conn: &C) -> Result<Vec<String>> {
    let backend = conn.get_database_backend();
    let sql = if backend == DbBackend::Postgres { OBJECTS_ON_POSTGRES } else { OBJECTS_ON_SQLITE };
    let rows = conn.query_all_raw(Statement::from_string(backend, sql)).await?;
    rows.iter().map(|row| Ok(row.try_get("", "name")?)).collect()
}

/// Checks that every object exists that the migrations create, by comparing with a migrated in-memory database.
pub(super) async fn schema_objects<C: ConnectionTrait>(conn: &C, report: &mut Report) -> Result<()> {
    let mut options = ConnectOptions::new("sqlite::memory:");
    options.max_connections(1).sqlx_logging(false);
    let model = Database::connect(options).await?;
    Migrator::up(&model, None).await?;
    let expected = list_objects(&model).await?;
    model.close().await?;
    let existing = list_objects(conn).await?;
    let missing = expected.into_iter().filter(|name| !existing.contains(name));
    let found = missing.map(|name| {
        let remedy = "Somebody removed it: restore a backup, or create it again as the migrations do.";
        finding("schema", format!("{name} is missing"), remedy)
    });
    report.add("schema", "Every table, column and index of the migrations exists.", found.collect());
    Ok(())
}

/// What the check of the database file promises.
const FILE_PROMISE: &str = "The pages of the database file are intact.";
const FILE_REMEDY: &str = "Stop the server, keep a copy of the file, and restore a backup.";
/// A server needs this much room on the disk of its database, in bytes.
const ROOM: u64 = 64 << 20;

/// The report about a database that is too damaged for any check.
pub(super) fn damaged(error: &Error) -> Report {
    let mut report = Report { checks: Vec::new(), findings: Vec::new(), notes: Vec::new() };
    let found = vec![finding("database-file", error.chain().to_string(), FILE_REMEDY)];
    report.add("database-file", FILE_PROMISE, found);
    report.notes.push("the rest was not checked: the database cannot be read".into());
    report
}

/// Checks that the disk of a SQLite file has room.
pub(super) fn disk_space(file: &Path, report: &mut Report) {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let found = match rustix::fs::statvfs(folder) {
        Ok(disk) if disk.f_bavail.saturating_mul(disk.f_frsize) < ROOM => {
            let left = disk.f_bavail.saturating_mul(disk.f_frsize) / 1_000_000;
            let wrong = format!("the disk of {} is full: {left} MB are left", file.display());
            vec![finding("disk-space", wrong, "Make room on it, or move the data folder to a larger disk.")]
        }
        Ok(_) => Vec::new(),
        Err(error) => {
            report.notes.push(format!("the room on the disk was not checked: {error}"));
            return;
        }
    };
    report.add("disk-space", "The disk of the database has room.", found);
}

/// Checks the database file.
pub(super) async fn database_file<C: ConnectionTrait>(conn: &C, thorough: bool, report: &mut Report) -> Result<()> {
    if conn.get_database_backend() == DbBackend::Postgres {
        report.notes.push("the database files were not checked: use `pg_amcheck`, see docs/operations.md".into());
        return Ok(());
    }
    let pragma = if thorough { "integrity_check" } else { "quick_check" };
    let sql = format!("PRAGMA {pragma}({})", MAX_FINDINGS + 1);
    let rows = conn.query_all_raw(Statement::from_string(DbBackend::Sqlite, sql)).await?;
    let mut found = Vec::new();
    for row in rows {
        let line: String = row.try_get_by_index(0)?;
        if line != "ok" {
            found.push(finding("database-file", line, FILE_REMEDY));
        }
    }
    report.add("database-file", FILE_PROMISE, found);
    Ok(())
}
