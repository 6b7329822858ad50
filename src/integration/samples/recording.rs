//! Answers the requests of a replay from the recorded exchanges, and compares them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use async_trait::async_trait;
use parking_lot::Mutex;
use percent_encoding::percent_decode_str;
use regex::Regex;
use serde_json::Value;
use serde_saphyr::{Location, Spanned};
use url::Url;

use super::format::{Call, Exchange};
use crate::engine::{Body, Request, Response, Share, Transport, TransportError};
use crate::manifest::Manifest;
use crate::manifest::template::Part;

/// Parameters of a form that are generated anew each time, so that a sample need not contain them.
pub(super) const GENERATED: [&str; 4] = ["assertion", "client_assertion", "code_verifier", "jti"];

/// The exchanges of one case.
pub(super) struct Recording {
    exchanges: Vec<Spanned<Exchange>>,
    /// Patterns of the paths of `details`, whose requests may be sent in any order.
    details: Vec<Regex>,
    progress: Mutex<Progress>,
}

#[derive(Default)]
struct Progress {
    /// Whether each exchange has taken place.
    made: Vec<bool>,
    /// The addresses that a body was sent to.
    sent: BTreeSet<String>,
    /// With the location in the file, if a fault is about an exchange.
    faults: Vec<(Option<Location>, String)>,
    /// After an unexpected request nothing else is compared.
    unexpected: bool,
}

impl Recording {
    pub fn new(exchanges: &[Spanned<Exchange>], manifest: &Manifest) -> Self {
        let details = manifest.users.details.values().filter_map(|detail| {
            let parts = detail.value.path.value.parts().iter().map(|part| match part {
                Part::Text(text) => regex::escape(text),
                Part::Config(..) | Part::Found(_) | Part::Record(_) | Part::Token => "[^/]+".to_owned(),
            });
            Regex::new(&format!("{}$", parts.collect::<String>())).ok()
        });
        let progress = Progress { made: vec![false; exchanges.len()], ..Progress::default() };
        Self { details: details.collect(), exchanges: exchanges.to_vec(), progress: Mutex::new(progress) }
    }

    pub fn has_unexpected_request(&self) -> bool {
        self.progress.lock().unexpected
    }

    /// How the requests differ from the file. `case` is the location of the case.
    pub fn faults(&self, case: Location) -> Vec<(Location, String)> {
        let progress = self.progress.lock();
        progress.faults.iter().map(|(at, message)| (at.unwrap_or(case), message.clone())).collect()
    }

    /// The addresses that a body was sent to.
    pub fn sent(&self) -> BTreeSet<String> {
        self.progress.lock().sent.clone()
    }

    /// A fault for each request that was not sent.
    pub fn missing_requests(&self) -> Vec<(Location, String)> {
        let progress = self.progress.lock();
        let left = self.exchanges.iter().zip(&progress.made).filter(|(_, made)| !**made);
        left.map(|(exchange, _)| {
            let call = &exchange.value.call;
            (call.referenced, format!("this request was not sent: {}", call.value))
        })
        .collect()
    }

    fn is_detail(&self, exchange: &Exchange) -> bool {
        self.details.iter().any(|detail| detail.is_match(exchange.call.value.url.path()))
    }

    /// The exchange for a request: the next one, or any of the next ones that belong to `details`.
    fn find(&self, request: &Call, made: &[bool]) -> Option<usize> {
        let mut remaining = (0..self.exchanges.len()).filter(|number| !made[*number]).peekable();
        let any_order = self.is_detail(&self.exchanges[*remaining.peek()?].value);
        let mut candidates = remaining
            .enumerate()
            .take_while(|(index, number)| *index == 0 || (any_order && self.is_detail(&self.exchanges[*number].value)));
        candidates
            .find_map(|(_, number)| same_request(request, &self.exchanges[number].value.call.value).then_some(number))
    }

    /// How the body and the headers of a request differ from the exchange.
    fn differences(exchange: &Exchange, request: &Request) -> Vec<String> {
        let headers = exchange.headers.iter().filter_map(|(name, expected)| {
            let got: Vec<_> =
                request.headers.get_all(name.as_str()).iter().filter_map(|value| value.to_str().ok()).collect();
            let got = if got.is_empty() { "no such header".to_owned() } else { format!("“{}”", got.join(", ")) };
            (got != format!("“{expected}”")).then(|| format!("header {name}: expected “{expected}”, got {got}"))
        });
        body_differences(exchange, request.body.as_ref()).into_iter().chain(headers).collect()
    }
}

