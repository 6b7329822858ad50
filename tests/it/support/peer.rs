//! Peers in the test's own process: an application with a list of users, and a mail server that refuses mail.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Query, State as Shared};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

/// An application that lists users by SCIM and accepts one token.
pub struct Application {
    /// For the configuration key `base_url`.
    pub url: String,
    state: Arc<State>,
}

struct State {
    token: Mutex<String>,
    users: usize,
    trouble: Mutex<Option<Trouble>>,
    calls: AtomicUsize,
    /// How many calls it answers at the moment, and how many these were at most.
    at_once: (AtomicUsize, AtomicUsize),
}

/// How an application answers in place of its list.
#[derive(Clone)]
pub struct Trouble {
    /// The first user whose page meets it, counted from 1.
    pub from: usize,
    pub answer: Answer,
}

#[derive(Clone)]
pub enum Answer {
    /// A status with a header, and no word of why.
    Status(u16, &'static str, &'static str),
    Silence,
    /// The list, after a while.
    Slow(Duration),
}

impl Application {
    pub async fn start(token: &str, users: usize) -> Self {
        let (trouble, calls, at_once) = Default::default();
        let state = Arc::new(State { token: Mutex::new(token.to_owned()), users, trouble, calls, at_once });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/scim", listener.local_addr().unwrap());
        let router = Router::new().route("/scim/Users", get(list)).with_state(state.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, state }
    }

    /// Changes the token that is accepted.
    pub fn accept(&self, token: &str) {
        token.clone_into(&mut self.state.token.lock().unwrap());
    }

    /// Changes how it answers.
    pub fn trouble(&self, trouble: Option<Trouble>) {
        *self.state.trouble.lock().unwrap() = trouble;
    }

    /// It refuses everything without a word of why, from the page with this user on.
    pub fn refuse(&self, status: u16, from: usize) {
        self.trouble(Some(Trouble { from, answer: Answer::Status(status, "x-why", "no") }));
    }

    /// How often it was asked.
    pub fn calls(&self) -> usize {
        self.state.calls.load(Ordering::Relaxed)
    }

    /// How many calls it answered at once at most.
    pub fn most_at_once(&self) -> usize {
        self.state.at_once.1.load(Ordering::Relaxed)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Position {
    start_index: Option<usize>,
    count: Option<usize>,
}

async fn list(Shared(state): Shared<Arc<State>>, Query(position): Query<Position>, headers: HeaderMap) -> Response {
    state.calls.fetch_add(1, Ordering::Relaxed);
    let first = position.start_index.unwrap_or(1);
    let last = (first + position.count.unwrap_or(state.users) - 1).min(state.users);
    let trouble = state.trouble.lock().unwrap().clone();
    if let Some(Trouble { answer, .. }) = trouble.filter(|trouble| last >= trouble.from) {
        match answer {
            Answer::Status(status, name, value) => {
                let body = "{\"detail\":\"no\"}";
                let headers = [("content-type", "application/json"), (name, value)];
                return (StatusCode::from_u16(status).unwrap(), headers, body).into_response();
            }
            Answer::Silence => std::future::pending().await,
            Answer::Slow(wait) => {
                let (now, most) = &state.at_once;
                most.fetch_max(now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                tokio::time::sleep(wait).await;
                now.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }
    let wanted = format!("Bearer {}", state.token.lock().unwrap());
    if headers.get("authorization").is_none_or(|given| *given != wanted) {
        let challenge = "Bearer error=\"invalid_token\", error_description=\"The token was revoked\"";
        return (StatusCode::UNAUTHORIZED, [("www-authenticate", challenge)], "{}").into_response();
    }
    let people: Vec<_> = (first..=last)
        .map(|number| json!({ "id": format!("user-{number}"), "userName": format!("user-{number}@example.com"), "active": true }))
        .collect();
    let body = json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"], "totalResults": state.users,
        "startIndex": first, "itemsPerPage": people.len(), "Resources": people });
    ([("content-type", "application/scim+json")], body.to_string()).into_response()
}

/// A mail server that refuses every recipient. Returns its `smtp_url`.
pub async fn unwelcoming_mail_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("smtp://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (read, mut write) = stream.into_split();
                let mut lines = BufReader::new(read).lines();
                let mut reply = "220 peer.test ready";
                while write.write_all(format!("{reply}\r\n").as_bytes()).await.is_ok() {
                    let Ok(Some(line)) = lines.next_line().await else { return };
                    reply = match line.split([' ', ':']).next().unwrap_or_default() {
                        "RCPT" => "550 5.1.1 no such user",
                        "QUIT" => "221 bye",
                        _ => "250 fine",
                    };
                }
            });
        }
    });
    url
}
