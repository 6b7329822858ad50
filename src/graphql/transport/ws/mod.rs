//! GraphQL over WebSocket: the graphql-transport-ws protocol.
//!
//! Every operation passes the same guard as over HTTP. A web page of another origin gets no socket.
//! Nothing is executed before the token was accepted, and about a second after the token is revoked
//! the socket is closed with 4401. No message is dropped: a subscription is asked for its next result
//! only while the queue in front of the socket has room, and events that wait stay in the log. A client
//! that is silent for 40 s, or that reads nothing for 30 s, is disconnected. There is no order between
//! the messages of two operations.
//!
//! When the server stops, sockets are closed with 1001, and clients connect again with their last
//! cursor. When a client disconnects, its queries and subscriptions are dropped, but a mutation
//! that has begun is completed.

mod protocol;
mod session;
mod socket;

use async_graphql::http::WebSocketProtocols;
use axum::extract::FromRequestParts;
use axum::extract::ws::WebSocketUpgrade;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;

use self::session::Session;
use super::bearer;
use super::endpoint::Endpoint;
use super::problems::Problem;
use crate::graphql::error::Code;

/// The largest message of a client, in bytes.
const MAX_MESSAGE_BYTES: usize = 256 * 1024;
/// The size of each buffer of a socket, in bytes; the library's default is 128 KiB.
const BUFFER_BYTES: usize = 4 * 1024;

/// Whether a request asks to become a WebSocket.
pub fn wants_upgrade(headers: &HeaderMap) -> bool {
    headers.get(header::UPGRADE).is_some_and(|protocol| protocol.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// Makes a WebSocket of a request. A browser cannot send a token with the request, so that none is
/// needed here, but one that is sent must be valid.
pub async fn upgrade(endpoint: &Endpoint, mut parts: Parts) -> Result<Response, Problem> {
    let Endpoint { executor, tokens, origin, shutdown } = endpoint;
    let mut origins = parts.headers.get_all(header::ORIGIN).iter();
    if !origins.all(|value| value.to_str().is_ok_and(|value| origin.allows(value))) {
        let message = "Pages of this origin may not open a WebSocket here.";
        return Err(Problem::new(StatusCode::FORBIDDEN, Code::ForeignOrigin, message));
    }
    if shutdown.is_cancelled() {
        return Err(Problem::stopping());
    }
    let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &())
        .await
        .map_err(|rejection| Problem::new(rejection.status(), Code::BadRequest, rejection.body_text()))?
        .protocols([WebSocketProtocols::GraphQLWS.sec_websocket_protocol()]);
    if upgrade.selected_protocol().is_none() {
        return Err(Problem::bad_request("The only sub-protocol is graphql-transport-ws."));
    }
    let caller = if parts.headers.contains_key(header::AUTHORIZATION) {
        Some(bearer::authenticate(tokens, bearer::credentials(&parts.headers)).await?)
    } else {
        None
    };
    let (executor, tokens, shutdown) = (executor.clone(), tokens.clone(), shutdown.clone());
    Ok(upgrade
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(BUFFER_BYTES)
        .max_message_size(MAX_MESSAGE_BYTES)
        .max_frame_size(MAX_MESSAGE_BYTES)
        .on_upgrade(move |socket| async move {
            let _open = Open::new();
            Session::new(executor, tokens, &shutdown, socket, caller).run().await;
        }))
}

/// Counts a socket while it is open.
struct Open;

impl Open {
    fn new() -> Self {
        metrics::gauge!("muster_graphql_sockets").increment(1);
        Self
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        metrics::gauge!("muster_graphql_sockets").decrement(1);
    }
}
