//! An application that lists invitations by themselves: it has no such list yet, then refuses it for a while.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::peers::{server, users};
use crate::support::Server;

const MANIFEST: &str = r#"
name: Guild
category: productivity
description: Lists members and open invitations.
required_permissions: [members.read]
setup: Nothing.
config:
  - {key: origin, label: Address, type: url}
base_url: "{{config.origin}}"
auth: none
users:
  pages: none
  records: $
  lists:
    - {name: invitations, path: /invitations, permission: invitations.read, map: {status: invited}}
    - path: /members
  map: {external_id: $.id, email: $.email, status: active}
"#;

/// `GET /invitations` and `GET /members`, as they are in this phase.
fn answer(phase: usize, path: &str) -> Result<Value, StatusCode> {
    let people = |ids: &[&str]| {
        let records = ids.iter().map(|id| json!({"id": id, "email": format!("{id}@acme.example")}));
        Ok(records.collect::<Vec<_>>().into())
    };
    match (path, phase) {
        ("/invitations", 1) => people(&["ivy", "jon"]),
        ("/invitations", 2) => Err(StatusCode::FORBIDDEN),
        // Jon has become a member, and is still among the invitations.
        ("/invitations", 3) => people(&["jon"]),
        ("/members", 0 | 1) => people(&["ann", "ben"]),
        ("/members", 3) => people(&["ann", "jon"]),
        ("/members", _) => people(&["ann"]),
        _ => Err(StatusCode::NOT_FOUND),
    }
}

/// A server with an instance of the application, which starts in this phase.
async fn guild(phase: usize) -> (Server, String, Arc<AtomicUsize>) {
    let phase = Arc::new(AtomicUsize::new(phase));
    let now = Arc::clone(&phase);
    let app = Router::new().fallback(move |request: Request| {
        let answer = answer(now.load(SeqCst), request.uri().path());
        async move { answer.map(axum::Json) }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    let manifests = tempfile::tempdir().unwrap();
    fs::write(manifests.path().join("guild.yaml"), MANIFEST).unwrap();
    let dir = manifests.path().to_owned();
    let server = server().settings(|settings| settings.connectors_dir = Some(dir)).start().await;
    let id = server.integrate("guild", "Guild", &[("origin", &origin)]).await;
    (server, id, phase)
}

/// The accounts, each with its status, by name.
async fn known(server: &Server, id: &str) -> Vec<String> {
    let found = users(server, id).await;
    let one = |user: &Value| format!("{} {}", user["externalId"], user["status"]).replace('"', "");
    let mut found: Vec<_> = found.iter().map(one).collect();
    found.sort();
    found
}

/// What is known about a part.
fn state(instance: &Value, name: &str) -> Value {
    let states = instance["capabilityStates"].as_array().unwrap();
    states.iter().find(|state| state["capability"] == name).unwrap().clone()
}

const RUN: &str = "outcome remark failure { lostCapabilities missingPermissions message } added changed removed";

#[tokio::test]
async fn invitations_that_the_application_never_had_are_no_loss() {
    let (server, id, phase) = guild(0).await;
    let states = "capabilityStates { capability asOf lostSince reason }";
    let first = server.idle(&id, &format!("health lastSync {{ {RUN} }} {states}")).await;
    assert_eq!((&first["health"], &first["lastSync"]["failure"]), (&json!("OK"), &Value::Null), "{first}");
    let remark = first["lastSync"]["remark"].as_str().unwrap();
    assert!(remark.starts_with("Invitations are not known: the application seems not to list them here."), "{first}");
    let invitations = state(&first, "INVITATIONS");
    assert_eq!(invitations["asOf"], Value::Null, "{invitations}");
    assert!(invitations["reason"].as_str().unwrap().contains("list “invitations”"), "{invitations}");

    phase.store(1, SeqCst);
    let run = server.sync(&id, RUN).await;
    assert_eq!((&run["outcome"], &run["remark"], &run["added"]), (&json!("SUCCEEDED"), &Value::Null, &json!(2)));
    assert_eq!(known(&server, &id).await, ["ann ACTIVE", "ben ACTIVE", "ivy INVITED", "jon INVITED"]);

    phase.store(4, SeqCst);
    let run = server.sync(&id, RUN).await;
    assert_eq!(run["outcome"], "PARTIAL", "a list that was read before is missed");
    assert_eq!(run["failure"]["lostCapabilities"], json!(["INVITATIONS"]));
    assert_eq!(known(&server, &id).await, ["ann ACTIVE", "ivy INVITED", "jon INVITED"]);
}

#[tokio::test]
async fn without_its_invitations_a_run_removes_members_who_left_and_nobody_who_is_invited() {
    let (server, id, phase) = guild(1).await;
    server.idle(&id, "").await;
    assert_eq!(known(&server, &id).await, ["ann ACTIVE", "ben ACTIVE", "ivy INVITED", "jon INVITED"]);

    phase.store(2, SeqCst);
    let run = server.sync(&id, RUN).await;
    let message = run["failure"]["message"].as_str().unwrap();
    assert!(message.starts_with("Not all invitations could be read, so nobody who is invited was removed."), "{run}");
    assert!(message.contains("list “invitations”"), "{run}");
    assert_eq!(
        (&run["outcome"], &run["failure"]["lostCapabilities"], &run["failure"]["missingPermissions"]),
        (&json!("PARTIAL"), &json!(["INVITATIONS"]), &json!(["invitations.read"]))
    );
    assert_eq!((&run["added"], &run["changed"], &run["removed"]), (&json!(0), &json!(0), &json!(1)));
    assert_eq!(known(&server, &id).await, ["ann ACTIVE", "ivy INVITED", "jon INVITED"]);
    let states = server.idle(&id, "capabilityStates { capability provided asOf lostSince }").await;
    let (members, invitations) = (state(&states, "USERS"), state(&states, "INVITATIONS"));
    assert_eq!((&members["lostSince"], &invitations["lostSince"]), (&Value::Null, &members["asOf"]));

    phase.store(3, SeqCst);
    let run = server.sync(&id, RUN).await;
    assert_eq!((&run["outcome"], &run["changed"], &run["removed"]), (&json!("SUCCEEDED"), &json!(1), &json!(1)));
    assert_eq!(
        known(&server, &id).await,
        ["ann ACTIVE", "jon ACTIVE"],
        "a member is no longer invited, whatever the other list says"
    );
    let run = server.sync(&id, RUN).await;
    assert_eq!(run["changed"], 0, "being on both lists is no change");
}
