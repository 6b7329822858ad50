//! The server's own tries of a credential: each is made once, and they are counted on.

use std::time::Duration;

use muster::clock::{Clock, date_time};
use muster::sync::patience::Patience;
use serde_json::{Value, json};

use super::waiting::{EVENTS, QUICK, STATE, begin_sync, causes, integrated, server};
use crate::support::peer::{Answer, Application, Trouble};
use crate::support::{Server, change};

/// A server that looks at refusals in quick succession.
async fn impatient() -> Server {
    server(Patience { looks: Duration::from_millis(200), ..QUICK }).await
}

/// An instance that the server has switched off, and its state. The application accepts the credential only for a
/// list of fewer users than `from`.
async fn revoked(server: &Server, application: &Application, from: usize) -> (String, Value) {
    let id = integrated(server, application).await;
    application.refuse(401, from);
    begin_sync(server, &id).await;
    let now = server.idle(&id, STATE).await;
    assert!(now["status"] == "INACTIVE" && now["nextTryAt"].is_string(), "{now}");
    (id, now)
}

async fn make_the_next_try_due(server: &Server) {
    change(&server.db, "UPDATE job SET run_at = 0 WHERE kind = 'recovery'").await;
}

async fn after_a_try(server: &Server, id: &str, before: &Value) -> Value {
    let changed = |now: &Value| now["nextTryAt"] != before["nextTryAt"];
    server.until(id, &format!("{STATE} {EVENTS}"), changed).await
}

fn time(at: &Value) -> chrono::DateTime<chrono::Utc> {
    at.as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn an_application_that_accepts_the_check_and_refuses_the_list_is_not_tried_for_ever() {
    let (server, application) = (impatient().await, Application::start("good", 3).await);
    let (id, _) = revoked(&server, &application, 2).await;
    for left in (0..4).rev() {
        let runs = server.runs(&id, "id").await.len();
        make_the_next_try_due(&server).await;
        server.until(&id, "syncHistory { totalCount }", |now| now["syncHistory"]["totalCount"] == runs + 1).await;
        let now = server.idle(&id, "status nextTryAt").await;
        assert_eq!(
            (&now["status"], now["nextTryAt"].is_string()),
            (&json!("INACTIVE"), left > 0),
            "{left} tries are left"
        );
    }

    // A member's act gives it all tries again.
    application.trouble(None);
    server.done("updateInstance", json!({ "id": id, "status": "LIVE" }), "").await;
    server.idle(&id, "").await;
    application.refuse(401, 2);
    begin_sync(&server, &id).await;
    assert!(server.idle(&id, STATE).await["nextTryAt"].is_string());
}

#[tokio::test]
async fn a_try_that_was_lost_is_counted_and_not_made_again_at_once() {
    let (server, application) = (impatient().await, Application::start("good", 3).await);
    let (id, now) = revoked(&server, &application, 1).await;
    application.trouble(None);
    let asked = application.calls();
    change(&server.db, "UPDATE job SET run_at = 0, lease_until = 1 WHERE kind = 'recovery'").await;
    let later = after_a_try(&server, &id, &now).await;
    assert_eq!((causes(&later)[0], application.calls()), ("CREDENTIAL_TRIED", asked));
    assert!(time(&later["nextTryAt"]) > time(&now["nextTryAt"]) + chrono::Duration::minutes(30), "the second: {later}");
}

#[tokio::test]
async fn a_change_during_a_try_puts_the_try_off() {
    let (server, application) = (impatient().await, Application::start("good", 3).await);
    let (id, now) = revoked(&server, &application, 1).await;
    application.trouble(Some(Trouble { from: 1, answer: Answer::Slow(Duration::from_secs(2)) }));
    let asked = application.calls();
    make_the_next_try_due(&server).await;
    while application.calls() == asked {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    server.done("updateInstance", json!({ "id": id, "name": "Bolt" }), "").await;
    let later = after_a_try(&server, &id, &now).await;
    assert_eq!((&later["status"], causes(&later)[0]), (&json!("INACTIVE"), "CREDENTIAL_TRIED"));
    let wait = time(&later["nextTryAt"]) - date_time(Clock::System.now());
    assert!(wait > chrono::Duration::seconds(30) && wait <= chrono::Duration::seconds(60), "{wait}");
}

#[tokio::test]
async fn a_tenant_that_an_earlier_version_named_otherwise_is_the_same() {
    let (server, application) = (impatient().await, Application::start("good", 3).await);
    let (id, _) = revoked(&server, &application, 1).await;
    change(&server.db, "UPDATE instance SET tenant = 'https://earlier.example/acme'").await;
    application.trouble(None);
    make_the_next_try_due(&server).await;
    let now = server.until(&id, STATE, |now| now["health"] == "OK").await;
    assert_eq!(now["status"], "LIVE");
}
