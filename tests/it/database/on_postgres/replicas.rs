//! Several replicas on one database: each sees what the others do.

use std::time::Duration;

use entity::event::{Column, Entity};
use futures_util::future::join_all;
use muster::instance::event::Event;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::process::Home;
use crate::process::settings::refusal;
use crate::subscriptions::states::receive_until;
use crate::support::wire::Socket;
use crate::support::{DEADLINE, Server, http};

/// How soon the other replica must see a change.
const SOON: Duration = Duration::from_secs(1);
const QUERY: &str = "subscription { instanceStateChanged { cursor cause instance { id name } } }";

/// Two replicas on one database.
async fn two() -> (Server, Server) {
    let one = Server::start().await;
    let other = Server::builder().place(one.place.replica()).start().await;
    (one, other)
}

async fn subscriber(server: &Server, snapshots: usize) -> Socket {
    let mut socket = server.acknowledged(&server.admin).await;
    socket.subscribe("s", QUERY).await;
    for _ in 0..snapshots {
        receive_until(&mut socket, "s", |event| event["cause"] == "SNAPSHOT").await;
    }
    socket
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscriber_of_one_hears_within_a_second_what_the_other_did() {
    let (one, other) = two().await;
    let id = one.rehearse("Acme", &[("users", "1")]).await;
    one.idle(&id, "").await;
    let mut socket = subscriber(&one, 1).await;
    for round in 0..20 {
        let name = format!("Renamed {round}");
        other.done("updateInstance", json!({ "id": id, "name": name }), "instance { id }").await;
        let committed = Instant::now();
        receive_until(&mut socket, "s", |event| event["instance"]["name"] == name.as_str()).await;
        assert!(committed.elapsed() < SOON, "round {round}: {:?}", committed.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_answer_of_one_shows_what_the_other_did() {
    let (one, other) = two().await;
    let id = one.rehearse("Acme", &[("users", "1")]).await;
    one.idle(&id, "").await;
    let poll = async |server: &Server| {
        let found = server.ask("{ instances { nodes { name lastSync { id } } } }", json!({})).await;
        found["instances"]["nodes"][0]["name"].clone()
    };
    for round in 0..50 {
        for _ in 0..3 {
            assert_eq!(poll(&one).await, poll(&other).await);
        }
        let (writer, reader) = if round % 2 == 0 { (&one, &other) } else { (&other, &one) };
        let name = format!("Renamed {round}");
        writer.done("updateInstance", json!({ "id": id, "name": name }), "instance { id }").await;
        assert_eq!(poll(reader).await, name.as_str());
        assert_eq!(poll(writer).await, name.as_str());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_of_twenty_writers_at_once_is_heard_once_and_in_order_everywhere() {
    let (one, other) = two().await;
    let mut ids = Vec::new();
    for number in 0..20 {
        let id = one.rehearse(&format!("Number {number}"), &[("users", "1")]).await;
        one.idle(&id, "").await;
        ids.push(id);
    }
    let mut sockets = [subscriber(&one, 20).await, subscriber(&other, 20).await];
    for round in 0..5 {
        let renames = ids.iter().enumerate().map(|(number, id)| {
            let server = if number % 4 == 0 { &one } else { &other };
            let input = json!({ "id": id, "name": format!("Number {number}, round {round}") });
            server.done("updateInstance", input, "instance { id }")
        });
        join_all(renames).await;
        let log = Entity::find().filter(Column::Cause.eq(entity::event::Cause::Updated)).order_by_asc(Column::Seq);
        let log = log.all(one.db.read()).await.unwrap();
        let name = |row: &entity::event::Model| Event::try_from(row.clone()).unwrap().snapshot.instance.name;
        let logged: Vec<_> = log[log.len() - 20..].iter().map(|row| Value::from(name(row))).collect();
        for socket in &mut sockets {
            let mut heard = Vec::new();
            while heard.len() < 20 {
                heard.extend(receive_until(socket, "s", |_| true).await);
            }
            let heard: Vec<_> = heard.iter().map(|event| event["instance"]["name"].clone()).collect();
            assert_eq!(heard, logged, "round {round}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_is_revoked_on_one_stops_on_the_other_within_a_second() {
    let (one, other) = two().await;
    let mut socket = other.acknowledged(&other.viewer).await;
    socket.subscribe("s", QUERY).await;
    let ask = || async {
        let call = http().post(format!("{}/graphql", other.url)).bearer_auth(&other.viewer);
        let call = call.header("content-type", "application/json").body(r#"{"query":"{ __typename }"}"#);
        call.send().await.unwrap().status().as_u16()
    };
    assert_eq!(ask().await, 200);
    assert!(one.tokens.revoke("viewer").await.unwrap() > 0);
    let revoked = Instant::now();
    assert_eq!(socket.close_code().await, 4401);
    assert!(revoked.elapsed() < SOON, "its socket stayed open for {:?}", revoked.elapsed());
    while ask().await != 401 {
        assert!(revoked.elapsed() < SOON, "it still works");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_name_is_taken_once_and_one_sync_is_queued_once_whoever_is_asked() {
    let (one, other) = two().await;
    let create = |server: &Server, name: String| {
        let input =
            json!({ "integrationKey": "rehearsal", "name": name, "config": [{ "key": "users", "value": "1" }] });
        let client = crate::support::Client::new(server.url.clone(), server.admin.clone());
        async move { client.mutate("createInstance", input, "instance { id }").await }
    };
    for round in 0..5 {
        let name = format!("Round {round}");
        let made = join_all((0..10).map(|n| create(if n % 2 == 0 { &one } else { &other }, name.clone()))).await;
        let refused = made.iter().filter(|payload| payload["userErrors"][0]["code"] == "NAME_TAKEN").count();
        assert_eq!(refused, 9, "{made:?}");
        let id = made.iter().find_map(|payload| payload["instance"]["id"].as_str()).expect("one was made");
        one.idle(id, "").await;
        let sync = |server| {
            let client: &Server = server;
            async move { client.mutate("syncInstance", json!({ "id": id }), "run { id }").await["run"]["id"].clone() }
        };
        let runs = join_all((0..10).map(|n| sync(if n % 2 == 0 { &one } else { &other }))).await;
        assert!(runs.iter().all(Value::is_string), "{runs:?}");
        other.idle(id, "").await;
        let done = one.runs(id, "id outcome seen").await;
        assert!(done.iter().all(|run| run["outcome"] == "SUCCEEDED" && run["seen"] == 1), "{done:?}");
        assert!(runs.iter().all(|run| done.iter().any(|found| found["id"] == *run)), "{runs:?} of {done:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_work_of_many_instances_is_done_once_by_whoever_takes_it() {
    let (one, other) = two().await;
    let mut ids = Vec::new();
    for number in 0..30 {
        let server = if number % 2 == 0 { &one } else { &other };
        ids.push(server.rehearse(&format!("Number {number}"), &[("users", "40"), ("page_size", "10")]).await);
    }
    for id in &ids {
        let found = one.idle(id, "userCount events(first: 50) { nodes { cause } }").await;
        assert_eq!(found["userCount"], 40);
        let causes: Vec<_> =
            found["events"]["nodes"].as_array().unwrap().iter().map(|it| it["cause"].clone()).collect();
        for once in ["CREATED", "SYNC_STARTED", "SYNC_SUCCEEDED"] {
            assert_eq!(causes.iter().filter(|cause| **cause == once).count(), 1, "{causes:?}");
        }
        let runs = other.runs(id, "added seen outcome").await;
        assert_eq!(runs, [json!({ "added": 40, "seen": 40, "outcome": "SUCCEEDED" })]);
    }
    // One mail per recipient, sent by either replica. Each writes to a folder of its own.
    let deadline = Instant::now() + DEADLINE;
    let mails = || [&one, &other].map(|server| std::fs::read_dir(server.mail_dir()).map_or(0, Iterator::count));
    while mails().iter().sum::<usize>() < 30 {
        assert!(Instant::now() < deadline, "{:?} of 30 mails", mails());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let notifications = one.ask("{ notifications(first: 100) { totalCount nodes { state } } }", json!({})).await;
    assert_eq!(notifications["notifications"]["totalCount"], 30);
    assert_eq!(mails().iter().sum::<usize>(), 30);
}

#[tokio::test]
async fn a_replica_with_another_secret_key_is_refused() {
    let home = Home::new();
    let token = home.token();
    let _program = home.serve(&token).await;
    let stranger = home.replica().set("SECRET_KEY_FILE", home.dir.path().join("other.key").display().to_string());
    let line = refusal(&stranger, &["serve"]);
    assert!(line.contains("secret key"), "{line}");
    let replica = home.replica();
    let second = replica.serve(&token).await;
    assert_eq!(second.client.ask("{ __typename }", json!({})).await["__typename"], "Query");
}
