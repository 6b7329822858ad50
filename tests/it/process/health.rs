//! Liveness, readiness and metrics, and the console.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::Response;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::Home;
use crate::findings::application::evaluated;
use crate::support::{Client, DEADLINE, http};

async fn get(url: &str, path: &str) -> Response {
    http().get(format!("{url}{path}")).send().await.unwrap()
}

fn header<'a>(answer: &'a Response, name: &str) -> &'a str {
    answer.headers().get(name).unwrap_or_else(|| panic!("{name}")).to_str().unwrap()
}

#[tokio::test]
async fn a_server_that_works_is_alive_and_ready_to_anybody() {
    let home = Home::new();
    let token = home.token();
    let program = home.serve(&token).await;
    let alive = get(&program.client.url, "/healthz").await;
    assert_eq!((alive.status().as_u16(), alive.text().await.unwrap().as_str()), (200, "ok"));
    let ready = get(&program.client.url, "/readyz").await;
    assert_eq!(header(&ready, "cache-control"), "no-store");
    let report: Value = serde_json::from_str(&ready.text().await.unwrap()).unwrap();
    assert_eq!(report, json!({ "ready": true, "database": true, "workers": true, "stopping": false }));
}

#[tokio::test]
async fn the_command_health_asks_the_server_of_its_settings() {
    let home = Home::new();
    let token = home.token();
    let silent = home.run(&["health"]);
    let line = String::from_utf8(silent.stderr).unwrap();
    assert_eq!(silent.status.code(), Some(1));
    assert!(line.starts_with(&format!("muster: 127.0.0.1:{}/healthz: ", home.port)), "{line}");
    let _program = home.serve(&token).await;
    let alive = home.run(&["health"]);
    assert_eq!((alive.status.code(), &*alive.stdout), (Some(0), &b"ok\n"[..]));
    let ready = home.run(&["health", "--ready"]);
    assert!(ready.status.success(), "{ready:?}");
    assert_eq!(serde_json::from_slice::<Value>(&ready.stdout).unwrap()["ready"], true);
    // A server that listens on all addresses is asked on this machine.
    let everywhere = home.command(&["health"]).env("MUSTER_LISTEN", format!("0.0.0.0:{}", home.port)).output().unwrap();
    assert!(everywhere.status.success(), "{everywhere:?}");
}

#[tokio::test]
async fn a_server_that_stops_is_not_ready_any_more() {
    let home = Home::new();
    let token = home.token();
    let mut program = home.serve(&token).await;
    program.terminate();
    // It reports that it is stopping, or has ended already. It must not report that it is ready.
    let deadline = tokio::time::Instant::now() + DEADLINE;
    loop {
        match http().get(format!("{}/readyz", program.client.url)).send().await {
            Ok(answer) if answer.status() == 503 => break,
            Ok(answer) => assert_eq!(answer.status(), 200, "the signal has not arrived yet"),
            Err(_) => break,
        }
        assert!(tokio::time::Instant::now() < deadline);
    }
    assert_eq!(program.ended(Duration::from_secs(10)).await.code(), Some(0));
}

#[tokio::test]
async fn the_metrics_tell_what_the_product_did() {
    let home = Home::new();
    let token = home.token();
    let program = home.serve(&token).await;
    let id = program.client.rehearse("Acme", &[("users", "42"), ("outcomes", "success,garbage")]).await;
    program.client.idle(&id, "").await;
    program.client.sync(&id, "outcome").await;
    let answer = get(&program.client.url, "/metrics").await;
    assert!(header(&answer, "content-type").starts_with("text/plain; version=0.0.4"));
    let metrics = answer.text().await.unwrap();
    for line in [
        "muster_instances_created_total 1",
        "muster_users_synced_total 42",
        "muster_sync_runs_total{outcome=\"succeeded\"} 1",
        "muster_sync_runs_total{outcome=\"failed\"} 1",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line} in {metrics}");
    }
    assert!(metrics.contains("muster_database_statement_seconds_bucket{"), "{metrics}");
    for gauge in [
        "muster_people_backlog ",
        "muster_people{state=\"current\"} ",
        "muster_accounts{measure=\"mfa\",answer=\"unknown\"} ",
        "muster_findings{type=\"no_mfa\",severity=\"medium\"} ",
    ] {
        assert!(metrics.contains(&format!("\n{gauge}")), "{gauge} in {metrics}");
    }
    assert!(!metrics.contains("Acme") && !metrics.contains("example.com"), "no names in metrics: {metrics}");
}

