//! What searches for users cost: the size of SQLite's write-ahead log beside four that search while one large
//! application is synced for the first time, and then the CPU of a page and of a total for several searches.
//!
//! Uses SQLite, or the PostgreSQL database of `DATABASE_URL`, which should be empty.
//!
//! `cargo bench --bench search` uses 1,000,000 users; `USERS=300000 cargo bench --bench search` fewer.

#![allow(clippy::disallowed_methods, reason = "a benchmark measures time")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use entity::instance::SyncState;
use muster::app::App;
use muster::auth::{Caller, Role, Who};
use muster::clock::Clock;
use muster::config::{Roles, Settings};
use muster::db::{Columns, Db};
use muster::directory::index;
use muster::directory::users::{self, Filter};
use muster::directory::words::Terms;
use muster::instance::create::Create;
use tokio::net::TcpListener;

const SEARCHES: [&str; 8] =
    ["zzzq", "ada.berg.16@rehearsal.example", "a", "ada", "ada berg", "16", "rehearsal.example", "ada zoe"];
const PAGE: u64 = 51;

/// Prints what each search costs.
async fn measure(db: &Db) {
    for search in SEARCHES {
        let (mut pages, mut totals) = (Duration::ZERO, Duration::ZERO);
        for _ in 0..50 {
            pages += cpu_of(page(db, search)).await;
            totals += cpu_of(total(db, search)).await;
        }
        println!("{search:30} page {:7.0} µs, total {:7.0} µs of CPU", micros(pages) / 50.0, micros(totals) / 50.0);
    }
}

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
    let config = [("users", users.as_str()), ("page_size", "1000")];
    let create = Create {
        integration_key: "rehearsal".into(),
        name: "Million".into(),
        config: config.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec(),
        sync_interval_minutes: None,
    };

    let begun = Instant::now();
    let id = instances.create(&caller(), create).await.expect("an instance").id;
    let (done, searches) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    for number in 0..4 {
        let (db, done, searches) = (instances.db.clone(), done.clone(), searches.clone());
        tokio::spawn(async move {
            for search in SEARCHES.iter().cycle().skip(number) {
                if done.load(Ordering::Relaxed) {
                    return;
                }
                page(&db, search).await;
                searches.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    let log = dir.path().join("muster.db-wal");
    let mut largest = 0;
    loop {
        tokio::time::sleep(Duration::from_millis(20)).await;
        largest = largest.max(size(&log));
        if instances.get(id).await.expect("the instance").sync_state == SyncState::Idle {
            break;
        }
    }
    let synced = begun.elapsed().as_secs_f64();
    while index::as_of(instances.db.read()).await.expect("a time").is_some() {
        tokio::time::sleep(Duration::from_millis(100)).await;
        largest = largest.max(size(&log));
    }
    done.store(true, Ordering::Relaxed);
    let indexed = begun.elapsed().as_secs_f64();
    let count = searches.load(Ordering::Relaxed);
    println!("{users} users: {synced:.1} s, all can be found after {indexed:.1} s; {count} searches meanwhile");
    println!("the log took up to {} MiB, the process {} MiB", largest >> 20, memory());

    measure(&instances.db).await;
    shutdown.cancel();
    running.await.expect("the server");
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

fn filter(search: &str) -> Filter {
    Filter { search: Terms::of(search), ..Filter::default() }
}

async fn page(db: &Db, search: &str) {
    users::page(db.read(), &filter(search), Columns::ALL, None, PAGE).await.expect("a page");
}

async fn total(db: &Db, search: &str) {
    users::total(db.read(), &filter(search)).await.expect("a total");
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// The CPU of this process meanwhile.
async fn cpu_of(work: impl Future<Output = ()>) -> Duration {
    let before = cpu();
    work.await;
    cpu().saturating_sub(before)
}

fn cpu() -> Duration {
    let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let of = |path: &Path| -> u64 {
        let text = std::fs::read_to_string(path.join("schedstat")).unwrap_or_default();
        text.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0)
    };
    Duration::from_nanos(threads.map(|thread| of(&thread.path())).sum())
}

fn size(file: &Path) -> u64 {
    std::fs::metadata(file).map_or(0, |file| file.len())
}

/// The largest memory of this process in MiB.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1024
}
