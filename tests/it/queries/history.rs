use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use muster::clock::Clock;
use serde_json::{Value, json};

use crate::support::Server;

const RUNS: &str = "query($filter: SyncRunFilter, $after: String, $first: Int) { syncHistory(filter: $filter, after: $after, first: $first) {
    totalCount nodes { outcome trigger instance { name } } pageInfo { endCursor hasNextPage } } }";

fn outcomes(page: &Value) -> Vec<String> {
    let nodes = page["nodes"].as_array().unwrap().iter();
    nodes
        .map(|run| format!("{} {}", run["instance"]["name"].as_str().unwrap(), run["outcome"].as_str().unwrap_or("-")))
        .collect()
}

/// Three runs of `a` and one of `b`, a minute apart.
async fn server_with_history() -> (Server, String, String) {
    let at = Arc::new(AtomicI64::new(1_800_000_000_000));
    let server = Server::builder().clock(Clock::Manual(at.clone())).start().await;
    let a = server.rehearse("a", &[("outcomes", "success,transient,partial")]).await;
    server.idle(&a, "").await;
    for _ in 0..2 {
        at.fetch_add(60_000, Ordering::Relaxed);
        server.sync(&a, "id").await;
    }
    at.fetch_add(60_000, Ordering::Relaxed);
    let b = server.rehearse("b", &[]).await;
    server.idle(&b, "").await;
    (server, a, b)
}

#[tokio::test]
async fn the_history_is_filtered_and_the_newest_run_comes_first() {
    let (server, a, b) = server_with_history().await;
    let all = ["b SUCCEEDED", "a PARTIAL", "a FAILED", "a SUCCEEDED"];
    for (filter, wanted) in [
        (Value::Null, &all[..]),
        (json!({ "instanceId": a }), &all[1..]),
        (json!({ "instanceId": b }), &all[..1]),
        (json!({ "outcomes": ["FAILED", "PARTIAL"] }), &all[1..3]),
        (json!({ "outcomes": [] }), &[]),
        (json!({ "triggers": ["MANUAL"] }), &all[1..3]),
        (json!({ "triggers": ["INITIAL"], "instanceId": a }), &all[3..]),
        (json!({ "triggers": ["SCHEDULED", "REACTIVATION"] }), &[]),
        (json!({ "integrationKeys": ["rehearsal"] }), &all[..]),
        (json!({ "integrationKeys": ["scim"] }), &[]),
        (json!({ "startedAfter": "2027-01-15T08:01:00Z" }), &all[..3]),
        (json!({ "startedBefore": "2027-01-15T08:01:00Z" }), &all[3..]),
        (json!({ "startedAfter": "2027-01-15T09:01:00+01:00", "startedBefore": "2027-01-15T08:02:00Z" }), &all[2..3]),
    ] {
        let page = server.ask(RUNS, json!({ "filter": filter })).await["syncHistory"].take();
        assert_eq!(
            (outcomes(&page), &page["totalCount"]),
            (wanted.iter().map(|it| (*it).to_owned()).collect(), &json!(wanted.len())),
            "{filter}"
        );
    }
    for bad in ["yesterday", "2027-01-15", "", "2027-13-45T00:00:00Z"] {
        assert_eq!(
            server.error_code(RUNS, json!({ "filter": { "startedAfter": bad } })).await,
            "BAD_USER_INPUT",
            "{bad}"
        );
    }
}

#[tokio::test]
async fn the_history_has_pages() {
    let (server, a, _) = server_with_history().await;
    let (mut found, mut after) = (Vec::new(), Value::Null);
    loop {
        let page = server.ask(RUNS, json!({ "after": after, "first": 1 })).await["syncHistory"].take();
        found.extend(outcomes(&page));
        after = page["pageInfo"]["endCursor"].clone();
        if page["pageInfo"]["hasNextPage"] == false {
            break;
        }
        // A new run is newer than all following pages.
        server.sync(&a, "id").await;
    }
    assert_eq!(found, ["b SUCCEEDED", "a PARTIAL", "a FAILED", "a SUCCEEDED"]);
    let fields = "syncHistory(first: 2, filter: { outcomes: [FAILED, SUCCEEDED] }) { totalCount nodes { outcome } }";
    let mine = server.instance(&a, fields).await["syncHistory"].take();
    assert_eq!(mine, json!({ "totalCount": 2, "nodes": [{ "outcome": "FAILED" }, { "outcome": "SUCCEEDED" }] }));
}

