//! One socket from its opening to its end, as a state machine: an event comes
//! in from one of five sources, and the state moves on without waiting.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::extract::ws::{Message, WebSocket};
use bytes::Bytes;
use futures_util::{Stream, future::BoxFuture, stream::BoxStream};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use tokio_stream::StreamMap;
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::outbox::Wire;
use super::protocol::{self, ClientMessage, Closure};
use crate::auth::Caller;
use crate::graphql::guard;
use crate::graphql::transport::bearer;
use crate::graphql::transport::execution::{self, Door, Emission};
use crate::graphql::transport::gateway::{AccessError, Gateway};
use crate::graphql::transport::params::Params;
use crate::graphql::transport::responses::{Answer, Code, error};

/// The most operations that are active on one socket.
pub const MAX_OPERATIONS: usize = 100;
/// How long a client may take to be acknowledged.
pub const INIT_TIMEOUT: Duration = Duration::from_secs(10);
/// How often the client is pinged.
pub const PING_INTERVAL: Duration = Duration::from_secs(15);
/// How long a client may be silent, pongs included, before it counts as dead.
pub const MAX_SILENCE: Duration = Duration::from_secs(40);
/// How long the client's socket may accept nothing.
pub const MAX_STALL: Duration = Duration::from_secs(30);
/// How long the client may take to answer our close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// How often access, silence and stalls are looked at.
const TICK: Duration = Duration::from_millis(500);

/// Where the conversation stands.
enum Phase {
    /// Nothing but `connection_init` is due. Whom the request's header stood for, if it had one.
    Opened { caller: Option<Arc<Caller>> },
    /// `connection_init` has come and its token is being looked at.
    Checking,
    /// Acknowledged.
    Ready { caller: Arc<Caller> },
    /// One side has closed; what is left is to send our part, and to hear the other's if it can
    /// still be understood.
    Closing { until: Instant, deaf: bool },
    /// The socket can be dropped.
    Over,
}

enum Event {
    Lost,
    Received(Message),
    /// Something came that is not a message; nothing after it can be understood.
    Garbled,
    Emitted(String, Emission),
    Judged(Verdict),
    Stopping,
    Tick,
    Flushed,
}

/// What the gateway says about the caller.
enum Verdict {
    Presented(Result<Caller, AccessError>),
    StillValid(bool),
}

/// The state of one socket.
pub struct Session {
    gateway: Gateway,
    wire: Wire,
    phase: Phase,
    operations: StreamMap<String, BoxStream<'static, Emission>>,
    /// The question to the gateway that is open; there is never a second.
    question: Option<BoxFuture<'static, Verdict>>,
    stopping: Pin<Box<WaitForCancellationFutureOwned>>,
    ticks: Interval,
    opened: Instant,
    heard: Instant,
    pinged: Instant,
}

impl Session {
    /// `caller`: whom the upgrade request's `Authorization` header stood for, if it had one.
    pub fn new(gateway: Gateway, socket: WebSocket, caller: Option<Caller>) -> Self {
        let now = Instant::now();
        let mut ticks = interval_at(now + TICK, TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            stopping: Box::pin(gateway.shutdown().clone().cancelled_owned()),
            gateway,
            wire: Wire::new(socket),
            phase: Phase::Opened { caller: caller.map(Arc::new) },
            operations: StreamMap::new(),
            question: None,
            ticks,
            opened: now,
            heard: now,
            pinged: now,
        }
    }

    /// Serves the socket until it is gone.
    pub async fn run(mut self) {
        while !matches!(self.phase, Phase::Over) {
            let event = poll_fn(|cx| self.poll_event(cx)).await;
            self.handle(event);
        }
    }

