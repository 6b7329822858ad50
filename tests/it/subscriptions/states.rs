use serde_json::{Value, json};

use crate::support::Server;
use crate::support::wire::Socket;

/// The events of a subscription, up to and including the first one that is wanted.
pub async fn receive_until(socket: &mut Socket, id: &str, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
    let mut received = Vec::new();
    loop {
        let message = socket.next().await;
        if message["id"] != id {
            continue;
        }
        assert_eq!(message["type"], "next", "{message}");
        let event = message["payload"]["data"]["instanceStateChanged"].clone();
        assert!(event.is_object(), "{message}");
        let last = wanted(&event);
        received.push(event);
        if last {
            return received;
        }
    }
}

pub fn causes(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["cause"].as_str().unwrap()).collect()
}

const ALL: &str = "subscription { instanceStateChanged { cursor cause actor usersRemoved instance {
    id name status inactiveReason syncState health userCount currentSync { id } lastSync { outcome } nextSyncAt } } }";

#[tokio::test]
async fn a_subscriber_gets_a_snapshot_of_every_instance_and_then_every_change() {
    let server = Server::start().await;
    let old = server.rehearse("Old", &[]).await;
    server.idle(&old, "").await;
    let mut socket = server.acknowledged(&server.viewer).await;
    socket.subscribe("s", ALL).await;
    let events = receive_until(&mut socket, "s", |event| event["instance"]["name"] == "Old").await;
    assert_eq!(causes(&events), ["SNAPSHOT"]);
    assert_eq!(events[0]["instance"]["userCount"], 100);

    let new = server.rehearse("New", &[("users", "7")]).await;
    let events = receive_until(&mut socket, "s", |event| event["cause"] == "SYNC_SUCCEEDED").await;
    assert_eq!(causes(&events), ["CREATED", "SYNC_STARTED", "SYNC_SUCCEEDED"]);
    assert_eq!(events[0]["actor"], "ada@example.com");
    assert_eq!(events[0]["instance"]["syncState"], "QUEUED");
    assert_eq!(events[2]["instance"]["userCount"], 7);
    assert_eq!(events[2]["instance"]["lastSync"]["outcome"], "SUCCEEDED");

    server.done("deleteInstance", json!({ "id": new, "acknowledgeIrreversible": true }), "instance { id }").await;
    let events = receive_until(&mut socket, "s", |event| event["cause"] == "DELETED").await;
    assert_eq!(causes(&events), ["DELETION_STARTED", "DELETED"]);
    assert_eq!(events[1]["usersRemoved"], 7);
}

#[tokio::test]
async fn each_event_shows_a_consistent_state() {
    let server = Server::start().await;
    let id = server.rehearse("Slow", &[("users", "500"), ("page_size", "10"), ("latency_ms", "50")]).await;
    server.until(&id, "currentSync { seen }", |found| found["currentSync"]["seen"].as_i64() >= Some(20)).await;
    let mut socket = server.acknowledged(&server.admin).await;
    socket.subscribe("s", ALL).await;
    receive_until(&mut socket, "s", |event| event["cause"] == "SNAPSHOT").await;
    server.done("updateInstance", json!({ "id": id, "name": "Still", "status": "INACTIVE" }), "instance { id }").await;
    let events = receive_until(&mut socket, "s", |event| event["cause"] == "DEACTIVATED").await;
    assert_eq!(causes(&events), ["UPDATED", "SYNC_CANCELLED", "DEACTIVATED"]);
    for event in &events {
        let instance = &event["instance"];
        let active = instance["syncState"] != "IDLE";
        assert_eq!(active, !instance["currentSync"].is_null(), "{event}");
        assert!(!active || instance["status"] == "LIVE", "{event}");
        assert_eq!(instance["inactiveReason"].is_null(), instance["status"] != "INACTIVE", "{event}");
    }
    assert_eq!(events[1]["instance"]["status"], "LIVE");
    assert_eq!(events[1]["instance"]["lastSync"]["outcome"], "CANCELLED");
}

#[tokio::test]
async fn a_filter_matches_the_changes_by_which_an_instance_enters_and_leaves_it() {
    let server = Server::start().await;
    let id = server.rehearse("Only", &[]).await;
    server.rehearse("Other", &[]).await;
    server.idle(&id, "").await;
    let mut socket = server.acknowledged(&server.admin).await;
    let query = "subscription { instanceStateChanged(filter: { statuses: [INACTIVE] }) { cursor cause instance { name status } } }";
    socket.subscribe("s", query).await;
    // No instance is inactive at first, so the first event is about the one that becomes inactive.
    server.done("updateInstance", json!({ "id": id, "status": "INACTIVE" }), "instance { id }").await;
    server.done("updateInstance", json!({ "id": id, "status": "LIVE" }), "instance { id }").await;
    let events = receive_until(&mut socket, "s", |event| event["cause"] == "REACTIVATED").await;
    assert!(matches!(causes(&events)[..], ["DEACTIVATED" | "SNAPSHOT", "REACTIVATED"]), "{events:?}");
    assert!(events.iter().all(|event| event["instance"]["name"] == "Only"));
}

#[tokio::test]
async fn the_last_event_shows_the_current_state() {
    let server = Server::start().await;
    let fields = "name status inactiveReason syncState health userCount revision failingSince notice { title }";
    let id = server.rehearse("Moved", &[("outcomes", "success,transient,partial,token_inactive")]).await;
    server.idle(&id, "").await;
    for _ in 0..3 {
        server.sync(&id, "outcome").await;
    }
    server.done("updateInstance", json!({ "id": id, "name": "Moved on" }), "instance { id }").await;
    let query = format!(
        "query($id: ID!) {{ instance(id: $id) {{ {fields} events(first: 1) {{ nodes {{ instance {{ {fields} }} }} }} }} }}"
    );
    let mut found = server.ask(&query, json!({ "id": id })).await["instance"].clone();
    let events = found.as_object_mut().unwrap().remove("events").unwrap();
    assert_eq!(events["nodes"][0]["instance"], found);
    assert_eq!(found["inactiveReason"], "TOKEN_INACTIVE");
}
