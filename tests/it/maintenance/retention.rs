//! Expired rows are removed, and nothing else.

use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use muster::clock::{Clock, SteadyClock};
use muster::db::Db;
use muster::events;
use muster::maintenance::retention::{Pruner, Retention};
use sea_orm::{ConnectionTrait, Statement};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{NOBODY, eventually};
use crate::support::wire::Socket;
use crate::support::{Server, change};

pub const ALL: Retention =
    Retention { events: 30, runs: 400, changes: 90, mails: 400, removed_users: 400, audit: 400, audit_names: 400 };
const TABLES: [&str; 7] =
    ["event", "sync_run", "user_change", "notification", "user_account", "audit_entry", "instance"];

/// Removes expired rows as if `days` had passed.
pub async fn prune_after(db: &Db, days: i64, retention: Retention) {
    let now = Clock::System.now() + days * 24 * 3_600_000;
    let age_clock = SteadyClock::new(Clock::Manual(Arc::new(AtomicI64::new(now))));
    Pruner { db: db.clone(), age_clock, retention }.run_once(&CancellationToken::new()).await;
}

/// The number of rows of each table.
async fn counts(db: &Db) -> Vec<(&'static str, i64)> {
    let mut found = Vec::new();
    for table in TABLES {
        let sql = format!("SELECT COUNT(*) AS n FROM {table}");
        let row = db.read().query_one_raw(Statement::from_string(db.backend(), sql)).await.unwrap().unwrap();
        found.push((table, row.try_get("", "n").unwrap()));
    }
    found
}

