//! GraphQL over server-sent events, in the "distinct connections" mode of the
//! graphql-sse protocol: one request, one stream.
//!
//! Promises: `next` events, then one `complete` if the operation came to its
//! end; a comment at least every 12 s; the cursor of a frame as the event's id,
//! by which a client subscribes again. Frames are made only as fast as the
//! client takes them, so a slow one costs no memory and loses nothing.
//!
//! Cut in the middle: when the server stops or the token is revoked, the stream
//! ends without `complete`, and the client knows that there may be more.

use std::{convert::Infallible, time::Duration};

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use tokio::time::{MissedTickBehavior, interval_at};

use super::execution::{self, Door, Emission};
use super::gateway::{Frame, Gateway};
use super::responses::Answer;
use crate::auth::Caller;
use crate::graphql::guard::Operation;

/// The longest silence.
const KEEP_ALIVE: Duration = Duration::from_secs(12);
/// How often it is asked whether the caller is still welcome.
const ACCESS_CHECK: Duration = Duration::from_millis(500);
const COMPLETE: Bytes = Bytes::from_static(b"event: complete\ndata: \n\n");

/// The answer that streams an operation's results.
pub fn stream(gateway: Gateway, caller: Caller, operation: Operation) -> Response {
    respond(Body::from_stream(events(gateway, caller, operation).map(Ok::<_, Infallible>)))
}

/// The answer to an operation that was not executed: its errors as the only result.
pub fn refusal(answer: Answer) -> Response {
    let next = next(&Frame { payload: answer.into_body(), cursor: None });
    respond(Body::from([next, COMPLETE].concat()))
}

fn respond(body: Body) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8")),
        // Reverse proxies that collect answers before passing them on are asked not to.
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    (headers, body).into_response()
}

fn events(gateway: Gateway, caller: Caller, operation: Operation) -> impl Stream<Item = Bytes> {
    async_stream::stream! {
        let _open = Open::new();
        let stopping = gateway.shutdown().clone();
        let emissions = execution::emissions(gateway.clone(), caller.clone(), operation, Door::Events);
        let mut emissions = std::pin::pin!(emissions);
        let mut checks = interval_at(tokio::time::Instant::now() + ACCESS_CHECK, ACCESS_CHECK);
        checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut spoke = tokio::time::Instant::now();
        loop {
            // The check comes first: after a long wait for the client it is overdue, and no
            // frame may leave before it.
            let emission = tokio::select! {
                biased;
                () = stopping.cancelled() => return,
                _ = checks.tick() => {
                    if !gateway.still_valid(&caller).await {
                        return;
                    }
                    if spoke.elapsed() + ACCESS_CHECK > KEEP_ALIVE {
                        spoke = tokio::time::Instant::now();
                        yield Bytes::from_static(b":\n\n");
                    }
                    continue;
                }
                emission = emissions.next() => emission,
            };
            spoke = tokio::time::Instant::now();
            match emission {
                Some(Emission::Next(frame)) => yield next(&frame),
                Some(Emission::Refused(errors)) => {
                    let payload = Answer::Refused(errors).into_body();
                    yield next(&Frame { payload, cursor: None });
                    yield COMPLETE;
                    return;
                }
                Some(Emission::Complete) | None => {
                    yield COMPLETE;
                    return;
                }
            }
        }
    }
}

/// A `next` event. The payload is JSON on one line, and passed on as it is.
fn next(frame: &Frame) -> Bytes {
    let mut event = BytesMut::with_capacity(frame.payload.len() + 64);
    event.put_slice(b"event: next\n");
    if let Some(cursor) = frame.cursor.as_deref().filter(|c| !c.contains(['\n', '\r', '\0'])) {
        event.put_slice(b"id: ");
        event.put_slice(cursor.as_bytes());
        event.put_u8(b'\n');
    }
    event.put_slice(b"data: ");
    event.put_slice(&frame.payload);
    event.put_slice(b"\n\n");
    event.freeze()
}

/// Counts a stream for as long as it lives.
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
        let payload = Bytes::from_static(br#"{"data":{"a":1}}"#);
        let with = Frame { payload: payload.clone(), cursor: Some("c1".to_owned()) };
        let expected = "event: next\nid: c1\ndata: {\"data\":{\"a\":1}}\n\n";
        assert_eq!(next(&with), expected.as_bytes());
        for cursor in [None, Some("c\nevent: x".to_owned())] {
            let without = Frame { payload: payload.clone(), cursor };
            assert_eq!(next(&without), "event: next\ndata: {\"data\":{\"a\":1}}\n\n".as_bytes());
        }
    }
}
