//! The API: GraphQL over HTTP, WebSocket and server-sent events.
//!
//! A resolver translates, calls one noun function, and translates back. The schema's
//! lists and limits are in [schema]; each noun has its file. What arrives goes through
//! the [guard] first, whichever door it comes through, and is executed by the [transport::gateway],
//! the one place where role and document meet.
//!
//! Three tools keep the answers honest and cheap: [error] lets no inner text out,
//! [batch] fetches a relation once for a whole list, and [subscription] carries events to
//! subscribers without gap or repeat, executing each question once per event.

pub mod api;
pub mod audit;
pub mod batch;
pub mod error;
pub mod guard;
pub mod id;
pub mod instance;
pub mod integration;
pub mod node;
pub mod notification;
pub mod page;
pub mod recipients;
pub mod schema;
pub mod subscription;
pub mod sync_run;
pub mod transport;
pub mod user;
pub mod user_error;
