//! The state machine of one socket. Events come from the client, the operations, the check of the token,
//! the clock and the server's shutdown; none of them blocks the others.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_graphql::ServerError;
use axum::extract::ws::{Message as WsMessage, WebSocket};
use bytes::Bytes;
use futures_util::Stream;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use tokio_stream::StreamMap;
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::protocol::{self, ClientMessage, CloseReason};
use super::socket::QueuedSocket;
use crate::auth::{Caller, ClientAddress};
use crate::graphql::budget::{Budget, Permit};
use crate::graphql::error::{Code, error};
use crate::graphql::subscription::results::Batch;
use crate::graphql::subscription::turns::Turn;
use crate::graphql::transport::bearer::{self, AccessError};
use crate::graphql::transport::budgeted;
use crate::graphql::transport::callers;
use crate::graphql::transport::endpoint::Endpoint;
use crate::graphql::transport::execution::{self, Message, Transport};
use crate::graphql::transport::params::Params;
use crate::graphql::transport::responses::OperationResponse;

/// The most operations that are active on one socket.
const MAX_OPERATIONS: usize = 100;
/// The longest time from the opening of the socket to the acknowledgement.
const INIT_TIMEOUT: Duration = Duration::from_secs(10);
/// The time between two pings.
const PING_INTERVAL: Duration = Duration::from_secs(15);
/// The longest time without a message of the client, pongs included.
const MAX_SILENCE: Duration = Duration::from_secs(40);
/// The longest time in which the client's socket accepts no message.
const MAX_STALL: Duration = Duration::from_secs(30);
/// The longest time for the client to answer a close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// The time between two checks of the token, of silence and of stalls.
const TICK: Duration = Duration::from_millis(500);

enum Phase {
    /// Only `connection_init` is allowed. `caller` has the token or session of the upgrade request, if it had one.
    AwaitingInit { caller: Option<Arc<Caller>> },
    /// The token of `connection_init` is being checked.
    Authenticating,
    Acknowledged {
        caller: Arc<Caller>,
        budget: Budget,
        /// Counts the socket.
        _permit: Permit,
    },
    /// One side has closed. The queue is sent, and the client's close is awaited if the client
    /// can still be read.
    Closing { deadline: Instant, unreadable: bool },
    /// The socket can be dropped.
    Closed,
}

enum Event {
    Disconnected,
    Received(WsMessage),
    /// The client sent something that is not a message, and nothing after it can be read.
    Unreadable,
    Produced(Arc<str>, Message),
    AccessChecked(AccessCheck),
    ShuttingDown,
    Tick,
    Flushed,
}

/// The result of a check of a token.
enum AccessCheck {
    Authenticated(Result<Caller, AccessError>),
    StillValid(bool),
}

/// One socket with its operations.
pub struct Session {
    endpoint: Arc<Endpoint>,
    socket: QueuedSocket,
    address: Option<ClientAddress>,
    phase: Phase,
    operations: StreamMap<Arc<str>, BoxStream<'static, Message>>,
    /// Whether the last event came from an operation, so that everything else was polled just before it.
    produced: bool,
    /// The turn of the results that are being written.
    turn: Option<Turn>,
    /// The check in progress; there is never more than one.
    access_check: Option<BoxFuture<'static, AccessCheck>>,
    shutdown: Pin<Box<WaitForCancellationFutureOwned>>,
    ticks: Interval,
    opened: Instant,
    last_received: Instant,
    last_pinged: Instant,
}

impl Session {
    /// `caller` has the token or session of the upgrade request, if it had one.
    pub fn new(
        endpoint: Arc<Endpoint>,
        socket: WebSocket,
        address: Option<ClientAddress>,
        caller: Option<Caller>,
    ) -> Self {
        let now = Instant::now();
        let mut ticks = interval_at(now + TICK, TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            shutdown: Box::pin(endpoint.shutdown.clone().cancelled_owned()),
            endpoint,
            socket: QueuedSocket::new(socket),
            address,
            phase: Phase::AwaitingInit { caller: caller.map(Arc::new) },
            operations: StreamMap::new(),
            produced: false,
            turn: None,
            access_check: None,
            ticks,
            opened: now,
            last_received: now,
            last_pinged: now,
        }
    }

    /// Closes the socket, without having looked at anything that the client sends.
    pub async fn refuse(mut self, reason: CloseReason) {
        self.close(reason);
        self.run().await;
    }

    /// Serves the socket until it is closed.
    pub async fn run(mut self) {
        while !matches!(self.phase, Phase::Closed) {
            let event = poll_fn(|cx| self.poll_event(cx)).await;
            self.handle(event);
        }
    }

