//! Integrations: the applications that can be connected, and how each is asked for its users.
//!
//! The [catalog] holds one entry per application. All but one are [manifests](manifest):
//! files that say where the users are and how to read them, carried out by the
//! [engine]. The exception is the [rehearsal], whose outcomes are scripted. What the
//! rest of the program sees of either is a [source]: a credential check and a stream
//! of pages. A source knows nothing of the database; dropping it stops its work.

pub mod catalog;
pub mod engine;
pub mod grant;
pub mod manifest;
pub mod rehearsal;
pub mod samples;
pub mod source;
pub mod user;
