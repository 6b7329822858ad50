//! What a database error means for the caller.

use sea_orm::sqlx::error::DatabaseError;
use sea_orm::sqlx::{self, postgres::PgDatabaseError};
use sea_orm::{DbErr, RuntimeErr};

use super::rows::ReadFault;
use crate::error::{Error, Failure, Refusal, RefusalCode};

/// What can be done about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// The transaction was rolled back, and may succeed if it is run again: a deadlock, a conflict, a connection
    /// lost before the commit.
    Undone,
    /// The database cannot be used at the moment: unreachable, starting, read-only, too busy.
    Unavailable,
    /// Its disk is full.
    Full,
    /// Its files are damaged.
    Damaged,
    /// A text contains a character that the database cannot store.
    Text,
    /// A fault of this program.
    Other,
}

pub fn classify(error: &DbErr) -> ErrorClass {
    let cause = match error {
        DbErr::ConnectionAcquire(_) | DbErr::Conn(RuntimeErr::Internal(_)) => return ErrorClass::Unavailable,
        DbErr::Conn(RuntimeErr::SqlxError(cause))
        | DbErr::Exec(RuntimeErr::SqlxError(cause))
        | DbErr::Query(RuntimeErr::SqlxError(cause)) => cause,
        _ => return ErrorClass::Other,
    };
    match cause.as_ref() {
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::Tls(_) | sqlx::Error::BeginFailed => {
            ErrorClass::Undone
        }
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => ErrorClass::Unavailable,
        sqlx::Error::Database(cause) => match cause.try_downcast_ref::<PgDatabaseError>() {
            Some(cause) => by_sqlstate(cause.code()),
            None => by_sqlite_code(sqlite_code(cause.as_ref())),
        },
        _ => ErrorClass::Other,
    }
}

/// Classifies PostgreSQL's error codes, see <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
pub(super) fn by_sqlstate(code: &str) -> ErrorClass {
    match code {
        // serialization_failure, deadlock_detected, lock_not_available, idle_in_transaction_session_timeout
        "40001" | "40P01" | "55P03" | "25P03"
        // admin_shutdown, crash_shutdown, idle_session_timeout: the connection is gone
        | "57P01" | "57P02" | "57P05" => ErrorClass::Undone,
        // read_only_sql_transaction, query_canceled (by statement_timeout), cannot_connect_now, database_dropped,
        // statement_completion_unknown
        "25006" | "57014" | "57P03" | "57P04" | "40003" => ErrorClass::Unavailable,
        "53100" => ErrorClass::Full,
        // data_corrupted, index_corrupted
        "XX001" | "XX002" => ErrorClass::Damaged,
        // character_not_in_repertoire, untranslatable_character: U+0000, above all
        "22021" | "22P05" => ErrorClass::Text,
        // connection exceptions, refused logins (during a fail-over), insufficient resources (memory, connections),
        // system errors
        _ if ["08", "28", "53", "58"].iter().any(|class| code.starts_with(class)) => ErrorClass::Unavailable,
        _ => ErrorClass::Other,
    }
}

fn sqlite_code(error: &dyn DatabaseError) -> Option<u32> {
    error.code()?.parse().ok()
}

/// True if SQLite could not be opened, because somebody else has the file locked.
pub(super) fn is_locked(error: &DbErr) -> bool {
    let DbErr::Conn(RuntimeErr::SqlxError(cause)) = error else { return false };
    // BUSY
    cause.as_database_error().and_then(sqlite_code).is_some_and(|code| code & 0xff == 5)
}

/// Classifies SQLite's result codes by their low byte.
pub(super) fn by_sqlite_code(code: Option<u32>) -> ErrorClass {
    match code.map(|code| code & 0xff) {
        // BUSY, LOCKED, READONLY, IOERR, CANTOPEN
        Some(5 | 6 | 8 | 10 | 14) => ErrorClass::Unavailable,
        Some(13) => ErrorClass::Full,
        // CORRUPT, NOTADB
        Some(11 | 26) => ErrorClass::Damaged,
        _ => ErrorClass::Other,
    }
}

/// True if the connection was lost during the statement.
pub(super) fn is_lost(error: &DbErr) -> bool {
    classify(error) == ErrorClass::Undone
}

/// True if the value is already in a unique index.
pub fn is_duplicate(error: &DbErr) -> bool {
    matches!(error.sql_err(), Some(sea_orm::SqlErr::UniqueConstraintViolation(_)))
}

/// The refusal of a text that the database cannot store.
fn unstorable() -> Error {
    Refusal::new(RefusalCode::InvalidInput, "Text must not contain the character U+0000.").into()
}

impl From<DbErr> for Error {
    fn from(error: DbErr) -> Self {
        Error::of_database(classify(&error), error)
    }
}

impl From<ReadFault> for Error {
    fn from(error: ReadFault) -> Self {
        Error::of_database(error.class(), error)
    }
}

impl Error {
    fn of_database(class: ErrorClass, error: impl std::error::Error + Send + Sync + 'static) -> Self {
        let step = match class {
            ErrorClass::Full => "the disk of the database is full",
            ErrorClass::Damaged => {
                "the database is damaged: keep a copy of it, run `muster doctor`, and restore a backup"
            }
            _ => "a database statement failed",
        };
        let failure = Failure::new(step, error);
        match class {
            ErrorClass::Undone => Error::Undone(failure),
            ErrorClass::Unavailable | ErrorClass::Full => Error::Unavailable(failure),
            ErrorClass::Damaged => Error::Internal(failure),
            ErrorClass::Text => unstorable(),
            ErrorClass::Other => Error::Internal(failure),
        }
    }
}
