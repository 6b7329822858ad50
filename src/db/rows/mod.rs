//! Reading rows fast: what is asked often is read beside sea-orm, which is the layer for everything else.
//!
//! A statement is built as for sea-orm, and [`Reader::rows`] executes it. Its text is the same for all values, so that
//! databases prepare and plan it once. Each row is read by position into a struct that derives `Deserialize`.

use std::path::Path;
use std::sync::Arc;
use std::thread::available_parallelism;

use sea_orm::ConnectionTrait;
use sea_orm::sea_query::{SelectStatement, Value};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout};

use super::STATEMENT;
use super::conn::{MARGIN, Reader, executed};
use super::tx::Tx;
use crate::error::Result;
pub use decode::Columns;
use decode::Decoder;
pub use postgres::AnyCertificate;
use postgres::Lines;
use sqlite::Threads;
pub use statement::Shape;
use statement::{Rendered, Texts};
use through::DriverRow;

mod decode;
mod fault;
mod postgres;
mod sqlite;
mod statement;
mod through;

pub(super) use fault::Fault as ReadFault;

/// How many statements a connection keeps prepared.
const PREPARED: usize = 128;

/// How rows are read beside sea-orm.
pub(super) struct Fast {
    way: Way,
    texts: Texts,
}

enum Way {
    Postgres(Lines),
    Sqlite(Threads),
}

impl Fast {
    /// Connections to a server that all requests share.
    pub(super) async fn postgres(url: &str, connections: u32) -> Result<Self> {
        Ok(Self { way: Way::Postgres(Lines::open(url, connections).await?), texts: Texts::new() })
    }

    /// Threads that read a file.
    pub(super) fn sqlite(file: &Path) -> Result<Self> {
        let count = available_parallelism().map_or(1, Into::into).clamp(2, 4);
        Ok(Self { way: Way::Sqlite(Threads::open(file, count)?), texts: Texts::new() })
    }

    /// How many connections to a server are open, and how many of them are in use.
    pub(super) fn connections(&self) -> (u32, u32) {
        match &self.way {
            Way::Postgres(lines) => lines.connections(),
            Way::Sqlite(_) => (0, 0),
        }
    }

    pub(super) async fn close(&self) {
        match &self.way {
            Way::Postgres(lines) => lines.close().await,
            Way::Sqlite(threads) => threads.close(),
        }
    }

    /// `None` if there is no connection, or none any more.
    async fn read<T: DeserializeOwned + Send + 'static>(
        &self,
        statement: &Arc<Rendered>,
    ) -> Option<Result<Vec<T>, ReadFault>> {
        match &self.way {
            Way::Postgres(lines) => lines.read(statement).await,
            Way::Sqlite(threads) => {
                let read = timeout(STATEMENT + MARGIN, threads.read(statement.clone())).await;
                Some(read.unwrap_or_else(|_| Err(ReadFault::late())))
            }
        }
    }
}

impl Reader {
    /// The rows that a statement finds. An index must give it the rows in their order: PostgreSQL does not sort them
    /// if that can be avoided, however many an index has.
    pub async fn rows<T: DeserializeOwned + Send + 'static>(&self, select: SelectStatement) -> Result<Vec<T>> {
        self.rows_with(select, Columns::ALL).await
    }

    /// The same, of a statement that selects only these columns. The fields of the others are left empty, which is
    /// possible for all but enums.
    pub async fn rows_with<T: DeserializeOwned + Send + 'static>(
        &self,
        select: SelectStatement,
        columns: Columns,
    ) -> Result<Vec<T>> {
        if let Some(fast) = self.fast() {
            let statement = Arc::new(Rendered::new(&select, columns, self.get_database_backend()));
            if let Some(read) = self.read_fast(fast, &statement).await {
                return read;
            }
        }
        self.by_pool(select, columns).await
    }

    /// The same, of a statement that is only built if none of this shape was asked for before.
    pub async fn rows_alike<T: DeserializeOwned + Send + 'static>(
        &self,
        shape: Shape,
        columns: Columns,
        values: Vec<Value>,
        select: impl Fn() -> SelectStatement,
    ) -> Result<Vec<T>> {
        if let Some(fast) = self.fast() {
            let backend = self.get_database_backend();
            let statement = Arc::new(fast.texts.rendered(shape, columns, values, backend, &select));
            if let Some(read) = self.read_fast(fast, &statement).await {
                return read;
            }
        }
        self.by_pool(select(), columns).await
    }

    /// `None` if there is no connection, or none any more.
    async fn read_fast<T: DeserializeOwned + Send + 'static>(
        &self,
        fast: &Fast,
        statement: &Arc<Rendered>,
    ) -> Option<Result<Vec<T>>> {
        let begun = Instant::now();
        let read = fast.read(statement).await?;
        self.count();
        executed(&statement.sql, begun.elapsed());
        Some(read.map_err(Into::into))
    }

    /// The rows that any statement finds.
    pub async fn rows_by_pool<T: DeserializeOwned>(&self, select: SelectStatement) -> Result<Vec<T>> {
        self.by_pool(select, Columns::ALL).await
    }

    async fn by_pool<T: DeserializeOwned>(&self, select: SelectStatement, columns: Columns) -> Result<Vec<T>> {
        through(self, &select, columns).await
    }

    /// The first row that a statement finds.
    pub async fn row<T: DeserializeOwned + Send + 'static>(&self, mut select: SelectStatement) -> Result<Option<T>> {
        select.limit(1);
        Ok(self.rows(select).await?.into_iter().next())
    }
}

impl Tx {
    /// The rows that a statement finds, in the transaction.
    pub async fn rows<T: DeserializeOwned>(&self, select: SelectStatement) -> Result<Vec<T>> {
        through(self.conn(), &select, Columns::ALL).await
    }
}

/// Reads through sea-orm.
async fn through<T: DeserializeOwned>(
    conn: &impl ConnectionTrait,
    select: &SelectStatement,
    columns: Columns,
) -> Result<Vec<T>> {
    let (mut read, mut decoder) = (Vec::new(), Decoder::new(columns));
    for row in conn.query_all(select).await? {
        let decoded = DriverRow::of(&row).and_then(|row| decoder.decode(&row));
        read.push(decoded.map_err(ReadFault::from)?);
    }
    Ok(read)
}
