//! GraphQL over HTTP, WebSocket and server-sent events.
//!
//! # Why the transports are our own
//!
//! `async-graphql-axum` is the usual way to serve `async_graphql` with axum. Version 8.0.0-rc.5 was
//! tried as a whole and in parts, against the audits of the `graphql-http` project, raw-frame
//! tests of graphql-transport-ws, and tests of GraphQL over SSE with the real `graphql-sse` client:
//!
//! | | GraphQL over HTTP | WebSocket | SSE |
//! | --- | --- | --- | --- |
//! | the library as a whole | 50 of 61 | 25 of 54 | it has none |
//! | ours | 61 of 61 | 62 of 62 | 12 of 12 |
//! | ours with its `GraphQLRequest` | 61 of 61 | | |
//! | ours with its `GraphQLResponse` | 58 of 61 | | |
//! | ours with its `GraphQLProtocol` | | as ours | |
//!
//! Two parts pass, but lose something that these tests do not look at. What each part lacks:
//!
//! * **`GraphQLRequest`** ignores `operationName` in a query string (it expects `operation_name`). It
//!   executes the JSON array `["{ a }"]` as a query, and a body without `query` as an empty document, with
//!   status 200. Its error for every wrong type is "data did not match any variant of untagged enum". It
//!   reads a body of any length and content type, multipart included, so that our checks would stay in front of it.
//! * **`GraphQLResponse`** has one content type and status 200 for everything. It sends `data: null` for
//!   operations that were not executed, which the specification advises against. A query over WebSocket or
//!   SSE needs the same JSON without the HTTP response, so that it could only be a second way.
//! * **`GraphQLProtocol`** also accepts the older sub-protocol `graphql-ws`, and does not say which of the two it
//!   found. A client that speaks only the older one would be upgraded, and then closed. We take the
//!   name of the sub-protocol from the library (`WebSocketProtocols`) and let axum negotiate it.
//! * **`GraphQLWebSocket`** replaces an active operation by a second one of the same id instead of closing
//!   with 4409. It closes with 1002 or 1011 where the protocol demands 4400 or 4401, never pings, has no
//!   limit for operations or for the time before `connection_init`, and cannot end a socket whose token was
//!   revoked. It serialises every result for every subscriber, which [`super::subscription`] does once.
//!
//! The library would add one crate to the tree, and the features `io` and `compat` of `tokio-util`.
//!
//! # What would have to be true to go back
//!
//! The library's transports can replace ours as soon as they
//!
//! 1. follow `Accept` and the status codes of the GraphQL-over-HTTP specification (its issue 1708), refuse
//!    mutations by GET, and accept only `application/json` by POST;
//! 2. check a request before it is parsed, by a hook or an extractor for each step, so that the token and the
//!    [`super::guard`] come first;
//! 3. close WebSockets with the codes of the protocol, ping (its issue 1481), limit operations, and let the server
//!    close a socket at any time;
//! 4. stop reading from an operation while the client does not read, and accept results that are serialised already;
//! 5. serve server-sent events.
//!
//! `tests/it/transports.rs` and `tests/it/access.rs` test the first three.

use std::sync::Arc;

use axum::Router;
use axum::routing::any;

use self::endpoint::Endpoint;

pub mod bearer;
pub mod budgeted;
pub mod callers;
pub mod cookies;
pub mod endpoint;
pub mod execution;
pub mod http;
pub mod negotiation;
pub mod origin;
pub mod params;
pub mod problems;
pub mod responses;
pub mod session_cookie;
pub mod sse;
pub mod ws;

/// `/graphql`, which serves all three transports.
pub fn routes(endpoint: Arc<Endpoint>) -> Router {
    Router::new().route("/graphql", any(http::serve)).with_state(endpoint)
}
