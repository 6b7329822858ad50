//! The socket with the bounded queue in front of it. Both directions are polled
//! from one task, so that waiting to write never keeps from reading.

use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::extract::ws::{Message, WebSocket};
use futures_util::{Sink, Stream};
use tokio::time::Instant;

/// The most messages of operations that wait for the client, and the most of their bytes (save
/// that one message may pass the limit by itself).
const MAX_QUEUED: usize = 128;
const MAX_QUEUED_BYTES: usize = 256 * 1024;
/// Room kept for replies to the client's own messages (acknowledgements, pongs, errors), so that
/// it is still heard while operations fill the queue.
const REPLY_ROOM: usize = 64;

/// A socket, and what waits to be sent on it.
pub struct Wire {
    socket: WebSocket,
    queue: VecDeque<Message>,
    queued_bytes: usize,
    unflushed: bool,
    /// Since when the socket has taken nothing of what waits.
    stalled_since: Option<Instant>,
}

impl Wire {
    pub fn new(socket: WebSocket) -> Self {
        Self { socket, queue: VecDeque::new(), queued_bytes: 0, unflushed: false, stalled_since: None }
    }

    /// Whether an operation may be asked for its next message.
    pub fn has_room(&self) -> bool {
        self.queue.len() < MAX_QUEUED && self.queued_bytes < MAX_QUEUED_BYTES
    }

    /// Whether the client may be listened to, and so be owed a reply.
    pub fn has_reply_room(&self) -> bool {
        self.queue.len() < MAX_QUEUED + REPLY_ROOM
    }

    /// Appends a message. Nothing is refused here: the caller asks for room first.
    pub fn push(&mut self, message: Message) {
        self.queued_bytes += size(&message);
        self.queue.push_back(message);
    }

    /// Sends nothing more of what waits, but this.
    pub fn push_last(&mut self, message: Message) {
        self.queue.clear();
        self.queued_bytes = 0;
        self.push(message);
    }

    /// Whether the socket has taken everything.
    pub fn is_idle(&self) -> bool {
        self.queue.is_empty() && !self.unflushed
    }

    /// For how long the socket has accepted nothing. A message counts as accepted when it has
    /// been handed over as a whole.
    pub fn stalled_for(&self) -> Duration {
        self.stalled_since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Writes what the socket takes now. An error means that the connection is gone.
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
                    self.queued_bytes -= size(&message);
                    self.unflushed = true;
                    Pin::new(&mut self.socket).start_send(message)?;
                }
                None => self.unflushed = false,
            }
        }
    }

    /// The next message of the client; pings and closes are answered underneath.
    pub fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Message, axum::Error>>> {
        Pin::new(&mut self.socket).poll_next(cx)
    }
}

fn size(message: &Message) -> usize {
    match message {
        Message::Text(text) => text.len(),
        Message::Binary(bytes) | Message::Ping(bytes) | Message::Pong(bytes) => bytes.len(),
        Message::Close(_) => 0,
    }
}