    /// Verdicts come before operations, so that nothing more is sent to a caller who is no
    /// longer welcome; operations are asked only while the queue has room.
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        if self.wire.poll_write(cx).is_err() {
            return Poll::Ready(Event::Lost);
        }
        if let Phase::Closing { deaf: true, .. } = self.phase {
            if self.wire.is_idle() {
                return Poll::Ready(Event::Flushed);
            }
            return self.ticks.poll_tick(cx).map(|_| Event::Tick);
        }
        let closing = matches!(self.phase, Phase::Closing { .. });
        if !closing && self.stopping.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Event::Stopping);
        }
        if let Some(question) = &mut self.question
            && let Poll::Ready(verdict) = question.as_mut().poll(cx)
        {
            self.question = None;
            return Poll::Ready(Event::Judged(verdict));
        }
        if self.ticks.poll_tick(cx).is_ready() {
            return Poll::Ready(Event::Tick);
        }
        if self.wire.has_reply_room()
            && let Poll::Ready(received) = self.wire.poll_read(cx)
        {
            return Poll::Ready(match received {
                Some(Ok(message)) => Event::Received(message),
                Some(Err(_)) if !closing => Event::Garbled,
                Some(Err(_)) | None => Event::Lost,
            });
        }
        if self.wire.has_room()
            && let Poll::Ready(Some((id, emission))) = Pin::new(&mut self.operations).poll_next(cx)
        {
            return Poll::Ready(Event::Emitted(id, emission));
        }
        Poll::Pending
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Lost | Event::Flushed => self.phase = Phase::Over,
            Event::Garbled => self.give_up_reading(),
            Event::Received(message) => {
                self.heard = Instant::now();
                self.receive(message);
            }
            Event::Emitted(id, emission) => self.emit(&id, &emission),
            Event::Judged(verdict) => self.judge(verdict),
            Event::Stopping => self.close(Closure::GOING_AWAY),
            Event::Tick => self.tick(),
        }
    }

    fn close(&mut self, closure: Closure) {
        tracing::debug!(code = closure.code, "closing a WebSocket");
        metrics::counter!("muster_graphql_closures_total", "code" => closure.code.to_string()).increment(1);
        self.wire.push_last(closure.into_message());
        self.wind_up(false);
    }

    /// Most often the connection is simply gone; a client that is still there is told why.
    fn give_up_reading(&mut self) {
        self.wire.push_last(Closure::UNREADABLE.into_message());
        self.wind_up(true);
    }

    fn wind_up(&mut self, deaf: bool) {
        self.operations.clear();
        self.question = None;
        self.phase = Phase::Closing { until: Instant::now() + CLOSE_TIMEOUT, deaf };
    }

    fn receive(&mut self, message: Message) {
        if matches!(self.phase, Phase::Closing { .. }) {
            return;
        }
        match message {
            Message::Text(text) => match protocol::parse(&text) {
                Ok(message) => self.dispatch(message),
                Err(closure) => self.close(closure),
            },
            Message::Binary(_) => self.close(Closure::NOT_TEXT),
            // The WebSocket layer answers pings and closes by itself.
            Message::Ping(_) | Message::Pong(_) => {}
            Message::Close(_) => self.wind_up(false),
        }
    }

    fn dispatch(&mut self, message: ClientMessage) {
        match message {
            ClientMessage::ConnectionInit { credentials } => self.initialise(credentials),
            ClientMessage::Ping => self.wire.push(protocol::pong()),
            ClientMessage::Pong => {}
            ClientMessage::Subscribe { id, params } => match &self.phase {
                Phase::Ready { caller } => {
                    let caller = Caller::clone(caller);
                    self.subscribe(id, params, caller);
                }
                _ => self.close(Closure::UNAUTHORIZED),
            },
            ClientMessage::Complete { id } => {
                self.operations.remove(&id);
            }
        }
    }

    fn initialise(&mut self, credentials: Option<String>) {
        let Phase::Opened { caller } = &mut self.phase else {
            return self.close(Closure::TOO_MANY_INITS);
        };
        match (credentials, caller.take()) {
            (Some(credentials), _) => {
                let gateway = self.gateway.clone();
                self.phase = Phase::Checking;
                self.question = Some(Box::pin(async move {
                    Verdict::Presented(bearer::authenticate(&gateway, Some(&credentials)).await)
                }));
            }
            (None, Some(caller)) => self.acknowledge(caller),
            (None, None) => self.close(Closure::UNAUTHORIZED),
        }
    }

    fn acknowledge(&mut self, caller: Arc<Caller>) {
        self.phase = Phase::Ready { caller };
        self.wire.push(protocol::connection_ack());
    }

    fn judge(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Presented(Ok(caller)) => self.acknowledge(Arc::new(caller)),
            Verdict::StillValid(true) => {}
            Verdict::Presented(Err(AccessError::Unavailable)) => {
                self.close(Closure::TRY_AGAIN_LATER);
            }
            Verdict::Presented(Err(AccessError::Refused)) | Verdict::StillValid(false) => {
                self.close(Closure::UNAUTHORIZED);
            }
        }
    }

    fn subscribe(&mut self, id: String, params: Params, caller: Caller) {
        if self.operations.contains_key(&id) {
            return self.close(Closure::duplicate(&id));
        }
        let vetted = if self.operations.len() < MAX_OPERATIONS {
            guard::vet(params, self.gateway.introspection())
        } else {
            Err(error(Code::TooManyOperations, "Too many operations on this socket; end one first."))
        };
        match vetted {
            Ok(operation) => {
                let gateway = self.gateway.clone();
                let stream = execution::emissions(gateway, caller, operation, Door::WebSocket);
                self.operations.insert(id, Box::pin(stream));
            }
            Err(error) => {
                execution::count_refused(Door::WebSocket);
                match Answer::refused(&[error]) {
                    Answer::Refused(errors) => self.wire.push(protocol::error(&id, &errors)),
                    broken => self.wire.push(protocol::next(&id, &broken.into_body())),
                }
            }
        }
    }

    fn emit(&mut self, id: &str, emission: &Emission) {
        match emission {
            Emission::Next(frame) => self.wire.push(protocol::next(id, &frame.payload)),
            // The id is free from here on: the client may use it again at once.
            Emission::Refused(errors) => {
                self.operations.remove(id);
                self.wire.push(protocol::error(id, errors));
            }
            Emission::Complete => {
                self.operations.remove(id);
                self.wire.push(protocol::complete(id));
            }
        }
    }

    fn tick(&mut self) {
        let now = Instant::now();
        match &self.phase {
            Phase::Closing { until, .. } => {
                if now >= *until {
                    self.phase = Phase::Over;
                }
                return;
            }
            Phase::Opened { .. } | Phase::Checking if now - self.opened >= INIT_TIMEOUT => {
                return self.close(Closure::INIT_TIMEOUT);
            }
            Phase::Ready { caller } if self.question.is_none() => {
                let (gateway, caller) = (self.gateway.clone(), Arc::clone(caller));
                self.question = Some(Box::pin(async move { Verdict::StillValid(gateway.still_valid(&caller).await) }));
            }
            _ => {}
        }
        if now - self.heard >= MAX_SILENCE || self.wire.stalled_for() >= MAX_STALL {
            // Nobody would hear a close.
            self.phase = Phase::Over;
        } else if now - self.pinged >= PING_INTERVAL {
            self.pinged = now;
            self.wire.push(Message::Ping(Bytes::new()));
        }
    }
}
