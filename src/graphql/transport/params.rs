//! The parameters of a request, from a JSON body, a query string, or the payload of a
//! WebSocket message. Every transport accepts the same four, and is equally strict. Over HTTP, the document of a
//! persisted query may be left out.

use std::borrow::Cow;
use std::collections::HashMap;

use async_graphql::{Request, ServerError, Variables};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::graphql::error::{Code, error};
use crate::graphql::guard::persisted;

/// The parameters of one GraphQL request, which are not checked yet.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Params {
    /// The GraphQL document. Only a persisted query may come without it.
    #[serde(default)]
    query: Option<String>,
    /// The operation of the document to execute; may be absent if there is only one.
    #[serde(default)]
    pub operation_name: Option<String>,
    /// The values of the operation's variables; empty if absent or null.
    #[serde(default)]
    pub variables: Variables,
    /// Only that of persisted queries is used.
    #[serde(default)]
    extensions: Option<Map<String, Value>>,
}

impl Params {
    /// Reads the body of a POST request.
    pub fn from_body(body: &[u8]) -> Result<Self, ServerError> {
        // Serde reads a JSON array as an object whose fields stand in order.
        let params: Self = match body.trim_ascii_start().first() {
            Some(b'{') => serde_json::from_slice(body).map_err(|fault| body_error(&fault))?,
            Some(b'[') => return Err(bad_request("Batches are not supported: send one request at a time.")),
            Some(_) => return Err(bad_request("The body is not a JSON object.")),
            None => return Err(bad_request("The body is empty.")),
        };
        params.with_document(WRONG_TYPES)
    }

    /// Reads the payload of a `subscribe` message, in which the protocol demands the document.
    pub fn from_value(payload: Value) -> Result<Self, ServerError> {
        if !payload.get("query").is_some_and(Value::is_string) {
            return Err(bad_request(WRONG_TYPES));
        }
        serde_json::from_value(payload).map_err(|_| bad_request(WRONG_TYPES))
    }

    /// Refuses a request that has neither a document nor the hash of one.
    fn with_document(self, otherwise: &str) -> Result<Self, ServerError> {
        if self.query.is_some() || self.persisted_query().is_some() {
            return Ok(self);
        }
        Err(bad_request(otherwise))
    }

    fn persisted_query(&self) -> Option<&Value> {
        self.extensions.as_ref()?.get(persisted::EXTENSION).filter(|extension| !extension.is_null())
    }

    /// Reads the query string of a GET request. Parameters that GraphQL does not know are ignored.
    pub fn from_query_string(text: &str) -> Result<Self, ServerError> {
        let mut found: HashMap<&'static str, Cow<'_, str>> = HashMap::new();
        for (key, value) in url::form_urlencoded::parse(text.as_bytes()) {
            let Some(key) =
                ["query", "operationName", "variables", "extensions"].into_iter().find(|known| *known == key)
            else {
                continue;
            };
            if found.insert(key, value).is_some() {
                return Err(bad_request("A parameter of the query string occurs twice."));
            }
        }
        let params = Self {
            query: found.remove("query").map(Cow::into_owned),
            operation_name: found.remove("operationName").map(Cow::into_owned),
            variables: json_parameter(found.get("variables"))?.unwrap_or_default(),
            extensions: json_parameter(found.get("extensions"))?,
        };
        params.with_document("The parameter query is missing.")
    }
}

impl From<Params> for Request {
    fn from(params: Params) -> Self {
        let persisted = params.persisted_query().cloned();
        let mut request = Request::new(params.query.unwrap_or_default()).variables(params.variables);
        request.operation_name = params.operation_name;
        if let Some(Ok(extension)) = persisted.map(async_graphql::Value::from_json) {
            request.extensions.0.insert(persisted::EXTENSION.to_owned(), extension);
        }
        request
    }
}

const WRONG_TYPES: &str =
    "query must be a string, operationName a string or null, variables and extensions objects or null.";

fn bad_request(message: impl Into<String>) -> ServerError {
    error(Code::BadRequest, message)
}

