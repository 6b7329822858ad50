//! Findings: what is wrong with accounts, and the figures of it.
//!
//! **One predicate.** [`predicate`] has one expression that answers every question about an account, each with a digit: not
//! asked, no, yes, unknown. The figures count the digits, and a finding is an account whose digit says yes. So a figure
//! and the list behind it cannot differ.
//!
//! **Work.** Whatever changes accounts, links or rules requests an evaluation in its own transaction
//! (`directory::evaluations`). A job goes through the accounts of one instance ([`evaluate`]), in transactions of some
//! thousand accounts, each of which stores how far it came. It may be interrupted anywhere and done twice. While it runs,
//! further requests only raise a number; if that has grown at its end, it begins again.
//!
//! **What is told.** What an evaluation has opened and closed is counted, and stored in the transaction that ends it: a
//! webhook gets it once ([`crate::events::findings`]).
//!
//! **Ages** are measured against the time as of which the instance knows the activity of its accounts, never against
//! the clock.
//!
//! **What cannot be looked at** is neither opened nor closed. A finding about a part of the user list that the last run
//! could not read stays open and is not confirmed; its account is counted as unknown.

use crate::clock::Clock;
use crate::db::Db;
use crate::error::{Error, Refusal, RefusalCode};

mod changes;
pub mod code;
pub mod digest;
mod evaluate;
pub mod evidence;
pub mod exceptions;
mod news;
pub mod posture;
mod predicate;
pub mod prune;
pub mod queries;
mod recount;
pub mod settings;
mod standard;
pub mod tally;
pub mod trend;

pub use evaluate::EVALUATIONS_AT_ONCE;
pub use recount::recount;

/// The findings of this server.
#[derive(Clone)]
pub struct Findings {
    pub db: Db,
    pub clock: Clock,
}

/// Nothing has this id.
pub fn not_found() -> Error {
    Refusal::new(RefusalCode::NotFound, "There is no finding with this id.").into()
}
