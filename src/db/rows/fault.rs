//! The error of a read.

use crate::db::classify::{ErrorClass, by_sqlite_code, by_sqlstate};
use crate::db::rows::decode::Mismatch;

/// A statement failed, or its answer could not be read.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct Fault {
    class: ErrorClass,
    what: &'static str,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Fault {
    pub(in crate::db) fn class(&self) -> ErrorClass {
        self.class
    }

    fn statement(class: ErrorClass, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self { class, what: "a statement failed", source: Some(Box::new(source)) }
    }

    pub(super) fn closed() -> Self {
        Self { class: ErrorClass::Unavailable, what: "the database was closed", source: None }
    }

    /// The connection was lost, and the statement may be repeated on another one.
    pub(super) fn lost() -> Self {
        Self { class: ErrorClass::Undone, what: "the connection was lost", source: None }
    }

    pub(super) fn late() -> Self {
        Self { class: ErrorClass::Unavailable, what: "the database did not answer in time", source: None }
    }

    /// True if the connection was lost during the statement, or the server gave it up.
    pub(super) fn is_lost(&self) -> bool {
        self.class == ErrorClass::Undone
    }

    pub(super) fn tls(error: Box<dyn std::error::Error + Send + Sync>) -> Self {
        Self { class: ErrorClass::Unavailable, what: "TLS cannot be set up", source: Some(error) }
    }

    pub(super) fn url(error: sea_orm::sqlx::Error) -> Self {
        Self { class: ErrorClass::Other, what: "the URL is not one of PostgreSQL", source: Some(Box::new(error)) }
    }

    pub(super) fn thread(error: std::io::Error) -> Self {
        Self { class: ErrorClass::Unavailable, what: "no thread could be started", source: Some(Box::new(error)) }
    }
}

impl From<Mismatch> for Fault {
    fn from(error: Mismatch) -> Self {
        Self { class: ErrorClass::Other, what: "a row could not be read", source: Some(Box::new(error)) }
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        let code = error.sqlite_error().map(|error| error.extended_code.cast_unsigned());
        Self::statement(by_sqlite_code(code), error)
    }
}

impl From<tokio_postgres::Error> for Fault {
    fn from(error: tokio_postgres::Error) -> Self {
        let class = match error.code() {
            Some(code) => by_sqlstate(code.code()),
            // The server's answer was not understood, or the connection was lost.
            None => ErrorClass::Undone,
        };
        Self::statement(class, error)
    }
}
