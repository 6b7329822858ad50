//! The messages and close codes of the graphql-transport-ws protocol.

use std::borrow::Cow;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::graphql::transport::params::Params;

/// The longest id of an operation, in bytes.
const MAX_ID_BYTES: usize = 256;
/// The longest reason for a close, in bytes, by RFC 6455.
const MAX_REASON_BYTES: usize = 123;

/// A message of the client.
pub enum ClientMessage {
    /// `credentials` is the value of the key `authorization` in the payload.
    ConnectionInit {
        credentials: Option<String>,
    },
    Ping,
    Pong,
    Subscribe {
        id: String,
        params: Params,
    },
    Complete {
        id: String,
    },
}

/// Why the server closes a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseReason {
    pub code: u16,
    text: Cow<'static, str>,
}

impl CloseReason {
    pub const UNAUTHORIZED: Self =
        Self::new(4401, "Unauthorized: this token or session is not accepted. It may be mistyped, revoked or expired.");
    pub const OTHER_PROTOCOL: Self = Self::invalid("The only sub-protocol is graphql-transport-ws.");
    pub const INIT_TIMEOUT: Self = Self::new(4408, "Connection initialisation timeout");
    pub const TOO_MANY_INITS: Self = Self::new(4429, "Too many initialisation requests");
    pub const TOO_MANY_SOCKETS: Self = Self::new(4429, "Too many sockets of this token or member: close one first.");
    pub const GOING_AWAY: Self = Self::new(1001, "The server is stopping");
    pub const TRY_AGAIN_LATER: Self = Self::new(1013, "The token or session cannot be checked at the moment");
    pub const UNREADABLE: Self = Self::invalid("Invalid message: not readable, or too large");
    pub const NOT_TEXT: Self = Self::invalid("Invalid message: not text");

    const fn new(code: u16, text: &'static str) -> Self {
        Self { code, text: Cow::Borrowed(text) }
    }

    const fn invalid(text: &'static str) -> Self {
        Self::new(4400, text)
    }

    /// The client started a second operation with the id of an active one.
    pub fn duplicate(id: &str) -> Self {
        let room = MAX_REASON_BYTES - "Subscriber for  already exists".len();
        let shown = &id[..id.floor_char_boundary(room)];
        Self { code: 4409, text: format!("Subscriber for {shown} already exists").into() }
    }

    pub fn into_message(self) -> Message {
        let reason = match self.text {
            Cow::Borrowed(text) => Utf8Bytes::from_static(text),
            Cow::Owned(text) => text.into(),
        };
        Message::Close(Some(CloseFrame { code: self.code, reason }))
    }
}

#[derive(Deserialize)]
struct Envelope {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    id: Option<Value>,
    #[serde(default)]
    payload: Option<Value>,
}

/// Reads a message of the client. A message that the protocol does not define closes the socket.
pub fn parse(text: &str) -> Result<ClientMessage, CloseReason> {
    let Envelope { kind, id, payload } = envelope(text)?;
    match kind.as_str() {
        "connection_init" => Ok(ClientMessage::ConnectionInit { credentials: credentials(payload)? }),
        "ping" => Ok(ClientMessage::Ping),
        "pong" => Ok(ClientMessage::Pong),
        "subscribe" => Ok(ClientMessage::Subscribe { id: operation_id(id)?, params: params(payload)? }),
        "complete" => Ok(ClientMessage::Complete { id: operation_id(id)? }),
        _ => Err(CloseReason::invalid("Invalid message: unknown type")),
    }
}

fn envelope(text: &str) -> Result<Envelope, CloseReason> {
    // Serde reads a JSON array as an object whose fields stand in order.
    let object = text.trim_ascii_start().starts_with('{');
    let envelope = object.then(|| serde_json::from_str(text).ok()).flatten();
    envelope.ok_or(CloseReason::invalid("Invalid message: not a JSON object with a type"))
}

fn credentials(payload: Option<Value>) -> Result<Option<String>, CloseReason> {
    match payload {
        None => Ok(None),
        Some(Value::Object(mut payload)) => {
            match payload.remove("authorization").or_else(|| payload.remove("Authorization")) {
                None | Some(Value::Null) => Ok(None),
                Some(Value::String(credentials)) => Ok(Some(credentials)),
                Some(_) => Err(CloseReason::invalid("Invalid message: authorization must be a string")),
            }
        }
        Some(_) => Err(CloseReason::invalid("Invalid message: the payload must be an object")),
    }
}

fn params(payload: Option<Value>) -> Result<Params, CloseReason> {
    let params = payload.and_then(|payload| Params::from_value(payload).ok());
    params.ok_or(CloseReason::invalid("Invalid message: the payload is not a GraphQL request"))
}

fn operation_id(id: Option<Value>) -> Result<String, CloseReason> {
    match id {
        Some(Value::String(id)) if !id.is_empty() && id.len() <= MAX_ID_BYTES => Ok(id),
        _ => Err(CloseReason::invalid("Invalid message: the id must be a string, neither empty nor too long")),
    }
}

