//! Reading SQLite on threads of its own, a whole answer at a time. The driver that sea-orm uses passes each row from
//! its thread to the caller, which takes several times as long as reading it.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::{Condvar, Mutex};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OpenFlags, ToSql};
use sea_orm::sea_query::Value;
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;

use super::PREPARED;
use super::decode::{Cell, Decoder, Mismatch, Row};
use super::fault::Fault;
use super::statement::Rendered;
use crate::db::sqlite::{CACHE, PATIENCE};

type Job = Box<dyn FnOnce(&Connection) + Send>;

/// Threads with a connection each.
pub(super) struct Threads {
    queue: Arc<Queue>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    closed: bool,
}

impl Threads {
    /// Opens an existing file.
    pub(super) fn open(file: &Path, count: usize) -> Result<Self, Fault> {
        let queue = Arc::new(Queue::default());
        let mut threads = Vec::with_capacity(count);
        for _ in 0..count {
            let (connection, queue) = (connect(file)?, queue.clone());
            let thread = std::thread::Builder::new().name("sqlite-reader".into());
            threads.push(thread.spawn(move || queue.work(&connection)).map_err(Fault::thread)?);
        }
        Ok(Self { queue, threads: Mutex::new(threads) })
    }

    pub(super) async fn read<T: DeserializeOwned + Send + 'static>(
        &self,
        statement: Arc<Rendered>,
    ) -> Result<Vec<T>, Fault> {
        let (answer, answered) = oneshot::channel();
        self.queue.push(Box::new(move |connection| {
            // Nobody waits for it any more.
            if !answer.is_closed() {
                let _ = answer.send(read(connection, &statement));
            }
        }));
        answered.await.unwrap_or_else(|_| Err(Fault::closed()))
    }

    /// Closes the connections once their statements have ended.
    pub(super) fn close(&self) {
        self.queue.waiting.lock().closed = true;
        self.queue.changed.notify_all();
        for thread in self.threads.lock().drain(..) {
            let _ = thread.join();
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.queue.waiting.lock().closed = true;
        self.queue.changed.notify_all();
    }
}

impl Queue {
    fn push(&self, job: Job) {
        let mut waiting = self.waiting.lock();
        if !waiting.closed {
            waiting.jobs.push_back(job);
            self.changed.notify_one();
        }
    }

    fn work(&self, connection: &Connection) {
        loop {
            let mut waiting = self.waiting.lock();
            let job = loop {
                if let Some(job) = waiting.jobs.pop_front() {
                    break job;
                }
                if waiting.closed {
                    return;
                }
                self.changed.wait(&mut waiting);
            };
            drop(waiting);
            job(connection);
        }
    }
}

fn connect(file: &Path) -> rusqlite::Result<Connection> {
    // Not read-only: the last connection to a file that closes also removes its write-ahead log.
    let connection =
        Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(PATIENCE)?;
    connection.pragma_update(None, "query_only", true)?;
    connection.pragma_update(None, "cache_size", CACHE)?;
    connection.set_prepared_statement_cache_capacity(PREPARED);
    Ok(connection)
}

fn read<T: DeserializeOwned>(connection: &Connection, statement: &Rendered) -> Result<Vec<T>, Fault> {
    let mut prepared = connection.prepare_cached(&statement.sql)?;
    let mut rows = prepared.query(rusqlite::params_from_iter(statement.values.iter().map(Parameter)))?;
    let (mut read, mut decoder) = (Vec::with_capacity(statement.expected), Decoder::new(statement.columns));
    while let Some(row) = rows.next()? {
        read.push(decoder.decode(row)?);
    }
    Ok(read)
}

struct Parameter<'a>(&'a Value);

impl ToSql for Parameter<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let value = match self.0 {
            Value::Bool(value) => value.map(|value| ValueRef::Integer(value.into())),
            Value::Int(value) => value.map(|value| ValueRef::Integer(value.into())),
            Value::BigInt(value) => value.map(ValueRef::Integer),
            Value::String(value) => value.as_ref().map(|text| ValueRef::Text(text.as_bytes())),
            Value::Bytes(value) => value.as_ref().map(|bytes| ValueRef::Blob(bytes)),
            Value::Uuid(value) => value.as_ref().map(|id| ValueRef::Blob(id.as_bytes())),
            other => {
                let wrong = Mismatch::new(format!("a parameter of an unsupported type: {other:?}"));
                return Err(rusqlite::Error::ToSqlConversionFailure(Box::new(wrong)));
            }
        };
        Ok(ToSqlOutput::Borrowed(value.unwrap_or(ValueRef::Null)))
    }
}

impl Row for rusqlite::Row<'_> {
    fn len(&self) -> usize {
        self.as_ref().column_count()
    }

    fn name(&self, column: usize) -> &str {
        self.as_ref().column_name(column).unwrap_or_default()
    }

    fn cell(&self, column: usize) -> Result<Cell<'_>, Mismatch> {
        let wrong = |error: &dyn std::error::Error| Mismatch::new(error.to_string());
        Ok(match self.get_ref(column).map_err(|error| wrong(&error))? {
            ValueRef::Null => Cell::Null,
            ValueRef::Integer(value) => Cell::Integer(value),
            ValueRef::Text(bytes) => Cell::Text(str::from_utf8(bytes).map_err(|error| wrong(&error))?),
            ValueRef::Blob(bytes) => Cell::Bytes(bytes),
            ValueRef::Real(_) => return Err(Mismatch::new("a floating-point number")),
        })
    }
}