#[tokio::test]
async fn what_evaluations_open_and_close_is_told_once() {
    let home = Home::new().set("LOG_FORMAT", "json");
    let token = home.token();
    let program = home.serve(&token).await;
    let client = &program.client;
    let id = client.rehearse("Acme", &[("users", "40"), ("churn_percent", "20")]).await;
    let quiet = client.rehearse("Quiet", &[("users", "10"), ("churn_percent", "0")]).await;
    for id in [&id, &quiet] {
        client.idle(id, "").await;
    }
    evaluated(client).await;
    client.sync(&id, "outcome").await;
    evaluated(client).await;
    // The line of the second evaluation, which closes some, comes after the commit.
    let told_of = |line: &str| line.contains("findings have changed");
    let deadline = Instant::now() + DEADLINE;
    while !home.log().lines().any(|line| told_of(line) && !line.contains("\"closed\":\"\"")) {
        assert!(Instant::now() < deadline, "{}", home.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Each change, by what it is and the type of the finding.
    let (mut told, mut lines) = (BTreeMap::new(), 0);
    for line in home.log().lines().filter(|line| told_of(line)) {
        let fields = serde_json::from_str::<Value>(line).unwrap()["fields"].take();
        lines += 1;
        for change in ["opened", "closed"] {
            for (kind, count) in fields[change].as_str().unwrap().split_whitespace().filter_map(|it| it.split_once('='))
            {
                *told.entry((change, kind.to_owned())).or_default() += count.parse::<usize>().unwrap();
            }
        }
    }
    let (mut expected, closed) = (BTreeMap::new(), findings(client, "CLOSED").await);
    for (kind, count) in findings(client, "OPEN").await.into_iter().chain(closed.clone()) {
        *expected.entry(("opened", kind)).or_default() += count;
    }
    expected.extend(closed.into_iter().map(|(kind, count)| (("closed", kind), count)));
    assert!(expected.keys().any(|(change, _)| *change == "closed"), "somebody is gone: {expected:?}");
    assert_eq!(told, expected);
    let metrics = get(&client.url, "/metrics").await.text().await.unwrap();
    for ((change, kind), count) in &told {
        let line = format!("muster_findings_changed_total{{type=\"{kind}\",change=\"{change}\"}} {count}");
        assert!(metrics.lines().any(|found| found == line), "{line} in {metrics}");
    }
    client.sync(&quiet, "outcome").await;
    evaluated(client).await;
    assert_eq!(home.log().matches("findings have changed").count(), lines, "a list that is the same says nothing");
}

/// How many findings of each type are in a state.
async fn findings(client: &Client, state: &str) -> BTreeMap<String, usize> {
    let query =
        format!("{{ findings(first: 100, filter: {{ states: [{state}] }}) {{ totalCount nodes {{ type }} }} }}");
    let found = client.ask(&query, json!({})).await["findings"].take();
    let nodes = found["nodes"].as_array().unwrap();
    assert_eq!(found["totalCount"], nodes.len(), "they are on one page");
    let mut counts = BTreeMap::new();
    for node in nodes {
        *counts.entry(node["type"].as_str().unwrap().to_lowercase()).or_default() += 1;
    }
    counts
}

#[tokio::test]
async fn the_console_is_there_under_a_policy_that_lets_nothing_foreign_in() {
    let home = Home::new();
    let token = home.token();
    let program = home.serve(&token).await;
    let page = get(&program.client.url, "/").await;
    assert_eq!(page.status(), 200);
    assert!(header(&page, "content-type").starts_with("text/html"));
    let policy = header(&page, "content-security-policy").to_owned();
    for rule in
        ["default-src 'none'", "script-src 'self'", "connect-src 'self'", "frame-ancestors 'none'", "base-uri 'self'"]
    {
        assert!(policy.contains(rule), "{policy}");
    }
    assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
    assert_eq!(header(&page, "x-content-type-options"), "nosniff");
    assert_eq!(header(&page, "referrer-policy"), "no-referrer");
    let html = page.text().await.unwrap();
    let script = html.split("src=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let script = get(&program.client.url, &format!("/{}", script.trim_start_matches('/'))).await;
    assert_eq!(script.status(), 200);
    assert!(header(&script, "content-type").starts_with("text/javascript"));
    assert_eq!(get(&program.client.url, "/nowhere").await.status(), 404);
}
