//! Tests of the engine against peers on real sockets. Each test defines the responses of the application and
//! checks the result.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, Response};
use futures_util::TryStreamExt as _;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::retry::RetryPolicy;
use super::{Client, ClientSettings, HttpSource};
use crate::manifest::{self, Manifest};
use crate::samples::NOW;
use crate::source::{Config, Page, Source as _, SourceError};

mod addresses;
mod broken;
mod classes;
mod columns;
mod hostile;
mod identify;
mod invitations;
mod limits;
mod lists;
mod memory;
mod paging;
mod parts;
mod posts;
mod proofs;
mod proxy;
mod records;
mod scim;
mod signing;
mod tokens;
mod untold;
mod waits;
mod walls;
mod wire;

/// A request that the application received.
#[derive(Clone, Debug)]
struct Call {
    /// Path and query.
    uri: String,
    headers: HeaderMap,
    body: String,
}

/// An application that answers each request by a function.
struct Peer {
    /// `http://127.0.0.1:PORT`
    origin: String,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl Peer {
    /// `answer` gets the number of the request, from 1, and the request.
    async fn answering<F>(answer: F) -> Self
    where
        F: Fn(usize, &Call) -> Response<Body> + Clone + Send + Sync + 'static,
    {
        let calls: Arc<Mutex<Vec<Call>>> = Arc::default();
        let seen = Arc::clone(&calls);
        let app = Router::new().fallback(move |request: Request| async move {
            let uri = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
            let headers = request.headers().clone();
            let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
            let call = Call { uri, headers, body: String::from_utf8_lossy(&body).into_owned() };
            let number = {
                let mut seen = seen.lock();
                seen.push(call.clone());
                seen.len()
            };
            answer(number, &call)
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { origin, calls }
    }

    /// Answers every request with the same JSON.
    async fn always(status: u16, body: Value) -> Self {
        Self::answering(move |_, _| respond(status, &[], body.to_string())).await
    }

    fn calls(&self) -> Vec<Call> {
        self.calls.lock().clone()
    }

    fn uris(&self) -> Vec<String> {
        self.calls().into_iter().map(|call| call.uri).collect()
    }
}

/// An application that writes these bytes to each connection, whatever was requested. Then it closes the
/// connection or keeps it open.
async fn raw_peer(bytes: Vec<u8>, close: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let _ = socket.read(&mut request).await;
            let _ = socket.write_all(&bytes).await;
            if close {
                let _ = socket.shutdown().await;
            } else {
                kept.push(socket);
            }
        }
    });
    origin
}

fn respond(status: u16, headers: &[(&str, &str)], body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::builder().status(status);
    if !headers.iter().any(|(name, _)| *name == "date") {
        response = response.header("date", "Sun, 01 Mar 2026 12:00:00 GMT");
    }
    if !headers.iter().any(|(name, _)| *name == "content-type") {
        response = response.header("content-type", "application/json");
    }
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(body.into()).unwrap()
}

fn ok(body: &Value) -> Response<Body> {
    respond(200, &[], body.to_string())
}

fn settings() -> ClientSettings {
    let _ = rustls::crypto::ring::default_provider().install_default();
    ClientSettings {
        connect_timeout: Duration::from_secs(5),
        idle_timeout: Duration::from_millis(400),
        call_timeout: Duration::from_secs(5),
        retry: RetryPolicy {
            attempts: 3,
            base: Duration::from_millis(2),
            max_wait: Duration::from_millis(100),
            part_wait: Duration::from_millis(100),
            ..RetryPolicy::default()
        },
        ..ClientSettings::new(vec!["127.0.0.0/8".parse().unwrap()], || NOW, || 0.5)
    }
}

/// A manifest with these keys of `users` in addition to `path`, and further top-level keys.
fn manifest(users: &str, more: &str) -> Manifest {
    let text = format!(
        r#"
name: Test
category: identity
description: An application made up for tests.
required_permissions: [users.read]
setup: Nothing.
config:
  - {{key: base_url, label: Address, type: url}}
  - {{key: token, label: Token, type: secret, optional: true}}
base_url: "{{{{config.base_url}}}}"
{auth}
users:
  path: /users
{users}
{map}
{more}
"#,
        auth = if more.contains("\nauth:") || more.starts_with("auth:") {
            ""
        } else {
            "auth: {bearer: \"{{config.token}}\"}"
        },
        map = if users.contains("map:") { "" } else { "  map: {external_id: $.id, email: $.email, status: active}" },
    );
    manifest::parse(&text, "test.yaml").unwrap_or_else(|faults| panic!("{faults:#?}\n{text}"))
}

/// The manifest for a single page `{"users": […]}`.
fn one_page() -> Manifest {
    manifest("  pages: none\n  records: $.users", "")
}

fn source(manifest: Manifest, base_url: &str) -> HttpSource {
    source_with(manifest, base_url, settings())
}

fn source_with(manifest: Manifest, base_url: &str, settings: ClientSettings) -> HttpSource {
    let config = Config::from([("base_url".to_owned(), base_url.to_owned()), ("token".to_owned(), TOKEN.to_owned())]);
    HttpSource::new(Arc::new(manifest), config, &Client::new(settings).unwrap(), None).unwrap()
}

/// The secret that no error may show.
const TOKEN: &str = "canary-6f1d/+=";

async fn all(source: &HttpSource) -> Result<Vec<Page>, SourceError> {
    source.pages(None).try_collect().await
}

async fn ids(source: &HttpSource) -> Result<Vec<String>, SourceError> {
    let pages = all(source).await?;
    Ok(pages.into_iter().flat_map(|page| page.users).map(|user| user.external_id).collect())
}

/// Records with these numbers.
fn records(numbers: impl IntoIterator<Item = u64>) -> Vec<Value> {
    numbers
        .into_iter()
        .map(|number| json!({"id": number.to_string(), "email": format!("{number}@example.com")}))
        .collect()
}

fn numbers(range: impl IntoIterator<Item = u64>) -> Vec<String> {
    range.into_iter().map(|number| number.to_string()).collect()
}

/// The value of a query parameter, as a number.
fn parameter(call: &Call, name: &str) -> Option<u64> {
    let url = url::Url::parse(&format!("http://peer{}", call.uri)).unwrap();
    url.query_pairs().find(|(key, _)| key == name)?.1.parse().ok()
}
