//! What members accept, until when, and what it covers.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::DateTime;
use muster::clock::{Clock, DAY_MS};
use serde_json::{Value, json};

use super::application::{Office, names, tool};
use crate::people::roster::account;

fn instant(at: i64) -> String {
    DateTime::from_timestamp_millis(at).unwrap().to_rfc3339()
}

async fn office(clock: &Arc<AtomicI64>) -> Office {
    let accounts =
        vec![tool("weak", "p1@acme.example", json!({ "mfa": false })), tool("two", "p2@acme.example", json!({}))];
    let records = vec![account("h1", "p1@acme.example"), account("h2", "p2@acme.example")];
    Office::at(Clock::Manual(clock.clone()), records, accounts).await
}

async fn except(office: &Office, reason: &str, until: i64) -> Value {
    let id = office.finding("weak", "NO_MFA").await["id"].clone();
    let input = json!({ "findingId": id, "reason": reason, "until": instant(until) });
    office.server.mutate("exceptFinding", input, "finding { state exception { reason by until severity } }").await
}

#[tokio::test]
async fn an_exception_ends_at_its_instant_and_stays_in_the_figures() {
    let now = Clock::System.now();
    let clock = Arc::new(AtomicI64::new(now));
    let office = office(&clock).await;
    for (reason, until, field) in [
        (" ", now + DAY_MS, "reason"),
        ("because", now + 366 * DAY_MS, "until"),
        ("because", now, "until"),
        (&"x".repeat(501), now + DAY_MS, "reason"),
    ] {
        let refused = except(&office, reason, until).await;
        assert_eq!(refused["userErrors"][0]["field"], json!([field]), "{refused}");
        assert_eq!(refused["userErrors"][0]["code"], "INVALID_INPUT");
        assert_eq!(refused["finding"], json!(null));
    }
    let until = now + 365 * DAY_MS;
    let excepted = except(&office, " It is a kiosk. ", until).await["finding"].take();
    assert_eq!(excepted["state"], "EXCEPTED");
    assert_eq!(excepted["exception"]["reason"], "It is a kiosk.");
    assert_eq!(excepted["exception"]["until"], instant(until));
    assert_eq!(office.figures().await["mfa"], [1, 1, 0, 1], "it is still counted");
    assert_eq!(office.findings("OPEN").await, names([]));
    assert_eq!(office.findings("EXCEPTED").await, names(["weak NO_MFA"]));
    // Another sync changes nothing.
    let accounts =
        vec![tool("weak", "p1@acme.example", json!({ "mfa": false })), tool("two", "p2@acme.example", json!({}))];
    office.list(accounts.clone()).await;
    assert_eq!(office.findings("EXCEPTED").await, names(["weak NO_MFA"]));
    // The instant before it ends, and the instant at which it does.
    clock.store(until - 1, Ordering::Relaxed);
    assert_eq!(office.figures().await["mfa"], [1, 1, 0, 1]);
    clock.store(until, Ordering::Relaxed);
    assert_eq!(office.figures().await["mfa"], [1, 1, 0, 0]);
    let open = office.finding("weak", "NO_MFA").await;
    assert_eq!((&open["state"], &open["exception"]), (&json!("OPEN"), &json!(null)));
    office.end().await;
}

#[tokio::test]
async fn an_exception_hides_nothing_worse_and_outlives_the_account() {
    let now = Clock::System.now();
    let clock = Arc::new(AtomicI64::new(now));
    let office = office(&clock).await;
    assert_eq!(except(&office, "It is a kiosk.", now + 9 * DAY_MS).await["finding"]["exception"]["severity"], "MEDIUM");
    let with = |weak: Value| vec![tool("weak", "p1@acme.example", weak), tool("two", "p2@acme.example", json!({}))];
    office.list(with(json!({ "mfa": false, "admin": true }))).await;
    let worse = office.finding("weak", "NO_MFA").await;
    assert_eq!((&worse["state"], &worse["severity"]), (&json!("OPEN"), &json!("HIGH")));
    assert_eq!(office.figures().await["mfa"], [1, 1, 0, 0]);
    office.list(with(json!({ "mfa": false }))).await;
    assert_eq!(office.finding("weak", "NO_MFA").await["state"], "EXCEPTED");
    // It is fixed, and comes back.
    office.list(with(json!({}))).await;
    assert_eq!(office.findings("EXCEPTED, OPEN").await, names([]));
    office.list(with(json!({ "mfa": false }))).await;
    assert_eq!(office.finding("weak", "NO_MFA").await["state"], "EXCEPTED");
    // So does the account.
    office.list(vec![tool("two", "p2@acme.example", json!({})), tool("three", "p3@acme.example", json!({}))]).await;
    office.list(with(json!({ "mfa": false }))).await;
    let again = office.finding("weak", "NO_MFA").await;
    assert_eq!(again["state"], "EXCEPTED");
    let input = json!({ "findingId": again["id"] });
    let revoked = office.server.done("revokeException", input.clone(), "finding { state exception { by } }").await;
    assert_eq!(revoked["finding"], json!({ "state": "OPEN", "exception": null }));
    let refused = office.server.refused("revokeException", input).await;
    assert_eq!(refused, [("NOT_FOUND".to_owned(), json!(["findingId"]))]);
    let log = office.server.ask("{ auditLog(first: 100) { nodes { action } } }", json!({})).await.to_string();
    assert!(log.contains("FINDING_EXCEPTED") && log.contains("EXCEPTION_REVOKED"), "{log}");
    office.end().await;
}