pub fn connection_ack() -> Message {
    Message::Text(Utf8Bytes::from_static(r#"{"type":"connection_ack"}"#))
}

pub fn pong() -> Message {
    Message::Text(Utf8Bytes::from_static(r#"{"type":"pong"}"#))
}

/// A result. `json` goes into the message as it is.
pub fn next(id: &str, json: &Bytes) -> Message {
    with_payload("next", id, json)
}

/// The end of an operation that was not executed; `errors` is a JSON array.
pub fn error(id: &str, errors: &Bytes) -> Message {
    with_payload("error", id, errors)
}

pub fn complete(id: &str) -> Message {
    Message::Text(json!({ "type": "complete", "id": id }).to_string().into())
}

fn with_payload(kind: &str, id: &str, payload: &Bytes) -> Message {
    let mut text = Vec::with_capacity(48 + id.len() + payload.len());
    for part in [r#"{"type":""#, kind, r#"","id":"#] {
        text.extend_from_slice(part.as_bytes());
    }
    // A vector takes every write.
    let _always_written = serde_json::to_writer(&mut text, id);
    text.extend_from_slice(br#","payload":"#);
    text.extend_from_slice(payload);
    text.push(b'}');
    // JSON is always UTF-8, so that the other branch is never taken.
    Utf8Bytes::try_from(text).map_or_else(|_| complete(id), Message::Text)
}

#[cfg(test)]
mod tests {
    use async_graphql::Request;

    use super::*;

    fn close_reason(text: &str) -> CloseReason {
        parse(text).err().unwrap_or_else(|| panic!("accepted: {text}"))
    }

    #[test]
    fn the_messages_of_the_protocol_are_understood() {
        let init = r#"{"type":"connection_init","payload":{"authorization":"Bearer x"}}"#;
        assert!(matches!(
            parse(init),
            Ok(ClientMessage::ConnectionInit { credentials: Some(token) }) if token == "Bearer x"
        ));
        for bare in [r#"{"type":"connection_init"}"#, r#" {"type":"connection_init","payload":null}"#] {
            let message = parse(bare);
            assert!(matches!(message, Ok(ClientMessage::ConnectionInit { credentials: None })));
        }
        let subscribe = r#"{"id":"1","type":"subscribe","payload":{"query":"{a}","variables":{"a":1}}}"#;
        let Ok(ClientMessage::Subscribe { id, params }) = parse(subscribe) else { panic!("refused") };
        assert_eq!((id.as_str(), Request::from(params).query.as_str()), ("1", "{a}"));
        assert!(matches!(parse(r#"{"type":"ping","payload":{}}"#), Ok(ClientMessage::Ping)));
        assert!(matches!(parse(r#"{"type":"complete","id":"1"}"#), Ok(ClientMessage::Complete { .. })));
    }

    #[test]
    fn everything_else_closes_with_4400() {
        let deep = "[".repeat(100_000);
        let long = format!(r#"{{"type":"complete","id":"{}"}}"#, "x".repeat(MAX_ID_BYTES + 1));
        for text in [
            "",
            "null",
            "[]",
            r#"["ping"]"#,
            r#""x""#,
            "{}",
            r#"{"type":"#,
            &deep,
            &long,
            r#"{"type":"nope"}"#,
            r#"{"type":"start","id":"1","payload":{"query":"{a}"}}"#,
            r#"{"type":"connection_init","payload":"x"}"#,
            r#"{"type":"connection_init","payload":{"authorization":1}}"#,
            r#"{"type":"subscribe","payload":{"query":"{a}"}}"#,
            r#"{"type":"subscribe","id":1,"payload":{"query":"{a}"}}"#,
            r#"{"type":"subscribe","id":"","payload":{"query":"{a}"}}"#,
            r#"{"type":"subscribe","id":"1"}"#,
            r#"{"type":"subscribe","id":"1","payload":{"query":5}}"#,
            r#"{"type":"subscribe","id":"1","payload":["{a}"]}"#,
            r#"{"type":"subscribe","id":"1","payload":{"query":"{a}","variables":"x"}}"#,
            r#"{"type":"complete"}"#,
            r#"{"type":"ping","type":"pong"}"#,
        ] {
            let reason = close_reason(text);
            assert_eq!(reason.code, 4400, "{text}");
            assert!(reason.text.len() <= MAX_REASON_BYTES);
        }
    }

    #[test]
    fn a_payload_is_spliced_and_an_id_escaped() {
        let payload = Bytes::from_static(br#"{"data":{"a":1.0}}"#);
        let Message::Text(text) = next("a\"b", &payload) else { panic!("not text") };
        assert_eq!(text, r#"{"type":"next","id":"a\"b","payload":{"data":{"a":1.0}}}"#);
    }

    #[test]
    fn a_reason_fits_its_frame_whatever_the_id() {
        for reason in [CloseReason::UNAUTHORIZED, CloseReason::TOO_MANY_SOCKETS] {
            assert!(reason.text.len() <= MAX_REASON_BYTES, "{}", reason.text);
        }
        let reason = CloseReason::duplicate(&"é".repeat(128));
        assert!(reason.text.len() <= MAX_REASON_BYTES && reason.text.ends_with("exists"));
        assert_eq!(CloseReason::duplicate("7").text, "Subscriber for 7 already exists");
    }
}
