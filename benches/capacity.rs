//! The capacity of three replicas and one PostgreSQL on this machine, with many instances, users,
//! changes and subscribers. Prints costs per unit, from which other installations can be planned.
//!
//! `DATABASE_URL=postgres://… cargo bench --bench capacity`, with an empty database on a server
//! that is configured as in production. `SMALL` (9,990) instances with 10 users each, `BIG` (10)
//! instances with `BIG_USERS` (1,000,000) each, and `SUBSCRIBERS` (1,000) per replica.

#![allow(clippy::disallowed_methods, reason = "a benchmark measures time")]
#![allow(clippy::cast_precision_loss, reason = "figures for people")]

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt, stream};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

const REPLICAS: usize = 3;
const PORT: u16 = 18_400;
const CLIENTS: usize = 24;

/// One replica, in its own process.
struct Replica {
    child: Child,
    url: String,
}

impl Drop for Replica {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A client of all replicas.
#[derive(Clone)]
struct Client {
    http: reqwest::Client,
    token: String,
}

impl Client {
    async fn ask(&self, url: &str, query: &str, variables: Value) -> Value {
        let body = json!({ "query": query, "variables": variables }).to_string();
        let request = self.http.post(format!("{url}/graphql")).bearer_auth(&self.token);
        let answer = request.header("content-type", "application/json").body(body).send().await.expect("an answer");
        let answer: Value = serde_json::from_slice(&answer.bytes().await.expect("a body")).expect("JSON");
        assert!(answer.get("errors").is_none(), "{answer:#}");
        answer["data"].clone()
    }
}

#[tokio::main]
async fn main() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let Ok(database) = std::env::var("DATABASE_URL") else {
        println!("capacity: DATABASE_URL names no database; nothing is measured");
        return;
    };
    let number =
        |name: &str, default: usize| std::env::var(name).map_or(default, |text| text.parse().expect("a number"));
    let (small, big) = (number("SMALL", 9_990), number("BIG", 10));
    let (big_users, subscribers) = (number("BIG_USERS", 1_000_000), number("SUBSCRIBERS", 1_000));
    let dir = tempfile::tempdir().expect("a scratch folder");
    let muster = |arguments: &[&str], port: u16| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_muster"));
        command.args(arguments).env("MUSTER_DATABASE_URL", &database).env("MUSTER_DATA_DIR", dir.path());
        command.env("MUSTER_LISTEN", format!("127.0.0.1:{port}")).env("MUSTER_LOG", "warn");
        command.env("MUSTER_SYNC_CONCURRENCY", "4").stderr(Stdio::inherit());
        command
    };
    let made = muster(&["token", "create", "--name", "bench", "--unlimited"], PORT).output().expect("a token");
    let client =
        Client { http: reqwest::Client::new(), token: String::from_utf8(made.stdout).expect("text").trim().into() };
    let mut replicas = Vec::new();
    for port in (PORT..).take(REPLICAS) {
        let began = Instant::now();
        let child = muster(&["serve"], port).stdout(Stdio::null()).spawn().expect("a replica");
        let replica = Replica { child, url: format!("http://127.0.0.1:{port}") };
        while !client.http.get(format!("{}/readyz", replica.url)).send().await.is_ok_and(|a| a.status().is_success()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        println!("replica {port}: ready after {:.2} s", began.elapsed().as_secs_f64());
        replicas.push(replica);
    }
    let bench = Bench { client, replicas, database };

    bench.instances("small", small, 10).await;
    bench.instances("big", big, big_users).await;
    bench.queries("big 0").await;
    bench.again("big 0", big_users).await;
    bench.renames(1).await;
    bench.renames(REPLICAS).await;
    bench.subscribers(subscribers).await;
    bench.deletion("big 1", big_users).await;
    bench.sizes().await;
}

struct Bench {
    client: Client,
    replicas: Vec<Replica>,
    database: String,
}

impl Bench {
    fn url(&self, turn: usize) -> &str {
        &self.replicas[turn % self.replicas.len()].url
    }

    /// The CPU seconds used by all replicas so far.
    fn cpu(&self) -> f64 {
        let ticks = |replica: &Replica| {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", replica.child.id())).unwrap_or_default();
            let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
            fields.get(11..13).map_or(0.0, |two| two.iter().filter_map(|n| n.parse::<f64>().ok()).sum())
        };
        self.replicas.iter().map(ticks).sum::<f64>() / 100.0
    }

