//! What happens at the door is in the audit log.

use muster::auth::Role;
use serde_json::{Value, json};

use super::{Browser, PASSWORD, member, secret};
use crate::support::Server;

const ADA: &str = "ada@example.com";

/// The newest entries first.
async fn entries(server: &Server) -> Vec<Value> {
    let query =
        "{ auditLog(first: 50) { nodes { action actor outcome code subjectKind detail address requestId times } } }";
    server.ask(query, json!({})).await["auditLog"]["nodes"].take().as_array().unwrap().clone()
}

#[tokio::test]
async fn who_signs_in_and_out_and_how_is_in_the_audit_log() {
    let server = Server::start().await;
    let link = server.members.first_link().await.unwrap().unwrap();
    let mut ada = Browser::new(&server);
    let entered = json!({ "link": secret(&link), "name": "Ada", "email": ADA, "password": PASSWORD });
    assert_eq!(ada.follow(&entered).await.0, 204);
    assert_eq!(Browser::new(&server).follow(&entered).await.0, 422, "it works once");
    assert_eq!(ada.sign_out().await, 204);
    assert_eq!(ada.sign_in(ADA, "not the password").await.0, 401);
    assert_eq!(ada.sign_in(ADA, PASSWORD).await.0, 204);
    let (_, again) = server.members.reset_on_server(server.members.id_of(ADA).await.unwrap()).await.unwrap();
    let entered = json!({ "link": secret(&again), "password": "battery horse staple" });
    assert_eq!(ada.follow(&entered).await.0, 204);
    let found = entries(&server).await;
    let told: Vec<_> = found.iter().rev().map(|entry| entry["detail"].as_str().unwrap()).collect();
    let wanted = [
        "The first administrator was created.",
        "A member signed in with a one-time link.",
        "Somebody failed to sign in.",
        "A member signed out.",
        "Somebody failed to sign in.",
        "A member signed in with a password.",
        "A password was set with a one-time link.",
        "A member signed in with a one-time link.",
    ];
    assert_eq!(told, wanted);
    for entry in &found {
        assert_eq!(entry["address"], "127.0.0.1", "{entry}");
        assert!(entry["requestId"].is_string(), "{entry}");
    }
    let failed = |entry: &Value| entry["action"] == "SIGN_IN_FAILED";
    let codes: Vec<_> =
        found.iter().filter(|entry| failed(entry)).map(|entry| [&entry["code"], &entry["subjectKind"]]).collect();
    assert_eq!(codes, [[&json!("UNAUTHENTICATED"), &json!("MEMBER")], [&json!("BAD_USER_INPUT"), &Value::Null]]);
}

#[tokio::test]
async fn guesses_from_one_network_are_counted_when_there_are_many() {
    let server = Server::start().await;
    member(&server, ADA, Role::Viewer).await;
    let guess = json!({ "link": "A".repeat(43) });
    for _ in 0..30 {
        assert_eq!(Browser::new(&server).follow(&guess).await.0, 422);
    }
    let failed = |found: Vec<Value>| found.into_iter().filter(|entry| entry["action"] == "SIGN_IN_FAILED").collect();
    let own: Vec<Value> = failed(entries(&server).await);
    assert_eq!(own.len(), 20);
    let place = server.stop().await;
    let server = Server::builder().place(place).start().await;
    let all: Vec<Value> = failed(entries(&server).await);
    assert_eq!(all.iter().map(|entry| entry["times"].as_i64().unwrap()).sum::<i64>(), 30);
    assert_eq!(all.len(), 21);
}
