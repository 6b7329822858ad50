//! What many subscribers cost a server, on real sockets: the change of an instance that nobody watches, dashboards that
//! open at once and get a snapshot of every instance, and dashboards that return at once, each some events behind.
//! Prints the server's CPU and memory, PostgreSQL's CPU, and how long a plain query takes meanwhile.
//!
//! `cargo bench --bench subscribers` uses SQLite, or the PostgreSQL database of `DATABASE_URL`, which should be empty
//! and the only one on this machine that is busy. `INSTANCES=10000`, `DASHBOARDS=100`, `RETURNING=1000` and `BEHIND=200`
//! are the defaults. A returning dashboard needs two file descriptors.

#![allow(clippy::disallowed_methods, reason = "a benchmark measures time")]
#![allow(clippy::cast_precision_loss, reason = "figures for people")]

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

const ADDRESS: &str = "127.0.0.1:18410";
const QUESTION: &str = "subscription S($after: String) { instanceStateChanged(after: $after) { cursor at cause instance { id name status inactiveReason syncState } } }";
const RENAME: &str = "mutation($input: UpdateInstanceInput!) { updateInstance(input: $input) { userErrors { code } } }";

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// The server in its own process.
struct Server {
    child: Child,
    http: reqwest::Client,
    token: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    async fn ask(&self, query: &str, variables: Value) -> Value {
        let body = json!({ "query": query, "variables": variables }).to_string();
        let request = self.http.post(format!("http://{ADDRESS}/graphql")).bearer_auth(&self.token);
        let answer = request.header("content-type", "application/json").body(body).send().await.expect("an answer");
        let answer: Value = serde_json::from_slice(&answer.bytes().await.expect("a body")).expect("JSON");
        assert!(answer.get("errors").is_none(), "{answer:#}");
        answer["data"].clone()
    }

    async fn create(&self, count: usize) -> Vec<String> {
        let query = "mutation($input: CreateInstanceInput!) { createInstance(input: $input) { instance { id } userErrors { message } } }";
        let ids: Vec<String> = stream::iter(0..count)
            .map(|number| async move {
                let config = json!([{ "key": "users", "value": "2" }]);
                let input = json!({ "integrationKey": "rehearsal", "name": format!("Workspace {number}"), "config": config,
                    "syncIntervalMinutes": 1440 });
                let created = self.ask(query, json!({ "input": input })).await;
                created["createInstance"]["instance"]["id"].as_str().expect("an id").to_owned()
            })
            .buffer_unordered(16)
            .collect()
            .await;
        let pending = "{ instances(first: 1, filter: { health: [PENDING] }) { totalCount } }";
        while self.ask(pending, json!({})).await["instances"]["totalCount"] != 0 {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        ids
    }

    async fn rename(&self, ids: &[String], count: usize, what: &str) {
        for (number, id) in ids.iter().cycle().take(count).enumerate() {
            self.ask(RENAME, json!({ "input": { "id": id, "name": format!("{what} {number} of {count}") } })).await;
        }
    }

    fn spent(&self) -> Spent {
        let postgres = std::fs::read_dir("/proc").expect("Linux").flatten().filter_map(|entry| {
            let id: u32 = entry.file_name().to_str()?.parse().ok()?;
            let name = std::fs::read_to_string(entry.path().join("comm")).ok()?;
            (name.trim() == "postgres").then(|| cpu(id))
        });
        Spent { server: cpu(self.child.id()), postgres: postgres.sum() }
    }

    fn memory(&self, what: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with(what)).unwrap_or_default();
        line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1024
    }

