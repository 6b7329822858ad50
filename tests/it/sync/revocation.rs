//! When the server switches an instance off by itself, and how it is switched on again.

use serde_json::{Value, json};

use crate::support::Server;
use crate::support::ask::pairs;

const STATE: &str = "status inactiveReason syncState health nextSyncAt userCount freshness { state staleSince }
    notice { severity title detail since remedies { label mutation } }";

/// An instance that was synced up to the rehearsed outcome that switches it off.
async fn revoked(server: &Server, name: &str, outcomes: &str) -> String {
    let id = server.rehearse(name, &[("outcomes", outcomes), ("users", "30")]).await;
    server.idle(&id, "").await;
    let fatal = |word: &str| ["token_inactive", "insufficient_permissions"].contains(&word);
    for _ in 0..outcomes.split(',').position(fatal).unwrap() {
        server.sync(&id, "id").await;
    }
    assert_eq!(server.instance(&id, "status").await["status"], "INACTIVE");
    id
}

async fn mail_kinds(server: &Server, id: &str) -> Vec<Value> {
    let runs = server.runs(id, "mailDecision { kind }").await;
    runs.into_iter().map(|run| run["mailDecision"]["kind"].clone()).collect()
}

#[tokio::test]
async fn a_revoked_token_switches_the_instance_off_and_says_what_to_do() {
    let server = Server::start().await;
    let id = revoked(&server, "Acme", "success,token_inactive").await;
    let now = server.instance(&id, STATE).await;
    assert_eq!(
        (&now["inactiveReason"], &now["syncState"], &now["health"]),
        (&json!("TOKEN_INACTIVE"), &json!("IDLE"), &json!("FAILING"))
    );
    assert_eq!(
        (&now["nextSyncAt"], &now["userCount"], &now["freshness"]["state"]),
        (&Value::Null, &json!(30), &json!("STALE"))
    );
    assert!(now["freshness"]["staleSince"].is_string());
    assert_eq!(now["notice"]["severity"], "DANGER");
    assert_eq!(now["notice"]["since"], now["freshness"]["staleSince"]);
    let remedies: Vec<_> =
        now["notice"]["remedies"].as_array().unwrap().iter().map(|it| it["mutation"].clone()).collect();
    assert_eq!(remedies, [Value::Null, json!("updateInstance"), json!("updateInstance")]);
    assert_eq!(server.people(&id).await.len(), 30);
    assert_eq!(mail_kinds(&server, &id).await, ["INITIAL_SYNC_SUCCEEDED", "SYNC_FAILED"]);
    let events = server.instance(&id, "events(first: 2) { nodes { cause actor } }").await;
    let wanted = json!({ "nodes": [{ "cause": "REVOKED", "actor": null }, { "cause": "SYNC_FAILED", "actor": null }] });
    assert_eq!(events["events"], wanted);
}

#[tokio::test]
async fn insufficient_permissions_switch_the_instance_off_and_name_the_permission() {
    let server = Server::start().await;
    let id = revoked(&server, "Acme", "success,insufficient_permissions").await;
    let now = server.instance(&id, &format!("{STATE} lastSync {{ failure {{ class missingPermissions }} }}")).await;
    assert_eq!(now["inactiveReason"], "INSUFFICIENT_PERMISSIONS");
    assert_eq!(
        now["lastSync"]["failure"],
        json!({ "class": "PERMISSION", "missingPermissions": ["rehearsal.users.read"] })
    );
    assert_eq!(now["notice"]["severity"], "DANGER");
    assert!(now["notice"]["detail"].as_str().unwrap().contains("rehearsal.users.read"));
    let first = &now["notice"]["remedies"][0];
    assert!(first["label"].as_str().unwrap().contains("rehearsal.users.read") && first["mutation"].is_null());
}

#[tokio::test]
async fn nothing_is_switched_off_silently() {
    let server = Server::start().await;
    let id = revoked(&server, "failing before", "success,transient,token_inactive").await;
    assert_eq!(mail_kinds(&server, &id).await, ["INITIAL_SYNC_SUCCEEDED", "SYNC_FAILED", "AUTO_REVOKED"]);
    let id = revoked(&server, "from the start", "token_inactive").await;
    assert_eq!(mail_kinds(&server, &id).await, ["INITIAL_SYNC_FAILED"]);
    assert_eq!(server.instance(&id, "freshness { state }").await["freshness"]["state"], "NEVER");
}

#[tokio::test]
async fn setting_a_revoked_instance_inactive_changes_nothing() {
    let server = Server::start().await;
    let id = revoked(&server, "Acme", "success,token_inactive").await;
    let before = server.everything().await;
    let payload =
        server.done("updateInstance", json!({ "id": id, "status": "INACTIVE" }), "instance { inactiveReason }").await;
    assert_eq!(payload["instance"]["inactiveReason"], "TOKEN_INACTIVE");
    assert_eq!(server.everything().await, before);
}

#[tokio::test]
async fn a_revoked_instance_stays_off_until_the_application_accepts_its_credential() {
    let server = Server::start().await;
    for (name, word, code) in [
        ("token", "token_inactive", "CREDENTIAL_REJECTED"),
        ("permission", "insufficient_permissions", "INSUFFICIENT_PERMISSIONS"),
    ] {
        let id = revoked(&server, name, &format!("success,{word}")).await;
        let refusals = server.refused("updateInstance", json!({ "id": id, "status": "LIVE" })).await;
        assert_eq!(refusals, [(code.to_owned(), json!(["status"]))]);
        let refusals = server.refused("updateInstance", json!({ "id": id, "config": pairs(&[("users", "5")]) })).await;
        assert_eq!(refusals, [(code.to_owned(), json!(["config"]))]);
    }
}

