//! GraphQL over server-sent events, in distinct-connections mode: one request, one stream.
//!
//! A stream consists of `next` events, and of one `complete` event when the operation has ended. It
//! has a comment at least every 12 s. The id of an event is its cursor, with which the client can
//! subscribe again. Results are produced only as fast as the client reads them, so that a slow client
//! needs no memory and loses nothing.
//!
//! When the server stops, or the token or session has ended, the stream ends without `complete`. The client then
//! knows that there may be more. If the client does not read at that time, its connection is closed.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::execution::{Executor, Message, Transport};
use super::responses::OperationResponse;
use super::{budgeted, callers};
use crate::auth::Caller;
use crate::auth::access::Access;
use crate::graphql::budget::Exhausted;
use crate::graphql::guard::Operation;
use crate::graphql::subscription::results::{Batch, ExecutionResult};

/// The longest time without an event or a comment.
const KEEP_ALIVE: Duration = Duration::from_secs(12);
/// The time between two checks of the caller's token or session.
const ACCESS_CHECK: Duration = Duration::from_millis(500);
const COMPLETE: Bytes = Bytes::from_static(b"event: complete\ndata: \n\n");

/// The response that streams the messages of an operation.
pub fn stream(
    executor: &Executor,
    access: Access,
    shutdown: CancellationToken,
    caller: Caller,
    operation: Operation,
) -> Result<Response, Exhausted> {
    let messages = budgeted::messages(executor.clone(), caller.clone(), operation, Transport::Sse)?;
    let revoked = CancellationToken::new();
    let watch = AbortOnDropHandle::new(tokio::spawn(watch(access, caller, revoked.clone())));
    let events = events(messages, watch, revoked.clone(), shutdown).map(Ok::<_, Infallible>);
    let mut response = respond(Body::from_stream(events));
    response.extensions_mut().insert(Revocation(revoked));
    Ok(response)
}

/// Is cancelled when the token or the session of a stream ends. It is in the extensions of the response, because nobody asks a
/// body for more while the client does not read.
#[derive(Clone)]
pub struct Revocation(pub CancellationToken);

/// Waits until the token or the session of a caller has ended.
pub async fn watch(access: Access, caller: Caller, revoked: CancellationToken) {
    while callers::still_valid(&access, &caller).await {
        tokio::time::sleep(ACCESS_CHECK).await;
    }
    revoked.cancel();
}

/// The response to an operation that was not executed: its errors as the only result.
pub fn refusal(response: OperationResponse) -> Response {
    respond(Body::from([single(response), COMPLETE].concat()))
}

fn respond(body: Body) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8")),
        // Asks reverse proxies not to buffer the response.
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    (headers, body).into_response()
}

fn events(
    messages: impl Stream<Item = Message>,
    watch: AbortOnDropHandle<()>,
    revoked: CancellationToken,
    shutdown: CancellationToken,
) -> impl Stream<Item = Bytes> {
    async_stream::stream! {
        let (_open, _watch) = (Open::new(), watch);
        let mut messages = std::pin::pin!(messages);
        loop {
            let message = tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                () = revoked.cancelled() => return,
                message = messages.next() => message,
                () = tokio::time::sleep(KEEP_ALIVE) => {
                    yield Bytes::from_static(b":\n\n");
                    continue;
                }
            };
            match message {
                Some(Message::Next(Batch { results, turn })) => {
                    // How long the client needs to read is not known.
                    drop(turn);
                    yield nexts(&results);
                }
                Some(Message::Error(errors)) => {
                    yield single(OperationResponse::Refused(errors));
                    yield COMPLETE;
                    return;
                }
                Some(Message::Complete) | None => {
                    yield COMPLETE;
                    return;
                }
            }
        }
    }
}

fn single(response: OperationResponse) -> Bytes {
    nexts(&[ExecutionResult { json: response.into_body(), cursor: None }])
}

/// A `next` event for each result. A result is JSON on one line and is not changed.
fn nexts(results: &[ExecutionResult]) -> Bytes {
    let mut events = BytesMut::with_capacity(results.iter().map(|result| result.json.len() + 64).sum());
    for result in results {
        events.put_slice(b"event: next\n");
        if let Some(cursor) = result.cursor.as_deref().filter(|cursor| !cursor.contains(['\n', '\r', '\0'])) {
            events.put_slice(b"id: ");
            events.put_slice(cursor.as_bytes());
            events.put_u8(b'\n');
        }
        events.put_slice(b"data: ");
        events.put_slice(&result.json);
        events.put_slice(b"\n\n");
    }
    events.freeze()
}

/// Counts a stream while it is open.
struct Open;

impl Open {
    fn new() -> Self {
        metrics::gauge!("muster_graphql_event_streams").increment(1);
        Self
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        metrics::gauge!("muster_graphql_event_streams").decrement(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_carries_its_cursor_and_its_payload_untouched() {
        let json = Bytes::from_static(br#"{"data":{"a":1}}"#);
        let with = ExecutionResult { json: json.clone(), cursor: Some("c1".into()) };
        let expected = "event: next\nid: c1\ndata: {\"data\":{\"a\":1}}\n\n";
        assert_eq!(nexts(&[with]), expected.as_bytes());
        for cursor in [None, Some("c\nevent: x".into())] {
            let without = ExecutionResult { json: json.clone(), cursor };
            assert_eq!(nexts(&[without]), "event: next\ndata: {\"data\":{\"a\":1}}\n\n".as_bytes());
        }
    }
}
