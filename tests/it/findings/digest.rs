//! The weekly digest, as it arrives at a real mail server.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::DateTime;
use muster::clock::{Clock, DAY_MS, day_of};
use serde_json::{Value, json};

use super::application::evaluated;
use crate::peers::mail::set_recipients;
use crate::peers::{Smtp, recipient};
use crate::support::{DEADLINE, Place, Server};

/// A little longer than the time between two looks at what is due.
const ROUND: Duration = Duration::from_secs(12);
const MORNING_MS: i64 = 7 * 3_600_000;

async fn start(smtp: &Smtp, clock: &Arc<AtomicI64>, place: Option<Place>) -> Server {
    let (url, mut builder) = (smtp.url(), Server::builder().clock(Clock::Manual(clock.clone())));
    if let Some(place) = place {
        builder = builder.place(place);
    }
    builder.settings(move |settings| settings.smtp_url = Some(url)).start().await
}

/// The digests that have arrived: address and text.
async fn arrived(smtp: &Smtp) -> Vec<(String, String)> {
    let plain = |message: &Value| message["text"].as_str().unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
    let messages = smtp.messages().await;
    let all = messages.iter().map(|message| (recipient(message), plain(message)));
    all.filter(|(_, text)| text.contains("the weekly digest is switched on")).collect()
}

async fn until(smtp: &Smtp, count: usize) -> Vec<(String, String)> {
    let deadline = tokio::time::Instant::now() + DEADLINE;
    loop {
        let found = arrived(smtp).await;
        if found.len() >= count {
            return found;
        }
        assert!(tokio::time::Instant::now() < deadline, "{count} digests wanted; there are {found:#?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn every_recipient_gets_the_counts_of_a_week_with_news_once() {
    let smtp = Smtp::start();
    let today = day_of(Clock::System.now());
    let monday = today - (today + 3).rem_euclid(7) + 7;
    let at = |day: i32| i64::from(day) * DAY_MS + MORNING_MS;
    let clock = Arc::new(AtomicI64::new(at(monday - 5)));
    let server = start(&smtp, &clock, None).await;
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
    assert_eq!(arrived(&smtp).await, [], "it is switched on after the last Monday, and the next one has not come");

    let place = server.stop().await;
    clock.store(at(monday) + 3 * 3_600_000, Ordering::Relaxed);
    let server = start(&smtp, &clock, Some(place)).await;
    let mails = until(&smtp, 2).await;
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
    assert_eq!(arrived(&smtp).await.len(), 2);
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
    let server = start(&smtp, &clock, None).await;
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
    let mails = self::until(&smtp, 1).await;
    let new = format!("There are {} new findings, and 0 findings were closed.", left.len());
    assert!(mails[0].1.contains(&new) && !mails[0].1.contains("No second factor"), "{new} in {}", mails[0].1);
}
