//! Subscribers that reconnect after every interruption and record every event.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::peers::Cluster;
use crate::support::{DEADLINE, http};

/// The server sends something at least every twelve seconds (SSE), or answers our pings (WebSocket). After this silence
/// a subscriber reconnects.
const SILENCE: Duration = Duration::from_secs(20);
const QUERY: &str = "subscription($after: String) { instanceStateChanged(after: $after) { cursor cause } }";

/// The transport of a subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    Events,
    WebSocket,
}

/// A subscriber. Dropping it disconnects it.
pub struct Listener {
    pub door: Door,
    heard: Arc<Heard>,
    listening: JoinHandle<()>,
}

#[derive(Default)]
struct Heard {
    /// The number of the event before the first that it must receive.
    first: i64,
    events: Mutex<Vec<(i64, String)>>,
    /// The cursor from which it resumes.
    cursor: Mutex<String>,
    connections: AtomicUsize,
}

/// The number of the event that a cursor belongs to.
fn number(cursor: &str) -> i64 {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).unwrap()).unwrap();
    let digits: String = text.chars().skip(1).take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_else(|_| panic!("not the cursor of an event: {text}"))
}

impl Listener {
    /// Subscribes to all events after this cursor.
    pub fn start(door: Door, url: String, token: String, after: &str) -> Listener {
        let cursor = Mutex::new(after.to_owned());
        let heard = Arc::new(Heard { first: number(after), cursor, ..Heard::default() });
        let listening = tokio::spawn(listen(door, url, token, heard.clone()));
        Listener { door, heard, listening }
    }

    /// Waits until it is subscribed for the first time.
    pub async fn connected(&self) {
        let connected = async {
            while self.connections() == 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(DEADLINE, connected).await.expect("a subscription");
    }

    /// How often it has connected.
    pub fn connections(&self) -> usize {
        self.heard.connections.load(Ordering::SeqCst)
    }

    /// Waits until it has received the newest event of the log, then checks that it received each once and in order.
    ///
    /// # Errors
    /// The events that it missed or received twice.
    pub async fn check(&self, cluster: &Cluster, within: Duration) -> Result<(), String> {
        let sql = format!("SELECT seq, upper(cause) AS cause FROM event WHERE seq > {} ORDER BY seq", self.heard.first);
        let log = cluster.rows(&sql).await;
        let log: Vec<_> =
            log.iter().map(|row| (row["seq"].as_i64().unwrap(), row["cause"].as_str().unwrap().to_owned())).collect();
        let newest = log.last().map_or(self.heard.first, |(seq, _)| *seq);
        let caught_up = async {
            while self.heard.events.lock().unwrap().last().map_or(self.heard.first, |(seq, _)| *seq) < newest {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let late = timeout(within, caught_up).await.is_err();
        let heard = self.heard.events.lock().unwrap();
        let known = heard.iter().take_while(|(seq, _)| *seq <= newest);
        if known.clone().eq(log.iter()) {
            return Ok(());
        }
        let wrong = known.zip(&log).find(|(heard, logged)| heard != logged);
        Err(format!(
            "a subscriber ({:?}, connected {} times) heard {} events and {} are logged up to {newest}; late: {late}; the first that differs: {wrong:?}",
            self.door,
            self.connections(),
            heard.len(),
            log.len(),
        ))
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn listen(door: Door, url: String, token: String, heard: Arc<Heard>) {
    loop {
        let variables = json!({ "after": *heard.cursor.lock().unwrap() });
        let request = json!({ "query": QUERY, "variables": variables });
        // However it ends, the next connection resumes after the last event received.
        let _ended: Option<()> = match door {
            Door::Events => events(&url, &token, &request, &heard).await,
            Door::WebSocket => web_socket(&url, &token, &request, &heard).await,
        };
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

impl Heard {
    /// False if the server refused it.
    fn take(&self, payload: &Value) -> bool {
        let event = &payload["data"]["instanceStateChanged"];
        let Some(told) = event["cursor"].as_str() else { return false };
        let cause = event["cause"].as_str().unwrap().to_owned();
        self.events.lock().unwrap().push((number(told), cause));
        told.clone_into(&mut self.cursor.lock().unwrap());
        true
    }

    fn connected(&self) {
        self.connections.fetch_add(1, Ordering::SeqCst);
    }
}

async fn events(url: &str, token: &str, request: &Value, heard: &Heard) -> Option<()> {
    let call = http()
        .post(format!("{url}/graphql"))
        .bearer_auth(token)
        .header("content-type", "application/json")
        .header("accept", "text/event-stream")
        .body(request.to_string());
    let mut answer = timeout(SILENCE, call.send()).await.ok()?.ok().filter(|answer| answer.status().is_success())?;
    heard.connected();
    let mut text = Vec::new();
    loop {
        text.extend_from_slice(&timeout(SILENCE, answer.chunk()).await.ok()?.ok()??);
        while let Some(end) = text.windows(2).position(|pair| pair == b"\n\n") {
            let frame: Vec<u8> = text.drain(..end + 2).collect();
            let frame = String::from_utf8(frame).unwrap();
            let Some(data) = frame.lines().find_map(|line| line.strip_prefix("data: ")) else { continue };
            if !heard.take(&serde_json::from_str(data).ok()?) {
                return None;
            }
        }
    }
}

async fn web_socket(url: &str, token: &str, request: &Value, heard: &Heard) -> Option<()> {
    let mut handshake = format!("{}/graphql", url.replace("http", "ws")).into_client_request().unwrap();
    handshake.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse().unwrap());
    let (mut socket, _) = timeout(SILENCE, tokio_tungstenite::connect_async(handshake)).await.ok()?.ok()?;
    let init = json!({ "type": "connection_init", "payload": { "authorization": format!("Bearer {token}") } });
    socket.send(Message::text(init.to_string())).await.ok()?;
    loop {
        let Message::Text(text) = timeout(SILENCE, socket.next()).await.ok()??.ok()? else { continue };
        let message: Value = serde_json::from_str(&text).ok()?;
        match message["type"].as_str()? {
            "connection_ack" => {
                let subscribe = json!({ "type": "subscribe", "id": "1", "payload": request });
                socket.send(Message::text(subscribe.to_string())).await.ok()?;
                heard.connected();
            }
            "next" if heard.take(&message["payload"]) => {}
            "ping" => socket.send(Message::text(json!({ "type": "pong" }).to_string())).await.ok()?,
            _ => return None,
        }
    }
}
