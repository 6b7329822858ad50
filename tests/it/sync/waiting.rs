//! Runs that wait for their application, and credentials that are tried again.

use std::time::Duration;

use muster::config::Settings;
use muster::sync::patience::Patience;
use serde_json::{Value, json};

use crate::support::ask::pairs;
use crate::support::peer::{Answer, Application, Trouble};
use crate::support::{Server, change};

const WAITING: &str = "syncState currentSync { seen waitingFor waitingReason waitingUntil }";
pub const STATE: &str = "status inactiveReason health nextSyncAt nextTryAt userCount notice { detail }
    lastSync { outcome trigger seen finishedAt failure { class } mailDecision { kind } }";
pub const EVENTS: &str = "events(first: 4) { nodes { cause actor } }";

pub const QUICK: Patience = Patience {
    outage: Duration::from_mins(1),
    distance: (Duration::from_millis(200), Duration::from_millis(500)),
    looks: Duration::from_secs(2),
    first_look: Duration::from_millis(100),
};

pub async fn server(patience: Patience) -> Server {
    Server::builder()
        .settings(|settings| settings.allowed_networks = vec!["127.0.0.0/8".parse().unwrap()])
        .limits(move |limits| limits.patience = patience)
        .start()
        .await
}

/// An instance whose first sync has succeeded.
pub async fn integrated(server: &Server, application: &Application) -> String {
    let config = json!([{ "key": "base_url", "value": application.url }, { "key": "token", "value": "good" }]);
    let input = json!({ "integrationKey": "scim", "name": "Directory", "config": config });
    let created = server.done("createInstance", input, "instance { id }").await;
    let id = created["instance"]["id"].as_str().unwrap().to_owned();
    assert_eq!(server.idle(&id, "health").await["health"], "OK");
    id
}

pub async fn begin_sync(server: &Server, id: &str) {
    server.done("syncInstance", json!({ "id": id }), "").await;
}

fn is_waiting(now: &Value) -> bool {
    now["currentSync"]["waitingUntil"].is_string()
}

pub fn causes(found: &Value) -> Vec<&str> {
    found["events"]["nodes"].as_array().unwrap().iter().map(|event| event["cause"].as_str().unwrap()).collect()
}

fn unavailable(from: usize) -> Trouble {
    Trouble { from, answer: Answer::Status(503, "x-why", "maintenance") }
}

#[tokio::test]
async fn a_run_waits_for_an_outage_and_goes_on_where_it_was() {
    let (server, application) = (server(QUICK).await, Application::start("good", 250).await);
    let id = integrated(&server, &application).await;
    application.trouble(Some(unavailable(150)));
    begin_sync(&server, &id).await;
    let now = server.until(&id, WAITING, is_waiting).await;
    assert_eq!(now["syncState"], "RUNNING");
    assert_eq!((&now["currentSync"]["waitingFor"], &now["currentSync"]["seen"]), (&json!("TRANSIENT"), &json!(100)));
    assert!(now["currentSync"]["waitingReason"].as_str().unwrap().contains("503"), "{now}");
    let asked = application.calls();
    application.trouble(None);
    let now = server.idle(&id, &format!("{STATE} {EVENTS}")).await;
    assert_eq!((&now["lastSync"]["outcome"], &now["lastSync"]["seen"]), (&json!("SUCCEEDED"), &json!(250)));
    assert_eq!(causes(&now), ["SYNC_SUCCEEDED", "SYNC_RESUMED", "SYNC_WAITING", "SYNC_STARTED"]);
    assert!(now["lastSync"]["mailDecision"]["kind"].is_null(), "{now}");
    assert!(application.calls() < asked + 8, "the first page is not read again");
}

#[tokio::test]
async fn an_outage_that_outlasts_the_wait_fails_the_run_and_the_next_comes_sooner() {
    let patience = Patience { outage: Duration::from_millis(500), ..QUICK };
    let (server, application) = (server(patience).await, Application::start("good", 3).await);
    let id = integrated(&server, &application).await;
    application.trouble(Some(unavailable(1)));
    begin_sync(&server, &id).await;
    let now = server.idle(&id, &format!("{STATE} {EVENTS}")).await;
    assert_eq!(
        (&now["lastSync"]["outcome"], &now["lastSync"]["failure"]["class"]),
        (&json!("FAILED"), &json!("TRANSIENT"))
    );
    assert_eq!(causes(&now), ["SYNC_FAILED", "SYNC_WAITING", "SYNC_STARTED", "SYNC_QUEUED"]);
    let time = |at: &Value| at.as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap();
    let wait = time(&now["nextSyncAt"]) - time(&now["lastSync"]["finishedAt"]);
    assert!(wait < chrono::Duration::minutes(17), "a quarter of the interval: {wait}");
}

