//! People: whose accounts are, and who has left. The applications are real peers that speak SCIM.

mod decisions;
mod described;
mod erased;
mod erased_again;
mod handed_over;
mod killed;
mod queries;
pub mod roster;
mod settings;
mod states;
mod world;
