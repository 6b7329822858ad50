//! A statement as text and values.

use std::fmt::{self, Write};
use std::sync::Arc;

use hashlink::LruCache;
use parking_lot::Mutex;
use sea_orm::DbBackend;
use sea_orm::sea_query::{PostgresQueryBuilder, QueryBuilder, SelectStatement, SqlWriter, SqliteQueryBuilder, Value};

use super::decode::Columns;

/// For how many rows room is made beforehand at most.
const MOST_EXPECTED: usize = 128;

/// How many texts are kept.
const KEPT: usize = 256;

/// What the text of a statement depends on, besides its columns and the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    pub name: &'static str,
    /// The limit, or the number of its parameters.
    pub size: usize,
}

/// The text is the same for all values, so that the database plans it once.
pub(super) struct Rendered {
    pub(super) sql: Arc<str>,
    pub(super) values: Vec<Value>,
    /// What it selects of the rows.
    pub(super) columns: Columns,
    /// About how many rows it finds, if that is known.
    pub(super) expected: usize,
}

impl Rendered {
    pub(super) fn new(select: &SelectStatement, columns: Columns, backend: DbBackend) -> Self {
        let (sql, values) = (String::with_capacity(1024), Vec::with_capacity(8));
        let mut rendering = Rendering { sql, values, expected: 0 };
        match backend {
            DbBackend::Sqlite => select.build_collect_into(SqliteQueryBuilder, &mut rendering),
            _ => select.build_collect_into(PostgresQueryBuilder, &mut rendering),
        }
        let Rendering { sql, values, expected } = rendering;
        Self { sql: sql.into(), values, columns, expected }
    }
}

/// Texts of statements that are asked for again and again, because building one takes longer than sending it.
pub(super) struct Texts(Mutex<LruCache<(Shape, Columns), Text>>);

/// A text, and about how many rows it finds.
type Text = (Arc<str>, usize);

impl Texts {
    pub(super) fn new() -> Self {
        Self(Mutex::new(LruCache::new(KEPT)))
    }

    /// The statement with these values, which `select` has in this order.
    pub(super) fn rendered(
        &self,
        shape: Shape,
        columns: Columns,
        values: Vec<Value>,
        backend: DbBackend,
        select: impl FnOnce() -> SelectStatement,
    ) -> Rendered {
        let known = self.0.lock().get(&(shape, columns)).cloned();
        if let Some((sql, expected)) = known {
            return Rendered { sql, values, columns, expected };
        }
        let rendered = Rendered::new(&select(), columns, backend);
        debug_assert_eq!(rendered.values, values, "{shape:?} has other values: {}", rendered.sql);
        if rendered.values == values {
            self.0.lock().insert((shape, columns), (rendered.sql.clone(), rendered.expected));
        }
        rendered
    }
}

/// A statement that is being rendered.
struct Rendering {
    sql: String,
    values: Vec<Value>,
    expected: usize,
}

impl Rendering {
    fn expect(&mut self, rows: u64) {
        self.expected = usize::try_from(rows).unwrap_or(0).min(MOST_EXPECTED);
    }
}

impl Write for Rendering {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.sql.push_str(text);
        Ok(())
    }
}

impl fmt::Display for Rendering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sql)
    }
}

impl SqlWriter for Rendering {
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
