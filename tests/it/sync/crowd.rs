//! Many runs at once: who hangs delays nobody, and no application is asked too often at once.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::peer::{Answer, Application, Trouble};
use crate::support::{Server, change, one};

async fn server() -> Server {
    Server::builder()
        .settings(|settings| settings.allowed_networks = vec!["127.0.0.0/8".parse().unwrap()])
        .start()
        .await
}

async fn create(server: &Server, name: &str, application: &Application) -> String {
    let config = json!([{ "key": "base_url", "value": application.url }, { "key": "token", "value": "good" }]);
    let input = json!({ "integrationKey": "scim", "name": name, "config": config });
    let created = server.done("createInstance", input, "instance { id }").await;
    created["instance"]["id"].as_str().unwrap().to_owned()
}

fn is_running(now: &Value) -> bool {
    now["syncState"] == "RUNNING"
}

#[tokio::test]
async fn who_hangs_delays_nobody_and_can_be_cancelled_at_once() {
    let server = server().await;
    let silent = Trouble { from: 1, answer: Answer::Silence };
    let mut hanging = Vec::new();
    for number in 0..6 {
        let application = Application::start("good", 3).await;
        for part in ["a", "b", "c", "d"] {
            hanging.push(create(&server, &format!("hanging {number}{part}"), &application).await);
        }
        for id in &hanging[hanging.len() - 4..] {
            server.idle(id, "").await;
        }
        application.trouble(Some(silent.clone()));
    }
    for id in &hanging {
        server.done("syncInstance", json!({ "id": id }), "").await;
    }
    for id in &hanging {
        server.until(id, "syncState", is_running).await;
    }

    let begun = Instant::now();
    let healthy = server.rehearse("healthy", &[]).await;
    assert_eq!(server.idle(&healthy, "health").await["health"], "OK");
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());

    let begun = Instant::now();
    server.done("cancelSync", json!({ "instanceId": hanging[0] }), "").await;
    let now = server.idle(&hanging[0], "lastSync { outcome }").await;
    assert_eq!(now["lastSync"]["outcome"], "CANCELLED");
    assert!(begun.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn a_host_is_asked_by_eight_requests_at_once() {
    let (server, application) = (server().await, Application::start("good", 3).await);
    let mut ids = Vec::new();
    for number in 0..20 {
        ids.push(create(&server, &format!("{number}"), &application).await);
    }
    for id in &ids {
        server.idle(id, "").await;
    }
    application.trouble(Some(Trouble { from: 1, answer: Answer::Slow(Duration::from_millis(1500)) }));
    for id in &ids {
        server.done("syncInstance", json!({ "id": id }), "").await;
    }
    for id in &ids {
        assert_eq!(server.idle(id, "health").await["health"], "OK");
    }
    assert_eq!(application.most_at_once(), 8);
}

#[tokio::test]
async fn scheduled_runs_of_an_application_that_hung_come_last_on_sqlite() {
    let server = Server::builder().limits(|limits| limits.page = Duration::from_millis(200)).start().await;
    let id = server.rehearse("hanging", &[("outcomes", "success,hang,hang"), ("latency_ms", "50")]).await;
    server.idle(&id, "").await;
    assert_eq!(server.sync(&id, "failure { class }").await["failure"]["class"], "TIMEOUT");
    change(&server.db, "CREATE TABLE seen AS SELECT priority FROM job WHERE 1 = 0").await;
    change(
        &server.db,
        "CREATE TRIGGER seen AFTER INSERT ON job WHEN new.kind = 'sync' BEGIN INSERT INTO seen VALUES (new.priority); END",
    )
    .await;
    change(&server.db, "UPDATE instance SET next_sync_at = 0").await;
    let again = |now: &Value| now["lastSync"]["trigger"] == "SCHEDULED" && now["syncState"] == "IDLE";
    server.until(&id, "syncState lastSync { trigger }", again).await;
    server.sync(&id, "id").await;
    let priorities = one(&server.place.location(), "SELECT group_concat(priority) FROM seen").await;
    assert_eq!(priorities, "2,0", "the scheduled one last, the one that a member asked for first");
}
