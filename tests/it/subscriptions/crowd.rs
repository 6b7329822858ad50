use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::states::receive_until;
use crate::support::{DEADLINE, Server};

/// Fifty times the name, so that a result has more than 4,000 bytes.
fn long_names() -> String {
    let aliases: Vec<_> = (0..50).map(|number| format!("n{number}: name")).collect();
    let aliases = aliases.join(" ");
    format!(
        "subscription($after: String) {{ instanceStateChanged(after: $after) {{ cursor instance {{ {aliases} }} }} }}"
    )
}

const SHORT: &str = "subscription($after: String) { instanceStateChanged(after: $after) { cursor instance { name } } }";

fn name(round: usize) -> String {
    format!("{round:06} {}", "x".repeat(70))
}

/// Renames the instance so many times, and returns the cursors before each of the changes.
async fn rename(server: &Server, id: &str, rounds: usize) -> Vec<Value> {
    let mut socket = server.acknowledged(&server.admin).await;
    socket.subscribe("s", "subscription { instanceStateChanged { cursor instance { name } } }").await;
    let mut cursors = receive_until(&mut socket, "s", |_| true).await;
    for round in 0..rounds {
        server.done("updateInstance", json!({ "id": id, "name": name(round) }), "instance { id }").await;
    }
    cursors.extend(receive_until(&mut socket, "s", |event| event["instance"]["name"] == name(rounds - 1)).await);
    cursors.iter().map(|event| event["cursor"].clone()).collect()
}

/// A stream of server-sent events, of which nothing has been read.
async fn listen(server: &Server, query: &str, after: &Value) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let address = server.url.trim_start_matches("http://");
    let mut stream = socket.connect(address.parse().unwrap()).await.unwrap();
    let body = json!({ "query": query, "variables": { "after": after } }).to_string();
    let head = format!(
        "POST /graphql HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\nContent-Type: application/json\r\n\
         Authorization: Bearer {}\r\nContent-Length: {}\r\n\r\n",
        server.admin,
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    stream
}

/// The rounds that a stream has events of, in order, up to `last`.
async fn rounds(mut stream: TcpStream, first_field: &str, last: usize) -> Vec<usize> {
    let (mut text, mut found, mut buffer) = (String::new(), Vec::new(), vec![0; 16 * 1024]);
    let field = format!("\"{first_field}\":\"");
    while found.last() != Some(&last) {
        let read = tokio::time::timeout(DEADLINE, stream.read(&mut buffer)).await.expect("in time").unwrap();
        assert!(read > 0, "the stream ended after {found:?}");
        text.push_str(&String::from_utf8_lossy(&buffer[..read]));
        while let Some(at) = text.find(&field).filter(|at| text.len() >= at + field.len() + 6) {
            let round = &text[at + field.len()..][..6];
            found.push(round.parse().unwrap_or_else(|_| panic!("{round}")));
            text.drain(..at + field.len());
        }
    }
    found
}

/// The memory of this process in MiB, at the most.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1024
}

#[tokio::test(flavor = "multi_thread")]
async fn subscribers_that_return_at_once_each_get_exactly_what_they_missed() {
    const SUBSCRIBERS: usize = 300;
    const ROUNDS: usize = 120;
    let server = Server::builder().settings(|settings| settings.token_subscriptions = 0).start().await;
    let id = server.rehearse("Busy", &[("users", "1")]).await;
    server.idle(&id, "").await;
    let cursors = rename(&server, &id, ROUNDS).await;
    let (statements, before) = (server.db.statements(), memory());
    let mut streams = Vec::new();
    for number in 0..SUBSCRIBERS {
        streams.push(listen(&server, &long_names(), &cursors[number % ROUNDS]).await);
    }
    let reading = streams.into_iter().map(|stream| tokio::spawn(rounds(stream, "n0", ROUNDS - 1)));
    for (number, received) in reading.collect::<Vec<_>>().into_iter().enumerate() {
        assert_eq!(received.await.unwrap(), (number % ROUNDS..ROUNDS).collect::<Vec<_>>());
    }
    let statements = server.db.statements() - statements;
    // If each had read the log by itself, there would be at least four for each.
    assert!(statements < 2 * SUBSCRIBERS as u64, "{statements} statements");
    // Together they received about 80 MiB.
    assert!(memory() - before < 60, "{before} MiB before, {} at the most", memory());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_stalls_holds_nobody_up_and_gets_everything_later() {
    const ROUNDS: usize = 100;
    let server = Server::start().await;
    let id = server.rehearse("Slow", &[("users", "1")]).await;
    server.idle(&id, "").await;
    let cursors = rename(&server, &id, ROUNDS).await;
    let mut stalled = Vec::new();
    for _ in 0..20 {
        stalled.push(listen(&server, &long_names(), &cursors[0]).await);
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut quick = server.acknowledged(&server.admin).await;
    let subscription = json!({ "query": SHORT, "variables": { "after": cursors[0] } });
    quick.say(json!({ "id": "s", "type": "subscribe", "payload": subscription })).await;
    let received = receive_until(&mut quick, "s", |event| event["instance"]["name"] == name(ROUNDS - 1)).await;
    assert_eq!(received.len(), ROUNDS);
    server.done("updateInstance", json!({ "id": id, "name": name(ROUNDS) }), "instance { id }").await;
    receive_until(&mut quick, "s", |event| event["instance"]["name"] == name(ROUNDS)).await;
    for stream in stalled {
        assert_eq!(rounds(stream, "n0", ROUNDS).await, (0..=ROUNDS).collect::<Vec<_>>());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn subscribers_share_snapshots_and_miss_no_change_meanwhile() {
    const INSTANCES: usize = 120;
    let server = Server::start().await;
    let mut ids = Vec::new();
    for number in 0..INSTANCES {
        ids.push(server.rehearse(&name(number), &[("users", "1")]).await);
    }
    for id in &ids {
        server.idle(id, "").await;
    }
    let mut sockets = Vec::new();
    for _ in 0..40 {
        let mut socket = server.acknowledged(&server.admin).await;
        socket.subscribe("s", "subscription { instanceStateChanged { cause instance { id name } } }").await;
        sockets.push(socket);
    }
    let changed = [0, INSTANCES / 2, INSTANCES - 1].map(|number| ids[number].clone());
    for id in &changed {
        server.done("updateInstance", json!({ "id": id, "name": format!("Changed {id}") }), "instance { id }").await;
    }
    let last = format!("Changed {}", changed[2]);
    for socket in &mut sockets {
        let events = receive_until(socket, "s", |event| event["instance"]["name"] == last.as_str()).await;
        let mut shown = std::collections::HashMap::new();
        for event in &events {
            shown.insert(event["instance"]["id"].as_str().unwrap(), event["instance"]["name"].as_str().unwrap());
        }
        assert_eq!(shown.len(), INSTANCES);
        assert!(changed.iter().all(|id| shown[id.as_str()] == format!("Changed {id}")));
        let snapshots = events.iter().filter(|event| event["cause"] == "SNAPSHOT").count();
        assert_eq!(snapshots, INSTANCES, "each instance has one snapshot");
    }
}
