//! Many instances at once, on real sockets.
//!
//! First, 40 instances whose application hangs and 200 whose application answers, all due every minute: how long after
//! it was queued a run of the latter starts, and how long a first sync takes meanwhile. Then 10,000 instances whose
//! application takes 3 seconds, on 50 hosts, all due at once: how long until all were synced, and how long a page of
//! instances takes meanwhile, over HTTP.
//!
//! `cargo bench --bench crowd` uses SQLite, or the PostgreSQL database of `DATABASE_URL`, which should be empty.
//! `MINUTES=8` and `INSTANCES=10000` are the defaults.

#![allow(clippy::disallowed_methods, reason = "a benchmark measures time")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use entity::instance::{Column, Entity, Model, SyncState};
use entity::run::{self, Outcome, Trigger};
use muster::app::App;
use muster::auth::tokens::{Allowance, NewToken};
use muster::auth::{Caller, Role, Who};
use muster::clock::Clock;
use muster::config::{Roles, Settings};
use muster::instance::Instances;
use muster::instance::create::Create;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect};
use tokio::net::TcpListener;

/// For which latency an application does not answer at all.
const SILENCE: u64 = u64::MAX;
const LIST: &str = r#"{"totalResults":2,"startIndex":1,"itemsPerPage":2,"Resources":[
    {"id":"ann","userName":"ann@example.com","active":true},{"id":"ben","userName":"ben@example.com","active":true}]}"#;

/// An application that answers after so many milliseconds.
async fn application(latency: Arc<AtomicU64>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let list = move || async move {
        match latency.load(Ordering::Relaxed) {
            SILENCE => std::future::pending().await,
            latency => tokio::time::sleep(Duration::from_millis(latency)).await,
        }
        ([("content-type", "application/scim+json")], LIST)
    };
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/Users", get(list))).await });
    address
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

const PAGE: &str = r#"{"query":"{ instances(first: 50) { edges { node { name health lastSync { outcome } } } } }"}"#;

struct Bench {
    instances: Instances,
    caller: Caller,
    http: reqwest::Client,
    api: String,
    token: String,
}

impl Bench {
    async fn create(&self, name: String, application: SocketAddr, minutes: i32) -> Model {
        let config = [("base_url", format!("http://{application}")), ("token", "t".to_owned())];
        let config = config.map(|(key, value)| (key.to_owned(), value)).to_vec();
        let create = Create { integration_key: "scim".into(), name, config, sync_interval_minutes: Some(minutes) };
        self.instances.create(&self.caller, create).await.expect("an instance")
    }

    async fn read_page(&self) {
        let request = self.http.post(&self.api).bearer_auth(&self.token);
        let answer = request.header("content-type", "application/json").body(PAGE).send().await.expect("an answer");
        let answer = answer.text().await.expect("a body");
        assert!(answer.contains("lastSync") && !answer.contains("errors"), "{answer}");
    }

    async fn until_idle(&self) {
        let busy = || Entity::find().filter(Column::SyncState.ne(SyncState::Idle)).count(self.instances.db.read());
        while busy().await.expect("a count") > 0 {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// How long the runs of instances with this name waited, in milliseconds, in order.
    async fn waits(&self, name: &str, trigger: Trigger) -> Vec<i64> {
        let ids = Entity::find().filter(Column::Name.starts_with(name)).select_only().column(Column::Id);
        let ids: Vec<uuid::Uuid> = ids.into_tuple().all(self.instances.db.read()).await.expect("ids");
        let runs =
            run::Entity::find().filter(run::Column::InstanceId.is_in(ids)).filter(run::Column::Trigger.eq(trigger));
        let runs = runs.order_by_asc(run::Column::Id).all(self.instances.db.read()).await.expect("runs");
        let mut waits: Vec<_> = runs.iter().filter_map(|run| Some(run.started_at? - run.queued_at)).collect();
        waits.sort_unstable();
        waits
    }
}

fn report(what: &str, waits: &[i64]) {
    let at = |percent: usize| waits.get((waits.len() * percent / 100).min(waits.len().saturating_sub(1)));
    println!(
        "{what}: {} runs, half within {:?} ms, 99 % within {:?} ms, all within {:?} ms",
        waits.len(),
        at(50),
        at(99),
        waits.last()
    );
}

#[tokio::main]
async fn main() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let dir = tempfile::tempdir().expect("a scratch folder");
    let mut settings = Settings::defaults(dir.path());
    settings.set_database(std::env::var("DATABASE_URL").ok());
    settings.allowed_networks = vec!["127.0.0.0/8".parse().expect("a network")];
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let app = App::new(settings, Roles::BOTH, Clock::System).await.expect("a server");
    let caller = Caller {
        who: Who::Token(uuid::Uuid::nil()),
        name: "bench".into(),
        email: None,
        role: Role::Admin,
        scope: None,
        unlimited: false,
    };
    let new = NewToken { allowance: Allowance::Unlimited, ..NewToken::new("bench", Role::Admin) };
    let bench = Bench {
        instances: app.instances.clone(),
        caller,
        http: reqwest::Client::new(),
        api: format!("http://{}/graphql", listener.local_addr().expect("an address")),
        token: app.tokens.create(new).await.expect("a token").text,
    };
    let shutdown = app.shutdown();
    let running = tokio::spawn(app.run(listener));
    hanging(&bench).await;
    crowd(&bench).await;
    shutdown.cancel();
    running.await.expect("the server");
}

async fn hanging(bench: &Bench) {
    let (silent, quick) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(50)));
    for number in 0..40 {
        bench.create(format!("hanging {number}"), application(silent.clone()).await, 1).await;
    }
    for number in 0..200 {
        bench.create(format!("healthy {number}"), application(quick.clone()).await, 1).await;
    }
    bench.until_idle().await;
    silent.store(SILENCE, Ordering::Relaxed);
    for minute in 0..number("MINUTES", 8) {
        tokio::time::sleep(Duration::from_mins(1)).await;
        bench.create(format!("new {minute}"), application(quick.clone()).await, 1).await;
    }
    report("scheduled runs beside 40 that hang", &bench.waits("healthy", Trigger::Scheduled).await);
    report("first runs beside 40 that hang", &bench.waits("new", Trigger::Initial).await);
    println!("memory: {} MiB at most", memory("VmHWM"));
    let all = Entity::update_many().col_expr(Column::SyncIntervalMinutes, Expr::value(1_440));
    let all = all.col_expr(Column::NextSyncAt, Expr::value(bench.instances.clock.now() + 20 * 3_600_000));
    bench
        .instances
        .db
        .write(|tx| {
            let all = all.clone();
            async move { Ok(all.exec(tx.conn()).await?) }
        })
        .await
        .expect("an update");
}

