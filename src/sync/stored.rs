//! How the value of a field is stored in its column.

use std::io::{self, ErrorKind, Write};

use entity::user::{AccountKind, UserStatus};
use integration::user::{self, Timestamp};
use serde_json::Value;

/// A field of a user, for a column of type `C`.
pub(super) trait Provided<C> {
    /// Compares without an allocation.
    fn is_in(&self, column: &C) -> bool;
    fn to_column(&self) -> C;

    /// Whether the column has a time, and this field has none, or is “never”.
    fn is_outlived_by(&self, _column: &C) -> bool {
        false
    }
}

impl<T, V: Stored<T>> Provided<Option<T>> for Option<V> {
    fn is_in(&self, column: &Option<T>) -> bool {
        match (self, column) {
            (Some(value), Some(stored)) => value.is_stored_as(stored),
            (None, None) => true,
            _ => false,
        }
    }

    fn to_column(&self) -> Option<T> {
        self.as_ref().map(Stored::to_stored)
    }

    fn is_outlived_by(&self, column: &Option<T>) -> bool {
        column.as_ref().is_some_and(V::is_time) && !self.to_column().as_ref().is_some_and(V::is_time)
    }
}

impl Provided<UserStatus> for user::UserStatus {
    fn is_in(&self, column: &UserStatus) -> bool {
        self.to_column() == *column
    }

    fn to_column(&self) -> UserStatus {
        match self {
            Self::Active => UserStatus::Active,
            Self::Suspended => UserStatus::Suspended,
            Self::Invited => UserStatus::Invited,
            Self::Unknown => UserStatus::Unknown,
        }
    }
}

/// A value that a column of type `Option<T>` stores.
pub(super) trait Stored<T> {
    /// Compares without an allocation.
    fn is_stored_as(&self, stored: &T) -> bool;
    fn to_stored(&self) -> T;

    /// Whether the stored value is a time, and not “never”.
    fn is_time(_stored: &T) -> bool {
        false
    }
}

/// Most values are stored as they are.
impl<T: Clone + PartialEq> Stored<T> for T {
    fn is_stored_as(&self, stored: &T) -> bool {
        self == stored
    }

    fn to_stored(&self) -> T {
        self.clone()
    }
}

impl Stored<i64> for Timestamp {
    fn is_stored_as(&self, stored: &i64) -> bool {
        self.0 == *stored
    }

    fn to_stored(&self) -> i64 {
        self.0
    }

    fn is_time(stored: &i64) -> bool {
        *stored != Timestamp::NEVER.0
    }
}

impl Stored<AccountKind> for user::AccountKind {
    fn is_stored_as(&self, stored: &AccountKind) -> bool {
        *stored == self.to_stored()
    }

    fn to_stored(&self) -> AccountKind {
        match self {
            Self::Human => AccountKind::Human,
            Self::Service => AccountKind::Service,
            Self::Shared => AccountKind::Shared,
        }
    }
}

/// A list is stored as a JSON array.
impl Stored<String> for Vec<String> {
    fn is_stored_as(&self, stored: &String) -> bool {
        let mut rest = Expected(stored.as_bytes());
        serde_json::to_writer(&mut rest, self).is_ok() && rest.0.is_empty()
    }

    fn to_stored(&self) -> String {
        Value::from(self.as_slice()).to_string()
    }
}

/// The bytes that are still to be written. Other bytes are an error.
struct Expected<'a>(&'a [u8]);

impl Write for Expected<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.strip_prefix(bytes).ok_or(ErrorKind::InvalidData)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
