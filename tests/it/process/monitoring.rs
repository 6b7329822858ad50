//! The alerts and the dashboard of `packaging/monitoring`: what they ask for exists, and each alert has its section in
//! the documentation. Prometheus' own tool tests the rules, see `packaging/monitoring/check`.

use std::fs;

use serde_json::Value;
use tokio::time::Instant;

use super::Home;
use crate::docs::Page;
use crate::support::{DEADLINE, http};

/// These exist as soon as there is something to count.
const LATER: [&str; 3] =
    ["muster_budgets_exhausted_total", "muster_graphql_closures_total", "muster_pruned_rows_total"];

fn read(name: &str) -> String {
    let file = format!("{}/{name}", env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn alerts() -> Vec<Value> {
    let rules: Value = serde_saphyr::from_str(&read("packaging/monitoring/muster.rules.yml")).unwrap();
    rules["groups"][0]["rules"].as_array().unwrap().clone()
}

/// The expressions of the dashboard's panels.
fn panels() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(&read("packaging/monitoring/muster.dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    targets.map(|target| target["expr"].as_str().unwrap().to_owned()).collect()
}

/// What an expression asks for: the names of metrics, each with the labels that it must have.
fn selectors(expression: &str) -> Vec<(&str, Vec<&str>)> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let starts = expression.match_indices("muster_").map(|(at, _)| expression.split_at(at));
    let names = starts.filter(|(before, _)| !before.ends_with(is_name));
    let found = names.map(|(_, rest)| {
        let (name, rest) = rest.split_at(rest.find(|c| !is_name(c)).unwrap_or(rest.len()));
        let inside = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')).map_or("", |(inside, _)| inside);
        let labels = inside.split(',').filter(|label| !label.is_empty() && !label.starts_with("job="));
        (name, labels.collect())
    });
    found.collect()
}

#[tokio::test]
async fn every_metric_that_is_asked_for_exists_in_a_running_server() {
    let home = Home::new();
    let program = home.serve(&home.token()).await;
    let id = program.client.rehearse("Acme", &[("users", "42")]).await;
    program.client.idle(&id, "").await;
    let deadline = Instant::now() + DEADLINE;
    let metrics = loop {
        let answer = http().get(format!("{}/metrics", program.client.url)).send().await.unwrap();
        let metrics = answer.text().await.unwrap();
        // Its accounts are looked at after the sync.
        if metrics.contains("\nmuster_report_age_seconds ") {
            break metrics;
        }
        assert!(Instant::now() < deadline, "{metrics}");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    };
    let exists = |name: &str, labels: &[&str]| {
        let series = metrics.lines().filter_map(|line| line.strip_prefix(name));
        series.filter(|rest| rest.starts_with(['{', ' '])).any(|rest| labels.iter().all(|label| rest.contains(label)))
    };
    let counted = read("src/telemetry/metrics.rs");
    let rules: Vec<String> = alerts().iter().map(|alert| alert["expr"].as_str().unwrap().to_owned()).collect();
    let panels = panels();
    let mut found = 0;
    for expression in rules.iter().chain(&panels) {
        for (name, labels) in selectors(expression) {
            found += 1;
            // With SQLite there are no connections to count.
            let elsewhere = name.starts_with("muster_database_connections_") && home.database.url().is_none();
            if elsewhere || (LATER.contains(&name) && panels.contains(expression)) {
                assert!(counted.contains(&format!("\"{name}\"")), "{name}, in {expression}");
            } else {
                assert!(exists(name, &labels), "{name} with {labels:?}, in {expression}, is not in {metrics}");
            }
        }
    }
    assert!(found > 60, "{found}");
}

#[test]
fn every_alert_has_its_section_in_the_documentation() {
    let page = Page::open("docs/operations.md");
    let sections: Vec<&str> = page.prose().filter_map(|line| line.strip_prefix("#### ")).collect();
    let alerts = alerts();
    assert!(alerts.len() >= 15, "{alerts:?}");
    for alert in &alerts {
        let name = alert["alert"].as_str().unwrap();
        assert!(sections.contains(&name), "{name} has no section");
        let notes = &alert["annotations"];
        assert_eq!(notes["runbook_url"], format!("docs/operations.md#{}", name.to_lowercase()));
        for note in ["summary", "description"] {
            assert!(notes[note].as_str().is_some_and(|text| text.len() > 20), "{name}: {note}");
        }
        let severity = alert["labels"]["severity"].as_str().unwrap();
        assert!(["critical", "warning", "info"].contains(&severity), "{name}: {severity}");
    }
    let named: Vec<&str> = alerts.iter().map(|alert| alert["alert"].as_str().unwrap()).collect();
    for section in sections.iter().filter(|section| section.starts_with("Muster")) {
        assert!(named.contains(section), "{section} is no alert");
    }
}
