//! Peers in the test's own process: an application with a list of users, and a mail server that refuses mail.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

/// An application that lists users by SCIM and accepts one token.
pub struct Application {
    /// For the configuration key `base_url`.
    pub url: String,
    token: Arc<Mutex<String>>,
}

impl Application {
    pub async fn start(token: &str, users: usize) -> Self {
        let token = Arc::new(Mutex::new(token.to_owned()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/scim", listener.local_addr().unwrap());
        let router = Router::new().route("/scim/Users", get(list)).with_state((token.clone(), users));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, token }
    }

    /// Changes the token that is accepted.
    pub fn accept(&self, token: &str) {
        token.clone_into(&mut self.token.lock().unwrap());
    }
}

async fn list(State((token, users)): State<(Arc<Mutex<String>>, usize)>, headers: HeaderMap) -> Response {
    let wanted = format!("Bearer {}", token.lock().unwrap());
    if headers.get("authorization").is_none_or(|given| *given != wanted) {
        let challenge = "Bearer error=\"invalid_token\", error_description=\"The token was revoked\"";
        return (StatusCode::UNAUTHORIZED, [("www-authenticate", challenge)], "{}").into_response();
    }
    let people: Vec<_> = (1..=users)
        .map(|number| json!({ "id": format!("user-{number}"), "userName": format!("user-{number}@example.com"), "active": true }))
        .collect();
    let body = json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"], "totalResults": users,
        "startIndex": 1, "itemsPerPage": users, "Resources": people });
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
