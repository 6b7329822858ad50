//! Failures of an application after which no user is removed and the instance stays on.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use muster::clock::Clock;
use serde_json::json;

use crate::support::Server;

#[tokio::test]
async fn trouble_neither_revokes_nor_removes() {
    let server = Server::builder().limits(|limits| limits.page = Duration::from_millis(200)).start().await;
    for (word, class, status) in [
        ("transient", "TRANSIENT", json!(503)),
        ("garbage", "CONFIG", json!(200)),
        ("rate_limited", "RATE_LIMIT", json!(429)),
        ("hang", "TIMEOUT", json!(null)),
    ] {
        let outcomes = format!("success,{word}");
        let id = server.rehearse(word, &[("outcomes", &outcomes), ("users", "30"), ("page_size", "10")]).await;
        server.idle(&id, "").await;
        let people = server.people(&id).await;
        let run = server.sync(&id, "outcome seen removed failure { class message httpStatus }").await;
        assert_eq!((&run["outcome"], &run["removed"]), (&json!("FAILED"), &json!(0)), "{word}");
        assert_eq!((&run["failure"]["class"], &run["failure"]["httpStatus"]), (&json!(class), &status), "{word}");
        let fields = "status inactiveReason health userCount nextSyncAt notice { severity remedies { mutation } }";
        let now = server.instance(&id, fields).await;
        assert_eq!((&now["status"], &now["inactiveReason"]), (&json!("LIVE"), &json!(null)), "{word}");
        assert_eq!((&now["health"], &now["userCount"]), (&json!("FAILING"), &json!(30)), "{word}");
        assert_eq!(now["notice"]["severity"], "WARNING", "{word}");
        assert!(
            now["notice"]["remedies"].as_array().unwrap().iter().any(|it| it["mutation"] == "syncInstance"),
            "{word}"
        );
        assert!(now["nextSyncAt"].is_string(), "{word} is tried again");
        assert_eq!(server.people(&id).await, people, "{word}");
    }
}

#[tokio::test]
async fn garbage_is_told_with_its_page() {
    let server = Server::start().await;
    let id = server.rehearse("Acme", &[("outcomes", "garbage"), ("users", "30"), ("page_size", "10")]).await;
    let now = server.idle(&id, "lastSync { seen failure { message } } notice { detail }").await;
    let message = now["lastSync"]["failure"]["message"].as_str().unwrap();
    assert!(message.contains("Page 2"), "{message}");
    assert_eq!(now["lastSync"]["seen"], 10);
    assert!(now["notice"]["detail"].as_str().unwrap().contains(message));
}

#[tokio::test]
async fn failing_since_is_the_first_failure_of_a_row() {
    let at = Arc::new(AtomicI64::new(1_800_000_000_000));
    let server = Server::builder().clock(Clock::Manual(at.clone())).start().await;
    let id = server.rehearse("Acme", &[("outcomes", "success,transient,garbage,transient,success,transient")]).await;
    server.idle(&id, "").await;
    let mut since = Vec::new();
    for _ in 0..5 {
        at.fetch_add(60_000, Ordering::Relaxed);
        server.sync(&id, "id").await;
        let now = server.instance(&id, "failingSince notice { since detail }").await;
        assert_eq!(now["failingSince"], now["notice"]["since"]);
        since.push(now["failingSince"].as_str().map(|text| text.parse::<DateTime<Utc>>().unwrap().timestamp_millis()));
    }
    let first = Some(1_800_000_060_000);
    assert_eq!(since, [first, first, first, None, Some(1_800_000_300_000)]);
}

#[tokio::test]
async fn a_notice_counts_the_failures_in_a_row() {
    let server = Server::start().await;
    let id = server.rehearse("Acme", &[("outcomes", "transient")]).await;
    server.idle(&id, "").await;
    server.sync(&id, "id").await;
    server.sync(&id, "id").await;
    let now = server.instance(&id, "notice { detail } freshness { state }").await;
    assert!(now["notice"]["detail"].as_str().unwrap().contains("3 times in a row"), "{now}");
    assert_eq!(now["freshness"]["state"], "NEVER");
}

#[tokio::test]
async fn an_application_that_asks_to_wait_is_left_alone_for_as_long() {
    let at = Arc::new(AtomicI64::new(1_800_000_000_000));
    let server = Server::builder().clock(Clock::Manual(at)).start().await;
    // The rehearsal asks to wait a minute. The jitter of the interval alone could make it a tenth shorter.
    for number in 0..5 {
        let input = json!({ "integrationKey": "rehearsal", "name": format!("Acme {number}"), "syncIntervalMinutes": 1,
            "config": [{ "key": "outcomes", "value": "rate_limited" }] });
        let created = server.done("createInstance", input, "instance { id }").await;
        let now = server.idle(created["instance"]["id"].as_str().unwrap(), "nextSyncAt lastSync { finishedAt }").await;
        let time = |text: &serde_json::Value| text.as_str().unwrap().parse::<DateTime<Utc>>().unwrap();
        assert!(
            time(&now["nextSyncAt"]) - time(&now["lastSync"]["finishedAt"]) >= chrono::Duration::seconds(60),
            "{now}"
        );
    }
}
