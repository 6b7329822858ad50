//! A statement as text and values.

use std::fmt::{self, Write};

use sea_orm::DbBackend;
use sea_orm::sea_query::{PostgresQueryBuilder, QueryBuilder, SelectStatement, SqlWriter, SqliteQueryBuilder, Value};

use super::decode::Columns;

/// For how many rows room is made beforehand at most.
const MOST_EXPECTED: usize = 128;

/// The text is the same for all values, so that the database plans it once.
pub(super) struct Rendered {
    pub(super) sql: String,
    pub(super) values: Vec<Value>,
    /// What it selects of the rows.
    pub(super) columns: Columns,
    /// About how many rows it finds, if that is known.
    pub(super) expected: usize,
}

impl Rendered {
    pub(super) fn new(select: &SelectStatement, columns: Columns, backend: DbBackend) -> Self {
        let (sql, values) = (String::with_capacity(1024), Vec::with_capacity(8));
        let mut rendered = Self { sql, values, columns, expected: 0 };
        match backend {
            DbBackend::Sqlite => select.build_collect_into(SqliteQueryBuilder, &mut rendered),
            _ => select.build_collect_into(PostgresQueryBuilder, &mut rendered),
        }
        rendered
    }
}

impl Rendered {
    fn expect(&mut self, rows: u64) {
        self.expected = usize::try_from(rows).unwrap_or(0).min(MOST_EXPECTED);
    }
}

impl Write for Rendered {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.sql.push_str(text);
        Ok(())
    }
}

impl fmt::Display for Rendered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sql)
    }
}

impl SqlWriter for Rendered {
    fn push_param<T: QueryBuilder>(&mut self, value: Value, builder: &T) {
        // A limit. PostgreSQL plans for a tenth of all rows if it does not know the limit.
        if let Value::BigUnsigned(Some(number)) = value {
            let _ = write!(self.sql, "{number}");
            self.expect(number);
            return;
        }
        if let Value::Array(_, Some(ids)) = &value {
            self.expect(ids.len() as u64);
        }
        self.values.push(value);
        let (mark, numbered) = builder.placeholder();
        self.sql.push_str(mark);
        if numbered {
            let _ = write!(self.sql, "{}", self.values.len());
        }
    }

    fn as_writer(&mut self) -> &mut dyn Write {
        self
    }
}
