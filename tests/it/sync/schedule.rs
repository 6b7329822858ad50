//! The schedule, and the freshness of data, with a clock that the test sets.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, Duration, Utc};
use muster::clock::Clock;
use serde_json::{Value, json};

use crate::support::Server;

async fn server() -> (Server, Arc<AtomicI64>) {
    let at = Arc::new(AtomicI64::new(1_800_000_000_000));
    (Server::builder().clock(Clock::Manual(at.clone())).start().await, at)
}

fn pass(at: &AtomicI64, minutes: i64) {
    at.fetch_add(minutes * 60_000, Ordering::Relaxed);
}

fn time(text: &Value) -> DateTime<Utc> {
    text.as_str().unwrap().parse().unwrap()
}

/// Waits until an instance has `count` completed runs, and returns the last.
async fn runs(server: &Server, id: &str, count: usize) -> Value {
    let fields = "syncHistory { nodes { trigger outcome } }";
    let over = |now: &Value| {
        let runs = now["syncHistory"]["nodes"].as_array().unwrap();
        runs.len() == count && runs.iter().all(|run| run["outcome"].is_string())
    };
    server.until(id, fields, over).await["syncHistory"]["nodes"][0].take()
}

#[tokio::test]
async fn a_live_instance_is_synced_once_an_interval() {
    let (server, at) = server().await;
    let id = server.rehearse("Acme", &[]).await;
    let now = server.idle(&id, "nextSyncAt lastSync { finishedAt }").await;
    let wait = time(&now["nextSyncAt"]) - time(&now["lastSync"]["finishedAt"]);
    assert!(wait >= Duration::minutes(54) && wait <= Duration::minutes(66), "{wait}");
    for count in 2..4 {
        pass(&at, 67);
        assert_eq!(runs(&server, &id, count).await, json!({ "trigger": "SCHEDULED", "outcome": "SUCCEEDED" }));
    }
    let events = server.instance(&id, "events(first: 3) { nodes { cause actor } }").await;
    let causes: Vec<_> =
        events["events"]["nodes"].as_array().unwrap().iter().map(|event| event["cause"].clone()).collect();
    assert_eq!(causes, ["SYNC_SUCCEEDED", "SYNC_STARTED", "SYNC_QUEUED"]);
    assert!(events["events"]["nodes"][2]["actor"].is_null());
}

#[tokio::test]
async fn a_failing_instance_is_tried_again_and_an_inactive_one_is_not() {
    let (server, at) = server().await;
    let failing = server.rehearse("failing", &[("outcomes", "transient")]).await;
    let off = server.rehearse("off", &[]).await;
    let revoked = server.rehearse("revoked", &[("outcomes", "token_inactive")]).await;
    for id in [&failing, &off, &revoked] {
        server.idle(id, "").await;
    }
    server.done("updateInstance", json!({ "id": off, "status": "INACTIVE" }), "").await;
    pass(&at, 67);
    assert_eq!(runs(&server, &failing, 2).await, json!({ "trigger": "SCHEDULED", "outcome": "FAILED" }));
    for id in [&off, &revoked] {
        let now = server.instance(id, "nextSyncAt syncHistory { totalCount }").await;
        assert_eq!(now, json!({ "nextSyncAt": null, "syncHistory": { "totalCount": 1 } }));
    }
}

#[tokio::test]
async fn a_new_interval_counts_from_now() {
    let (server, at) = server().await;
    let id = server.rehearse("Acme", &[]).await;
    server.idle(&id, "").await;
    let input = json!({ "id": id, "syncIntervalMinutes": 1440 });
    let payload = server.done("updateInstance", input, "instance { nextSyncAt updatedAt }").await;
    let wait = time(&payload["instance"]["nextSyncAt"]) - time(&payload["instance"]["updatedAt"]);
    assert!(wait > Duration::hours(21) && wait < Duration::hours(27), "{wait}");
    pass(&at, 27 * 60);
    assert_eq!(runs(&server, &id, 2).await["trigger"], "SCHEDULED");
}

#[tokio::test]
async fn a_cancelled_run_is_followed_by_the_next_one_on_the_schedule() {
    let (server, at) = server().await;
    let id = server.rehearse("Acme", &[("outcomes", "hang,success")]).await;
    server.until(&id, "syncState", |now| now["syncState"] == "RUNNING").await;
    server.done("cancelSync", json!({ "instanceId": id }), "").await;
    pass(&at, 67);
    assert_eq!(runs(&server, &id, 2).await, json!({ "trigger": "SCHEDULED", "outcome": "SUCCEEDED" }));
}

#[tokio::test]
async fn users_are_stale_after_two_intervals_without_success() {
    let (server, at) = server().await;
    let id = server.rehearse("Acme", &[("outcomes", "success,transient,transient,success")]).await;
    let freshness = "freshness { state asOf staleSince }";
    let synced = server.idle(&id, freshness).await["freshness"].take();
    assert_eq!((&synced["state"], &synced["staleSince"]), (&json!("FRESH"), &Value::Null));
    pass(&at, 119);
    runs(&server, &id, 2).await;
    assert_eq!(server.instance(&id, freshness).await["freshness"], synced);
    pass(&at, 70);
    runs(&server, &id, 3).await;
    let stale = server.instance(&id, freshness).await["freshness"].take();
    assert_eq!((&stale["state"], &stale["asOf"]), (&json!("STALE"), &synced["asOf"]));
    assert_eq!(time(&stale["staleSince"]), time(&synced["asOf"]) + Duration::minutes(120));
    server.sync(&id, "id").await;
    assert_eq!(
        server.instance(&id, "freshness { state staleSince }").await["freshness"],
        json!({ "state": "FRESH", "staleSince": null })
    );
}

#[tokio::test]
async fn users_of_an_instance_that_is_switched_off_are_stale_from_then_on() {
    let (server, at) = server().await;
    let id = server.rehearse("Acme", &[]).await;
    server.idle(&id, "").await;
    pass(&at, 10);
    let input = json!({ "id": id, "status": "INACTIVE" });
    let payload = server.done("updateInstance", input, "instance { updatedAt freshness { state staleSince } }").await;
    let now = &payload["instance"];
    assert_eq!(now["freshness"], json!({ "state": "STALE", "staleSince": now["updatedAt"] }));
}