#[tokio::test]
async fn a_repaired_credential_brings_the_instance_back() {
    let server = Server::start().await;
    let id = revoked(&server, "Acme", "success,token_inactive,success").await;
    let fields = "instance { status inactiveReason syncState currentSync { trigger } }";
    let payload = server.done("updateInstance", json!({ "id": id, "status": "LIVE" }), fields).await;
    let wanted = json!({ "status": "LIVE", "inactiveReason": null, "syncState": "QUEUED", "currentSync": { "trigger": "REACTIVATION" } });
    assert_eq!(payload["instance"], wanted);
    let now = server.idle(&id, "health notice { title } lastSync { trigger mailDecision { kind } }").await;
    assert_eq!(now["health"], "OK");
    assert!(now["notice"].is_null());
    assert_eq!(now["lastSync"], json!({ "trigger": "REACTIVATION", "mailDecision": { "kind": "SYNC_RECOVERED" } }));
}

#[tokio::test]
async fn a_new_credential_reconnects_in_place() {
    let server = Server::start().await;
    let id = revoked(&server, "Acme", "success,token_inactive").await;
    let users = "users(first: 100) { nodes { id firstSeenAt } }";
    let before = server.instance(&id, users).await;
    let input = json!({ "id": id, "config": pairs(&[("outcomes", "success")]) });
    let payload = server.done("updateInstance", input, "instance { id status currentSync { trigger } }").await;
    assert_eq!(
        payload["instance"],
        json!({ "id": id, "status": "LIVE", "currentSync": { "trigger": "REACTIVATION" } })
    );
    assert_eq!(server.idle(&id, "health").await["health"], "OK");
    assert_eq!(server.instance(&id, users).await, before);
    assert_eq!(server.runs(&id, "trigger").await.len(), 3);
}

#[tokio::test]
async fn a_new_credential_may_be_stored_for_later() {
    let server = Server::start().await;
    let id = revoked(&server, "Acme", "success,token_inactive").await;
    let input = json!({ "id": id, "status": "INACTIVE", "config": pairs(&[("outcomes", "success")]) });
    let payload = server.done("updateInstance", input, "instance { status inactiveReason syncState }").await;
    assert_eq!(
        payload["instance"],
        json!({ "status": "INACTIVE", "inactiveReason": "TOKEN_INACTIVE", "syncState": "IDLE" })
    );
}

#[tokio::test]
async fn a_credential_of_another_tenant_is_refused() {
    let server = Server::start().await;
    let id = revoked(&server, "Acme", "success,token_inactive").await;
    let input = json!({ "id": id, "config": pairs(&[("outcomes", "success"), ("tenant", "somebody else's")]) });
    assert_eq!(server.refused("updateInstance", input).await, [("DIFFERENT_TENANT".to_owned(), json!(["config"]))]);
}

#[tokio::test]
async fn a_revoked_instance_cannot_be_synced() {
    let server = Server::start().await;
    let id = revoked(&server, "Acme", "success,token_inactive").await;
    let refusals = server.refused("syncInstance", json!({ "id": id, "acceptRemovals": true })).await;
    assert_eq!(refusals[0].0, "INSTANCE_INACTIVE");
}

#[tokio::test]
async fn a_change_and_the_switch_that_goes_with_it_are_two_events_each_possible() {
    let server = Server::start().await;
    let id = revoked(&server, "Acme", "success,token_inactive").await;
    let config = pairs(&[("outcomes", "success"), ("latency_ms", "600000")]);
    server.done("updateInstance", json!({ "id": id, "config": config }), "").await;
    let fields =
        "syncState events(first: 3) { nodes { cause instance { status syncState revision currentSync { trigger } } } }";
    let now = server.until(&id, fields, |now| now["syncState"] == "RUNNING").await;
    let run = json!({ "trigger": "REACTIVATION" });
    let step = |cause: &str, status: &str, sync: &str, current: &Value| json!({ "cause": cause, "instance": { "status": status, "syncState": sync, "revision": 2, "currentSync": current } });
    let wanted = json!([
        step("SYNC_STARTED", "LIVE", "RUNNING", &run),
        step("REACTIVATED", "LIVE", "QUEUED", &run),
        step("UPDATED", "INACTIVE", "IDLE", &Value::Null),
    ]);
    assert_eq!(now["events"]["nodes"], wanted);

    server.done("updateInstance", json!({ "id": id, "name": "Bolt", "status": "INACTIVE" }), "").await;
    let fields = "events(first: 3) { nodes { cause instance { name status syncState currentSync { trigger } lastSync { outcome } } } }";
    let events = server.instance(&id, fields).await["events"]["nodes"].take();
    let step = |cause: &str, status: &str, sync: &str, current: Value, last: &str| json!({ "cause": cause, "instance": { "name": "Bolt", "status": status, "syncState": sync, "currentSync": current, "lastSync": { "outcome": last } } });
    let wanted = json!([
        step("DEACTIVATED", "INACTIVE", "IDLE", Value::Null, "CANCELLED"),
        step("SYNC_CANCELLED", "LIVE", "IDLE", Value::Null, "CANCELLED"),
        step("UPDATED", "LIVE", "RUNNING", run, "FAILED"),
    ]);
    assert_eq!(events, wanted);
}
