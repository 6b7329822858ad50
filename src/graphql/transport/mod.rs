//! GraphQL over HTTP, WebSocket and server-sent events.

pub mod bearer;
pub mod cookies;
pub mod execution;
pub mod gateway;
pub mod http;
pub mod negotiation;
pub mod params;
pub mod problems;
pub mod responses;
pub mod sse;
pub mod ws;
