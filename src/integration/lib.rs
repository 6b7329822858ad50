//! Integrations: the applications that can be connected, and how their users are listed.
//!
//! The [catalog] has one entry per application. All but two are described by a
//! [manifest]: a file that says where the users are and how to read them. The [engine]
//! carries it out. The exceptions are the [rehearsal], whose outcomes are scripted, and the [list], whose users are
//! delivered as a file. The server uses them as a [source]: a credential check and a stream of pages. Dropping
//! the stream stops its work.
//!
//! This crate knows neither the database nor the server, so its tests need no database.

pub mod backoff;
pub mod catalog;
pub mod engine;
pub mod grant;
pub mod list;
pub mod manifest;
pub mod rehearsal;
pub mod samples;
pub mod source;
pub mod user;
