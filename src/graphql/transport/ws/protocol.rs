//! The messages and close codes of the graphql-transport-ws protocol.

use std::borrow::Cow;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::graphql::transport::params::Params;

/// The name of the sub-protocol; there is no other.
pub const SUBPROTOCOL: &str = "graphql-transport-ws";

/// The longest id that a client may give an operation, in bytes.
const MAX_ID_BYTES: usize = 256;
/// RFC 6455 leaves 123 bytes for a reason.
const MAX_REASON_BYTES: usize = 123;

/// What a client says.
pub enum ClientMessage {
    /// With the credentials of the key `authorization`, if its payload has one.
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

/// Why we close a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closure {
    pub code: u16,
    reason: Cow<'static, str>,
}

impl Closure {
    pub const UNAUTHORIZED: Self = Self::new(4401, "Unauthorized");
    pub const INIT_TIMEOUT: Self = Self::new(4408, "Connection initialisation timeout");
    pub const TOO_MANY_INITS: Self = Self::new(4429, "Too many initialisation requests");
    pub const GOING_AWAY: Self = Self::new(1001, "The server is stopping");
    pub const TRY_AGAIN_LATER: Self = Self::new(1013, "The token cannot be checked at the moment");
    pub const UNREADABLE: Self = Self::invalid("Invalid message: broken, or larger than 256 KiB");
    pub const NOT_TEXT: Self = Self::invalid("Invalid message: only text is understood");

    const fn new(code: u16, reason: &'static str) -> Self {
        Self { code, reason: Cow::Borrowed(reason) }
    }

    const fn invalid(reason: &'static str) -> Self {
        Self::new(4400, reason)
    }

    /// A second operation with the id of one that is still active.
    pub fn duplicate(id: &str) -> Self {
        let room = MAX_REASON_BYTES - "Subscriber for  already exists".len();
        let shown = &id[..id.floor_char_boundary(room)];
        Self { code: 4409, reason: format!("Subscriber for {shown} already exists").into() }
    }

    pub fn into_message(self) -> Message {
        let reason = match self.reason {
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

/// Reads a message. Whatever the protocol does not know is a reason to close.
pub fn parse(text: &str) -> Result<ClientMessage, Closure> {
    // A JSON array would otherwise pass for an object whose members stand in order.
    let envelope = text
        .trim_ascii_start()
        .starts_with('{')
        .then(|| serde_json::from_str::<Envelope>(text).ok())
        .flatten()
        .ok_or(Closure::invalid("Invalid message: not a JSON object with a type"))?;
    let Envelope { kind, id, payload } = envelope;
    match kind.as_str() {
        "connection_init" => Ok(ClientMessage::ConnectionInit { credentials: credentials(payload)? }),
        "ping" => Ok(ClientMessage::Ping),
        "pong" => Ok(ClientMessage::Pong),
        "subscribe" => {
            let id = operation_id(id)?;
            let params = payload
                .and_then(|payload| Params::from_value(payload).ok())
                .ok_or(Closure::invalid("Invalid message: the payload is not a GraphQL request"))?;
            Ok(ClientMessage::Subscribe { id, params })
        }
        "complete" => Ok(ClientMessage::Complete { id: operation_id(id)? }),
        _ => Err(Closure::invalid("Invalid message: unknown type")),
    }
}

fn credentials(payload: Option<Value>) -> Result<Option<String>, Closure> {
    match payload {
        None => Ok(None),
        Some(Value::Object(mut payload)) => {
            match payload.remove("authorization").or_else(|| payload.remove("Authorization")) {
                None | Some(Value::Null) => Ok(None),
                Some(Value::String(credentials)) => Ok(Some(credentials)),
                Some(_) => Err(Closure::invalid("Invalid message: authorization must be a string")),
            }
        }
        Some(_) => Err(Closure::invalid("Invalid message: the payload must be an object")),
    }
}

fn operation_id(id: Option<Value>) -> Result<String, Closure> {
    match id {
        Some(Value::String(id)) if !id.is_empty() && id.len() <= MAX_ID_BYTES => Ok(id),
        _ => Err(Closure::invalid("Invalid message: the id must be a string of 1 to 256 bytes")),
    }
}

pub fn connection_ack() -> Message {
    Message::Text(Utf8Bytes::from_static(r#"{"type":"connection_ack"}"#))
}

pub fn pong() -> Message {
    Message::Text(Utf8Bytes::from_static(r#"{"type":"pong"}"#))
}

/// A result. The payload is JSON already and goes into the message as it is.
pub fn next(id: &str, payload: &Bytes) -> Message {
    with_payload("next", id, payload)
}

/// The end of an operation that was not executed; `errors` is a JSON array.
pub fn error(id: &str, errors: &Bytes) -> Message {
    with_payload("error", id, errors)
}

pub fn complete(id: &str) -> Message {
    Message::Text(json!({ "type": "complete", "id": id }).to_string().into())
}

fn with_payload(kind: &str, id: &str, payload: &Bytes) -> Message {
    let id = Value::from(id).to_string();
    let text =
        [br#"{"type":""#, kind.as_bytes(), br#"","id":"#, id.as_bytes(), br#","payload":"#, payload.as_ref(), b"}"]
            .concat();
    // JSON is UTF-8 by definition, so the other branch is never taken.
    Utf8Bytes::try_from(text).map_or_else(|_| complete(&id), Message::Text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closure(text: &str) -> Closure {
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
        assert!(matches!(
            parse(subscribe),
            Ok(ClientMessage::Subscribe { id, params }) if id == "1" && params.query == "{a}"
        ));
        assert!(matches!(parse(r#"{"type":"ping","payload":{}}"#), Ok(ClientMessage::Ping)));
        assert!(matches!(parse(r#"{"type":"complete","id":"1"}"#), Ok(ClientMessage::Complete { .. })));
    }

    #[test]
    fn everything_else_closes_with_4400() {
        let deep = "[".repeat(100_000);
        let long = format!(r#"{{"type":"complete","id":"{}"}}"#, "x".repeat(257));
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
            let closure = closure(text);
            assert_eq!(closure.code, 4400, "{text}");
            assert!(closure.reason.len() <= MAX_REASON_BYTES);
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
        let closure = Closure::duplicate(&"é".repeat(128));
        assert!(closure.reason.len() <= MAX_REASON_BYTES && closure.reason.ends_with("exists"));
        assert_eq!(Closure::duplicate("7").reason, "Subscriber for 7 already exists");
    }
}
