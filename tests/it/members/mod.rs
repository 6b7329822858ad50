//! Members who sign in with a browser, over real sockets.

use muster::auth::Role;
use muster::auth::links::Link;
use muster::auth::members::NewMember;
use serde_json::{Value, json};

use crate::support::wire::Socket;
use crate::support::{Client, Server};

mod api;
mod csrf;
mod passwords;
mod sessions;
mod trail;

pub const PASSWORD: &str = "correct horse battery";
const JSON: &str = "Content-Type: application/json";

/// What a browser keeps of a server: its cookie.
pub struct Browser<'a> {
    client: &'a Client,
    /// Name and value.
    pub cookie: Option<String>,
    /// The same of the cookie by which the browser is known.
    known: Option<String>,
    /// What a proxy says of its address.
    address: String,
}

impl<'a> Browser<'a> {
    pub fn new(client: &'a Client) -> Self {
        Self { client, cookie: None, known: None, address: "198.51.100.1".into() }
    }

    /// A browser of somebody else, at this address.
    fn at(client: &'a Client, address: &str) -> Self {
        Self { address: address.into(), ..Self::new(client) }
    }

    /// A browser in which a member has signed in.
    pub async fn signed_in(client: &'a Client, email: &str) -> Browser<'a> {
        let mut browser = Self::new(client);
        let (status, answer) = browser.sign_in(email, PASSWORD).await;
        assert_eq!(status, 204, "{answer}");
        browser
    }

    /// Sends a request with the cookie, and keeps the one of the response.
    pub async fn send(&mut self, start: &str, headers: &[&str], body: &str) -> (u16, String) {
        let (cookie, address) = (self.cookie_header(), format!("X-Forwarded-For: {}", self.address));
        let known = self.known.as_ref().map_or("X-Nothing: there".into(), |known| format!("Cookie: {known}"));
        let headers: Vec<&str> = headers.iter().copied().chain([cookie.as_str(), &known, &address]).collect();
        let (status, answer) = self.client.http(start, &headers, body).await;
        for set in answer.lines().filter_map(|line| line.strip_prefix("set-cookie: ")) {
            let cookie = set.split(';').next().unwrap();
            let kept = (!cookie.ends_with('=')).then(|| cookie.to_owned());
            if cookie.contains("muster-browser=") {
                self.known = kept;
            } else {
                self.cookie = kept;
            }
        }
        (status, answer)
    }

    pub fn cookie_header(&self) -> String {
        self.cookie.as_ref().map_or("X-Nothing: here".into(), |cookie| format!("Cookie: {cookie}"))
    }

    pub async fn sign_in(&mut self, email: &str, password: &str) -> (u16, String) {
        let body = json!({ "email": email, "password": password });
        self.send("POST /session", &[JSON], &body.to_string()).await
    }

    pub async fn follow(&mut self, entered: &Value) -> (u16, String) {
        self.send("POST /session/link", &[JSON], &entered.to_string()).await
    }

    pub async fn sign_out(&mut self) -> u16 {
        self.send("DELETE /session", &[], "").await.0
    }

    /// The response to a document.
    pub async fn ask(&mut self, query: &str, variables: Value) -> Value {
        let body = json!({ "query": query, "variables": variables }).to_string();
        let (_, answer) = self.send("POST /graphql", &[JSON], &body).await;
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer}"))
    }

    /// Whether the server knows the session.
    pub async fn is_in(&mut self) -> bool {
        let (status, answer) = self.send("POST /graphql", &[JSON], r#"{"query":"{ __typename }"}"#).await;
        assert!(status == 200 || status == 401, "{answer}");
        status == 200
    }

    /// A WebSocket that was acknowledged.
    pub async fn socket(&self) -> Socket {
        let mut socket = self.client.socket_with(&[("Cookie", self.cookie.as_ref().unwrap())]).await.expect("upgraded");
        socket.say(json!({ "type": "connection_init" })).await;
        assert_eq!(socket.next().await["type"], "connection_ack");
        socket
    }
}

/// The secret of a link.
fn secret(link: &Link) -> String {
    link.address("").rsplit('/').next().unwrap().to_owned()
}

/// Adds a member with a password.
pub async fn member(server: &Server, email: &str, role: Role) {
    let new = NewMember { name: email.into(), email: email.into(), role };
    let (_, link) = server.members.create(&new).await.unwrap();
    let entered = json!({ "link": secret(&link), "password": PASSWORD });
    let (status, answer) = Browser::new(server).follow(&entered).await;
    assert_eq!(status, 204, "{answer}");
}