    /// The CPU seconds used by the whole machine so far.
    fn machine() -> f64 {
        let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
        let mut fields = stat.lines().next().unwrap_or_default().split_whitespace().skip(1);
        // Without steal time.
        let parts: Vec<f64> = fields.by_ref().take(7).filter_map(|n| n.parse().ok()).collect();
        // Without idle and iowait.
        parts.iter().enumerate().filter(|(place, _)| *place != 3 && *place != 4).map(|(_, n)| n).sum::<f64>() / 100.0
    }

    fn memory(&self) -> String {
        let rss = |replica: &Replica| {
            let status = std::fs::read_to_string(format!("/proc/{}/status", replica.child.id())).unwrap_or_default();
            let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or_default().to_owned();
            line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1024
        };
        self.replicas.iter().map(|replica| format!("{} MiB", rss(replica))).collect::<Vec<_>>().join(", ")
    }

    async fn count(&self, filter: &str) -> i64 {
        let query = format!("{{ instances(filter: {filter}) {{ totalCount }} }}");
        self.client.ask(self.url(0), &query, json!({})).await["instances"]["totalCount"].as_i64().expect("a count")
    }

    async fn id(&self, name: &str) -> String {
        let query = "query($name: String!) { instances(filter: { search: $name }) { nodes { id name } } }";
        let found = self.client.ask(self.url(0), query, json!({ "name": name })).await;
        let nodes = found["instances"]["nodes"].as_array().expect("a list").clone();
        let node = nodes.iter().find(|node| node["name"] == name).expect("the instance");
        node["id"].as_str().expect("an id").to_owned()
    }