#[tokio::test]
async fn events_have_pages_and_show_the_state_after_each_the_newest_first() {
    let server = Server::start().await;
    let id = server.rehearse("Acme", &[("users", "3")]).await;
    server.idle(&id, "").await;
    server.done("updateInstance", json!({ "id": id, "name": "Bolt" }), "").await;
    let query = "query($id: ID!, $after: String) { instance(id: $id) { events(first: 2, after: $after) { totalCount
        pageInfo { hasNextPage endCursor } nodes { cause actor usersRemoved instance { name syncState health userCount currentSync { id } lastSync { outcome } } } } } }";
    let (mut events, mut after) = (Vec::new(), Value::Null);
    loop {
        let page = server.ask(query, json!({ "id": id, "after": after })).await["instance"]["events"].take();
        assert_eq!(page["totalCount"], 4);
        events.extend(page["nodes"].as_array().unwrap().clone());
        after = page["pageInfo"]["endCursor"].clone();
        if page["pageInfo"]["hasNextPage"] == false {
            break;
        }
    }
    let story: Vec<_> = events
        .iter()
        .map(|event| {
            let now = &event["instance"];
            [&event["cause"], &now["name"], &now["syncState"], &now["health"], &now["lastSync"]["outcome"]]
                .map(|it| it.as_str().unwrap_or("-"))
        })
        .collect();
    assert_eq!(
        story,
        [
            ["UPDATED", "Bolt", "IDLE", "OK", "SUCCEEDED"],
            ["SYNC_SUCCEEDED", "Acme", "IDLE", "OK", "SUCCEEDED"],
            ["SYNC_STARTED", "Acme", "RUNNING", "PENDING", "-"],
            ["CREATED", "Acme", "QUEUED", "PENDING", "-"],
        ]
    );
    assert_eq!((&events[0]["actor"], &events[1]["actor"]), (&json!("ada@example.com"), &Value::Null));
    assert!(events[2]["instance"]["currentSync"]["id"].is_string());
}

#[tokio::test]
async fn the_changes_of_a_run_have_kinds_and_pages() {
    let server = Server::start().await;
    let id = server.rehearse("Acme", &[("users", "30"), ("churn_percent", "10")]).await;
    server.idle(&id, "").await;
    let run = server.sync(&id, "id").await["id"].take();
    let query = "query($id: ID!, $kind: UserChangeKind, $after: String) { syncRun(id: $id) { changes(first: 2, kind: $kind, after: $after) {
        totalCount nodes { kind user { externalId } } pageInfo { hasNextPage endCursor } } } }";
    for (kind, wanted) in [
        (json!("ADDED"), vec!["ADDED person-30", "ADDED person-31", "ADDED person-32"]),
        (json!("REMOVED"), vec!["REMOVED person-0", "REMOVED person-1", "REMOVED person-2"]),
        (json!("CHANGED"), vec![]),
        (
            Value::Null,
            vec![
                "ADDED person-30",
                "ADDED person-31",
                "ADDED person-32",
                "REMOVED person-0",
                "REMOVED person-1",
                "REMOVED person-2",
            ],
        ),
    ] {
        let (mut found, mut after) = (Vec::new(), Value::Null);
        loop {
            let page =
                server.ask(query, json!({ "id": run, "kind": kind, "after": after })).await["syncRun"]["changes"]
                    .take();
            assert_eq!(page["totalCount"], wanted.len(), "{kind}");
            let nodes = page["nodes"].as_array().unwrap().iter();
            found.extend(
                nodes.map(|it| {
                    format!("{} {}", it["kind"].as_str().unwrap(), it["user"]["externalId"].as_str().unwrap())
                }),
            );
            after = page["pageInfo"]["endCursor"].clone();
            if page["pageInfo"]["hasNextPage"] == false {
                break;
            }
        }
        found.sort();
        assert_eq!(found, wanted, "{kind}");
    }
}
