//! Roles: processes that serve only the API, and processes that only work on jobs.

use serde_json::json;

use crate::process::Home;
use crate::support::http;

async fn status(url: &str, path: &str) -> u16 {
    http().get(format!("{url}{path}")).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn what_one_process_accepts_another_carries_out() {
    let home = Home::new();
    let token = home.token();
    let api = home.serve_with(&["serve", "--api"], &token).await;
    let config = [("users", "40"), ("page_size", "10")];
    let id = api.client.rehearse("Acme", &config).await;
    // A process with workers has a heartbeat every second; this one has none.
    for _ in 0..20 {
        assert_eq!(api.client.instance(&id, "syncState").await["syncState"], "QUEUED");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(home.one("SELECT CAST(max(claims) AS TEXT) FROM job").await, "0");

    let mut socket = api.client.acknowledged(&token).await;
    socket.subscribe("s", "subscription { instanceStateChanged { cause instance { userCount } } }").await;
    let elsewhere = home.replica();
    let workers = elsewhere.serve_with(&["serve", "--workers"], &token).await;
    let mut causes = Vec::new();
    while causes.last().is_none_or(|cause| cause != "SYNC_SUCCEEDED") {
        let frame = socket.next().await;
        causes.push(frame["payload"]["data"]["instanceStateChanged"]["cause"].as_str().unwrap().to_owned());
    }
    assert_eq!(causes, ["SNAPSHOT", "SYNC_STARTED", "SYNC_SUCCEEDED"]);
    assert_eq!(api.client.idle(&id, "userCount").await["userCount"], 40);

    // It serves the health checks and metrics only.
    for (path, expected) in [("/healthz", 200), ("/readyz", 200), ("/metrics", 200), ("/graphql", 404), ("/", 404)] {
        assert_eq!(status(&workers.client.url, path).await, expected, "{path}");
    }
    let asked = http().post(format!("{}/graphql", workers.client.url)).bearer_auth(&token);
    let asked = asked.header("content-type", "application/json").body(json!({ "query": "{ __typename }" }).to_string());
    assert_eq!(asked.send().await.unwrap().status(), 404);
    for path in ["/healthz", "/readyz", "/metrics", "/"] {
        assert_eq!(status(&api.client.url, path).await, 200, "{path}");
    }
}

#[tokio::test]
async fn a_run_of_a_worker_that_is_killed_goes_on_with_another() {
    let home = Home::new();
    let token = home.token();
    let api = home.serve_with(&["serve", "--api"], &token).await;
    let (first, second) = (home.replica(), home.replica());
    let doomed = first.serve_with(&["serve", "--workers"], &token).await;
    let id = api.client.rehearse("Acme", &[("users", "400"), ("page_size", "10"), ("latency_ms", "50")]).await;
    api.client.until(&id, "currentSync { seen }", |found| found["currentSync"]["seen"].as_i64() >= Some(50)).await;
    doomed.kill();
    let _heir = second.serve_with(&["serve", "--workers"], &token).await;
    // The lease of the dead process must end first. The run is the same.
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_mins(1);
    while api.client.instance(&id, "syncState").await["syncState"] != "IDLE" {
        assert!(tokio::time::Instant::now() < deadline, "{}", second.log());
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let runs = api.client.runs(&id, "outcome seen added").await;
    assert_eq!(runs, [json!({ "outcome": "SUCCEEDED", "seen": 400, "added": 400 })]);
}