    async fn wait_for_health(&self, wanted: i64) {
        while self.count("{ health: [OK] }").await < wanted {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    async fn instances(&self, what: &str, count: usize, users: usize) {
        let before = self.count("{ health: [OK] }").await;
        let (began, cpu, machine) = (Instant::now(), self.cpu(), Self::machine());
        let query =
            "mutation($input: CreateInstanceInput!) { createInstance(input: $input) { userErrors { message } } }";
        stream::iter(0..count)
            .for_each_concurrent(CLIENTS, |number| async move {
                let config =
                    json!([{ "key": "users", "value": users.to_string() }, { "key": "page_size", "value": "1000" }]);
                let input = json!({ "integrationKey": "rehearsal", "name": format!("{what} {number}"), "config": config,
                    "syncIntervalMinutes": 1440 });
                let data = self.client.ask(self.url(number), query, json!({ "input": input })).await;
                assert_eq!(data["createInstance"]["userErrors"], json!([]));
            })
            .await;
        let created = began.elapsed().as_secs_f64();
        self.wait_for_health(before + i64::try_from(count).expect("a count")).await;
        let synced = began.elapsed().as_secs_f64();
        let (cpu, machine) = (self.cpu() - cpu, Self::machine() - machine);
        let total = (count * users) as f64;
        println!(
            "{what}: {count} instances of {users} users: created in {created:.1} s ({:.0}/s), synced after {synced:.1} s \
             ({:.0} runs/s, {:.0} users/s); CPU of replicas {cpu:.1} s, of the machine {machine:.1} s; memory {}",
            count as f64 / created,
            count as f64 / synced,
            total / synced,
            self.memory()
        );
    }

    async fn queries(&self, big: &str) {
        let id = self.id(big).await;
        let questions = [
            ("50 instances with relations", "{ instances(first: 50) { nodes { name notice { title } integration { name } lastSync { outcome seen } } } }".to_owned()),
            ("instances: total", "{ instances { totalCount } }".to_owned()),
            ("100 users of all", "{ users(first: 100) { nodes { displayName email status instance { name } } } }".to_owned()),
            ("100 users of a big instance", format!("{{ users(first: 100, filter: {{ instanceId: \"{id}\" }}) {{ nodes {{ displayName email }} }} }}")),
            ("search users", "{ users(first: 20, filter: { search: \"ada.berg.16@\" }) { nodes { email } } }".to_owned()),
            ("search users, common", "{ users(first: 20, filter: { search: \"ada\" }) { nodes { email } } }".to_owned()),
            ("users: total of a big instance", format!("{{ users(filter: {{ instanceId: \"{id}\" }}) {{ totalCount }} }}")),
            ("users: total of all", "{ users { totalCount } }".to_owned()),
            ("20 runs of all", "{ syncHistory(first: 20) { nodes { outcome instance { name } } } }".to_owned()),
            ("integrations with counts", "{ integrations(first: 50) { nodes { name instanceCount userCount } } }".to_owned()),
        ];
        for (what, question) in questions {
            let mut times = Vec::new();
            let whole = Instant::now();
            while times.len() < 20 && whole.elapsed() < Duration::from_secs(30) {
                let began = Instant::now();
                self.client.ask(self.url(times.len()), &question, json!({})).await;
                times.push(began.elapsed());
            }
            println!("query, {what}: {}", spread(times));
        }
    }

    /// A second run without changes.
    async fn again(&self, name: &str, users: usize) {
        let id = self.id(name).await;
        let (began, cpu) = (Instant::now(), self.cpu());
        let query = "mutation($id: ID!) { syncInstance(input: { id: $id }) { userErrors { message } } }";
        self.client.ask(self.url(0), query, json!({ "id": id })).await;
        let idle = "query($id: ID!) { instance(id: $id) { syncState } }";
        while self.client.ask(self.url(0), idle, json!({ "id": id })).await["instance"]["syncState"] != "IDLE" {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let took = began.elapsed().as_secs_f64();
        println!(
            "again: {users} users, unchanged: {took:.1} s, {:.0} users/s, CPU of replicas {:.1} s",
            users as f64 / took,
            self.cpu() - cpu
        );
    }

    /// The rate of state changes, each with its event.
    async fn renames(&self, replicas: usize) {
        let query = "query { instances(first: 100, filter: { search: \"small\" }) { nodes { id } } }";
        let found = self.client.ask(self.url(0), query, json!({})).await["instances"]["nodes"].clone();
        let ids: Vec<String> =
            found.as_array().expect("a list").iter().filter_map(|node| Some(node["id"].as_str()?.to_owned())).collect();
        if ids.len() < CLIENTS {
            return;
        }
        let (began, cpu, machine) = (Instant::now(), self.cpu(), Self::machine());
        let work = ids.iter().take(CLIENTS).enumerate().map(|(turn, id)| async move {
            let mut times = Vec::new();
            let query = "mutation($id: ID!, $minutes: Int!) { updateInstance(input: { id: $id, syncIntervalMinutes: $minutes }) { userErrors { message } } }";
            while began.elapsed() < Duration::from_secs(10) {
                let asked = Instant::now();
                let minutes = 1_000 + times.len() % 2;
                self.client.ask(&self.replicas[turn % replicas].url, query, json!({ "id": id, "minutes": minutes })).await;
                times.push(asked.elapsed());
            }
            times
        });
        let times: Vec<Duration> = futures_util::future::join_all(work).await.into_iter().flatten().collect();
        let (count, took) = (times.len() as f64, began.elapsed().as_secs_f64());
        println!(
            "changes by {CLIENTS} clients of {replicas} replicas: {:.0}/s, {}; CPU of replicas {:.2} ms, of the machine {:.2} ms a change",
            count / took,
            spread(times),
            (self.cpu() - cpu) * 1000.0 / count,
            (Self::machine() - machine) * 1000.0 / count
        );
    }

    /// The latency and CPU cost of delivering an event to all subscribers of all replicas.
    async fn subscribers(&self, each: usize) {
        let id = self.id("small 0").await;
        let (heard, mut hearing) = mpsc::unbounded_channel::<Instant>();
        let (ready, mut readies) = mpsc::unbounded_channel::<()>();
        let before = self.memory();
        let question = format!(
            "subscription {{ instanceStateChanged(filter: {{ ids: [\"{id}\"] }}) {{ cursor cause instance {{ name }} }} }}"
        );
        let mut tasks = Vec::new();
        for turn in 0..each * self.replicas.len() {
            let (url, token) = (self.url(turn).replace("http", "ws"), self.client.token.clone());
            let (heard, ready, question) = (heard.clone(), ready.clone(), question.clone());
            tasks.push(tokio::spawn(async move {
                let mut request = format!("{url}/graphql").into_client_request().expect("a request");
                request
                    .headers_mut()
                    .insert("Sec-WebSocket-Protocol", "graphql-transport-ws".parse().expect("a header"));
                let (mut socket, _) = connect_async(request).await.expect("a socket");
                let hello =
                    json!({ "type": "connection_init", "payload": { "authorization": format!("Bearer {token}") } });
                let ask = json!({ "type": "subscribe", "id": "1", "payload": { "query": question } });
                socket.send(Message::text(hello.to_string())).await.expect("sent");
                let _accepted = socket.next().await;
                socket.send(Message::text(ask.to_string())).await.expect("sent");
                while let Some(Ok(message)) = socket.next().await {
                    let Ok(text) = message.to_text() else { continue };
                    if text.contains("SNAPSHOT") {
                        let _ = ready.send(());
                    } else if text.contains("UPDATED") {
                        let _ = heard.send(Instant::now());
                    }
                }
            }));
        }
        for _ in 0..tasks.len() {
            let ready = tokio::time::timeout(Duration::from_mins(1), readies.recv()).await;
            ready.expect("all subscribers get a snapshot within a minute");
        }
        println!("{} subscribers: memory {before}, now {}", tasks.len(), self.memory());
        let (mut times, cpu) = (Vec::new(), self.cpu());
        let query = "mutation($id: ID!, $minutes: Int!) { updateInstance(input: { id: $id, syncIntervalMinutes: $minutes }) { userErrors { message } } }";
        for change in 0..20 {
            let began = Instant::now();
            self.client.ask(self.url(change), query, json!({ "id": id, "minutes": 2_000 + change })).await;
            for _ in 0..tasks.len() {
                let at = tokio::time::timeout(Duration::from_secs(30), hearing.recv()).await;
                times.push(at.expect("every subscriber gets the event").expect("a time").duration_since(began));
            }
        }
        let deliveries = times.len() as f64;
        println!("deliveries: {}; CPU of replicas {:.1} µs each", spread(times), (self.cpu() - cpu) * 1e6 / deliveries);
        for task in tasks {
            task.abort();
        }
    }

    async fn deletion(&self, name: &str, users: usize) {
        let id = self.id(name).await;
        let began = Instant::now();
        let query = "mutation($id: ID!) { deleteInstance(input: { id: $id, acknowledgeIrreversible: true }) { userErrors { message } } }";
        self.client.ask(self.url(0), query, json!({ "id": id })).await;
        let answered = began.elapsed();
        let status = "query($id: ID!) { instance(id: $id) { status } }";
        while self.client.ask(self.url(0), status, json!({ "id": id })).await["instance"]["status"] != "DELETED" {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let took = began.elapsed().as_secs_f64();
        println!(
            "deletion of {users} users: answered in {answered:.1?}, done in {took:.1} s, {:.0} users/s",
            users as f64 / took
        );
    }

    async fn sizes(&self) {
        use sea_orm::ConnectionTrait;
        let db = sea_orm::Database::connect(&self.database).await.expect("the database");
        let sql = "SELECT c.relname AS name, c.reltuples::bigint AS rows, pg_table_size(c.oid) AS data, pg_indexes_size(c.oid) AS indexes \
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r' AND n.nspname = 'public' ORDER BY 3 DESC";
        db.execute_unprepared("ANALYZE").await.expect("analysed");
        for row in
            db.query_all_raw(sea_orm::Statement::from_string(db.get_database_backend(), sql)).await.expect("rows")
        {
            let number = |column: &str| row.try_get::<i64>("", column).unwrap_or(0);
            let (rows, data, indexes) = (number("rows"), number("data"), number("indexes"));
            if rows > 0 {
                let name: String = row.try_get("", "name").unwrap_or_default();
                println!(
                    "table {name}: {rows} rows, {} MiB and {} MiB of indexes, {} bytes a row",
                    data >> 20,
                    indexes >> 20,
                    (data + indexes) / rows
                );
            }
        }
    }
}

/// Median, 95th percentile and maximum.
fn spread(mut times: Vec<Duration>) -> String {
    times.sort();
    let at = |share: f64| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
        let place = ((times.len() - 1) as f64 * share) as usize;
        times[place].as_secs_f64() * 1000.0
    };
    format!("median {:.1} ms, p95 {:.1} ms, max {:.1} ms of {}", at(0.5), at(0.95), at(1.0), times.len())
}
