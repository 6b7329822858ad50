//! The network of a play: a recording answers in place of the application.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Mutex;

use async_trait::async_trait;
use percent_encoding::percent_decode_str;
use regex::Regex;
use serde_json::Value;
use serde_saphyr::{Location, Spanned};
use url::Url;

use super::format::{Exchange, Request};
use crate::engine::{Answer, Body, Call, CallError, Transport};
use crate::manifest::Manifest;
use crate::manifest::template::Part;

/// Parameters of a form that are made anew each time, so that a sample need not have them.
const MADE_ANEW: [&str; 4] = ["assertion", "client_assertion", "code_verifier", "jti"];

/// The exchanges of one case.
pub(super) struct Recording {
    exchanges: Vec<Spanned<Exchange>>,
    /// Which paths are calls per user, whose order is not written.
    details: Vec<Regex>,
    progress: Mutex<Progress>,
}

#[derive(Default)]
struct Progress {
    made: Vec<bool>,
    sent: BTreeSet<String>,
    /// Each with its place, if it is about something that is written.
    faults: Vec<(Option<Location>, String)>,
    /// After a call that is not written nothing else is compared.
    astray: bool,
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

    /// Whether a call that is not written was made.
    pub fn astray(&self) -> bool {
        self.progress().astray
    }

    /// In what the calls differ from those written; `case` is where the case is written.
    pub fn faults(&self, case: Location) -> Vec<(Location, String)> {
        let progress = self.progress();
        progress.faults.iter().map(|(at, message)| (at.unwrap_or(case), message.clone())).collect()
    }

    /// The addresses that something was sent to.
    pub fn sent(&self) -> BTreeSet<String> {
        self.progress().sent.clone()
    }

    /// The calls that were not made.
    pub fn left(&self) -> Vec<(Location, String)> {
        let progress = self.progress();
        let left = self.exchanges.iter().zip(&progress.made).filter(|(_, made)| !**made);
        left.map(|(exchange, _)| {
            let call = &exchange.value.call;
            (call.referenced, format!("this call was not made: {}", call.value))
        })
        .collect()
    }

    fn progress(&self) -> std::sync::MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn is_detail(&self, exchange: &Exchange) -> bool {
        self.details.iter().any(|detail| detail.is_match(exchange.call.value.url.path()))
    }

    /// The exchange that answers a call: the next one, or any of a row of calls per user.
    fn find(&self, call: &Request, made: &[bool]) -> Option<usize> {
        let mut left = (0..self.exchanges.len()).filter(|number| !made[*number]).peekable();
        let row_begins = self.is_detail(&self.exchanges[*left.peek()?].value);
        let fits = |number: &usize| same_call(call, &self.exchanges[*number].value.call.value);
        let mut row = left.enumerate().take_while(|(place, number)| {
            *place == 0 || (row_begins && self.is_detail(&self.exchanges[*number].value))
        });
        row.find_map(|(_, number)| fits(&number).then_some(number))
    }
}

#[async_trait]
impl Transport for Recording {
    async fn send(&self, call: Call) -> Result<Answer, CallError> {
        let mut progress = self.progress();
        if progress.astray {
            return Err(CallError::Blocked);
        }
        let request = Request { method: call.method.clone(), url: call.url.clone() };
        let Some(number) = self.find(&request, &progress.made) else {
            progress.astray = true;
            let next = (0..self.exchanges.len()).find(|number| !progress.made[*number]);
            let fault = match next.map(|number| &self.exchanges[number].value.call) {
                Some(next) => (Some(next.referenced), differing_call(&next.value, &request)),
                None => (None, format!("a further call was made, and none is written: {request}")),
            };
            progress.faults.push(fault);
            return Err(CallError::Blocked);
        };
        progress.made[number] = true;
        if call.body.is_some() {
            progress.sent.insert(request.address());
        }
        let exchange = &self.exchanges[number].value;
        let at = exchange.call.referenced;
        let differences = differing_body(exchange, call.body.as_ref()).into_iter().chain(
            exchange.headers.iter().filter_map(|(name, expected)| {
                let got = call.headers.get_all(name.as_str()).iter();
                let got: Vec<_> = got.filter_map(|value| value.to_str().ok()).collect();
                let got =
                    if got.is_empty() { "no such header".to_owned() } else { format!("“{}”", got.join(", ")) };
                (got != format!("“{expected}”")).then(|| format!("header {name}: expected “{expected}”, got {got}"))
            }),
        );
        progress
            .faults
            .extend(differences.map(|difference| (Some(at), format!("{}: {difference}", exchange.call.value))));
        let answer = &exchange.answer.value;
        Ok(Answer { status: answer.status(), headers: answer.headers().unwrap_or_default(), body: answer.bytes() })
    }
}

