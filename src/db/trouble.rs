//! What an error of the database means for whoever met it.

use sea_orm::sqlx::{self, postgres::PgDatabaseError};
use sea_orm::{DbErr, RuntimeErr};

use crate::error::{Error, Refusal, RefusalCode};

/// Who can do something about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The transaction did not happen, and may happen if it is run again: a deadlock, a
    /// rival, a connection that was lost before its commit.
    Undone,
    /// The database cannot be used for the moment: unreachable, starting, read-only, full, too busy.
    Unavailable,
    /// Text that the database cannot store.
    Text,
    /// Ours.
    Other,
}

/// What the error means.
pub fn judge(error: &DbErr) -> Trouble {
    let cause = match error {
        DbErr::ConnectionAcquire(_) | DbErr::Conn(RuntimeErr::Internal(_)) => return Trouble::Unavailable,
        DbErr::Conn(RuntimeErr::SqlxError(cause))
        | DbErr::Exec(RuntimeErr::SqlxError(cause))
        | DbErr::Query(RuntimeErr::SqlxError(cause)) => cause,
        _ => return Trouble::Other,
    };
    match cause.as_ref() {
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::Tls(_) | sqlx::Error::BeginFailed => {
            Trouble::Undone
        }
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => Trouble::Unavailable,
        sqlx::Error::Database(cause) => match cause.try_downcast_ref::<PgDatabaseError>() {
            Some(cause) => of_state(cause.code()),
            None => of_sqlite(cause.code().and_then(|code| code.parse().ok())),
        },
        _ => Trouble::Other,
    }
}

/// By PostgreSQL's codes: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
fn of_state(code: &str) -> Trouble {
    match code {
        // serialization_failure, deadlock_detected, lock_not_available, idle_in_transaction_session_timeout
        "40001" | "40P01" | "55P03" | "25P03"
        // admin_shutdown, crash_shutdown, idle_session_timeout: the connection is gone
        | "57P01" | "57P02" | "57P05" => Trouble::Undone,
        // read_only_sql_transaction, query_canceled (by statement_timeout), cannot_connect_now, the key of a
        // lock or snapshot lost in a fail-over
        "25006" | "57014" | "57P03" | "57P04" | "40003" => Trouble::Unavailable,
        // character_not_in_repertoire, untranslatable_character: U+0000, above all
        "22021" | "22P05" => Trouble::Text,
        // connection exceptions, logins refused (by a server that is not the one yet), insufficient resources (full
        // disk, connections), system errors
        _ if ["08", "28", "53", "58"].iter().any(|class| code.starts_with(class)) => Trouble::Unavailable,
        _ => Trouble::Other,
    }
}

/// SQLITE_BUSY, LOCKED, READONLY, IOERR, FULL, CANTOPEN; the upper bytes hold details.
fn of_sqlite(code: Option<u32>) -> Trouble {
    match code {
        Some(code) if matches!(code & 0xff, 5 | 6 | 8 | 10 | 13 | 14) => Trouble::Unavailable,
        _ => Trouble::Other,
    }
}

/// Whether the statement's connection was lost.
pub(super) fn is_lost(error: &DbErr) -> bool {
    judge(error) == Trouble::Undone
}

/// Whether a statement failed because a unique index holds the value already.
pub fn is_duplicate(error: &DbErr) -> bool {
    matches!(error.sql_err(), Some(sea_orm::SqlErr::UniqueConstraintViolation(_)))
}

pub(super) fn unstorable() -> Error {
    Refusal::new(RefusalCode::InvalidInput, "Text must not hold the character U+0000.").into()
}
