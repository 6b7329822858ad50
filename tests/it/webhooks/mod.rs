//! Webhooks: what a receiver gets over real sockets, and what becomes of it.

use std::time::Duration;

use muster::clock::Clock;
use serde_json::{Value, json};

use crate::support::{Builder, Client, DEADLINE, Server};

mod alertmanager;
mod alerts;
mod chats;
mod failing;
mod findings;
mod killed;
mod manage;
mod messages;
mod network;
mod on_postgres;
mod receiver;

pub use receiver::{Receiver, Reply};

/// A server that may call this machine.
fn builder() -> Builder {
    Server::builder().settings(|settings| settings.allowed_networks = vec!["127.0.0.0/8".parse().unwrap()])
}

/// Adds a webhook with more than the address, and returns its id and its secret.
pub async fn add(client: &Client, url: &str, more: Value) -> (String, String) {
    let mut input = json!({ "url": url });
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let made = client.done("createWebhook", input, "secret webhook { id }").await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&made["webhook"]["id"]), text(&made["secret"]))
}

/// Adds a chat or an alert manager, and returns its id.
async fn add_service(client: &Client, kind: &str, url: &str, more: Value) -> String {
    let mut input = json!({ "kind": kind, "url": url });
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let made = client.done("createWebhook", input, "secret webhook { id }").await;
    assert_eq!(made["secret"], Value::Null, "nothing is signed");
    made["webhook"]["id"].as_str().unwrap().to_owned()
}

async fn webhook(client: &Client, id: &str, fields: &str) -> Value {
    let query = format!("query($id: ID!) {{ webhook(id: $id) {{ {fields} }} }}");
    client.ask(&query, json!({ "id": id })).await["webhook"].take()
}

/// Waits until `wanted` is true for the fields of a webhook, and returns them.
async fn until(client: &Client, id: &str, fields: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let deadline = tokio::time::Instant::now() + DEADLINE;
    loop {
        let found = webhook(client, id, fields).await;
        if wanted(&found) {
            return found;
        }
        assert!(tokio::time::Instant::now() < deadline, "waited too long; it is {found:#}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The deliveries of a webhook, the oldest first.
async fn deliveries(client: &Client, id: &str) -> Vec<Value> {
    let query = "query($id: ID!) { webhookDeliveries(first: 100, filter: { webhookId: $id }) { nodes {
        id messageId type state attempts httpStatus lastError answer nextTryAt } } }";
    let mut found = client.ask(query, json!({ "id": id })).await;
    let mut nodes = found["webhookDeliveries"]["nodes"].take().as_array().unwrap().clone();
    nodes.reverse();
    nodes
}

/// The events of the log as `(sequence, instance, cause)`, the oldest first.
async fn log(client: &Client) -> Vec<(i64, String, String)> {
    let query = "query($after: String) { instanceEvents(first: 100, after: $after) { pageInfo { endCursor hasNextPage }
        nodes { cursor cause instance { id } } } }";
    let (mut after, mut found) = (Value::Null, Vec::new());
    loop {
        let page = client.ask(query, json!({ "after": after })).await["instanceEvents"].take();
        for node in page["nodes"].as_array().unwrap() {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            found.push((0, text(&node["instance"]["id"]), text(&node["cause"])));
        }
        if page["pageInfo"]["hasNextPage"] == false {
            break;
        }
        after = page["pageInfo"]["endCursor"].clone();
    }
    found.reverse();
    // On SQLite, numbers have no gaps; on PostgreSQL, only the order counts.
    for (number, event) in (1..).zip(&mut found) {
        event.0 = number;
    }
    found
}

/// Now, as a clock that tests move.
fn manual() -> (std::sync::Arc<std::sync::atomic::AtomicI64>, Clock) {
    let clock = std::sync::Arc::new(std::sync::atomic::AtomicI64::new(Clock::System.now()));
    (clock.clone(), Clock::Manual(clock))
}
