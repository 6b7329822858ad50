//! Liveness, readiness and metrics, and the console.

use std::time::Duration;

use reqwest::Response;
use serde_json::{Value, json};

use super::Home;
use crate::support::{DEADLINE, http};

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
