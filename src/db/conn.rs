//! Connections with a time limit for every statement, even if the server never answers.

use std::future::Future;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, ExecResult, QueryResult, RuntimeErr,
    Statement, TransactionOptions, TransactionTrait, Value,
};

use super::STATEMENT;
use super::classify::is_lost;
use super::postgres::FRESH;
use super::rows::Fast;

/// How much longer we wait than the database's own limit for a statement.
pub(super) const MARGIN: Duration = Duration::from_secs(2);

/// Fails if the database does not answer in time, as when a connection was lost without notice.
pub(super) async fn in_time<T>(time: Duration, work: impl Future<Output = Result<T, DbErr>>) -> Result<T, DbErr> {
    tokio::time::timeout(time + MARGIN, work)
        .await
        .unwrap_or_else(|_| Err(DbErr::Conn(RuntimeErr::Internal("the database did not answer in time".into()))))
}

/// Records the duration of every statement.
pub(super) fn measured(mut db: DatabaseConnection) -> DatabaseConnection {
    db.set_metric_callback(|info| executed(&info.statement.sql, info.elapsed));
    db
}

/// Records that a statement was executed.
pub(super) fn executed(sql: &str, elapsed: Duration) {
    tracing::trace!(target: "muster::db", sql = %sql, "a statement was executed");
    metrics::histogram!("muster_database_statement_seconds").record(elapsed.as_secs_f64());
}

/// A transaction with a time limit for each statement.
pub struct Timed<C> {
    inner: C,
    /// The limit in milliseconds.
    time: AtomicU64,
    changed_rows: AtomicBool,
}

impl<C> Timed<C> {
    pub(super) fn new(inner: C) -> Self {
        let timed = Self { inner, time: AtomicU64::new(0), changed_rows: AtomicBool::new(false) };
        timed.allow(STATEMENT);
        timed
    }

    pub(super) fn allow(&self, time: Duration) {
        self.time.store(u64::try_from(time.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(super) fn into_inner(self) -> C {
        self.inner
    }

    pub(super) fn time(&self) -> Duration {
        Duration::from_millis(self.time.load(Ordering::Relaxed))
    }

    /// Whether a statement has inserted, changed or deleted a row.
    pub(super) fn has_changed_rows(&self) -> bool {
        self.changed_rows.load(Ordering::Relaxed)
    }

    fn note(&self, changed: bool) {
        self.changed_rows.fetch_or(changed, Ordering::Relaxed);
    }
}

/// Whether a statement changes the rows that it returns.
fn changes(statement: &Statement) -> bool {
    ["INSERT", "UPDATE", "DELETE"].iter().any(|verb| statement.sql.starts_with(verb))
}

/// Gives all integers one type. The driver prepares a text once for each connection, with the types of the first values.
/// PostgreSQL then refuses the same text with an integer of another size.
fn alike(mut statement: Statement) -> Statement {
    if statement.db_backend == DbBackend::Postgres {
        for value in statement.values.iter_mut().flat_map(|values| &mut values.0) {
            let wide = match value {
                Value::TinyInt(number) => number.map(i64::from),
                Value::SmallInt(number) => number.map(i64::from),
                Value::Int(number) => number.map(i64::from),
                _ => continue,
            };
            *value = Value::BigInt(wide);
        }
    }
    statement
}

#[async_trait]
impl<C: ConnectionTrait + Send> ConnectionTrait for Timed<C> {
    fn get_database_backend(&self) -> DbBackend {
        self.inner.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        let done = in_time(self.time(), self.inner.execute_raw(alike(statement))).await?;
        self.note(done.rows_affected() > 0);
        Ok(done)
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        let done = in_time(self.time(), self.inner.execute_unprepared(sql)).await?;
        self.note(done.rows_affected() > 0);
        Ok(done)
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        let changes = changes(&statement);
        let row = in_time(self.time(), self.inner.query_one_raw(alike(statement))).await?;
        self.note(changes && row.is_some());
        Ok(row)
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let changes = changes(&statement);
        let rows = in_time(self.time(), self.inner.query_all_raw(alike(statement))).await?;
        self.note(changes && !rows.is_empty());
        Ok(rows)
    }
}

/// The pools of a process.
pub(super) struct Pools {
    pub(super) reader: DatabaseConnection,
    /// A part of the readers that queries of clients do not use.
    pub(super) reserved: Option<DatabaseConnection>,
    pub(super) writer: DatabaseConnection,
}

/// How many connections of a pool to a server are open, and how many of them are in use.
pub(super) fn usage(pool: &DatabaseConnection) -> (u32, u32) {
    let pool = pool.get_postgres_connection_pool();
    let idle = u32::try_from(pool.num_idle()).unwrap_or(u32::MAX);
    (pool.size(), pool.size().saturating_sub(idle))
}

/// The pool for statements that change nothing. If the connection is lost, the statement is repeated once.
pub struct Reader {
    pool: DatabaseConnection,
    fast: OnceLock<Fast>,
    statements: AtomicU64,
}

impl Reader {
    pub(super) fn new(pool: DatabaseConnection) -> Self {
        Self { pool, fast: OnceLock::new(), statements: AtomicU64::new(0) }
    }

    /// Reads rows beside the pool from now on.
    pub(super) fn use_also(&self, fast: Fast) {
        let _ = self.fast.set(fast);
    }

    pub(super) fn fast(&self) -> Option<&Fast> {
        self.fast.get()
    }

    pub(super) async fn close(&self) -> Result<(), DbErr> {
        if let Some(fast) = self.fast() {
            fast.close().await;
        }
        self.pool.clone().close().await
    }

    pub(super) fn pool(&self) -> &DatabaseConnection {
        &self.pool
    }

    pub(super) fn count(&self) {
        self.statements.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn statements(&self) -> u64 {
        self.statements.load(Ordering::Relaxed)
    }

    /// Begins a read-only transaction.
    pub(super) async fn begin(&self, options: TransactionOptions) -> Result<DatabaseTransaction, DbErr> {
        self.repeatable(|| self.pool.begin_with_options(options)).await
    }

    async fn repeatable<T, W>(&self, work: impl Fn() -> W) -> Result<T, DbErr>
    where
        W: Future<Output = Result<T, DbErr>>,
    {
        self.count();
        match in_time(STATEMENT, work()).await {
            Err(error) if is_lost(&error) => {
                tokio::time::sleep(FRESH).await;
                in_time(STATEMENT, work()).await
            }
            outcome => outcome,
        }
    }
}

#[async_trait]
impl ConnectionTrait for Reader {
    fn get_database_backend(&self) -> DbBackend {
        self.pool.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        let statement = alike(statement);
        self.repeatable(|| self.pool.execute_raw(statement.clone())).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.repeatable(|| self.pool.execute_unprepared(sql)).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        let statement = alike(statement);
        self.repeatable(|| self.pool.query_one_raw(statement.clone())).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let statement = alike(statement);
        self.repeatable(|| self.pool.query_all_raw(statement.clone())).await
    }
}
