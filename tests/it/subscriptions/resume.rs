use serde_json::{Value, json};

use super::states::{causes, hear};
use crate::support::{Server, change};

fn after(cursor: &Value, fields: &str) -> String {
    format!("subscription {{ instanceStateChanged(after: {cursor}) {{ cursor cause instance {{ {fields} }} }} }}")
}

#[tokio::test]
async fn what_happened_meanwhile_is_replayed_without_gap_or_repeat() {
    let server = Server::start().await;
    let id = server.rehearse("Busy", &[("users", "3")]).await;
    server.idle(&id, "").await;
    let mut socket = server.acknowledged(&server.admin).await;
    socket.subscribe("s", "subscription { instanceStateChanged { cursor cause } }").await;
    let cursor = hear(&mut socket, "s", |_| true).await[0]["cursor"].clone();
    drop(socket);

    for round in 0..150 {
        server.done("updateInstance", json!({ "id": id, "name": format!("Busy {round}") }), "instance { id }").await;
    }
    let mut socket = server.acknowledged(&server.admin).await;
    socket.subscribe("s", &after(&cursor, "name")).await;
    let told = hear(&mut socket, "s", |event| event["instance"]["name"] == "Busy 149").await;
    let names: Vec<_> = told.iter().map(|event| event["instance"]["name"].as_str().unwrap().to_owned()).collect();
    assert_eq!(names, (0..150).map(|round| format!("Busy {round}")).collect::<Vec<_>>());

    // From the middle, and on into what happens live.
    let mut socket = server.acknowledged(&server.admin).await;
    socket.subscribe("s", &after(&told[74]["cursor"], "name")).await;
    server.done("updateInstance", json!({ "id": id, "name": "Live" }), "instance { id }").await;
    let rest = hear(&mut socket, "s", |event| event["instance"]["name"] == "Live").await;
    assert_eq!(rest.len(), 76);
    assert!(causes(&rest).iter().all(|cause| *cause == "UPDATED"));
}

#[tokio::test]
async fn a_subscriber_that_was_cut_among_the_snapshots_is_told_the_rest_and_what_changed() {
    let server = Server::start().await;
    let mut ids = Vec::new();
    for name in ["A", "B", "C", "D"] {
        let id = server.rehearse(name, &[("users", "1")]).await;
        server.idle(&id, "").await;
        ids.push(id);
    }
    let mut socket = server.acknowledged(&server.admin).await;
    socket.subscribe("s", "subscription { instanceStateChanged { cursor instance { name } } }").await;
    let told = hear(&mut socket, "s", |event| event["instance"]["name"] == "B").await;
    assert_eq!(told.len(), 2);
    drop(socket);
    server.done("updateInstance", json!({ "id": ids[0], "name": "A2" }), "instance { id }").await;
    server.done("updateInstance", json!({ "id": ids[3], "name": "D2" }), "instance { id }").await;

    let mut socket = server.acknowledged(&server.admin).await;
    socket.subscribe("s", &after(&told[1]["cursor"], "name")).await;
    let rest = hear(&mut socket, "s", |event| event["instance"]["name"] == "D2").await;
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
    assert_eq!(causes(&hear(&mut socket, "s", |_| true).await), ["SNAPSHOT"]);
}

#[tokio::test]
async fn subscribers_of_one_question_hear_the_same_whatever_their_place() {
    let server = Server::start().await;
    let id = server.rehearse("Shared", &[("users", "1")]).await;
    server.idle(&id, "").await;
    let query = "subscription { instanceStateChanged { cursor cause instance { name } } }";
    let mut sockets = Vec::new();
    for _ in 0..20 {
        let mut socket = server.acknowledged(&server.admin).await;
        socket.subscribe("s", query).await;
        hear(&mut socket, "s", |_| true).await;
        sockets.push(socket);
    }
    for round in 0..30 {
        server.done("updateInstance", json!({ "id": id, "name": format!("Shared {round}") }), "instance { id }").await;
    }
    let mut heard = Vec::new();
    for socket in &mut sockets {
        heard.push(hear(socket, "s", |event| event["instance"]["name"] == "Shared 29").await);
    }
    assert_eq!(heard[0].len(), 30);
    assert!(heard.iter().all(|events| *events == heard[0]));
}

/// The least number of statements that ten renames took, of several tries: workers run some of their own.
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
            hear(socket, "s", |event| event["instance"]["name"] == end.as_str()).await;
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
        hear(&mut socket, "s", |_| true).await;
        sockets.push(socket);
    }
    let watched = statements_of_ten_renames(&server, &id, &mut sockets).await;
    // Twenty subscribers and ten events: a statement each would be two hundred.
    assert!(watched < alone + 20, "{alone} statements alone, {watched} with twenty subscribers");
}
