//! Tables and ids: what is stored, and nothing about what it means to do with it.
//!
//! Every time is a count of milliseconds since 1970 (UTC), in a `BIGINT`: it
//! compares alike on every database, which text and native timestamps do not.

pub mod api_token;
pub mod audit_entry;
pub mod event;
pub mod installation;
pub mod instance;
pub mod job;
pub mod notification;
pub mod oauth_authorization;
pub mod oauth_grant;
pub mod recipient;
pub mod run;
pub mod user;
pub mod user_change;
