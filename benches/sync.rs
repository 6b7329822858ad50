//! Time and memory of syncing one large application: a first sync, a sync without changes, a sync
//! in which 2 % of the users leave and as many join, and finally the deletion of the instance.
//!
//! Uses SQLite, or the PostgreSQL database of `DATABASE_URL`, which should be empty.
//!
//! `cargo bench --bench sync` uses 1,000,000 users; `USERS=100000 cargo bench --bench sync` fewer.

#![allow(clippy::disallowed_methods, reason = "a benchmark measures time")]

use std::time::{Duration, Instant};

use entity::instance::{Health, Model, Status, SyncState};
use muster::app::App;
use muster::auth::{Caller, Role, Who};
use muster::clock::Clock;
use muster::config::{Roles, Settings};
use muster::instance::create::Create;
use muster::instance::state::Accepted;
use muster::instance::update::Update;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let users = std::env::var("USERS").unwrap_or_else(|_| "1000000".into());
    let dir = tempfile::tempdir().expect("a scratch folder");
    let mut settings = Settings::defaults(dir.path());
    settings.set_database(std::env::var("DATABASE_URL").ok());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let app = App::new(settings, Roles::BOTH, Clock::System).await.expect("a server");
    let (instances, shutdown) = (app.instances.clone(), app.shutdown());
    let running = tokio::spawn(app.run(listener));
    let pairs = |churn: &str| {
        [("users", users.as_str()), ("page_size", "1000"), ("churn_percent", churn)]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .to_vec()
    };

    println!("memory at the start: {} MiB", memory("VmRSS"));
    let begun = Instant::now();
    let create = Create {
        integration_key: "rehearsal".into(),
        name: "Million".into(),
        config: pairs("0"),
        sync_interval_minutes: None,
    };
    let id = instances.create(&caller(), create).await.expect("an instance").id;
    let wait = async |done: &dyn Fn(&Model) -> bool| loop {
        let model = instances.get(id).await.expect("the instance");
        if done(&model) {
            return model;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let idle = |model: &Model| model.sync_state == SyncState::Idle;
    let report = |what: &str, begun: Instant, model: &Model| {
        assert_ne!(model.health, Health::Failing, "the sync failed");
        let seconds = begun.elapsed().as_secs_f64();
        let rate = users.parse::<f64>().unwrap_or(0.0) / seconds;
        println!(
            "{what}: {seconds:.1} s, {rate:.0} users/s, peak memory {} MiB, now {} MiB",
            memory("VmHWM"),
            memory("VmRSS")
        );
    };
    report("everybody new", begun, &wait(&idle).await);

    let begun = Instant::now();
    instances.sync(&caller(), id, Accepted::default()).await.expect("a run");
    report("nobody changed", begun, &wait(&idle).await);

    let update = Update { config: Some(pairs("1")), ..Update::default() };
    instances.update(&caller(), id, update).await.expect("a new configuration");
    let begun = Instant::now();
    instances.sync(&caller(), id, Accepted::default()).await.expect("a run");
    report("2 % leave and join", begun, &wait(&idle).await);

    let begun = Instant::now();
    instances.delete(&caller(), id, true).await.expect("a deletion");
    wait(&|model: &Model| model.status == Status::Deleted).await;
    println!("deletion: {:.1} s, peak memory {} MiB", begun.elapsed().as_secs_f64(), memory("VmHWM"));
    let size = std::fs::metadata(dir.path().join("muster.db")).map_or(0, |file| file.len() >> 20);
    println!("database file: {size} MiB");
    shutdown.cancel();
    running.await.expect("the server");
}

/// The memory of this process in MiB.
fn memory(what: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(what)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1024
}

fn caller() -> Caller {
    Caller {
        who: Who::Token(uuid::Uuid::nil()),
        name: "bench".into(),
        email: None,
        role: Role::Admin,
        scope: None,
        unlimited: false,
    }
}
