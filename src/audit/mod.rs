//! The audit log: who did what, from where, and how it ended.
//!
//! **Writing.** [`record`] adds an entry to the transaction of the change, so that there is no change without its entry.
//! Who acts is known from the task ([`acting`]). The API writes an entry for each field of a mutation that left none
//! itself, and for everything that was refused or failed ([`journal`]). Only a commit counts as recorded: a transaction that
//! is rolled back takes its entries with it.
//!
//! **The chain.** The log is append-only. Each entry has a hash over its columns and the hash of the entry before
//! ([`chain`]). What is personal lies in a table of its own, and the entry has only a digest of it with a random key, so
//! that it can be erased. The ends of the chain are signed with the installation's key whenever an entry is appended
//! ([`ends`]).
//! [`seal`] notes the newest entry in the data folder, so that a log whose end was cut off, or an older database that was
//! put back, is found.
//!
//! **Order.** Entries are numbered by a row that stays locked until the commit. So their order is that of the commits,
//! with any number of replicas, and numbers have no gaps.

mod accept;
mod act;
pub mod chain;
pub mod ends;
mod entry;
pub mod erase;
pub mod journal;
pub mod ocsf;
mod prune;
pub mod queries;
pub mod seal;
pub mod verify;

pub use accept::{Accepted, accept};
pub(crate) use act::note_recorded;
pub use act::{Act, Origin, acting, doing, note_refusal, note_subject, record_change};
pub use entry::{Actor, Draft, Entry, Subject, record};
pub use prune::prune;
