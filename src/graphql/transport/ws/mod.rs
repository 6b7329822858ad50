//! GraphQL over WebSocket: the graphql-transport-ws protocol.
//!
//! Every operation passes the same guard as over HTTP. A web page of another origin gets no socket; a browser does not
//! show it why, so it can ask again with a plain GET. Whoever sends a token in a header that is not accepted gets 401.
//! Whoever speaks another sub-protocol gets a socket that is closed at once (4400): it reads nothing, and is dropped
//! after five seconds. A server that has no room for a connection does not answer it at all.
//! Nothing is executed before the token or session was accepted, and within a second after it has ended
//! the socket is closed with 4401. No message is dropped: a subscription is asked for its next result
//! only while the queue in front of the socket has room, and events that wait stay in the log. A client
//! that is silent for 40 s, or that reads nothing for 30 s, is disconnected. There is no order between
//! the messages of two operations.
//!
//! When the server stops, sockets are closed with 1001, and clients connect again with their last
//! cursor. When a client disconnects, its queries and subscriptions are dropped, but a mutation
//! that has begun is completed.
//!
//! A token has a limited number of sockets; a socket too many is closed with 4429 instead of being acknowledged.

mod protocol;
mod session;
mod socket;

use std::sync::Arc;

use async_graphql::http::WebSocketProtocols;
use axum::extract::FromRequestParts;
use axum::extract::ws::WebSocketUpgrade;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::Response;

use self::protocol::CloseReason;
use self::session::Session;
use super::endpoint::Endpoint;
use super::execution::{self, Transport};
use super::problems::Problem;
use super::{bearer, callers};
use crate::auth::ClientAddress;
use crate::graphql::error::Code;

/// The largest message of a client, in bytes.
const MAX_MESSAGE_BYTES: usize = 256 * 1024;
/// How much is read from a socket at once, in bytes: messages of clients are small. The library's default is 128 KiB.
const READ_BUFFER_BYTES: usize = 1024;
/// How much is written to a socket at once, in bytes. The library's default is 128 KiB.
const WRITE_BUFFER_BYTES: usize = 4 * 1024;

/// Whether a request asks to become a WebSocket.
pub fn wants_upgrade(headers: &HeaderMap) -> bool {
    headers.get(header::UPGRADE).is_some_and(|protocol| protocol.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// Why a handshake with these headers is refused.
fn refusal(endpoint: &Endpoint, headers: &HeaderMap) -> Option<Problem> {
    if !endpoint.origin.permits(headers) {
        let message = "Pages of this origin may not open a WebSocket here. If people open the console there, \
                       the setting MUSTER_PUBLIC_URL must be that address.";
        return Some(Problem::new(StatusCode::FORBIDDEN, Code::ForeignOrigin, message));
    }
    endpoint.shutdown.is_cancelled().then(Problem::stopping)
}

/// Why a page cannot open a WebSocket. A browser does not show the response to a handshake to the page, so the
/// console asks again with a plain GET of the same address.
pub fn explain(endpoint: &Endpoint, parts: &Parts) -> Option<Problem> {
    let asked = parts.method == Method::GET && parts.headers.contains_key(header::ORIGIN);
    let asked = asked && !bearer::has_token(&parts.headers);
    asked.then(|| refusal(endpoint, &parts.headers)).flatten().map(Problem::readable)
}

/// Upgrades a request to a WebSocket. A browser sends its cookie with the request, but cannot send a token, so neither
/// is needed here; but a token that is sent must be valid.
pub async fn upgrade(endpoint: &Arc<Endpoint>, mut parts: Parts) -> Result<Response, Problem> {
    if let Some(problem) = refusal(endpoint, &parts.headers) {
        return Err(problem);
    }
    let mut upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &())
        .await
        .map_err(|rejection| Problem::new(rejection.status(), Code::BadRequest, rejection.body_text()))?
        .protocols([WebSocketProtocols::GraphQLWS.sec_websocket_protocol()]);
    let caller = callers::of_handshake(endpoint, &parts.headers).await?;
    let speaks_another = upgrade.selected_protocol().is_none();
    if speaks_another {
        execution::count_refused(Transport::WebSocket);
        // A browser opens no socket without one of its protocols, and would not show why.
        let offered = upgrade.requested_protocols().next().cloned();
        if let Some(offered) = offered {
            upgrade.set_selected_protocol(offered);
        }
    }
    let address = parts.extensions.get::<ClientAddress>().copied();
    let endpoint = endpoint.clone();
    let mut response = upgrade
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_message_size(MAX_MESSAGE_BYTES)
        .max_frame_size(MAX_MESSAGE_BYTES)
        .on_upgrade(move |socket| async move {
            let _open = Open::new();
            let session = Session::new(endpoint, socket, address, caller);
            if speaks_another {
                session.refuse(CloseReason::OTHER_PROTOCOL).await;
            } else {
                session.run().await;
            }
        });
    // Among them is the spelling of the request's header names, in which hyper then answers. Some clients find
    // `Sec-WebSocket-Protocol` by their own spelling only.
    response.extensions_mut().extend(parts.extensions);
    Ok(response)
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
