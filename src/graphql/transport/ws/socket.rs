//! A WebSocket with a bounded queue of outgoing messages. One task polls both directions, so that
//! it still reads while it waits to write.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket};
use futures_util::{Sink, Stream};
use tokio::time::Instant;

/// The most messages in the queue while the client is read from, whose messages may need replies
/// (acknowledgements, pongs, errors). Operations add to the queue only when it is empty.
const MAX_QUEUED: usize = 192;

pub struct QueuedSocket {
    socket: WebSocket,
    queue: VecDeque<Message>,
    unflushed: bool,
    /// Since when the socket has accepted none of the queued messages.
    stalled_since: Option<Instant>,
}

impl QueuedSocket {
    pub fn new(socket: WebSocket) -> Self {
        Self { socket, queue: VecDeque::new(), unflushed: false, stalled_since: None }
    }

    /// Whether there is room for a reply, so that the client may be read from.
    pub fn has_reply_room(&self) -> bool {
        self.queue.len() < MAX_QUEUED
    }

    /// Queues a message. The caller has made sure that there is room.
    pub fn push(&mut self, message: Message) {
        self.queue.push_back(message);
    }

    /// Replaces everything in the queue by one last message.
    pub fn push_last(&mut self, message: Message) {
        self.queue.clear();
        self.push(message);
    }

    /// Whether everything was sent.
    pub fn is_idle(&self) -> bool {
        self.queue.is_empty() && !self.unflushed
    }

    /// For how long the socket has accepted no whole message.
    pub fn stalled_for(&self) -> Duration {
        self.stalled_since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Writes as much as the socket accepts now. An error means that the connection is lost.
    pub fn poll_write(&mut self, cx: &mut Context<'_>) -> Result<(), axum::Error> {
        loop {
            let step = if self.queue.is_empty() {
                if !self.unflushed {
                    return Ok(());
                }
                Pin::new(&mut self.socket).poll_flush(cx)?
            } else {
                Pin::new(&mut self.socket).poll_ready(cx)?
            };
            if step.is_pending() {
                self.stalled_since.get_or_insert_with(Instant::now);
                return Ok(());
            }
            self.stalled_since = None;
            match self.queue.pop_front() {
                Some(message) => {
                    self.unflushed = true;
                    Pin::new(&mut self.socket).start_send(message)?;
                }
                None => self.unflushed = false,
            }
        }
    }

    /// The next message of the client. The library answers pings and closes by itself.
    pub fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Message, axum::Error>>> {
        Pin::new(&mut self.socket).poll_next(cx)
    }
}