fn of(counts: &[(&'static str, i64)], table: &str) -> i64 {
    counts.iter().find(|(name, _)| *name == table).unwrap().1
}

/// A server with runs and changes, removed users, mails, an audit log, and a deleted instance.
async fn with_history() -> (Server, String) {
    let server = Server::start().await;
    let gone = server.rehearse("Gone", &[("users", "5")]).await;
    server.idle(&gone, "").await;
    server.done("deleteInstance", json!({ "id": gone, "acknowledgeIrreversible": true }), "instance { id }").await;
    let deleted = |found: &Value| found["status"] == "DELETED";
    server.until(&gone, "status", deleted).await;
    let id = server.rehearse("Busy", &[("users", "60"), ("churn_percent", "5")]).await;
    server.idle(&id, "").await;
    for _ in 0..3 {
        assert_eq!(server.sync(&id, "outcome").await["outcome"], "SUCCEEDED");
    }
    let broken = server.rehearse("Broken", &[("outcomes", "success,transient")]).await;
    server.idle(&broken, "").await;
    server.sync(&broken, "outcome").await;
    server.done("setRecipients", json!({ "emails": ["grace@example.com"] }), "recipients { emails }").await;
    let sent = || async {
        let found = server.ask("{ notifications(filter: { states: [QUEUED] }) { totalCount } }", json!({})).await;
        found["notifications"]["totalCount"] == 0
    };
    eventually(sent).await;
    (server, id)
}

#[tokio::test]
async fn expired_rows_are_removed_and_protected_rows_stay() {
    let (server, id) = with_history().await;
    let before = counts(&server.db).await;
    for table in TABLES {
        assert!(of(&before, table) > 0, "{table}: the history has none");
    }
    // Three replicas at the same time, and once more for rows that they skipped because of each other.
    tokio::join!(
        prune_after(&server.db, 1_000, ALL),
        prune_after(&server.db, 1_000, ALL),
        prune_after(&server.db, 1_000, ALL)
    );
    prune_after(&server.db, 1_000, ALL).await;
    let after = counts(&server.db).await;
    // These rows stay: the newest event, the last run of each of the two instances, and the existing users.
    let users = server.instance(&id, "userCount").await["userCount"].as_i64().unwrap();
    let expected =
        [("event", 1), ("sync_run", 2), ("user_change", 0), ("notification", 0), ("audit_entry", 0), ("instance", 2)];
    for (table, rows) in expected {
        assert_eq!(of(&after, table), rows, "{table}: {before:?} {after:?}");
    }
    assert_eq!(of(&after, "user_account"), users + 100);
    // Queries and syncs still work.
    let found = server
        .instance(&id, "lastSync { outcome added changes { totalCount nodes { kind } } } events { nodes { cause } }")
        .await;
    assert_eq!(found["lastSync"]["outcome"], "SUCCEEDED");
    assert_eq!(found["lastSync"]["changes"], json!({ "totalCount": 0, "nodes": [] }));
    server.everything().await;
    assert_eq!(server.sync(&id, "outcome").await["outcome"], "SUCCEEDED");
}

#[tokio::test]
async fn nothing_is_removed_early_or_if_it_is_kept_for_ever() {
    let (server, _) = with_history().await;
    let before = counts(&server.db).await;
    prune_after(&server.db, 29, ALL).await;
    assert_eq!(counts(&server.db).await, before);
    prune_after(&server.db, 100_000, Retention::default()).await;
    assert_eq!(counts(&server.db).await, before);
}

#[tokio::test]
async fn each_kind_has_its_own_retention() {
    let none = Retention::default();
    let kinds = [
        (Retention { events: 1, ..none }, &["event"][..]),
        (Retention { changes: 1, ..none }, &["user_change"]),
        (Retention { mails: 1, ..none }, &["notification"]),
        (Retention { removed_users: 1, ..none }, &["user_account", "user_change"]),
        (Retention { audit: 1, ..none }, &["audit_entry"]),
        // The history of users does not end with a run. A deleted instance stays as long as it has events.
        (Retention { runs: 1, ..none }, &["sync_run"]),
    ];
    let each = kinds.map(async |(retention, tables)| {
        let (server, _) = with_history().await;
        let before = counts(&server.db).await;
        prune_after(&server.db, 2, retention).await;
        for ((table, before), (_, after)) in before.into_iter().zip(counts(&server.db).await) {
            assert_eq!(after < before, tables.contains(&table), "{retention:?}: {table}: {before} {after}");
        }
    });
    // With histories that take a while to make, all at once.
    join_all(each).await;
}

#[tokio::test]
async fn queued_mails_and_open_runs_stay() {
    let nowhere = NOBODY.to_owned();
    let server = Server::builder().settings(move |settings| settings.smtp_url = Some(nowhere)).start().await;
    let id = server.rehearse("Slow", &[("users", "40"), ("outcomes", "success,hang"), ("page_size", "10")]).await;
    server.idle(&id, "").await;
    server.ask("mutation($id: ID!) { syncInstance(input: { id: $id }) { run { id } } }", json!({ "id": id })).await;
    let runs = |found: &Value| found["syncState"] == "RUNNING";
    server.until(&id, "syncState", runs).await;
    // Pretends that the run has changed a user.
    change(
        &server.db,
        "DELETE FROM user_change; INSERT INTO user_change (run_id, user_id, kind, fields)
            SELECT current_run_id, (SELECT id FROM user_account LIMIT 1), 'changed', '' FROM instance",
    )
    .await;
    let before = counts(&server.db).await;
    assert_eq!((of(&before, "notification"), of(&before, "sync_run")), (1, 2), "{before:?}");
    prune_after(&server.db, 1_000, Retention { events: 0, audit: 0, ..ALL }).await;
    assert_eq!(counts(&server.db).await, before);
}

/// The number at the end of the instance's name.
fn number(event: &Value) -> usize {
    event["instance"]["name"].as_str().unwrap().rsplit(' ').next().unwrap().parse().unwrap()
}

async fn next(socket: &mut Socket) -> Value {
    let event = socket.next().await["payload"]["data"]["instanceStateChanged"].clone();
    assert!(event.is_object(), "{event}");
    event
}

const FIELDS: &str = "{ cursor cause instance { name } }";

/// Removes the oldest events, so that about 30 are left.
fn prune_continuously(db: Db) -> JoinHandle<()> {
    tokio::spawn(async move {
        loop {
            let kept = events::newest(db.read()).await.unwrap() - events::oldest(db.read()).await.unwrap();
            if kept > 30 {
                db.write(|tx| async move { events::prune(&tx, i64::MAX, 1).await }).await.unwrap();
            }
            tokio::task::yield_now().await;
        }
    })
}

fn rename_repeatedly(server: Arc<Server>, id: String, rounds: usize) -> JoinHandle<()> {
    tokio::spawn(async move {
        for round in 1..=rounds {
            let input = json!({ "id": id, "name": format!("Busy {round}") });
            server.done("updateInstance", input, "instance { id }").await;
        }
    })
}

/// Collects the cursor of each event, and asserts that no event is missing.
fn watch(mut socket: Socket, cursors: Arc<Mutex<Vec<Value>>>, rounds: usize) -> JoinHandle<()> {
    tokio::spawn(async move {
        for round in 1..=rounds {
            let event = next(&mut socket).await;
            assert_eq!(number(&event), round, "a subscriber that is up to date gets every event");
            cursors.lock().unwrap().push(event["cursor"].clone());
        }
    })
}

/// A subscriber resumes repeatedly at the event before the oldest one, while the oldest ones are removed.
#[tokio::test]
async fn a_subscriber_behind_the_pruned_events_gets_snapshots_and_never_a_gap() {
    const RENAMES: usize = 150;
    let server = Arc::new(Server::start().await);
    let id = server.rehearse("Busy 0", &[("users", "1")]).await;
    server.idle(&id, "").await;
    let base = events::newest(server.db.read()).await.unwrap();
    let mut socket = server.acknowledged(&server.admin).await;
    socket.subscribe("s", &format!("subscription {{ instanceStateChanged {FIELDS} }}")).await;
    // The cursor of each event, indexed by the number in its name.
    let cursors = Arc::new(Mutex::new(vec![next(&mut socket).await["cursor"].clone()]));
    let watch = watch(socket, cursors.clone(), RENAMES);
    let rename = rename_repeatedly(server.clone(), id, RENAMES);
    let prune = prune_continuously(server.db.clone());
    let (mut replayed, mut snapshots) = (0, 0);
    while !rename.is_finished() {
        let known = events::oldest(server.db.read()).await.unwrap() - 1 - base;
        let cursor = usize::try_from(known).ok().and_then(|known| cursors.lock().unwrap().get(known).cloned());
        let (Some(cursor), Ok(known)) = (cursor, usize::try_from(known)) else {
            tokio::time::sleep(Duration::from_millis(1)).await;
            continue;
        };
        let mut socket = server.acknowledged(&server.admin).await;
        socket.subscribe("s", &format!("subscription {{ instanceStateChanged(after: {cursor}) {FIELDS} }}")).await;
        let first = next(&mut socket).await;
        if first["cause"] == "SNAPSHOT" {
            snapshots += 1;
        } else {
            assert_eq!(number(&first), known + 1, "{first}");
            replayed += 1;
        }
    }
    prune.abort();
    rename.await.unwrap();
    watch.await.unwrap();
    println!("{replayed} replayed, {snapshots} with snapshots");
    assert!(replayed > 0 && snapshots > 0, "{replayed} {snapshots}");
}

#[tokio::test]
async fn a_mail_older_than_two_days_fails_without_another_attempt() {
    let nowhere = NOBODY.to_owned();
    let server = Server::builder().settings(move |settings| settings.smtp_url = Some(nowhere)).start().await;
    for name in ["Old", "New"] {
        let id = server.rehearse(name, &[("users", "1")]).await;
        server.idle(&id, "").await;
    }
    let place = server.stop().await;
    let db = place.open().await;
    change(
        &db,
        "UPDATE notification SET created_at = created_at - 172800001, attempts = 7 WHERE subject LIKE '%Old%';
        UPDATE job SET run_at = 0, lease_until = 0",
    )
    .await;
    db.close().await.unwrap();
    let server = Server::builder().place(place).start().await;
    let query = "{ notifications { nodes { subject state attempts lastError } } }";
    let settled = || async {
        let found = server.ask(query, json!({})).await;
        found["notifications"]["nodes"].as_array().unwrap().iter().all(|mail| mail["state"] != "QUEUED")
    };
    eventually(settled).await;
    let found = server.ask(query, json!({})).await;
    for mail in found["notifications"]["nodes"].as_array().unwrap() {
        if mail["subject"].as_str().unwrap().contains("Old") {
            assert_eq!((&mail["state"], &mail["attempts"]), (&json!("FAILED"), &json!(7)), "{mail}");
            assert!(mail["lastError"].as_str().unwrap().contains("older than 48 hours"), "{mail}");
        } else {
            assert_eq!(mail["state"], "SENT", "{mail}");
        }
    }
    assert_eq!(std::fs::read_dir(server.mail_dir()).unwrap().count(), 1);
}
