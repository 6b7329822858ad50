//! The checks of the installation as a whole: schema, files, key.

use std::path::Path;

use entity::{installation, instance, oauth_grant};
use migration::{Migrator, MigratorTrait, knows_all, works_beside};
use sea_orm::{
    ColumnTrait, ConnectOptions, ConnectionTrait, Database, DbBackend, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect, Statement,
};
use uuid::Uuid;

use super::{Finding, Report, TOLD, Thing};
use crate::error::Result;
use crate::instance::sealed::Sealed;
use crate::secrets::SecretKey;

/// How many credentials are looked at together.
const PAGE: u64 = 500;

fn finding(check: &'static str, wrong: String, remedy: &'static str) -> Finding {
    Finding { check, about: Thing::Database, id: None, wrong, remedy }
}

/// A schema that the other checks understand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Schema {
    Ours,
    /// A newer version's, which may have taken away what this one does not need.
    Newer,
}

/// Whose the schema is; `None`: the other checks would not understand it.
pub(super) async fn schema<C: ConnectionTrait>(conn: &C, report: &mut Report) -> Result<Option<Schema>> {
    let sql = Statement::from_string(conn.get_database_backend(), "SELECT version FROM seaql_migrations");
    let rows = conn.query_all_raw(sql).await?;
    let applied: Vec<String> = rows.iter().map(|row| row.try_get("", "version")).collect::<Result<_, _>>()?;
    let known: Vec<String> = Migrator::migrations().iter().map(|migration| migration.name().to_owned()).collect();
    let missing: Vec<_> = known.iter().filter(|name| !applied.contains(name)).cloned().collect();
    let mut found = Vec::new();
    let mut schema = None;
    if !missing.is_empty() {
        let wrong = format!("these migrations were not applied: {}", missing.join(", "));
        let remedy = "Start `muster serve` of this version: it brings the database up to date.";
        found.push(finding("migrations", wrong, remedy));
    } else if knows_all(&applied) {
        schema = Some(Schema::Ours);
    } else {
        let row = installation::Entity::find_by_id(installation::ID).one(conn).await?;
        if row.is_some_and(|row| works_beside(&applied, row.needs.into())) {
            let note = "a newer version has brought the database up to date; this one can work beside it";
            report.notes.push(note.into());
            schema = Some(Schema::Newer);
        } else {
            let wrong = "a newer version has brought the database up to date".to_owned();
            found.push(finding("migrations", wrong, "Let the doctor of that version look."));
        }
    }
    report.add("migrations", "The schema is that of this version, or one that it can work with.", found);
    Ok(schema)
}

/// The names of what a schema is made of: tables, columns, indexes.
const SHAPE_ON_SQLITE: &str = "
    SELECT 'the table ' || name AS name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'
    UNION ALL
    SELECT 'the column ' || t.name || '.' || c.name FROM sqlite_master t JOIN pragma_table_info(t.name) c
    WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%'
    UNION ALL
    SELECT 'the index ' || name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL";
const SHAPE_ON_POSTGRES: &str = "
    SELECT 'the table ' || tablename AS name FROM pg_tables WHERE schemaname = current_schema()
    UNION ALL
    SELECT 'the column ' || table_name || '.' || column_name FROM information_schema.columns
    WHERE table_schema = current_schema()
    UNION ALL
    SELECT 'the index ' || relname FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
    WHERE relnamespace = current_schema()::regnamespace AND indisvalid";

async fn shape<C: ConnectionTrait>(conn: &C) -> Result<Vec<String>> {
    let backend = conn.get_database_backend();
    let sql = if backend == DbBackend::Postgres { SHAPE_ON_POSTGRES } else { SHAPE_ON_SQLITE };
    let rows = conn.query_all_raw(Statement::from_string(backend, sql)).await?;
    rows.iter().map(|row| Ok(row.try_get("", "name")?)).collect()
}

/// Whether everything is there that the migrations make, by making it once more in memory.
pub(super) async fn whole<C: ConnectionTrait>(conn: &C, report: &mut Report) -> Result<()> {
    let mut options = ConnectOptions::new("sqlite::memory:");
    options.max_connections(1).sqlx_logging(false);
    let model = Database::connect(options).await?;
    Migrator::up(&model, None).await?;
    let made = shape(&model).await?;
    model.close().await?;
    let there = shape(conn).await?;
    let missing = made.into_iter().filter(|name| !there.contains(name));
    let found = missing.map(|name| {
        let remedy = "Somebody removed it: restore a backup, or make it again as the migrations do.";
        finding("schema", format!("{name} is missing"), remedy)
    });
    report.add("schema", "Every table, column and index that the migrations make is there.", found.collect());
    Ok(())
}

