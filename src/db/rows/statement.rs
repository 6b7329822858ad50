//! A statement as text and values.

use std::fmt::{self, Write};

use sea_orm::DbBackend;
use sea_orm::sea_query::{
    PostgresQueryBuilder, QueryBuilder, SelectStatement, SqlWriter, SqliteQueryBuilder, Value,
};

/// The text is the same for all values, so that the database plans it once.
pub(super) struct Rendered {
    pub(super) sql: String,
    pub(super) values: Vec<Value>,
}

impl Rendered {
    pub(super) fn new(select: &SelectStatement, backend: DbBackend) -> Self {
        let mut rendered = Self { sql: String::with_capacity(1024), values: Vec::with_capacity(8) };
        match backend {
            DbBackend::Sqlite => select.build_collect_into(SqliteQueryBuilder, &mut rendered),
            _ => select.build_collect_into(PostgresQueryBuilder, &mut rendered),
        }
        rendered
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
            return;
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
