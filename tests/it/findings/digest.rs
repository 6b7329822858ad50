//! The weekly digest, as it arrives at a real mail server.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::DateTime;
use muster::clock::{Clock, DAY_MS, day_of};
use serde_json::{Value, json};

use super::application::evaluated;
use crate::peers::Smtp;
use crate::peers::mail::{arrived, server_at, set_recipients, until_arrived};

/// A little longer than the time between two looks at what is due.
const ROUND: Duration = Duration::from_secs(12);
/// What every digest says.
const WORDS: &str = "the weekly digest is switched on";
const MORNING_MS: i64 = 7 * 3_600_000;

#[tokio::test]
async fn every_recipient_gets_the_counts_of_a_week_with_news_once() {
    let smtp = Smtp::start();
    let today = day_of(Clock::System.now());
    let monday = today - (today + 3).rem_euclid(7) + 7;
    let at = |day: i32| i64::from(day) * DAY_MS + MORNING_MS;
    let clock = Arc::new(AtomicI64::new(at(monday - 5)));
    let server = server_at(&smtp, &clock, None).await;
    set_recipients(&server, &["bo@example.com", "Ada@Example.com"]).await;
    let id = server.rehearse("Acme", &[("users", "30")]).await;
    server.idle(&id, "").await;
    evaluated(&server).await;
    // Nothing is synced any more.
    server.done("updateInstance", json!({ "id": id, "status": "INACTIVE" }), "").await;
    let query = "{ findings(first: 100) { totalCount nodes { type user { displayName email } } } }";
    let findings = server.ask(query, json!({})).await["findings"].take();
    let new = findings["totalCount"].as_i64().unwrap();
    assert!(new > 1, "{findings}");
    let set = server.done(
        "setReportSettings",
        json!({ "weeklyDigest": true }),
        "settings { weeklyDigest pendingEvaluations }",
    );
    assert_eq!(set.await["settings"], json!({ "weeklyDigest": true, "pendingEvaluations": 0 }));
    tokio::time::sleep(ROUND).await;
    clock.store(at(monday) - 1, Ordering::Relaxed);
    tokio::time::sleep(ROUND).await;
    assert_eq!(arrived(&smtp, WORDS).await, [], "the next Monday has not come");

    let place = server.stop().await;
    clock.store(at(monday) + 3 * 3_600_000, Ordering::Relaxed);
    let server = server_at(&smtp, &clock, Some(place)).await;
    let mails = until_arrived(&smtp, WORDS, 2).await;
    let everybody = BTreeSet::from(["ada@example.com".to_owned(), "bo@example.com".to_owned()]);
    assert_eq!(mails.iter().map(|(to, _)| to.clone()).collect::<BTreeSet<_>>(), everybody);
    let of_type = |kind: &str| {
        let count = findings["nodes"].as_array().unwrap().iter().filter(|it| it["type"] == kind).count();
        format!("{count} open, {count} of them new")
    };
    for (_, text) in &mails {
        for words in [
            format!("There are {new} new findings, and 0 findings were closed."),
            format!("No second factor {}", of_type("NO_MFA")),
            format!("{}/reports/findings", server.url),
        ] {
            assert!(text.contains(&words), "{words} in {text}");
        }
        for user in findings["nodes"].as_array().unwrap().iter().map(|it| &it["user"]) {
            for told in ["displayName", "email"].map(|field| user[field].as_str().unwrap_or("@")) {
                assert!(!text.contains(told) || told == "@", "{told} in {text}");
            }
        }
    }
    // A week without news.
    clock.store(at(monday + 7), Ordering::Relaxed);
    tokio::time::sleep(ROUND).await;
    assert_eq!(arrived(&smtp, WORDS).await.len(), 2);
    let told = "{ notifications(first: 50, filter: { kinds: [WEEKLY_DIGEST] }) { nodes { state instance { id } run { id } } } }";
    let told = server.ask(told, json!({})).await["notifications"]["nodes"].take();
    assert_eq!(
        told,
        json!([{ "state": "SENT", "instance": null, "run": null }, { "state": "SENT", "instance": null, "run": null }])
    );
}

#[tokio::test]
async fn what_is_accepted_has_no_line() {
    let smtp = Smtp::start();
    let today = day_of(Clock::System.now());
    let monday = today - (today + 3).rem_euclid(7) + 7;
    let at = |day: i32| i64::from(day) * DAY_MS + MORNING_MS;
    let clock = Arc::new(AtomicI64::new(at(monday - 5)));
    let server = server_at(&smtp, &clock, None).await;
    set_recipients(&server, &["bo@example.com"]).await;
    let id = server.rehearse("Acme", &[("users", "30")]).await;
    server.idle(&id, "").await;
    evaluated(&server).await;
    server.done("updateInstance", json!({ "id": id, "status": "INACTIVE" }), "").await;
    server.done("setReportSettings", json!({ "weeklyDigest": true }), "").await;
    let findings = server.ask("{ findings(first: 100) { nodes { id type } } }", json!({})).await["findings"].take();
    let (accepted, left): (Vec<&Value>, Vec<&Value>) =
        findings["nodes"].as_array().unwrap().iter().partition(|it| it["type"] == "NO_MFA");
    assert!(!accepted.is_empty() && !left.is_empty(), "{findings}");
    let until = DateTime::from_timestamp_millis(at(monday + 1)).unwrap().to_rfc3339();
    for finding in &accepted {
        let input = json!({ "findingId": finding["id"], "reason": "A kiosk.", "until": until });
        server.done("exceptFinding", input, "").await;
    }
    clock.store(at(monday), Ordering::Relaxed);
    let mails = until_arrived(&smtp, WORDS, 1).await;
    let new = format!("There are {} new findings, and 0 findings were closed.", left.len());
    assert!(mails[0].1.contains(&new) && !mails[0].1.contains("No second factor"), "{new} in {}", mails[0].1);
}
