//! A receiver of webhooks, and an independent check of what it gets.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::support::DEADLINE;

/// How a receiver answers.
#[derive(Clone, Debug)]
pub enum Reply {
    Status(u16),
    /// A status with a body.
    Says(u16, &'static str),
    /// A status with one header.
    With(u16, &'static str, String),
    Silence,
    /// A status at once, and a body that never ends.
    Drip(u16),
    /// A status, and a length that is not that of the body.
    Lie(u16),
}

/// A message that arrived.
#[derive(Clone, Debug)]
pub struct Message {
    /// With the query.
    pub path: String,
    pub headers: BTreeMap<String, String>,
    pub text: String,
    pub body: Value,
    pub at: Instant,
}

impl Message {
    pub fn id(&self) -> &str {
        &self.headers["webhook-id"]
    }

    pub fn kind(&self) -> &str {
        self.body["type"].as_str().unwrap()
    }

    pub fn sequence(&self) -> i64 {
        self.body["data"]["sequence"].as_i64().unwrap()
    }

    pub fn instance(&self) -> &str {
        self.body["data"]["instance"]["id"].as_str().unwrap()
    }
}

type Rule = Box<dyn Fn(&Message, usize) -> Reply + Send>;

struct Shared {
    got: Mutex<Vec<Message>>,
    rule: Mutex<Rule>,
}

/// A receiver at a free port of this machine.
pub struct Receiver {
    pub url: String,
    shared: Arc<Shared>,
}

impl Receiver {
    /// It accepts everything.
    pub async fn start() -> Self {
        let rule: Rule = Box::new(|_, _| Reply::Status(204));
        let shared = Arc::new(Shared { got: Mutex::default(), rule: Mutex::new(rule) });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook?key=1", listener.local_addr().unwrap());
        let router = Router::new().fallback(receive).with_state(shared.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, shared }
    }

    /// The address of a path there.
    pub fn at(&self, path: &str) -> String {
        self.url.replace("/hook?key=1", path)
    }

    /// Answers with what `rule` says about a message, and the number of messages before it.
    pub fn answer(&self, rule: impl Fn(&Message, usize) -> Reply + Send + 'static) {
        *self.shared.rule.lock().unwrap() = Box::new(rule);
    }

    /// Everything that has arrived, also again.
    pub fn all(&self) -> Vec<Message> {
        self.shared.got.lock().unwrap().clone()
    }

    /// What has arrived since the last time.
    pub fn take(&self) -> Vec<Message> {
        std::mem::take(&mut self.shared.got.lock().unwrap())
    }

    /// Waits until so many messages have arrived.
    pub async fn until(&self, count: usize) -> Vec<Message> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let all = self.all();
            if all.len() >= count {
                return all;
            }
            let texts: Vec<_> = all.iter().map(|message| &message.text).collect();
            assert!(Instant::now() < deadline, "{count} messages wanted; there are {texts:#?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn receive(State(shared): State<Arc<Shared>>, uri: Uri, headers: HeaderMap, text: Bytes) -> Response {
    let text = String::from_utf8(text.to_vec()).unwrap();
    let headers = headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
    let body = serde_json::from_str(&text).unwrap_or(Value::Null);
    let message = Message { path: uri.to_string(), headers: headers.collect(), body, text, at: Instant::now() };
    let reply = {
        let mut got = shared.got.lock().unwrap();
        let reply = (shared.rule.lock().unwrap())(&message, got.len());
        got.push(message);
        reply
    };
    let status = |code: u16| StatusCode::from_u16(code).unwrap();
    match reply {
        Reply::Status(code) => (status(code), "It was looked at.").into_response(),
        Reply::Says(code, text) => (status(code), text).into_response(),
        Reply::With(code, name, value) => (status(code), [(name, value)]).into_response(),
        Reply::Silence => std::future::pending().await,
        Reply::Drip(code) => {
            let drops = futures_util::stream::unfold((), |()| async {
                tokio::time::sleep(Duration::from_millis(200)).await;
                Some((Ok::<_, std::io::Error>(Bytes::from_static(b".")), ()))
            });
            (status(code), Body::from_stream(drops)).into_response()
        }
        Reply::Lie(code) => {
            let short = futures_util::stream::unfold(0, |part| async move {
                if part == 0 {
                    return Some((Ok(Bytes::from_static(b"short")), 1));
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
                Some((Err(std::io::Error::other("the connection is cut")), part))
            });
            (status(code), [("content-length", "500000")], Body::from_stream(short)).into_response()
        }
    }
}

/// Runs a program of `tests/peers` with JSON as its input and output.
pub fn peer(name: &str, task: &Value) -> Value {
    let interpreter =
        if Path::new(name).extension().is_some_and(|ending| ending == "py") { "TEST_PYTHON" } else { "TEST_NODE" };
    let interpreter = std::env::var(interpreter)
        .unwrap_or_else(|_| panic!("{interpreter} must be set for tests/peers: run the tests with tests/run"));
    let mut child = Command::new(interpreter)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers").join(name))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("TEST_PYTHON runs");
    child.stdin.take().unwrap().write_all(task.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{name} failed; what it says is above");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// For each message, which of the secrets the libraries of the specification accept: that of Python, and that of JavaScript.
pub fn accepted(messages: &[Message], secrets: &[&str]) -> Vec<Vec<bool>> {
    let told: Vec<_> = messages.iter().map(|it| json!({ "headers": it.headers, "body": it.text })).collect();
    let task = json!({ "secrets": secrets, "messages": told });
    let [python, javascript] = ["webhooks.py", "webhooks.mjs"].map(|library| {
        let faults = peer(library, &task);
        let rows = faults.as_array().unwrap().iter();
        rows.map(|row| row.as_array().unwrap().iter().map(Value::is_null).collect()).collect::<Vec<Vec<bool>>>()
    });
    assert_eq!(python, javascript);
    python
}

/// What is wrong with each message by the JSON Schema of the documentation.
pub fn faults(messages: &[Message]) -> BTreeMap<String, Vec<String>> {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/webhooks.md")).unwrap();
    let (_, after) = page.split_once("## The JSON Schema").unwrap();
    let (_, block) = after.split_once("```json\n").unwrap();
    let schema: Value = serde_json::from_str(block.split_once("\n```").unwrap().0).unwrap();
    let documents: BTreeMap<String, Value> =
        messages.iter().enumerate().map(|(number, it)| (number.to_string(), it.body.clone())).collect();
    serde_json::from_value(peer("validate.py", &json!({ "schema": schema, "documents": documents }))).unwrap()
}
