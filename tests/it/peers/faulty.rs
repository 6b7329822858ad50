//! A SCIM application that misbehaves on demand.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// Responds to a request for the users from this index (from 1), or returns `None` for the normal response.
type Fault = Box<dyn Fn(usize) -> Option<Response> + Send>;

struct Inner {
    users: usize,
    fault: Fault,
    calls: usize,
    authorized: usize,
}

/// The application. It ends with the runtime of the test.
pub struct Faulty {
    pub base_url: String,
    inner: Arc<Mutex<Inner>>,
}

impl Faulty {
    pub async fn start(users: usize) -> Faulty {
        let inner = Inner { users, fault: Box::new(|_| None), calls: 0, authorized: 0 };
        let inner = Arc::new(Mutex::new(inner));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}/scim/v2", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(inner.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Faulty { base_url, inner }
    }

    pub fn config(&self) -> [(&str, &str); 2] {
        [("base_url", &self.base_url), ("token", "faulty-secret-1b9c")]
    }

    /// Sets the fault for the following requests.
    pub fn answer(&self, fault: impl Fn(usize) -> Option<Response> + Send + 'static) {
        self.inner.lock().unwrap().fault = Box::new(fault);
    }

    /// Removes the fault.
    pub fn recover(&self) {
        self.answer(|_| None);
    }

    pub fn calls(&self) -> usize {
        self.inner.lock().unwrap().calls
    }

    /// How many requests had a credential.
    pub fn authorized(&self) -> usize {
        self.inner.lock().unwrap().authorized
    }
}

async fn answer(
    State(inner): State<Arc<Mutex<Inner>>>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    let number = |name: &str, default| query.get(name).and_then(|text| text.parse().ok()).unwrap_or(default);
    let (start, count) = (number("startIndex", 1_usize).max(1), number("count", 100_usize));
    let mut inner = inner.lock().unwrap();
    inner.calls += 1;
    inner.authorized += usize::from(headers.contains_key("authorization"));
    (inner.fault)(start).unwrap_or_else(|| page(inner.users, start, count))
}

/// A page of users from `start`.
pub fn page(users: usize, start: usize, count: usize) -> Response {
    let end = (start + count).min(users + 1);
    let resources: Vec<_> = (start..end).map(user).collect();
    json_answer(&json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
        "totalResults": users, "startIndex": start, "itemsPerPage": resources.len(), "Resources": resources,
    }))
}

pub fn user(number: usize) -> Value {
    json!({ "id": format!("u{number}"), "userName": format!("u{number}@example.com"), "active": true })
}

pub fn json_answer(body: &Value) -> Response {
    with_type("application/scim+json", body.to_string())
}

/// A response with status 200 and this content type and body.
pub fn with_type(content_type: &'static str, body: impl Into<Body>) -> Response {
    ([("content-type", content_type)], body.into()).into_response()
}

pub fn status(code: u16, headers: &[(&'static str, &'static str)]) -> Response {
    let mut answer = StatusCode::from_u16(code).unwrap().into_response();
    for (name, value) in headers {
        answer.headers_mut().insert(*name, value.parse().unwrap());
    }
    answer
}
