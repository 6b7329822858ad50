//! How long the server keeps the connection of a silent or slow client.
//!
//! An idle connection is kept for longer than the usual proxies keep it. If the server closed it first, a proxy could
//! send a request into the closing connection, and show an error to its user. The head of a request must arrive in
//! time, counted from its first byte.
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

/// How long a client may take.
#[derive(Clone, Copy)]
pub(super) struct Patience {
    /// Between the end of a response and the first byte of the next request.
    pub(super) idle: Duration,
    /// From the first byte of a request to the end of its headers.
    pub(super) head: Duration,
    /// From the start of the connection to its first request, when the server no longer wants new requests.
    pub(super) first: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { idle: Duration::from_secs(75), head: Duration::from_secs(10), first: Duration::from_millis(250) }
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
}

/// The activity of one connection. Clones share it.
#[derive(Clone)]
pub(super) struct Activity(Arc<Shared>);

struct Shared {
    phase: Mutex<Phase>,
    /// Told of each complete head.
    begun: Notify,
}

impl Activity {
    pub(super) fn new() -> Self {
        Self(Arc::new(Shared { phase: Mutex::new(Phase::New(Instant::now())), begun: Notify::new() }))
    }

    /// The connection's stream, which notices the first byte of a request.
    pub(super) fn watch(&self, stream: TcpStream) -> WatchedStream {
        WatchedStream { stream, activity: self.clone() }
    }

    /// Called when the head of a request is complete.
    pub(super) fn begin(&self) -> Answering {
        *self.0.phase.lock() = Phase::Busy;
        self.0.begun.notify_waiters();
        Answering(self.clone())
    }

    fn received(&self) {
        let mut phase = self.0.phase.lock();
        if matches!(*phase, Phase::New(_) | Phase::Idle(_)) {
            *phase = Phase::Head(Instant::now());
        }
    }

    /// Whether nothing has arrived yet.
    pub(super) fn is_new(&self) -> bool {
        matches!(*self.0.phase.lock(), Phase::New(_))
    }

    /// Returns when the first request is complete or being answered.
    pub(super) async fn received_first(&self) {
        loop {
            let mut begun = pin!(self.0.begun.notified());
            // From here on, it is told. What happened before is in the phase.
            begun.as_mut().enable();
            if matches!(*self.0.phase.lock(), Phase::Busy | Phase::Idle(_)) {
                return;
            }
            begun.await;
        }
    }

    /// Returns when the client has taken too long.
    pub(super) async fn expired(&self, patience: Patience) -> Expired {
        loop {
            let phase = *self.0.phase.lock();
            let now = Instant::now();
            // Often enough to see each head before its time is over.
            let mut next = now + patience.head / 4;
            let limit = match phase {
                Phase::New(since) | Phase::Idle(since) => Some((since + patience.idle, Expired::Idle)),
                Phase::Head(since) => Some((since + patience.head, Expired::Head)),
                Phase::Busy => None,
            };
            if let Some((end, expired)) = limit {
                if end <= now {
                    return expired;
                }
                next = next.min(end);
            }
            tokio::time::sleep_until(next).await;
        }
    }
}

/// A request is being answered until this is dropped.
pub(super) struct Answering(Activity);

impl Answering {
    /// The response, whose body keeps the connection busy until it is sent.
    pub(super) fn until_sent(self, response: Response) -> Response {
        response.map(|body| Body::new(WatchedBody { body, _answering: self }))
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        *self.0.0.phase.lock() = Phase::Idle(Instant::now());
    }
}

struct WatchedBody {
    body: Body,
    _answering: Answering,
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

pub(super) struct WatchedStream {
    stream: TcpStream,
    activity: Activity,
}

impl AsyncRead for WatchedStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.activity.received();
        }
        read
    }
}

impl AsyncWrite for WatchedStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
