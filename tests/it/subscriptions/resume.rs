use serde_json::{Value, json};

use super::states::{causes, receive_until};
use crate::support::{Server, change};

fn after(cursor: &Value, fields: &str) -> String {
    format!("subscription {{ instanceStateChanged(after: {cursor}) {{ cursor cause instance {{ {fields} }} }} }}")
}

#[tokio::test]
async fn missed_events_are_replayed_without_gap_or_repeat() {
    let server = Server::start().await;
    let id = server.rehearse("Busy", &[("users", "3")]).await;
    server.idle(&id, "").await;
    let mut socket = server.acknowledged(&server.admin).await;
    socket.subscribe("s", "subscription { instanceStateChanged { cursor cause } }").await;
    let cursor = receive_until(&mut socket, "s", |_| true).await[0]["cursor"].clone();
    drop(socket);

    for round in 0..150 {
        server.done("updateInstance", json!({ "id": id, "name": format!("Busy {round}") }), "instance { id }").await;
    }
    let mut socket = server.acknowledged(&server.admin).await;
    socket.subscribe("s", &after(&cursor, "name")).await;
    let received = receive_until(&mut socket, "s", |event| event["instance"]["name"] == "Busy 149").await;
    let names: Vec<_> = received.iter().map(|event| event["instance"]["name"].as_str().unwrap().to_owned()).collect();
    assert_eq!(names, (0..150).map(|round| format!("Busy {round}")).collect::<Vec<_>>());

    // Resumes from the middle, and continues with live events.
    let mut socket = server.acknowledged(&server.admin).await;
    socket.subscribe("s", &after(&received[74]["cursor"], "name")).await;
    server.done("updateInstance", json!({ "id": id, "name": "Live" }), "instance { id }").await;
    let rest = receive_until(&mut socket, "s", |event| event["instance"]["name"] == "Live").await;
    assert_eq!(rest.len(), 76);
    assert!(causes(&rest).iter().all(|cause| *cause == "UPDATED"));
}

#[tokio::test]
async fn a_subscriber_that_was_interrupted_among_the_snapshots_gets_the_rest_and_the_changes() {
    let server = Server::start().await;
    let mut ids = Vec::new();
    for name in ["A", "B", "C", "D"] {
        let id = server.rehearse(name, &[("users", "1")]).await;
        server.idle(&id, "").await;
        ids.push(id);
    }
    let mut socket = server.acknowledged(&server.admin).await;
    socket.subscribe("s", "subscription { instanceStateChanged { cursor instance { name } } }").await;
    let received = receive_until(&mut socket, "s", |event| event["instance"]["name"] == "B").await;
    assert_eq!(received.len(), 2);
    drop(socket);
    server.done("updateInstance", json!({ "id": ids[0], "name": "A2" }), "instance { id }").await;
    server.done("updateInstance", json!({ "id": ids[3], "name": "D2" }), "instance { id }").await;

    let mut socket = server.acknowledged(&server.admin).await;
    socket.subscribe("s", &after(&received[1]["cursor"], "name")).await;
    let rest = receive_until(&mut socket, "s", |event| event["instance"]["name"] == "D2").await;
    let rest: Vec<_> = rest.iter().map(|event| (event["cause"].clone(), event["instance"]["name"].clone())).collect();
    assert_eq!(
        rest,
        [("UPDATED", "A2"), ("SNAPSHOT", "C"), ("SNAPSHOT", "D2")].map(|(cause, name)| (json!(cause), json!(name)))
    );
}

#[tokio::test]
async fn a_cursor_older_than_the_log_gets_snapshots_again() {
    let server = Server::start().await;
    let id = server.rehearse("Long ago", &[("users", "1")]).await;
    server.idle(&id, "").await;
    let events = server.instance(&id, "events(first: 100) { nodes { cursor cause } }").await;
    let first = events["events"]["nodes"].as_array().unwrap().last().unwrap()["cursor"].clone();
    change(&server.db, "DELETE FROM event WHERE seq < (SELECT MAX(seq) FROM event)").await;
    let mut socket = server.acknowledged(&server.admin).await;
    socket.subscribe("s", &after(&first, "name")).await;
    assert_eq!(causes(&receive_until(&mut socket, "s", |_| true).await), ["SNAPSHOT"]);
}

#[tokio::test]
async fn subscribers_with_the_same_query_receive_the_same_events() {
    let server = Server::start().await;
    let id = server.rehearse("Shared", &[("users", "1")]).await;
    server.idle(&id, "").await;
    let query = "subscription { instanceStateChanged { cursor cause instance { name } } }";
    let mut sockets = Vec::new();
    for _ in 0..20 {
        let mut socket = server.acknowledged(&server.admin).await;
        socket.subscribe("s", query).await;
        receive_until(&mut socket, "s", |_| true).await;
        sockets.push(socket);
    }
    for round in 0..30 {
        server.done("updateInstance", json!({ "id": id, "name": format!("Shared {round}") }), "instance { id }").await;
    }
    let mut received = Vec::new();
    for socket in &mut sockets {
        received.push(receive_until(socket, "s", |event| event["instance"]["name"] == "Shared 29").await);
    }
    assert_eq!(received[0].len(), 30);
    assert!(received.iter().all(|events| *events == received[0]));
}

/// The number of statements that ten renames need: the smallest of several tries, because workers execute some, too.
async fn statements_of_ten_renames(server: &Server, id: &str, sockets: &mut [crate::support::wire::Socket]) -> u64 {
    let mut least = u64::MAX;
    for attempt in 0..4 {
        let before = server.db.statements();
        for round in 0..10 {
            let name = format!("Counted {attempt} {round} {}", sockets.len());
            server.done("updateInstance", json!({ "id": id, "name": name }), "instance { id }").await;
        }
        let end = format!("Counted {attempt} 9 {}", sockets.len());
        for socket in &mut *sockets {
            receive_until(socket, "s", |event| event["instance"]["name"] == end.as_str()).await;
        }
        least = least.min(server.db.statements() - before);
    }
    least
}

#[tokio::test]
async fn a_subscriber_costs_no_statement_per_event() {
    let server = Server::start().await;
    let id = server.rehearse("Counted", &[("users", "1")]).await;
    server.idle(&id, "").await;
    let query = "subscription { instanceStateChanged { cursor cause instance {
        name status notice { title } integration { name } lastSync { outcome seen } currentSync { seen } } } }";
    let alone = statements_of_ten_renames(&server, &id, &mut []).await;
    let mut sockets = Vec::new();
    for _ in 0..20 {
        let mut socket = server.acknowledged(&server.admin).await;
        socket.subscribe("s", query).await;
        receive_until(&mut socket, "s", |_| true).await;
        sockets.push(socket);
    }
    let watched = statements_of_ten_renames(&server, &id, &mut sockets).await;
    // Twenty subscribers and ten events: a statement each would be two hundred.
    assert!(watched < alone + 20, "{alone} statements alone, {watched} with twenty subscribers");
}
