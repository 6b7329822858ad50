//! Records what an application answers, and plays it back.

use std::collections::VecDeque;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use url::Url;

use crate::engine::{Client, Request, Response, Share, Transport, TransportError, parse_body};

/// What was asked, and what the application answered.
pub struct Exchanged {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// The exchanges so far, in their order.
pub type Log = Arc<Mutex<Vec<Exchanged>>>;

/// Records all exchanges of a client.
pub fn recorded(client: Client) -> (Client, Log) {
    let log = Log::default();
    let shared = Arc::clone(&log);
    let client = client.wrapped(|inner| Arc::new(Capture { inner, log: shared, turn: tokio::sync::Mutex::default() }));
    (client, log)
}

struct Capture {
    inner: Arc<dyn Transport>,
    log: Log,
    /// One request is sent at a time, so that the order is the one in which the engine asks.
    turn: tokio::sync::Mutex<()>,
}

#[async_trait]
impl Transport for Capture {
    async fn send(&self, request: Request, share: &mut Share) -> Result<Response, TransportError> {
        let _turn = self.turn.lock().await;
        let (method, url) = (request.method.clone(), request.url.clone());
        // Without a response there is nothing to record, and the request is sent again.
        let response = self.inner.send(request, share).await?;
        let (status, headers, body) = (response.status, response.headers.clone(), response.body.clone());
        self.log.lock().push(Exchanged { method, url, status, headers, body });
        Ok(response)
    }
}

impl Exchanged {
    /// The body as JSON, as the engine reads it.
    pub(super) fn json(&self) -> Option<Value> {
        let content_type = self.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let document = parse_body(&self.body, self.status, content_type).ok()?;
        Some(document.into_value())
    }

    /// Whether the application may answer otherwise if it is asked again.
    pub(super) fn may_pass(&self) -> bool {
        matches!(self.status.as_u16(), 408 | 429) || self.status.is_server_error()
    }

    pub(super) fn asks_the_same(&self, other: &Self) -> bool {
        self.method == other.method && self.url == other.url
    }
}

/// An answer without people and secrets.
#[derive(Clone)]
pub(super) struct Disguised {
    pub status: StatusCode,
    pub headers: Vec<(String, String)>,
    /// JSON, or else text.
    pub body: Result<Value, String>,
}

/// Answers with what was recorded, in the same order, and keeps what the engine asked.
pub(super) struct Playback(Mutex<Played>);

#[derive(Default)]
pub(super) struct Played {
    pub left: VecDeque<Disguised>,
    pub made: Vec<(Request, Disguised)>,
    /// More was asked than was recorded.
    pub is_short: bool,
}

impl Playback {
    pub fn new(answers: Vec<Disguised>) -> Self {
        Self(Mutex::new(Played { left: answers.into(), ..Played::default() }))
    }

    pub fn take(&self) -> Played {
        std::mem::take(&mut *self.0.lock())
    }
}

#[async_trait]
impl Transport for Playback {
    async fn send(&self, request: Request, _: &mut Share) -> Result<Response, TransportError> {
        let mut played = self.0.lock();
        let Some(answer) = played.left.pop_front() else {
            played.is_short = true;
            return Err(TransportError::Blocked);
        };
        let response = answer.response();
        played.made.push((request, answer));
        Ok(response)
    }
}

impl Disguised {
    fn response(&self) -> Response {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse()) {
                headers.append(name, value);
            }
        }
        let (kind, body) = match &self.body {
            Ok(json) => ("application/json", json.to_string()),
            Err(text) => ("text/plain; charset=utf-8", text.clone()),
        };
        if !headers.contains_key(CONTENT_TYPE) {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        }
        Response { status: self.status, headers, body: body.into_bytes() }
    }
}
