//! People: whose accounts are, and whether somebody is still with the company.
//!
//! **Sources.** Administrators mark instances as people sources, in an order of ranks. Each account of a source is a
//! person; accounts of several sources join where they are certainly one person's ([`groups`]). The addresses that a
//! source gives to its accounts are the *keys* of people, each valid for a time ([`keys`]).
//!
//! **Links.** Every other account is linked by ordered rules ([`rules`]), a pure function of the account, of what members
//! have decided (pins), and of what the sources say. An application's address may attach an account to a person. It never
//! makes a key, and never brings two people together. So the order of syncs does not matter. Names never link; they only
//! suggest.
//!
//! **States.** Only sources make somebody `CURRENT` or `LEFT` ([`states`]). A source that is not fresh, that a guard holds,
//! or that is deleted makes no leavers.
//!
//! **Work.** Whatever changes accounts or settings queues a task in its own transaction (`directory::follow_up`). A job
//! works on each task in transactions of a few hundred accounts, each of which stores how far it came ([`tasks`]). Work may
//! be interrupted anywhere, and may be done twice. All transactions that write people or links lock the one row of
//! `people_setting` first, in whichever process they are.
//!
//! **Where it is kept.** A link is a row beside the account, so that a sync writes nothing of it. It goes with the
//! account's row. Pins and owners are kept by the application's id of an account: they outlive the deletion of users,
//! and go with the instance. What a source said is kept as long as the person has an account anywhere. Somebody may be
//! erased ([`erase`]): nothing of this is left then.

use self::erase::ledger::Ledger;
use crate::clock::Clock;
use crate::db::Db;
use crate::error::{Error, Refusal, RefusalCode};

mod describe;
mod describers;
pub mod erase;
pub mod groups;
pub mod keys;
mod lane;
mod links;
pub mod pins;
pub mod queries;
pub mod rules;
pub mod search;
pub mod settings;
mod sources;
pub mod states;
pub mod suggestions;
pub mod tasks;
mod unite;

/// The people of this server.
#[derive(Clone)]
pub struct People {
    pub db: Db,
    pub clock: Clock,
    /// Who was erased.
    pub ledger: Ledger,
}

/// Nobody has this id.
pub fn not_found() -> Error {
    Refusal::new(RefusalCode::NotFound, "There is no person with this id.").into()
}
