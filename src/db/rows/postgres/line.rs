//! One connection.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::TryStreamExt;
use hashlink::LruCache;
use parking_lot::Mutex;
use sea_orm::sea_query::{ArrayType, Value};
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{AsyncMessage, Client, RowStream, Statement};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use super::tls::Encrypted;
use crate::db::STATEMENT;
use crate::db::conn::MARGIN;
use crate::db::postgres::{FRESH, TEST};
use crate::db::rows::PREPARED;
use crate::db::rows::decode::{Cell, Decoder, Mismatch, Row};
use crate::db::rows::fault::Fault;
use crate::db::rows::statement::Rendered;
use crate::error::Chain;

/// A longer statement is not kept: the server's plan of it takes much memory.
const LONG: usize = 16 * 1024;

pub(super) type Connection = tokio_postgres::Connection<tokio_postgres::Socket, Encrypted>;

pub(super) struct Line {
    client: Client,
    /// How many statements wait for their answer.
    pub(super) busy: AtomicUsize,
    /// When the last answer arrived.
    heard: Mutex<Instant>,
    prepared: Mutex<LruCache<String, Statement>>,
    /// Ends a connection that does not answer.
    pub(super) broken: CancellationToken,
}

/// Counts a statement of a line while it lives.
struct Busy<'a>(&'a AtomicUsize);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Line {
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            busy: AtomicUsize::new(0),
            heard: Mutex::new(Instant::now()),
            prepared: Mutex::new(LruCache::new(PREPARED)),
            broken: CancellationToken::new(),
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.broken.is_cancelled() || self.client.is_closed()
    }

    pub(super) async fn read<T: DeserializeOwned>(&self, statement: &Rendered) -> Result<Vec<T>, Fault> {
        let alone = self.busy.fetch_add(1, Ordering::Relaxed) == 0;
        let _busy = Busy(&self.busy);
        let stale = alone && self.heard.lock().elapsed() >= FRESH;
        let tested = async { if stale { self.test(statement).await } else { self.fetch(statement).await } };
        let read = tokio::time::timeout(STATEMENT + MARGIN, tested).await;
        if let Ok(answered) = read {
            *self.heard.lock() = Instant::now();
            return answered;
        }
        self.broken.cancel();
        Err(Fault::late())
    }

    /// Sends a message before the statement whose answer takes no time, and gives the connection up without it.
    async fn test<T: DeserializeOwned>(&self, statement: &Rendered) -> Result<Vec<T>, Fault> {
        let mut test = pin!(tokio::time::timeout(TEST, self.client.check_connection()));
        let mut fetch = pin!(self.fetch(statement));
        tokio::select! {
            biased;
            answered = &mut test => {
                if !answered.is_ok_and(|answer| answer.is_ok()) {
                    self.broken.cancel();
                    return Err(Fault::lost());
                }
            }
            rows = &mut fetch => return rows,
        }
        fetch.await
    }

    async fn fetch<T: DeserializeOwned>(&self, statement: &Rendered) -> Result<Vec<T>, Fault> {
        let rows = self.send(statement).await?;
        let mut rows = pin!(rows);
        let (mut read, mut decoder) = (Vec::with_capacity(statement.expected), Decoder::new(statement.columns));
        while let Some(row) = rows.try_next().await? {
            read.push(decoder.decode(&row)?);
        }
        Ok(read)
    }

    async fn send(&self, statement: &Rendered) -> Result<RowStream, Fault> {
        if statement.sql.len() > LONG {
            let values = statement.values.iter().map(|value| Ok((Parameter(value), parameter_type(value)?)));
            let values: Vec<_> = values.collect::<Result<_, Mismatch>>()?;
            return Ok(self.client.query_typed_raw(&statement.sql, values).await?);
        }
        let known = self.prepared.lock().get(&*statement.sql).cloned();
        let prepared = match known {
            Some(prepared) => prepared,
            None => self.prepare(statement).await?,
        };
        Ok(self.client.query_raw(&prepared, statement.values.iter().map(Parameter)).await?)
    }

    async fn prepare(&self, statement: &Rendered) -> Result<Statement, Fault> {
        let types: Vec<Type> = statement.values.iter().map(parameter_type).collect::<Result<_, Mismatch>>()?;
        let prepared = self.client.prepare_typed(&statement.sql, &types).await?;
        self.prepared.lock().insert(statement.sql.to_string(), prepared.clone());
        Ok(prepared)
    }
}