    /// A dashboard, which reads until it has so many frames. The time is when it had them.
    async fn dashboard(&self, after: Option<String>, frames: usize) -> Instant {
        let mut socket = TcpStream::connect(ADDRESS).await.expect("a connection");
        let head = format!(
            "GET /graphql HTTP/1.1\r\nHost: {ADDRESS}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n\
             Authorization: Bearer {}\r\n\r\n",
            self.token
        );
        socket.write_all(head.as_bytes()).await.expect("sent");
        let payload = json!({ "query": QUESTION, "variables": { "after": after } });
        let subscribe = json!({ "id": "s", "type": "subscribe", "payload": payload });
        let mut buffer = Vec::new();
        until(&mut socket, &mut buffer, b"\r\n\r\n", 1).await;
        socket.write_all(&frame(&json!({ "type": "connection_init" }))).await.expect("sent");
        until(&mut socket, &mut buffer, b"connection_ack", 1).await;
        socket.write_all(&frame(&subscribe)).await.expect("sent");
        until(&mut socket, &mut buffer, br#""type":"next""#, frames).await;
        Instant::now()
    }

    /// Asks a plain query again and again, until it is told to stop.
    fn ask_meanwhile(self: &Arc<Self>, stop: Arc<AtomicBool>) -> JoinHandle<Vec<Duration>> {
        let server = self.clone();
        tokio::spawn(async move {
            let mut times = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let asked = Instant::now();
                server.ask("{ instances(first: 20) { nodes { id name } } }", json!({})).await;
                times.push(asked.elapsed());
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            times.sort();
            times
        })
    }

    /// Opens dashboards at once, each of which gets so many frames.
    async fn open(self: &Arc<Self>, what: &str, dashboards: usize, after: Option<&str>, frames: usize) {
        let _ = std::fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5");
        let (before, memory, began) = (self.spent(), self.memory("VmRSS"), Instant::now());
        let stop = Arc::new(AtomicBool::new(false));
        let asking = self.ask_meanwhile(stop.clone());
        let opened: Vec<_> = (0..dashboards)
            .map(|_| {
                let (server, after) = (self.clone(), after.map(str::to_owned));
                tokio::spawn(async move { server.dashboard(after, frames).await })
            })
            .collect();
        let mut last = began;
        for dashboard in opened {
            last = last.max(dashboard.await.expect("a dashboard"));
        }
        stop.store(true, Ordering::Relaxed);
        let (times, spent) = (asking.await.expect("times"), self.spent().since(before));
        let peak = self.memory("VmHWM");
        tokio::time::sleep(Duration::from_secs(5)).await;
        println!(
            "{what}: {dashboards} dashboards with {frames} frames each after {:.1} s; CPU {:.1} µs a frame, PostgreSQL {:.2} s; \
             memory {memory} MiB before, {peak} at the most, {} later; a plain query meanwhile: median {:?}, 99 % within {:?}",
            (last - began).as_secs_f64(),
            spent.server * 1e6 / (dashboards * frames) as f64,
            spent.postgres,
            self.memory("VmRSS"),
            times[times.len() / 2],
            times[times.len() * 99 / 100],
        );
    }

    async fn newest(&self, id: &str) -> String {
        let query = "query($id: ID!) { instance(id: $id) { events(first: 1) { nodes { cursor } } } }";
        let found = self.ask(query, json!({ "id": id })).await;
        found["instance"]["events"]["nodes"][0]["cursor"].as_str().expect("a cursor").to_owned()
    }
}

/// CPU seconds.
#[derive(Clone, Copy)]
struct Spent {
    server: f64,
    postgres: f64,
}

impl Spent {
    fn since(self, before: Spent) -> Spent {
        Spent { server: self.server - before.server, postgres: self.postgres - before.postgres }
    }
}

/// The CPU seconds of a process.
fn cpu(process: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    fields.get(11..13).map_or(0.0, |two| two.iter().filter_map(|n| n.parse::<f64>().ok()).sum()) / 100.0
}

/// A text frame of a client, with a mask of zeros.
fn frame(message: &Value) -> Vec<u8> {
    let text = message.to_string().into_bytes();
    let length = u16::try_from(text.len()).expect("a short message");
    let mut frame = vec![0x81, 0x80 | 0x7e];
    frame.extend(length.to_be_bytes());
    frame.extend([0; 4]);
    frame.extend(text);
    frame
}

/// Reads until a text has occurred so often. The end of what was read stays in the buffer.
async fn until(socket: &mut TcpStream, buffer: &mut Vec<u8>, text: &[u8], times: usize) {
    let mut found = 0;
    loop {
        let mut from = 0;
        while let Some(at) = buffer[from..].windows(text.len()).position(|part| part == text) {
            found += 1;
            from += at + text.len();
            if found == times {
                buffer.drain(..from);
                return;
            }
        }
        buffer.drain(..from.max(buffer.len().saturating_sub(text.len() - 1)));
        let read = tokio::time::timeout(Duration::from_mins(2), socket.read_buf(buffer)).await;
        assert!(read.expect("in time").expect("a connection") > 0, "closed after {found} of {times}");
    }
}

#[tokio::main]
async fn main() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (instances, dashboards) = (number("INSTANCES", 10_000), number("DASHBOARDS", 100));
    let (returning, behind) = (number("RETURNING", 1_000), number("BEHIND", 200));
    let dir = tempfile::tempdir().expect("a scratch folder");
    let muster = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_muster"));
        command.args(arguments).env("MUSTER_DATA_DIR", dir.path()).env("MUSTER_LISTEN", ADDRESS);
        command.env("MUSTER_LOG", "warn").stderr(Stdio::inherit());
        if let Ok(database) = std::env::var("DATABASE_URL") {
            command.env("MUSTER_DATABASE_URL", database);
        }
        command
    };
    let made = muster(&["token", "create", "--name", "bench", "--unlimited"]).output().expect("a token");
    let token = String::from_utf8(made.stdout).expect("text").trim().to_owned();
    let child = muster(&["serve"]).stdout(Stdio::null()).spawn().expect("a server");
    let server = Arc::new(Server { child, http: reqwest::Client::new(), token });
    let ready = format!("http://{ADDRESS}/readyz");
    while !server.http.get(&ready).send().await.is_ok_and(|answer| answer.status().is_success()) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let ids = server.create(instances).await;

    server.rename(&ids, 100, "Warm").await;
    let (before, began) = (server.spent(), Instant::now());
    server.rename(&ids, 1_000, "Changed").await;
    let (spent, took) = (server.spent().since(before), began.elapsed());
    println!(
        "a change of state: CPU {:.2} ms of the server and {:.2} ms of PostgreSQL; {:.2} ms each",
        spent.server,
        spent.postgres,
        took.as_secs_f64()
    );
    server.open("snapshots", dashboards, None, instances).await;
    server.rename(&ids[..1], 1, "Here").await;
    let cursor = server.newest(&ids[0]).await;
    server.rename(&ids, behind, "Missed").await;
    server.open("storm", returning, Some(&cursor), behind).await;
}
