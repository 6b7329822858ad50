//! The API: GraphQL over HTTP, WebSocket and server-sent events.
//!
//! The way of a request: a [transport] reads it and authenticates its caller, the [guard] checks the size and cost of
//! the document unless it is one of the known [documents], and [transport::execution] executes it against the
//! [schema]. A resolver translates its arguments, calls one function below [`crate::instance`], [`crate::directory`],
//! [`crate::people`], [`crate::findings`], [`crate::notification`] or [`crate::spend`], and translates the result. It uses what is in the
//! [api] and nothing else. For the way of an event to its subscribers, see [subscription].
//!
//! Each type of the schema has a file or folder of its own. Five modules serve all of them: [list] defines lists,
//! [connection] reads their pages, [batch] fetches a relation once for all rows of a list, [written] writes rows as
//! JSON at once, and [error] keeps inner error texts from clients.

pub mod access;
pub mod answers;
pub mod api;
pub mod api_token;
pub mod audit;
pub mod audited;
pub mod batch;
pub mod budget;
pub mod connection;
pub mod documents;
pub mod error;
pub mod finding;
pub mod guard;
pub mod id;
pub mod instance;
pub mod integration;
pub mod json;
pub mod list;
pub mod member;
pub mod node;
pub mod notification;
pub mod page;
pub mod person;
pub mod recipients;
pub mod schema;
pub mod server_status;
pub mod spend;
pub mod subscription;
pub mod sync_run;
pub mod transport;
pub mod user;
pub mod user_error;
pub mod wanted;
pub mod webhook;
pub mod written;
