//! Lists that do not come, with a clock that the test sets.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use muster::clock::Clock;
use serde_json::{Value, json};

use super::{csv, deliver};
use crate::support::{Server, assert_intact};

const RUN: &str = "trigger outcome failure { class } mailDecision { kind }";

async fn server() -> (Server, Arc<AtomicI64>) {
    let at = Arc::new(AtomicI64::new(1_800_000_000_000));
    (Server::builder().clock(Clock::Manual(at.clone())).start().await, at)
}

fn pass(at: &AtomicI64, minutes: i64) {
    at.fetch_add(minutes * 60_000, Ordering::Relaxed);
}

async fn ended(server: &Server, id: &str, count: usize) -> Value {
    let over = |now: &Value| {
        let runs = now["syncHistory"]["nodes"].as_array().unwrap();
        runs.len() == count && runs.iter().all(|run| run["outcome"].is_string())
    };
    server.until(id, &format!("syncHistory {{ nodes {{ {RUN} }} }}"), over).await["syncHistory"]["nodes"][0].take()
}

#[tokio::test]
async fn a_list_that_does_not_come_is_told_once_and_the_next_one_heals_it() {
    let (server, at) = server().await;
    let id = server.integrate("list", "Payroll", &[]).await;
    // Nothing is awaited before the first list.
    pass(&at, 10 * 24 * 60);
    deliver(&server, &id, csv(&["ada"])).await;
    ended(&server, &id, 1).await;
    // An hour and a tenth.
    pass(&at, 65);
    let punctual = server.instance(&id, "freshness { state } nextSyncAt syncHistory { totalCount }").await;
    assert_eq!((&punctual["freshness"]["state"], &punctual["syncHistory"]["totalCount"]), (&json!("FRESH"), &json!(1)));
    pass(&at, 2);
    let late = ended(&server, &id, 2).await;
    let expected = json!({ "trigger": "SCHEDULED", "outcome": "FAILED", "failure": { "class": "OVERDUE" },
        "mailDecision": { "kind": "SYNC_FAILED" } });
    assert_eq!(late, expected);
    let now =
        server.instance(&id, "headline userCount needsAttention notice { title detail } freshness { state }").await;
    assert_eq!(
        (&now["headline"], &now["userCount"], &now["needsAttention"]),
        (&json!("FAILING"), &json!(1), &json!(true))
    );
    assert_eq!(now["notice"]["title"], "No list was delivered in time");
    assert!(now["notice"]["detail"].as_str().unwrap().contains("since 2027-01-25"), "{now}");
    pass(&at, 67);
    assert_eq!(ended(&server, &id, 3).await["mailDecision"]["kind"], json!(null), "people are told once");
    assert_eq!(server.instance(&id, "freshness { state }").await["freshness"]["state"], "STALE");
    deliver(&server, &id, csv(&["ada"])).await;
    let healed = ended(&server, &id, 4).await;
    assert_eq!((&healed["outcome"], &healed["mailDecision"]["kind"]), (&json!("SUCCEEDED"), &json!("SYNC_RECOVERED")));
    assert_eq!(server.instance(&id, "freshness { state }").await["freshness"]["state"], "FRESH");
    // Set live again, it is not read before the next list, and that is awaited from then on.
    server.done("updateInstance", json!({ "id": id, "status": "INACTIVE" }), "").await;
    server.done("updateInstance", json!({ "id": id, "status": "LIVE" }), "").await;
    let live = server.instance(&id, "syncState syncHistory { totalCount } nextSyncAt").await;
    assert_eq!((&live["syncState"], &live["syncHistory"]["totalCount"]), (&json!("IDLE"), &json!(4)));
    assert!(live["nextSyncAt"].is_string(), "{live}");
    pass(&at, 67);
    assert_eq!(ended(&server, &id, 5).await["failure"]["class"], "OVERDUE");
    assert_intact(&server.stop().await.location()).await;
}
