//! GraphQL over WebSocket: the graphql-transport-ws protocol.
//!
//! Promises: every operation passes the same guard as over HTTP; a web page of
//! a foreign origin gets no socket; nothing is executed before the token has
//! been accepted, and within about a second of its revocation the socket is
//! closed with 4401. A frame is never dropped: subscriptions are asked for
//! their next frame only while the bounded queue in front of the socket has
//! room, and what they wait for stays in the log behind them. A client that
//! falls silent for 40 s, or whose socket takes nothing for 30 s, is let go.
//!
//! It does not promise an order between two operations of one socket.
//!
//! Cut in the middle: when the server stops, sockets are closed with 1001 and
//! the client comes back with its last cursor. When a client goes, its queries
//! and subscriptions go with it; a mutation that has begun is finished.

mod outbox;
mod protocol;
mod session;

use axum::{
    extract::{FromRequestParts, ws::WebSocketUpgrade},
    http::{HeaderMap, StatusCode, header, request::Parts},
    response::Response,
};

use self::{protocol::SUBPROTOCOL, session::Session};
use super::bearer;
use super::gateway::Gateway;
use super::problems::Problem;
use super::responses::Code;

/// The largest message, in bytes.
pub const MAX_MESSAGE_BYTES: usize = 256 * 1024;
/// The buffers that each socket keeps, in bytes; the library's own defaults are 128 KiB each.
const BUFFER_BYTES: usize = 4 * 1024;

/// Whether a request asks to become a WebSocket.
pub fn wants_upgrade(headers: &HeaderMap) -> bool {
    headers.get(header::UPGRADE).is_some_and(|protocol| protocol.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// Turns a request into a WebSocket, or says why not.
///
/// A browser cannot send a token with the request, so one is not needed yet; one that is sent must
/// be valid.
pub async fn upgrade(gateway: Gateway, mut parts: Parts) -> Result<Response, Problem> {
    let mut origins = parts.headers.get_all(header::ORIGIN).iter();
    if !origins.all(|origin| origin.to_str().is_ok_and(|origin| gateway.allows_origin(origin))) {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            Code::ForeignOrigin,
            "Pages of this origin may not open a WebSocket here.",
        ));
    }
    if gateway.shutdown().is_cancelled() {
        return Err(Problem::stopping());
    }
    let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &())
        .await
        .map_err(|rejection| Problem::new(rejection.status(), Code::BadRequest, &rejection.body_text()))?;
    let upgrade = upgrade.protocols([SUBPROTOCOL]);
    if upgrade.selected_protocol().is_none() {
        return Err(Problem::new(
            StatusCode::BAD_REQUEST,
            Code::BadRequest,
            "The only sub-protocol is graphql-transport-ws.",
        ));
    }
    let caller = if parts.headers.contains_key(header::AUTHORIZATION) {
        Some(bearer::authenticate(&gateway, bearer::credentials(&parts.headers)).await?)
    } else {
        None
    };
    Ok(upgrade
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(BUFFER_BYTES)
        .max_message_size(MAX_MESSAGE_BYTES)
        .max_frame_size(MAX_MESSAGE_BYTES)
        .on_upgrade(move |socket| async move {
            let _open = Open::new();
            Session::new(gateway, socket, caller).run().await;
        }))
}

/// Counts a socket for as long as it lives.
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
