//! The API: GraphQL over HTTP, WebSocket and server-sent events.
//!
//! A resolver translates, calls one noun function, and translates back. The schema's
//! lists and limits are in [schema]; each noun has its file. What arrives goes through
//! the [guard] first, whichever door it comes through, and is executed by the [gateway],
//! the one place where role and document meet.
//!
//! Three tools keep the answers honest and cheap: [error] lets no inner text out,
//! [siblings] fetches a relation once for a whole list, and [live] carries events to
//! subscribers without gap or repeat, executing each question once per event.

pub mod answer;
pub mod audit;
pub mod bearer;
pub mod browser;
pub mod error;
pub mod event;
pub mod gateway;
pub mod guard;
pub mod http;
pub mod id;
pub mod instance;
pub mod integration;
pub mod live;
pub mod notification;
pub mod page;
pub mod params;
pub mod question;
pub mod recipients;
pub mod run;
pub mod schema;
pub mod siblings;
pub mod sse;
pub mod sync_run;
pub mod user;
pub mod ws;
