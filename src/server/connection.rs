//! How long the server keeps the connection of a silent or slow client.
//!
//! An idle connection is kept for longer than the usual proxies keep it. If the server closed it first, a proxy could
//! send a request into the closing connection, and show an error to its user. The head of a request must arrive in
//! time, counted from its first byte. A client that reads nothing of a response is not waited for longer than its stall
//! may last, or than the token of an event stream is valid.
//!
//! Who watches a connection looks at it now and then. Nobody is woken when it changes, which happens three times in each
//! request.

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use super::places::{Client, Place};
use crate::graphql::transport::sse::Revocation;

/// How long a client may take.
#[derive(Clone, Copy)]
pub(super) struct Patience {
    /// From the start of the connection to the first byte of its first request.
    pub(super) unused: Duration,
    /// Between the end of a response and the first byte of the next request.
    pub(super) idle: Duration,
    /// From the first byte of a request to the end of its headers, and for a TLS handshake.
    pub(super) head: Duration,
    /// While the client's socket accepts nothing of a response.
    pub(super) stall: Duration,
    /// From the start of the connection to its first request, when the server no longer wants new requests.
    pub(super) first: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            unused: Duration::from_secs(30),
            idle: Duration::from_secs(75),
            head: Duration::from_secs(10),
            stall: Duration::from_secs(30),
            first: Duration::from_millis(250),
        }
    }
}

/// What a connection is doing, and since when.
#[derive(Clone, Copy)]
enum Phase {
    /// Nothing has arrived yet.
    New(Instant),
    /// Nothing of the next request has arrived yet.
    Idle(Instant),
    /// The first bytes of a request have arrived.
    Head(Instant),
    /// A request is being answered.
    Busy,
}

/// Which limit of [`Patience`] a connection has exceeded.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Expired {
    Idle,
    Head,
    Stall,
}

/// The activity of one connection. Clones share it.
#[derive(Clone)]
pub(super) struct Activity(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Told of each complete head.
    begun: Notify,
    /// Cancelled when others need the place of the connection.
    room: CancellationToken,
}

struct State {
    phase: Phase,
    /// Since when the client's socket accepts nothing.
    stalled: Option<Instant>,
    /// When it is cancelled, the response may not go on.
    end: Option<CancellationToken>,
}

impl Activity {
    pub(super) fn new() -> Self {
        let state = State { phase: Phase::New(Instant::now()), stalled: None, end: None };
        Self(Arc::new(Shared { state: Mutex::new(state), begun: Notify::new(), room: CancellationToken::new() }))
    }

    /// The connection's stream, which notices the first byte of a request. It has a place until it is dropped.
    pub(super) fn watch(&self, stream: Stream, place: Place) -> WatchedStream {
        WatchedStream { stream, activity: self.clone(), stalled: false, _place: place }
    }

    /// If the connection is idle: whether it makes room already, whether it has received anything, and since when
    /// not.
    pub(super) fn idle_since(&self) -> Option<(bool, bool, Instant)> {
        let makes_room = self.0.room.is_cancelled();
        match self.0.state.lock().phase {
            Phase::New(since) => Some((makes_room, false, since)),
            Phase::Idle(since) => Some((makes_room, true, since)),
            Phase::Head(_) | Phase::Busy => None,
        }
    }

    /// Closes the connection as soon as it is idle.
    pub(super) fn make_room(&self) {
        self.0.room.cancel();
    }

    #[cfg(test)]
    pub(super) fn must_make_room(&self) -> bool {
        self.0.room.is_cancelled()
    }

    /// Called when the head of a request is complete.
    pub(super) fn begin(&self) -> Answering {
        self.0.state.lock().phase = Phase::Busy;
        self.0.begun.notify_waiters();
        Answering(self.clone())
    }

    fn received(&self) {
        let mut state = self.0.state.lock();
        if matches!(state.phase, Phase::New(_) | Phase::Idle(_)) {
            state.phase = Phase::Head(Instant::now());
        }
    }

    fn stalls(&self, stalls: bool) {
        self.0.state.lock().stalled = stalls.then(Instant::now);
    }

    /// Whether nothing has arrived yet.
    pub(super) fn is_new(&self) -> bool {
        matches!(self.0.state.lock().phase, Phase::New(_))
    }