#[async_trait]
impl Transport for Recording {
    async fn send(&self, request: Request, _: &mut Share) -> Result<Response, TransportError> {
        let mut progress = self.progress.lock();
        if progress.unexpected {
            return Err(TransportError::Blocked);
        }
        let call = Call { method: request.method.clone(), url: request.url.clone() };
        let Some(number) = self.find(&call, &progress.made) else {
            progress.unexpected = true;
            let next = (0..self.exchanges.len()).find(|number| !progress.made[*number]);
            let fault = match next.map(|number| &self.exchanges[number].value.call) {
                Some(next) => (Some(next.referenced), request_difference(&next.value, &call)),
                None => (None, format!("an unexpected request was sent at the end: {call}")),
            };
            progress.faults.push(fault);
            return Err(TransportError::Blocked);
        };
        progress.made[number] = true;
        if request.body.is_some() {
            progress.sent.insert(call.address());
        }
        let exchange = &self.exchanges[number].value;
        let at = exchange.call.referenced;
        let differences = Self::differences(exchange, &request);
        progress.faults.extend(
            differences.into_iter().map(|difference| (Some(at), format!("{}: {difference}", exchange.call.value))),
        );
        let answer = &exchange.answer.value;
        Ok(Response { status: answer.status(), headers: answer.headers().unwrap_or_default(), body: answer.bytes() })
    }
}

impl std::fmt::Display for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, self.url)
    }
}

fn same_request(one: &Call, other: &Call) -> bool {
    one.method == other.method && one.url.origin() == other.url.origin() && parts(&one.url) == parts(&other.url)
}

/// The decoded segments of the path, and the sorted parameters.
fn parts(url: &Url) -> (Vec<String>, Vec<(String, String)>) {
    let decoded = |part: &str| percent_decode_str(part).decode_utf8_lossy().into_owned();
    let mut query: Vec<(String, String)> = url.query_pairs().map(|(k, v)| (k.into_owned(), v.into_owned())).collect();
    query.sort();
    (url.path().split('/').map(decoded).collect(), query)
}

fn request_difference(expected: &Call, got: &Call) -> String {
    let mut message = format!("another request was sent\n    expected  {expected}\n    got       {got}");
    let ((path, query), (got_path, got_query)) = (parts(&expected.url), parts(&got.url));
    let same_place = expected.method == got.method && expected.url.origin() == got.url.origin() && path == got_path;
    if same_place {
        for (name, value) in query.iter().filter(|pair| !got_query.contains(pair)) {
            let _ = write!(message, "\n    missing   {name}={value}");
        }
        for (name, value) in got_query.iter().filter(|pair| !query.contains(pair)) {
            let _ = write!(message, "\n    extra     {name}={value}");
        }
    }
    message
}

/// How the body of a request differs from the file.
fn body_differences(exchange: &Exchange, body: Option<&Body>) -> Vec<String> {
    match (&exchange.json, &exchange.form, body) {
        // It is enough if one exchange per address has a body; otherwise it is reported as a gap.
        (None, None, _) => Vec::new(),
        (Some(expected), _, Some(Body::Json(got))) => {
            let mut found = Vec::new();
            json_differences("json", Some(expected), Some(got), &mut found);
            found
        }
        (None, Some(expected), Some(Body::Form(got))) => {
            let mut sent: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
            for (name, value) in got {
                sent.entry(name).or_default().push(value);
            }
            let mut found = Vec::new();
            for (name, values) in expected {
                let values: Vec<&str> = values.0.iter().map(String::as_str).collect();
                match sent.remove(name.as_str()) {
                    Some(got) if got == values => {}
                    Some(got) => {
                        found.push(format!("form {name}: expected “{}”, got “{}”", values.join(", "), got.join(", ")));
                    }
                    None => found.push(format!("form {name}: expected “{}”, got no such parameter", values.join(", "))),
                }
            }
            sent.retain(|name, _| !GENERATED.contains(name));
            found.extend(
                sent.iter()
                    .map(|(name, got)| format!("form {name}: expected no such parameter, got “{}”", got.join(", "))),
            );
            found
        }
        (_, _, Some(Body::Json(got))) => vec![format!("expected a form, got a JSON body: {got}")],
        (_, _, Some(Body::Form(got))) => {
            let shown: Vec<String> = got.iter().map(|(name, value)| format!("{name}: {value:?}")).collect();
            vec![format!("expected a JSON body, got a form: {{{}}}", shown.join(", "))]
        }
        (_, _, Some(Body::WrittenJson(got))) => vec![format!("expected another body, got written JSON: {got}")],
        (_, _, None) => vec!["expected a body, got none".to_owned()],
    }
}

/// The members in which two JSON values differ.
fn json_differences(at: &str, expected: Option<&Value>, got: Option<&Value>, found: &mut Vec<String>) {
    match (expected, got) {
        (Some(Value::Object(expected)), Some(Value::Object(got))) => {
            for (name, value) in expected {
                json_differences(&format!("{at}.{name}"), Some(value), got.get(name), found);
            }
            for (name, value) in got.iter().filter(|(name, _)| !expected.contains_key(*name)) {
                json_differences(&format!("{at}.{name}"), None, Some(value), found);
            }
        }
        (Some(Value::Array(expected)), Some(Value::Array(got))) if expected.len() == got.len() => {
            for (number, (expected, got)) in expected.iter().zip(got).enumerate() {
                json_differences(&format!("{at}[{number}]"), Some(expected), Some(got), found);
            }
        }
        (expected, got) if expected == got => {}
        (expected, got) => {
            let shown = |value: Option<&Value>| value.map_or("nothing".to_owned(), Value::to_string);
            found.push(format!("{at}: expected {}, got {}", shown(expected), shown(got)));
        }
    }
}