async fn crowd(bench: &Bench) {
    let count = number("INSTANCES", 10_000);
    let latency = Arc::new(AtomicU64::new(0));
    let mut hosts = Vec::new();
    for _ in 0..50 {
        hosts.push(application(latency.clone()).await);
    }
    for number in 0..count {
        let host = hosts[usize::try_from(number).unwrap_or(0) % hosts.len()];
        bench.create(format!("crowd {number}"), host, 1_440).await;
    }
    bench.until_idle().await;
    latency.store(3_000, Ordering::Relaxed);
    let due =
        Entity::update_many().col_expr(Column::NextSyncAt, Expr::value(0)).filter(Column::Name.starts_with("crowd"));
    bench
        .instances
        .db
        .write(|tx| {
            let due = due.clone();
            async move { Ok(due.exec(tx.conn()).await?) }
        })
        .await
        .expect("an update");
    let begun = Instant::now();
    let done = || {
        let runs = run::Entity::find().filter(run::Column::Trigger.eq(Trigger::Scheduled));
        let runs = runs.filter(run::Column::Outcome.eq(Outcome::Succeeded)).filter(run::Column::QueuedAt.gt(0));
        runs.count(bench.instances.db.read())
    };
    let before = done().await.expect("a count");
    let mut reads = Vec::new();
    while done().await.expect("a count") < before + count {
        for _ in 0..20 {
            let read = Instant::now();
            bench.read_page().await;
            reads.push(i64::try_from(read.elapsed().as_millis()).unwrap_or(i64::MAX));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    println!("{count} instances of 3 s on 50 hosts: {:.0} s", begun.elapsed().as_secs_f64());
    reads.sort_unstable();
    report("reads meanwhile", &reads);
    println!("memory: {} MiB at most", memory("VmHWM"));
}

/// The memory of this process in MiB.
fn memory(what: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(what)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1024
}