/// Moves messages until the connection ends, or until it is given up.
pub(super) async fn serve(mut connection: Connection, broken: &CancellationToken) {
    let moving = async {
        while let Some(message) = poll_fn(|cx| connection.poll_message(cx)).await {
            match message {
                Ok(AsyncMessage::Notice(notice)) => {
                    debug!(target: "muster::db::notice", notice = notice.message(), "the database gave a notice");
                }
                Ok(_) => {}
                Err(error) => {
                    info!(error = %Chain(&error), "a connection for reading was lost");
                    break;
                }
            }
        }
    };
    broken.run_until_cancelled(moving).await;
}

fn parameter_type(value: &Value) -> Result<Type, Mismatch> {
    Ok(match value {
        Value::Bool(_) => Type::BOOL,
        Value::Int(_) => Type::INT4,
        Value::BigInt(_) => Type::INT8,
        Value::String(_) => Type::TEXT,
        Value::Bytes(_) => Type::BYTEA,
        Value::Uuid(_) => Type::UUID,
        Value::Array(ArrayType::Uuid, _) => Type::UUID_ARRAY,
        Value::Array(ArrayType::String, _) => Type::TEXT_ARRAY,
        other => return Err(Mismatch::new(format!("a parameter of an unsupported type: {other:?}"))),
    })
}

#[derive(Debug)]
struct Parameter<'a>(&'a Value);

impl ToSql for Parameter<'_> {
    fn to_sql(&self, to: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        // The same text may have been prepared for another type.
        if parameter_type(self.0)? != *to {
            return Err(Mismatch::new(format!("a parameter is {:?} in place of {to}", self.0)).into());
        }
        match self.0 {
            Value::Bool(value) => value.to_sql(to, out),
            Value::Int(value) => value.to_sql(to, out),
            Value::BigInt(value) => value.to_sql(to, out),
            Value::String(value) => value.to_sql(to, out),
            Value::Bytes(value) => value.to_sql(to, out),
            Value::Uuid(value) => value.as_ref().map(|id| UuidBytes(id.as_bytes())).to_sql(to, out),
            Value::Array(_, Some(values)) => values.iter().map(Parameter).collect::<Vec<_>>().to_sql(to, out),
            _ => Ok(IsNull::Yes),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

#[derive(Debug)]
struct UuidBytes<'a>(&'a [u8; 16]);

impl ToSql for UuidBytes<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        out.extend_from_slice(self.0);
        Ok(IsNull::No)
    }

    fn accepts(to: &Type) -> bool {
        *to == Type::UUID
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Cell<'a> {
    fn from_sql(of: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(match *of {
            Type::BOOL => Cell::Bool(bool::from_sql(of, raw)?),
            Type::INT2 => Cell::Integer(i16::from_sql(of, raw)?.into()),
            Type::INT4 => Cell::Integer(i32::from_sql(of, raw)?.into()),
            Type::INT8 => Cell::Integer(i64::from_sql(of, raw)?),
            Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::JSON => Cell::Text(str::from_utf8(raw)?),
            Type::BYTEA | Type::UUID => Cell::Bytes(raw),
            // The number of the format, and then the text.
            Type::JSONB => Cell::Text(str::from_utf8(raw.strip_prefix(&[1]).ok_or("an unknown format of JSON")?)?),
            _ => return Err(format!("a column of the unsupported type {of}").into()),
        })
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Cell::Null)
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

impl Row for tokio_postgres::Row {
    fn len(&self) -> usize {
        self.len()
    }

    fn name(&self, column: usize) -> &str {
        self.columns()[column].name()
    }

    fn cell(&self, column: usize) -> Result<Cell<'_>, Mismatch> {
        self.try_get(column).map_err(|error| Mismatch::new(Chain(&error).to_string()))
    }
}
