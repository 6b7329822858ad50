//! Reminders, as they arrive at a real mail server.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use muster::clock::Clock;
use serde_json::{Value, json};

use super::day;
use crate::peers::Smtp;
use crate::peers::mail::{arrived, notifications, server_at, set_recipients, until_arrived};
use crate::support::Server;

const DAY_MS: i64 = 86_400_000;
/// A little longer than the time between two looks at the contracts.
const ROUND: Duration = Duration::from_secs(12);
/// What every reminder says.
const WORDS: &str = "The last day on which notice can be given";

async fn decided(server: &Server) -> Value {
    let query = "{ renewals { nodes { reminders { daysBefore mails } } } }";
    server.ask(query, json!({})).await["renewals"]["nodes"][0]["reminders"].take()
}

#[tokio::test]
async fn each_step_is_mailed_once_for_a_term_and_a_late_start_sends_the_nearest_only() {
    let smtp = Smtp::start();
    let begin = Clock::System.now();
    let clock = Arc::new(AtomicI64::new(begin));
    let server = server_at(&smtp, &clock, None).await;
    set_recipients(&server, &["bo@example.com", "Ada@Example.com"]).await;
    let id = server.rehearse("Acme", &[("users", "12")]).await;
    server.idle(&id, "").await;
    // Notice by day 200.
    let mut input = json!({ "instanceId": id, "name": "Order 4711", "currency": "EUR", "startsOn": day(-10), "endsOn": day(230),
        "noticeDays": 30, "lines": [{ "license": "Full", "seats": 7 }] });
    let made = server.done("upsertContract", input.clone(), "contract { id }").await["contract"]["id"].take();
    clock.store(begin + 79 * DAY_MS, Ordering::Relaxed);
    tokio::time::sleep(ROUND).await;
    assert_eq!((arrived(&smtp, WORDS).await, decided(&server).await), (Vec::new(), json!([])), "121 days are left");

    let place = server.stop().await;
    // Both the first and the second step have begun.
    clock.store(begin + 175 * DAY_MS, Ordering::Relaxed);
    let server = server_at(&smtp, &clock, Some(place)).await;
    let first = until_arrived(&smtp, WORDS, 2).await;
    let everybody = BTreeSet::from(["ada@example.com".to_owned(), "bo@example.com".to_owned()]);
    assert_eq!(first.iter().map(|(to, _)| to.clone()).collect::<BTreeSet<_>>(), everybody);
    for (_, text) in &first {
        for words in [
            "Order 4711",
            "Rehearsal",
            "Acme",
            &day(200),
            &day(230),
            "in 25 days",
            "7 × Full",
            &format!("{}/instances/{id}", server.url),
        ] {
            assert!(text.contains(words), "{words} in {text}");
        }
    }
    assert_eq!(decided(&server).await, json!([{ "daysBefore": 30, "mails": 2 }]));

    clock.store(begin + 193 * DAY_MS, Ordering::Relaxed);
    assert_eq!(until_arrived(&smtp, WORDS, 4).await.len(), 4);
    let both = json!([{ "daysBefore": 7, "mails": 2 }, { "daysBefore": 30, "mails": 2 }]);
    assert_eq!(decided(&server).await, both);
    let place = server.stop().await;
    let server = server_at(&smtp, &clock, Some(place)).await;
    clock.store(begin + 200 * DAY_MS, Ordering::Relaxed);
    tokio::time::sleep(ROUND).await;
    assert_eq!((arrived(&smtp, WORDS).await.len(), decided(&server).await), (4, both.clone()), "each step once");

    // The next term.
    input["id"] = made;
    input["endsOn"] = json!(day(595));
    server.done("upsertContract", input, "").await;
    clock.store(begin + (565 - 120) * DAY_MS - 100 * DAY_MS, Ordering::Relaxed);
    tokio::time::sleep(ROUND).await;
    assert_eq!((arrived(&smtp, WORDS).await.len(), decided(&server).await), (4, both));
    let mails = notifications(&server, &id).await;
    let reminders: Vec<_> = mails.iter().filter(|mail| mail["kind"] == "RENEWAL_REMINDER").collect();
    assert_eq!(reminders.len(), 4);
    assert!(
        reminders.iter().all(|mail| mail["state"] == "SENT" && mail["attempts"] == 1 && mail["run"].is_null()),
        "{reminders:#?}"
    );
}