/// Gives the position of the fault and none of the text, which may be long or secret.
fn body_error(fault: &serde_json::Error) -> ServerError {
    match fault.classify() {
        serde_json::error::Category::Data => bad_request(WRONG_TYPES),
        _ => bad_request(format!("The body is not valid JSON: see line {}, column {}.", fault.line(), fault.column())),
    }
}

fn json_parameter<T: for<'de> Deserialize<'de>>(text: Option<&Cow<'_, str>>) -> Result<Option<T>, ServerError> {
    match text.map(|text| text.trim()) {
        None | Some("" | "null") => Ok(None),
        Some(text) if text.starts_with('{') => serde_json::from_str(text)
            .map(Some)
            .map_err(|_| bad_request("A parameter of the query string is not valid JSON.")),
        Some(_) => Err(bad_request("The parameters variables and extensions must be JSON objects.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_may_leave_out_or_null_everything_but_the_query() {
        for body in [
            r#"{"query":"{a}"}"#,
            r#" {"query":"{a}","operationName":null,"variables":null,"extensions":null}"#,
            r#"{"query":"{a}","extensions":{"some":"value"},"unknown":[1]}"#,
        ] {
            let params = Params::from_body(body.as_bytes()).expect(body);
            assert_eq!(params.query.as_deref(), Some("{a}"));
            assert!(params.operation_name.is_none() && params.variables.is_empty());
        }
    }

    #[test]
    fn other_types_batches_and_doubles_are_refused_without_an_echo() {
        for body in [
            "",
            "null",
            "1",
            r#""text""#,
            "[]",
            r#"[{"query":"{a}"}]"#,
            r#"["{a}"]"#,
            r#"{"query":"#,
            r#"{"notquery":"{a}"}"#,
            r#"{"query":null}"#,
            r#"{"extensions":{"persistedQuery":null}}"#,
            r#"{"query":5,"extensions":{"persistedQuery":{}}}"#,
            r#"{"query":["CANARY"]}"#,
            r#"{"query":"{a}","operationName":3}"#,
            r#"{"query":"{a}","variables":"CANARY"}"#,
            r#"{"query":"{a}","variables":[1]}"#,
            r#"{"query":"{a}","extensions":false}"#,
            r#"{"query":"{a}","extensions":["CANARY"]}"#,
            r#"{"query":"{a}","query":"{b}"}"#,
        ] {
            let refusal = Params::from_body(body.as_bytes()).err().expect(body);
            assert!(!refusal.message.contains("CANARY"), "{}", refusal.message);
        }
    }

    #[test]
    fn a_persisted_query_may_leave_out_its_document_over_http_only() {
        let params = r#"{"extensions":{"persistedQuery":{"version":1,"sha256Hash":"00"}}}"#;
        let posted = Params::from_body(params.as_bytes()).expect("a hash is enough");
        assert_eq!(Request::from(posted).extensions.0.len(), 1);
        let text = "extensions=%7B%22persistedQuery%22%3A%7B%22version%22%3A1%2C%22sha256Hash%22%3A%2200%22%7D%7D";
        assert!(Params::from_query_string(text).expect("a hash is enough").query.is_none());
        assert!(Params::from_value(serde_json::from_str(params).expect("JSON")).is_err());
    }

    #[test]
    fn deep_variables_are_refused_before_they_exhaust_the_stack() {
        let deep = format!(r#"{{"query":"{{a}}","variables":{{"a":{}{}}}}}"#, "[".repeat(100_000), "]".repeat(100_000));
        assert!(Params::from_body(deep.as_bytes()).is_err());
    }

    #[test]
    fn a_query_string_carries_the_same_parameters() {
        let params = Params::from_query_string("query=%7Ba%7D&operationName=A&variables=%7B%22n%22%3A1%7D&token=x")
            .expect("valid");
        assert_eq!(params.query.as_deref(), Some("{a}"));
        assert_eq!(params.operation_name.as_deref(), Some("A"));
        assert_eq!(params.variables.len(), 1);
        for bad in ["", "query=a&query=b", "query=a&variables=%5B1%5D", "query=a&variables=%7B"] {
            assert!(Params::from_query_string(bad).is_err(), "{bad}");
        }
    }
}