/// Whether the files are whole.
pub(super) async fn file<C: ConnectionTrait>(conn: &C, thorough: bool, report: &mut Report) -> Result<()> {
    if conn.get_database_backend() == DbBackend::Postgres {
        report
            .notes
            .push("files were not checked: `pg_amcheck` does that on PostgreSQL, see docs/operations.md".into());
        return Ok(());
    }
    let pragma = if thorough { "integrity_check" } else { "quick_check" };
    let sql = format!("PRAGMA {pragma}({})", TOLD + 1);
    let rows = conn.query_all_raw(Statement::from_string(DbBackend::Sqlite, sql)).await?;
    let mut found = Vec::new();
    for row in rows {
        let line: String = row.try_get_by_index(0)?;
        if line != "ok" {
            found.push(finding(
                "database-file",
                line,
                "Stop the server, keep a copy of the file, and restore a backup.",
            ));
        }
    }
    report.add("database-file", "The pages of the database file are whole.", found);
    Ok(())
}

/// Whether the installation is set up, and its key opens what is sealed.
pub(super) async fn key<C: ConnectionTrait>(conn: &C, file: &Path, report: &mut Report) -> Result<()> {
    let rows = installation::Entity::find().all(conn).await?;
    let mut found = Vec::new();
    if rows.len() != 1 || rows[0].id != installation::ID {
        let wrong = format!("the table installation has {} rows", rows.len());
        found.push(finding(
            "installation",
            wrong,
            "Restore a backup, or put the row back: id 1, any log_epoch, needs 3.",
        ));
    }
    report.add("installation", "The installation has one row, with the epoch of its event log.", found);

    let key = SecretKey::load(file);
    let mut found = Vec::new();
    let mut check = |id: Option<Uuid>, opens: &dyn Fn(&SecretKey) -> bool| {
        if found.len() <= TOLD && !matches!(&key, Ok(Some(key)) if opens(key)) {
            found.push(unopened(id, file, &key));
        }
    };
    for value in rows.into_iter().filter_map(|row| row.key_check) {
        check(None, &|key| crate::installation::opens(key, &value));
    }
    let mut after = Uuid::nil();
    loop {
        let secrets: Vec<(Uuid, Vec<u8>)> = instance::Entity::find()
            .select_only()
            .columns([instance::Column::Id, instance::Column::Secrets])
            .filter(instance::Column::Id.gt(after))
            .filter(instance::Column::Secrets.is_not_null())
            .order_by_asc(instance::Column::Id)
            .limit(PAGE)
            .into_tuple()
            .all(conn)
            .await?;
        let Some((last, _)) = secrets.last() else { break };
        after = *last;
        for (id, value) in secrets {
            let sealed = Sealed::secrets(id, value);
            check(Some(id), &|key| sealed.opens(key));
        }
    }
    after = Uuid::nil();
    loop {
        let grants = oauth_grant::Entity::find()
            .filter(oauth_grant::Column::InstanceId.gt(after))
            .order_by_asc(oauth_grant::Column::InstanceId)
            .limit(PAGE)
            .all(conn)
            .await?;
        let Some(last) = grants.last() else { break };
        after = last.instance_id;
        for row in grants {
            let sealed = Sealed::grant(row.instance_id, row.sealed);
            check(Some(row.instance_id), &|key| sealed.opens(key));
        }
    }
    report.add("secret-key", "The key of this installation opens every credential that is stored.", found);
    Ok(())
}

fn unopened(id: Option<Uuid>, file: &Path, key: &Result<Option<SecretKey>, String>) -> Finding {
    let wrong = match key {
        Err(line) => line.clone(),
        Ok(None) => format!("there is no key file {}", file.display()),
        Ok(Some(_)) => format!("it was sealed with another key than that in {}", file.display()),
    };
    let about = if id.is_some() { Thing::Instance } else { Thing::Database };
    let remedy = "Put the right key file back.";
    Finding { check: "secret-key", about, id, wrong, remedy }
}
