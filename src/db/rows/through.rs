//! Reading through sea-orm: where there is no connection of ours.

use sea_orm::QueryResult;
use sea_orm::sqlx::postgres::PgRow;
use sea_orm::sqlx::sqlite::SqliteRow;
use sea_orm::sqlx::{self, Column as _, Decode, Row as _, TypeInfo as _, ValueRef as _};
use tokio_postgres::types::{FromSql, Type};

use super::decode::{Cell, Mismatch, Row};

/// A row of sea-orm's driver.
pub(super) enum DriverRow<'a> {
    Postgres(&'a PgRow),
    Sqlite(&'a SqliteRow),
}

impl<'a> DriverRow<'a> {
    pub(super) fn of(row: &'a QueryResult) -> Result<Self, Mismatch> {
        let postgres = row.try_as_pg_row().map(Self::Postgres);
        let found = postgres.or_else(|| row.try_as_sqlite_row().map(Self::Sqlite));
        found.ok_or_else(|| Mismatch::new("a row of an unsupported database"))
    }
}

impl Row for DriverRow<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Postgres(row) => row.len(),
            Self::Sqlite(row) => row.len(),
        }
    }

    fn name(&self, column: usize) -> &str {
        match self {
            Self::Postgres(row) => row.column(column).name(),
            Self::Sqlite(row) => row.column(column).name(),
        }
    }

    fn cell(&self, column: usize) -> Result<Cell<'_>, Mismatch> {
        let read = match self {
            Self::Postgres(row) => postgres_cell(row, column),
            Self::Sqlite(row) => sqlite_cell(row, column),
        };
        read.map_err(|error| Mismatch::new(error.to_string()))
    }
}

type Read<'a> = Result<Cell<'a>, Box<dyn std::error::Error + Send + Sync>>;

fn postgres_cell(row: &PgRow, column: usize) -> Read<'_> {
    let value = row.try_get_raw(column)?;
    if value.is_null() {
        return Ok(Cell::Null);
    }
    let kind = value.type_info().oid().and_then(|oid| Type::from_oid(oid.0));
    Cell::from_sql(&kind.ok_or("a column of an unsupported type")?, value.as_bytes()?)
}

fn sqlite_cell(row: &SqliteRow, column: usize) -> Read<'_> {
    let value = row.try_get_raw(column)?;
    if value.is_null() {
        return Ok(Cell::Null);
    }
    Ok(match value.type_info().name() {
        "INTEGER" | "BOOLEAN" => Cell::Integer(<i64 as Decode<sqlx::Sqlite>>::decode(value)?),
        "TEXT" => Cell::Text(<&str as Decode<sqlx::Sqlite>>::decode(value)?),
        "BLOB" => Cell::Bytes(<&[u8] as Decode<sqlx::Sqlite>>::decode(value)?),
        other => return Err(format!("a column of the unsupported type {other}").into()),
    })
}