    /// Checks of the token come before operations, so that nothing is sent after the token was revoked.
    /// Operations are polled only while nothing waits to be written.
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        if self.socket.poll_write(cx).is_err() {
            return Poll::Ready(Event::Disconnected);
        }
        // Everything is written, or the client is waited for.
        self.turn = None;
        if let Phase::Closing { unreadable: true, .. } = self.phase {
            if self.socket.is_idle() {
                return Poll::Ready(Event::Flushed);
            }
            return self.ticks.poll_tick(cx).map(|_| Event::Tick);
        }
        if std::mem::take(&mut self.produced) {
            return self.poll_operations(cx);
        }
        let closing = matches!(self.phase, Phase::Closing { .. });
        if !closing && self.shutdown.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Event::ShuttingDown);
        }
        if let Some(check) = &mut self.access_check
            && let Poll::Ready(checked) = check.as_mut().poll(cx)
        {
            self.access_check = None;
            return Poll::Ready(Event::AccessChecked(checked));
        }
        if self.ticks.poll_tick(cx).is_ready() {
            return Poll::Ready(Event::Tick);
        }
        if self.socket.has_reply_room()
            && let Poll::Ready(received) = self.socket.poll_read(cx)
        {
            return Poll::Ready(match received {
                Some(Ok(message)) => Event::Received(message),
                Some(Err(_)) if !closing => Event::Unreadable,
                Some(Err(_)) | None => Event::Disconnected,
            });
        }
        let polled = self.poll_operations(cx);
        self.produced = polled.is_ready();
        polled
    }

    fn poll_operations(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        if self.socket.is_idle()
            && let Poll::Ready(Some((id, message))) = Pin::new(&mut self.operations).poll_next(cx)
        {
            return Poll::Ready(Event::Produced(id, message));
        }
        Poll::Pending
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Disconnected | Event::Flushed => self.phase = Phase::Closed,
            Event::Unreadable => self.close_unreadable(),
            Event::Received(message) => {
                self.last_received = Instant::now();
                self.receive(message);
            }
            Event::Produced(id, message) => self.send(&id, message),
            Event::AccessChecked(check) => self.apply(check),
            Event::ShuttingDown => self.close(CloseReason::GOING_AWAY),
            Event::Tick => self.tick(),
        }
    }

    fn close(&mut self, reason: CloseReason) {
        tracing::debug!(code = reason.code, "closing a WebSocket");
        metrics::counter!("muster_graphql_closures_total", "code" => reason.code.to_string()).increment(1);
        self.socket.push_last(reason.into_message());
        self.begin_closing(false);
    }

    /// Usually the connection is simply lost; a client that is still connected is told the reason.
    fn close_unreadable(&mut self) {
        self.socket.push_last(CloseReason::UNREADABLE.into_message());
        self.begin_closing(true);
    }

    fn begin_closing(&mut self, unreadable: bool) {
        self.operations.clear();
        self.access_check = None;
        self.phase = Phase::Closing { deadline: Instant::now() + CLOSE_TIMEOUT, unreadable };
    }

    fn receive(&mut self, message: WsMessage) {
        if matches!(self.phase, Phase::Closing { .. }) {
            return;
        }
        match message {
            WsMessage::Text(text) => match protocol::parse(&text) {
                Ok(message) => self.dispatch(message),
                Err(reason) => self.close(reason),
            },
            WsMessage::Binary(_) => self.close(CloseReason::NOT_TEXT),
            // The library answers pings and closes by itself.
            WsMessage::Ping(_) | WsMessage::Pong(_) => {}
            WsMessage::Close(_) => self.begin_closing(false),
        }
    }

    fn dispatch(&mut self, message: ClientMessage) {
        match message {
            ClientMessage::ConnectionInit { credentials } => self.initialise(credentials),
            ClientMessage::Ping => self.socket.push(protocol::pong()),
            ClientMessage::Pong => {}
            ClientMessage::Subscribe { id, params } => match &self.phase {
                Phase::Acknowledged { caller, budget, .. } => {
                    let (caller, budget) = (Caller::clone(caller), budget.clone());
                    self.subscribe(id, params, caller, budget);
                }
                _ => self.close(CloseReason::UNAUTHORIZED),
            },
            ClientMessage::Complete { id } => {
                self.operations.remove(id.as_str());
            }
        }
    }

    fn initialise(&mut self, credentials: Option<String>) {
        let Phase::AwaitingInit { caller } = &mut self.phase else {
            return self.close(CloseReason::TOO_MANY_INITS);
        };
        match (credentials, caller.take()) {
            (Some(credentials), _) => {
                let tokens = self.endpoint.access.tokens.clone();
                self.phase = Phase::Authenticating;
                self.access_check = Some(Box::pin(async move {
                    AccessCheck::Authenticated(bearer::authenticate(&tokens, Some(&credentials)).await)
                }));
            }
            (None, Some(caller)) => self.acknowledge(caller),
            (None, None) => self.close(CloseReason::UNAUTHORIZED),
        }
    }

    fn acknowledge(&mut self, caller: Arc<Caller>) {
        let budget = self.endpoint.budgets.of(&caller);
        match budget.socket() {
            Ok(permit) => {
                self.phase = Phase::Acknowledged { caller, budget, _permit: permit };
                self.socket.push(protocol::connection_ack());
            }
            Err(_) => self.close(CloseReason::TOO_MANY_SOCKETS),
        }
    }

    fn apply(&mut self, check: AccessCheck) {
        match check {
            AccessCheck::Authenticated(Ok(caller)) => self.acknowledge(Arc::new(caller)),
            AccessCheck::StillValid(true) => {}
            AccessCheck::Authenticated(Err(AccessError::Unavailable)) => {
                self.close(CloseReason::TRY_AGAIN_LATER);
            }
            AccessCheck::Authenticated(Err(AccessError::Refused)) => {
                self.endpoint.count_anonymous(self.address, Code::Unauthenticated);
                self.close(CloseReason::UNAUTHORIZED);
            }
            AccessCheck::StillValid(false) => self.close(CloseReason::UNAUTHORIZED),
        }
    }

    fn subscribe(&mut self, id: String, params: Params, caller: Caller, budget: Budget) {
        if self.operations.contains_key(id.as_str()) {
            return self.close(CloseReason::duplicate(&id));
        }
        match self.begin(params, caller, budget) {
            Ok(messages) => {
                self.operations.insert(id.into(), messages);
            }
            Err(error) => {
                execution::count_refused(Transport::WebSocket);
                self.socket.push(protocol::error(&id, &OperationResponse::errors([error])));
            }
        }
    }

    fn begin(
        &self,
        params: Params,
        caller: Caller,
        budget: Budget,
    ) -> Result<BoxStream<'static, Message>, ServerError> {
        if self.operations.len() >= MAX_OPERATIONS {
            return Err(error(Code::TooManyOperations, "Too many operations on this socket; end one first."));
        }
        budget.request().inspect_err(|_| self.endpoint.count_limited(&caller, self.address))?;
        let executor = &self.endpoint.executor;
        let checked = executor.check(params);
        let checked = checked.inspect_err(|error| self.endpoint.count_refused(&caller, self.address, error));
        let operation = checked?.within(budget).from(self.address);
        Ok(Box::pin(budgeted::messages(executor.clone(), caller, operation, Transport::WebSocket)?))
    }

    fn send(&mut self, id: &str, message: Message) {
        match message {
            Message::Next(Batch { results, turn }) => {
                self.turn = turn;
                for result in results {
                    self.socket.push(protocol::next(id, &result.json));
                }
            }
            // From here on, the client may use the id again.
            Message::Error(errors) => {
                self.operations.remove(id);
                self.socket.push(protocol::error(id, &errors));
            }
            Message::Complete => {
                self.operations.remove(id);
                self.socket.push(protocol::complete(id));
            }
        }
    }

    fn tick(&mut self) {
        let now = Instant::now();
        match &self.phase {
            Phase::Closing { deadline, .. } => {
                if now >= *deadline {
                    self.phase = Phase::Closed;
                }
                return;
            }
            Phase::AwaitingInit { .. } | Phase::Authenticating if now - self.opened >= INIT_TIMEOUT => {
                return self.close(CloseReason::INIT_TIMEOUT);
            }
            Phase::Acknowledged { caller, .. } if self.access_check.is_none() => {
                let (access, caller) = (self.endpoint.access.clone(), Arc::clone(caller));
                self.access_check =
                    Some(Box::pin(
                        async move { AccessCheck::StillValid(callers::still_valid(&access, &caller).await) },
                    ));
            }
            _ => {}
        }
        if now - self.last_received >= MAX_SILENCE || self.socket.stalled_for() >= MAX_STALL {
            // The client would not receive a close.
            self.phase = Phase::Closed;
        } else if now - self.last_pinged >= PING_INTERVAL {
            self.last_pinged = now;
            self.socket.push(WsMessage::Ping(Bytes::new()));
        }
    }
}
