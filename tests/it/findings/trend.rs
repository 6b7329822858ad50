//! Figures day by day.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::DateTime;
use muster::clock::{Clock, DAY_MS};
use serde_json::{Value, json};

use super::application::{MEASURES, Office, evaluated, tool};
use crate::people::roster::account;

fn date(at: i64) -> String {
    DateTime::from_timestamp_millis(at).unwrap().date_naive().to_string()
}

/// The answers to a question, day by day: the day, yes, no, unknown, and whether they are those of an earlier day.
async fn trend(office: &Office, measure: &str, from: i64, instances: Option<&[&str]>) -> Vec<(String, [i64; 3], bool)> {
    let mut question = String::new();
    for letter in measure.chars() {
        if letter.is_uppercase() {
            question.push('_');
        }
        question.extend(letter.to_uppercase());
    }
    let query = format!(
        "query($from: Date!, $ids: [ID!]) {{ trend(question: {question}, from: $from, instanceIds: $ids)
            {{ day yes no unknown ratio isCarried }} }}"
    );
    let found = office.server.ask(&query, json!({ "from": date(from), "ids": instances })).await["trend"].take();
    let day = |day: &Value| {
        let answers = ["yes", "no", "unknown"].map(|key| day[key].as_i64().unwrap());
        assert_eq!(day["ratio"].is_null(), answers[0] + answers[1] == 0, "{day}");
        (day["day"].as_str().unwrap().to_owned(), answers, day["isCarried"].as_bool().unwrap())
    };
    found.as_array().unwrap().iter().map(day).collect()
}

/// All figures of the application, as the trend has them.
fn figures(figures: BTreeMap<String, [i64; 4]>) -> BTreeMap<String, [i64; 3]> {
    figures.into_iter().map(|(name, [yes, no, unknown, _])| (name, [yes, no, unknown])).collect()
}

#[tokio::test]
async fn days_stay_as_they_were_and_one_without_an_evaluation_is_carried() {
    let first = Clock::System.now() / DAY_MS * DAY_MS + DAY_MS / 2;
    let clock = Arc::new(AtomicI64::new(first));
    let accounts = |more: Value| {
        vec![
            tool("weak", "p1@acme.example", json!({ "mfa": false })),
            tool("silent", "p2@acme.example", json!({ "mfa": null })),
            tool("chief", "p3@acme.example", json!({ "admin": true })),
            tool("new", "p4@acme.example", more),
        ]
    };
    let records = (1..=4).map(|number| account(&format!("h{number}"), &format!("p{number}@acme.example"))).collect();
    let before = accounts(json!({}));
    let office = Office::at(Clock::Manual(clock.clone()), records, before[..3].to_vec()).await;
    let one = figures(office.figures().await);
    assert_eq!(one["mfa"], [1, 1, 1]);
    clock.store(first + 3 * DAY_MS, Ordering::Relaxed);
    office.list(accounts(json!({ "mfa": false, "admin": true }))).await;
    let four = figures(office.figures().await);
    assert_eq!(four["mfa"], [1, 2, 1]);
    let days: Vec<String> = (0..5).map(|day| date(first + day * DAY_MS)).collect();
    let tool: &[&str] = &[&office.tool];
    let both: &[&str] = &[&office.tool, &office.hr];
    for measure in MEASURES {
        let (before, after) = (one[measure], four[measure]);
        let expected = [(0, before, false), (1, before, true), (2, before, true), (3, after, false)];
        let expected: Vec<_> =
            expected.into_iter().map(|(day, answers, carried)| (days[day].clone(), answers, carried)).collect();
        assert_eq!(trend(&office, measure, first - 9 * DAY_MS, Some(tool)).await, expected, "{measure}");
        assert_eq!(trend(&office, measure, first + 2 * DAY_MS, Some(tool)).await, expected[2..], "{measure}");
        let together = trend(&office, measure, first, None).await;
        assert_eq!(together, trend(&office, measure, first, Some(both)).await, "{measure}");
    }
    // The next day, the application is deleted. Its past stays.
    clock.store(first + 4 * DAY_MS, Ordering::Relaxed);
    let input = json!({ "id": office.tool, "acknowledgeIrreversible": true });
    office.server.done("deleteInstance", input, "").await;
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        evaluated(&office.server).await;
        let found = trend(&office, "mfa", first + 3 * DAY_MS, Some(tool)).await;
        assert_eq!(found[0], (days[3].clone(), [1, 2, 1], false));
        if found[1].1 == [0, 0, 0] {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "{found:?}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    for (arguments, message) in [
        (format!("from: \"{}\"", date(first + 9 * DAY_MS)), "from must not be later than to."),
        (format!("from: \"{}\"", date(first - 996 * DAY_MS)), "Ask for at most 1000 days."),
        ("from: \"2026-02-30\"".to_owned(), "Give the day as text"),
    ] {
        let query = format!("{{ trend(question: MFA, {arguments}) {{ day }} }}");
        let answer = office.server.ask_as(&office.server.admin, &query, json!({})).await;
        assert!(answer["errors"][0]["message"].as_str().unwrap().contains(message), "{answer}");
    }
    office.end().await;
}

#[tokio::test]
async fn a_day_begins_at_midnight_utc_and_is_one_row_however_often_it_is_looked_at() {
    let midnight = Clock::System.now() / DAY_MS * DAY_MS + DAY_MS;
    let clock = Arc::new(AtomicI64::new(midnight - 1));
    let weak = |count: usize| -> Vec<serde_json::Value> {
        (1..=3).map(|number| tool(&format!("a{number}"), "", json!({ "mfa": number > count }))).collect()
    };
    let office = Office::at(Clock::Manual(clock.clone()), vec![account("h1", "p1@acme.example")], weak(1)).await;
    let tool: &[&str] = &[&office.tool];
    let days = async || trend(&office, "mfa", midnight - 9 * DAY_MS, Some(tool)).await;
    let (before, after) = (date(midnight - 1), date(midnight));
    assert_eq!(days().await, [(before.clone(), [2, 1, 0], false)]);
    clock.store(midnight, Ordering::Relaxed);
    for count in [3, 0, 2] {
        office.list(weak(count)).await;
        let no = i64::try_from(count).unwrap();
        assert_eq!(days().await, [(before.clone(), [2, 1, 0], false), (after.clone(), [3 - no, no, 0], false)]);
    }
    office.end().await;
}