    /// Returns when the first request is complete or being answered.
    pub(super) async fn received_first(&self) {
        loop {
            let mut begun = pin!(self.0.begun.notified());
            // From here on, it is told. What happened before is in the phase.
            begun.as_mut().enable();
            if matches!(self.0.state.lock().phase, Phase::Busy | Phase::Idle(_)) {
                return;
            }
            begun.await;
        }
    }

    /// Returns when the client has taken too long.
    pub(super) async fn expired(&self, patience: Patience) -> Expired {
        loop {
            let (limit, end) = self.limit(patience);
            let now = Instant::now();
            // Often enough to see each head before its time is over.
            let mut next = now + patience.head / 4;
            if let Some((end, expired)) = limit {
                if end <= now {
                    return expired;
                }
                next = next.min(end);
            }
            let (room, end) = (&self.0.room, end.as_ref());
            let told = async {
                match end.filter(|end| !end.is_cancelled()) {
                    Some(end) => end.cancelled().await,
                    None if room.is_cancelled() => std::future::pending().await,
                    None => room.cancelled().await,
                }
            };
            let _either = tokio::time::timeout_at(next, told).await;
        }
    }

    /// When the client will have taken too long, and what may come before.
    fn limit(&self, patience: Patience) -> (Option<(Instant, Expired)>, Option<CancellationToken>) {
        let State { phase, stalled, end } = &*self.0.state.lock();
        let idle = if self.0.room.is_cancelled() { Some(Duration::ZERO) } else { None };
        let limit = match *phase {
            Phase::New(since) => Some((since + idle.unwrap_or(patience.unused), Expired::Idle)),
            Phase::Idle(since) => Some((since + idle.unwrap_or(patience.idle), Expired::Idle)),
            Phase::Head(since) => Some((since + patience.head, Expired::Head)),
            Phase::Busy => stalled.map(|since| {
                let ended = end.as_ref().is_some_and(CancellationToken::is_cancelled);
                (since + if ended { Duration::ZERO } else { patience.stall }, Expired::Stall)
            }),
        };
        (limit, end.clone())
    }
}

/// A request is being answered until this is dropped.
pub(super) struct Answering(Activity);

impl Answering {
    /// The response, whose body keeps the connection busy until it is sent, and its client counted.
    pub(super) fn until_sent(self, mut response: Response, client: Option<Client>) -> Response {
        if let Some(Revocation(end)) = response.extensions_mut().remove() {
            self.0.0.state.lock().end = Some(end);
        }
        response.map(|body| Body::new(WatchedBody { body, _answering: self, _client: client }))
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        let mut state = self.0.0.state.lock();
        state.phase = Phase::Idle(Instant::now());
        state.end = None;
    }
}

struct WatchedBody {
    body: Body,
    _answering: Answering,
    _client: Option<Client>,
}

impl HttpBody for WatchedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The bytes of a connection, after the handshake if there is one.
pub(super) enum Stream {
    Plain(TcpStream),
    Encrypted(Box<TlsStream<TcpStream>>),
}

pub(super) struct WatchedStream {
    stream: Stream,
    activity: Activity,
    /// Whether the last write had to wait.
    stalled: bool,
    _place: Place,
}

impl WatchedStream {
    fn note<T>(&mut self, written: Poll<T>) -> Poll<T> {
        if written.is_pending() != self.stalled {
            self.stalled = written.is_pending();
            self.activity.stalls(self.stalled);
        }
        written
    }
}

impl AsyncRead for WatchedStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Stream::Encrypted(stream) => Pin::new(stream).poll_read(cx, buffer),
        };
        if buffer.filled().len() > before {
            self.activity.received();
        }
        read
    }
}

impl AsyncWrite for WatchedStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Stream::Encrypted(stream) => Pin::new(stream).poll_write(cx, bytes),
        };
        self.note(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Stream::Encrypted(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        };
        self.note(written)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Encrypted(stream) => {
                // TLS takes bytes that the client's socket does not accept yet.
                let flushed = Pin::new(stream).poll_flush(cx);
                self.note(flushed)
            }
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Encrypted(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests;
