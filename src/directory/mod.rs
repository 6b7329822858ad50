//! The register of users: queries, and the removal of deleted users.
//!
//! Only the sync writes users. Whether a user is *reported* depends on the instance: users
//! that were last seen by run `purge_through` or an earlier one are deleted, even if their
//! rows still exist. Every query here applies this rule, so a deletion is complete for
//! readers as soon as it is committed.

pub mod changes;
pub mod delete;
pub mod erased;
pub mod evaluations;
pub mod follow_up;
pub mod history;
pub mod index;
pub mod keys;
pub mod leavers;
pub mod linked;
mod names;
pub mod prune;
pub mod rekey;
pub mod reported;
pub mod search;
pub mod users;
pub mod words;
