//! The register itself: reading users, and removing those that left it for good.
//!
//! A row of a user is written by the sync engine alone. Whether it is *reported* depends
//! on its instance: users last seen by a run up to `purge_through` have left reporting,
//! whether or not their rows are gone already. Every query here keeps to that, so a
//! deletion is complete for readers the moment it commits.

pub mod prune;
pub mod users;