#[tokio::test]
async fn a_pause_that_is_longer_than_a_run_may_wait_is_kept_before_the_next_run() {
    let (server, application) = (server(QUICK).await, Application::start("good", 3).await);
    let id = integrated(&server, &application).await;
    application.trouble(Some(Trouble { from: 1, answer: Answer::Status(429, "retry-after", "7200") }));
    let asked = application.calls();
    begin_sync(&server, &id).await;
    let now = server.idle(&id, STATE).await;
    assert_eq!(now["lastSync"]["failure"]["class"], "RATE_LIMIT", "{now}");
    assert_eq!(application.calls(), asked + 1);
    let time = |at: &Value| at.as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap();
    assert!(time(&now["nextSyncAt"]) - time(&now["lastSync"]["finishedAt"]) >= chrono::Duration::hours(2), "{now}");
}

#[tokio::test]
async fn a_run_that_waits_can_be_cancelled_at_once_and_outlives_a_restart() {
    let patience = Patience { distance: (Duration::from_mins(5), Duration::from_mins(5)), ..Patience::default() };
    let (server, application) = (server(patience).await, Application::start("good", 3).await);
    let id = integrated(&server, &application).await;
    application.trouble(Some(unavailable(1)));
    begin_sync(&server, &id).await;
    let waiting = server.until(&id, WAITING, is_waiting).await;
    let asked = application.calls();

    let server = Server::builder()
        .settings(|settings| settings.allowed_networks = vec!["127.0.0.0/8".parse().unwrap()])
        .place(server.stop().await)
        .start()
        .await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(server.instance(&id, WAITING).await, waiting, "it waits on");
    assert_eq!(application.calls(), asked, "and nobody is asked before the time");

    let begun = tokio::time::Instant::now();
    server.done("cancelSync", json!({ "instanceId": id }), "").await;
    let now = server.idle(&id, "lastSync { outcome waitingUntil }").await;
    assert_eq!(now["lastSync"], json!({ "outcome": "CANCELLED", "waitingUntil": null }));
    assert!(begun.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn a_refusal_that_passes_switches_nothing_off() {
    for status in [401, 403] {
        let (server, application) = (server(QUICK).await, Application::start("good", 250).await);
        let id = integrated(&server, &application).await;
        application.refuse(status, 150);
        begin_sync(&server, &id).await;
        let now = server.until(&id, WAITING, is_waiting).await;
        let class = if status == 401 { "TOKEN" } else { "PERMISSION" };
        assert_eq!(now["currentSync"]["waitingFor"], class);
        application.trouble(None);
        let now = server.idle(&id, STATE).await;
        assert_eq!((&now["status"], &now["lastSync"]["outcome"]), (&json!("LIVE"), &json!("SUCCEEDED")), "{status}");
    }
}

#[tokio::test]
async fn refusals_far_apart_are_not_counted_together() {
    let (server, application) = (server(QUICK).await, Application::start("good", 650).await);
    let id = integrated(&server, &application).await;
    application.refuse(401, 101);
    begin_sync(&server, &id).await;
    for seen in (100..=600).step_by(100) {
        let refused = |now: &Value| is_waiting(now) && now["currentSync"]["seen"] == seen;
        server.until(&id, WAITING, refused).await;
        application.refuse(401, seen + 101);
    }
    let now = server.idle(&id, STATE).await;
    assert_eq!((&now["status"], &now["lastSync"]["outcome"]), (&json!("LIVE"), &json!("SUCCEEDED")), "{now}");
}

#[tokio::test]
async fn a_wait_that_a_wrong_clock_wrote_holds_no_run() {
    let patience = Patience { distance: (Duration::from_mins(5), Duration::from_mins(5)), ..Patience::default() };
    let (server, application) = (server(patience).await, Application::start("good", 3).await);
    let id = integrated(&server, &application).await;
    application.trouble(Some(unavailable(1)));
    begin_sync(&server, &id).await;
    server.until(&id, WAITING, is_waiting).await;
    let place = server.stop().await;
    application.trouble(None);
    let db = place.open().await;
    change(&db, "UPDATE sync_run SET waiting_until = waiting_until + 864000000 WHERE waiting_until IS NOT NULL").await;
    // As the repair of jobs leaves it.
    change(&db, "UPDATE job SET run_at = 0 WHERE kind = 'sync'").await;
    db.close().await.unwrap();
    let settings = |settings: &mut Settings| settings.allowed_networks = vec!["127.0.0.0/8".parse().unwrap()];
    let server = Server::builder().settings(settings).place(place).start().await;
    let now = server.idle(&id, STATE).await;
    assert_eq!(now["lastSync"]["outcome"], "SUCCEEDED", "{now}");
}

#[tokio::test]
async fn a_refusal_that_lasts_switches_the_instance_off_and_a_try_brings_it_back() {
    let (server, application) = (server(QUICK).await, Application::start("good", 3).await);
    let id = integrated(&server, &application).await;
    application.refuse(401, 1);
    let asked = application.calls();
    begin_sync(&server, &id).await;
    let now = server.idle(&id, STATE).await;
    assert_eq!((&now["status"], &now["inactiveReason"]), (&json!("INACTIVE"), &json!("TOKEN_INACTIVE")), "{now}");
    assert_eq!(application.calls(), asked + 5, "one call and four looks");
    assert_eq!(now["lastSync"]["mailDecision"]["kind"], "SYNC_FAILED");
    let notice = now["notice"]["detail"].as_str().unwrap();
    assert!(now["nextTryAt"].is_string() && notice.contains("by itself"), "{now}");

    // Still refused.
    change(&server.db, "UPDATE job SET run_at = 0 WHERE kind = 'recovery'").await;
    // The answer's events are read after its instance.
    let changed = |later: &Value| later["nextTryAt"] != now["nextTryAt"];
    let later = server.until(&id, &format!("{STATE} {EVENTS}"), changed).await;
    assert_eq!((&later["status"], causes(&later)[0]), (&json!("INACTIVE"), "CREDENTIAL_TRIED"));
    assert!(later["nextTryAt"].as_str() > now["nextTryAt"].as_str(), "{later}");

    application.trouble(None);
    change(&server.db, "UPDATE job SET run_at = 0 WHERE kind = 'recovery'").await;
    let back = |now: &Value| now["health"] == "OK";
    let now = server.until(&id, &format!("{STATE} events(first: 6) {{ nodes {{ cause actor }} }}"), back).await;
    assert_eq!((&now["status"], &now["nextTryAt"], &now["notice"]), (&json!("LIVE"), &Value::Null, &Value::Null));
    assert_eq!(
        (&now["lastSync"]["trigger"], &now["lastSync"]["mailDecision"]["kind"]),
        (&json!("REACTIVATION"), &json!("SYNC_RECOVERED"))
    );
    assert_eq!(causes(&now)[2], "REACTIVATED");
    assert!(now["events"]["nodes"][2]["actor"].is_null(), "{now}");
}

#[tokio::test]
async fn a_member_or_an_explicit_refusal_ends_the_tries() {
    let (server, application) = (server(QUICK).await, Application::start("good", 3).await);
    let id = integrated(&server, &application).await;
    application.refuse(403, 1);
    begin_sync(&server, &id).await;
    assert!(server.idle(&id, STATE).await["nextTryAt"].is_string());
    let payload = server
        .done("updateInstance", json!({ "id": id, "status": "INACTIVE" }), &format!("instance {{ {STATE} {EVENTS} }}"))
        .await;
    let now = &payload["instance"];
    assert_eq!((&now["inactiveReason"], &now["nextTryAt"]), (&json!("INSUFFICIENT_PERMISSIONS"), &Value::Null));
    assert_eq!(causes(now)[0], "DEACTIVATED");

    application.trouble(None);
    server.done("updateInstance", json!({ "id": id, "status": "LIVE" }), "").await;
    server.idle(&id, "").await;
    application.refuse(401, 1);
    begin_sync(&server, &id).await;
    assert!(server.idle(&id, STATE).await["nextTryAt"].is_string());
    application.trouble(None);
    application.accept("another");
    change(&server.db, "UPDATE job SET run_at = 0 WHERE kind = 'recovery'").await;
    let ended = |now: &Value| now["nextTryAt"].is_null();
    let now = server.until(&id, &format!("{STATE} {EVENTS}"), ended).await;
    assert_eq!((&now["status"], causes(&now)[0]), (&json!("INACTIVE"), "CREDENTIAL_TRIED"));
}

#[tokio::test]
async fn a_first_run_is_not_kept_waiting_by_a_refusal() {
    let (server, application) = (
        server(Patience { first_look: Duration::from_millis(50), ..Patience::default() }).await,
        Application::start("good", 250).await,
    );
    application.refuse(403, 150);
    let config = pairs(&[("base_url", &application.url), ("token", "good")]);
    let input = json!({ "integrationKey": "scim", "name": "Directory", "config": config });
    let created = server.done("createInstance", input, "instance { id }").await;
    let now = server.idle(created["instance"]["id"].as_str().unwrap(), STATE).await;
    assert_eq!(now["inactiveReason"], "INSUFFICIENT_PERMISSIONS", "{now}");
}