impl std::fmt::Display for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, self.url)
    }
}

fn same_call(one: &Request, other: &Request) -> bool {
    one.method == other.method && one.url.origin() == other.url.origin() && parts(&one.url) == parts(&other.url)
}

/// The decoded parts of the path, and the parameters in one order.
fn parts(url: &Url) -> (Vec<String>, Vec<(String, String)>) {
    let decoded = |part: &str| percent_decode_str(part).decode_utf8_lossy().into_owned();
    let mut query: Vec<(String, String)> = url.query_pairs().map(|(k, v)| (k.into_owned(), v.into_owned())).collect();
    query.sort();
    (url.path().split('/').map(decoded).collect(), query)
}

fn differing_call(expected: &Request, got: &Request) -> String {
    let mut message = format!("another call was made\n    expected  {expected}\n    got       {got}");
    let ((path, query), (got_path, got_query)) = (parts(&expected.url), parts(&got.url));
    let same_place = expected.method == got.method && expected.url.origin() == got.url.origin() && path == got_path;
    if same_place {
        for (name, value) in query.iter().filter(|pair| !got_query.contains(pair)) {
            let _ = write!(message, "\n    not sent  {name}={value}");
        }
        for (name, value) in got_query.iter().filter(|pair| !query.contains(pair)) {
            let _ = write!(message, "\n    too much  {name}={value}");
        }
    }
    message
}

/// In what the body of a call differs from what is written.
fn differing_body(exchange: &Exchange, body: Option<&Body>) -> Vec<String> {
    match (&exchange.json, &exchange.form, body) {
        // Written once for an address is enough; see the gaps.
        (None, None, _) => Vec::new(),
        (Some(expected), _, Some(Body::Json(got))) => {
            let mut found = Vec::new();
            differing_json("json", Some(expected), Some(got), &mut found);
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
            sent.retain(|name, _| !MADE_ANEW.contains(name));
            found.extend(sent.iter().map(|(name, got)| format!("form {name}: not written, got “{}”", got.join(", "))));
            found
        }
        (_, _, Some(Body::Json(got))) => vec![format!("a JSON body is sent, not a form: {got}")],
        (_, _, Some(Body::Form(got))) => {
            let shown: Vec<String> = got.iter().map(|(name, value)| format!("{name}: {value:?}")).collect();
            vec![format!("a form is sent, not a JSON body: {{{}}}", shown.join(", "))]
        }
        (_, _, None) => vec!["a body is written, and none is sent".to_owned()],
    }
}

/// Where two JSON values differ, at the deepest places.
fn differing_json(at: &str, expected: Option<&Value>, got: Option<&Value>, found: &mut Vec<String>) {
    match (expected, got) {
        (Some(Value::Object(expected)), Some(Value::Object(got))) => {
            for (name, value) in expected {
                differing_json(&format!("{at}.{name}"), Some(value), got.get(name), found);
            }
            for (name, value) in got.iter().filter(|(name, _)| !expected.contains_key(*name)) {
                differing_json(&format!("{at}.{name}"), None, Some(value), found);
            }
        }
        (Some(Value::Array(expected)), Some(Value::Array(got))) if expected.len() == got.len() => {
            for (number, (expected, got)) in expected.iter().zip(got).enumerate() {
                differing_json(&format!("{at}[{number}]"), Some(expected), Some(got), found);
            }
        }
        (expected, got) if expected == got => {}
        (expected, got) => {
            let shown = |value: Option<&Value>| value.map_or("nothing".to_owned(), Value::to_string);
            found.push(format!("{at}: expected {}, got {}", shown(expected), shown(got)));
        }
    }
}
