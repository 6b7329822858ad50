//! Known problems of the machine that the database runs on.

use std::fmt;

use parking_lot::Mutex;
use sea_orm::DbErr;
use tracing::{error, info};

use super::classify::{ErrorClass, classify};
use super::rows::ReadFault;
use crate::clock::Clock;
use crate::error::Error;

/// A problem that an administrator has to solve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, async_graphql::Enum)]
#[graphql(name = "DatabaseTroubleKind")]
pub enum Trouble {
    /// Nothing can be stored, because the disk is full.
    DiskFull,
    /// Pages of the database cannot be read.
    Damaged,
}

impl Trouble {
    /// The problem that an error reports, if it is one of these.
    pub fn of(error: &(dyn std::error::Error + 'static)) -> Option<Self> {
        let mut next = Some(error);
        while let Some(cause) = next {
            if let Some(found) = cause.downcast_ref::<Trouble>() {
                return Some(*found);
            }
            let read = cause.downcast_ref::<ReadFault>().map(ReadFault::class);
            if let Some(class) = read.or_else(|| cause.downcast_ref::<DbErr>().map(classify)) {
                return match class {
                    ErrorClass::Full => Some(Trouble::DiskFull),
                    ErrorClass::Damaged => Some(Trouble::Damaged),
                    _ => None,
                };
            }
            next = cause.source();
        }
        None
    }

    /// What is wrong and what to do, for a person.
    pub const fn sentence(self) -> &'static str {
        match self {
            Trouble::DiskFull => {
                "The disk of the server's database is full. Nothing can be changed until an administrator makes room."
            }
            Trouble::Damaged => {
                "The server's database is damaged. An administrator must keep a copy of it, run `muster doctor`, and restore a backup."
            }
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sentence())
    }
}

impl std::error::Error for Trouble {}

/// The problem that was last noticed, and since when.
#[derive(Default)]
pub(super) struct Watch(Mutex<Option<(Trouble, i64)>>);

impl Watch {
    pub(super) fn current(&self) -> Option<(Trouble, i64)> {
        *self.0.lock()
    }

    /// Notes that a transaction failed.
    pub(super) fn failed(&self, error: &Error) {
        if let Some(trouble) = Trouble::of(error) {
            self.note(trouble);
        }
    }

    /// Notes that a transaction stored something, so that there is room again.
    pub(super) fn stored(&self) {
        let mut current = self.0.lock();
        if current.is_some_and(|(trouble, _)| trouble == Trouble::DiskFull) {
            *current = None;
            info!("the disk of the database has room again");
        }
    }

    pub(super) fn note(&self, trouble: Trouble) {
        let mut current = self.0.lock();
        if current.is_none_or(|(known, _)| known != trouble) {
            error!("{}", trouble.sentence());
            *current = Some((trouble, Clock::System.now()));
        }
    }
}
