//! GraphQL over HTTP, WebSocket and server-sent events.

use std::sync::Arc;

use axum::Router;
use axum::routing::any;

use self::endpoint::Endpoint;

pub mod bearer;
pub mod cookies;
pub mod endpoint;
pub mod execution;
pub mod http;
pub mod negotiation;
pub mod origin;
pub mod params;
pub mod problems;
pub mod responses;
pub mod sse;
pub mod ws;

/// `/graphql`, which serves all three transports.
pub fn routes(endpoint: Arc<Endpoint>) -> Router {
    Router::new().route("/graphql", any(http::serve)).with_state(endpoint)
}
