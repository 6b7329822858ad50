//! Switching instances off and on, starting syncs and stopping them.

use serde_json::{Value, json};

use crate::support::Server;

/// An instance with 40 users whose next run would never end.
async fn endless(server: &Server, name: &str) -> String {
    let id = server.rehearse(name, &[("users", "40"), ("page_size", "20")]).await;
    server.idle(&id, "").await;
    server.configure(&id, &[("latency_ms", "600000")]).await;
    id
}

/// Starts a sync, waits until it is running, and returns the run's id.
async fn running(server: &Server, id: &str) -> Value {
    let run = server.done("syncInstance", json!({ "id": id }), "run { id }").await["run"]["id"].take();
    server.until(id, "syncState", |now| now["syncState"] == "RUNNING").await;
    run
}

async fn set(server: &Server, id: &str, status: &str) {
    server.done("updateInstance", json!({ "id": id, "status": status }), "").await;
}

#[tokio::test]
async fn deactivating_stops_the_sync_and_keeps_the_users() {
    let server = Server::start().await;
    let id = endless(&server, "Acme").await;
    let run = running(&server, &id).await;
    let fields = "instance { status inactiveReason syncState health nextSyncAt userCount currentSync { id }
        lastSync { id outcome mailDecision { kind reason } } freshness { state staleSince }
        notice { severity since remedies { mutation } } }";
    let payload = server.done("updateInstance", json!({ "id": id, "status": "INACTIVE" }), fields).await;
    let now = &payload["instance"];
    assert_eq!((&now["status"], &now["inactiveReason"]), (&json!("INACTIVE"), &json!("USER_DEACTIVATED")));
    assert_eq!((&now["syncState"], &now["health"], &now["userCount"]), (&json!("IDLE"), &json!("OK"), &json!(40)));
    assert!(now["nextSyncAt"].is_null() && now["currentSync"].is_null());
    let cancelled =
        json!({ "id": run, "outcome": "CANCELLED", "mailDecision": { "kind": null, "reason": "CANCELLED" } });
    assert_eq!(now["lastSync"], cancelled);
    assert_eq!(now["freshness"]["state"], "STALE");
    assert_eq!(
        now["notice"],
        json!({ "severity": "WARNING", "since": now["freshness"]["staleSince"],
        "remedies": [{ "mutation": "updateInstance" }] })
    );
    assert_eq!(server.people(&id).await.len(), 40);
    let events = server.instance(&id, "events(first: 2) { nodes { cause actor } }").await;
    let wanted = json!([{ "cause": "DEACTIVATED", "actor": "ada@example.com" }, { "cause": "SYNC_CANCELLED", "actor": "ada@example.com" }]);
    assert_eq!(events["events"]["nodes"], wanted);
}

#[tokio::test]
async fn reactivating_syncs_at_once_and_is_never_a_second_initial_sync() {
    let server = Server::start().await;
    let id = server.rehearse("Acme", &[]).await;
    server.idle(&id, "").await;
    set(&server, &id, "INACTIVE").await;
    let fields = "instance { status inactiveReason health currentSync { trigger } notice { title } }";
    let payload = server.done("updateInstance", json!({ "id": id, "status": "LIVE" }), fields).await;
    assert_eq!(
        payload["instance"],
        json!({ "status": "LIVE", "inactiveReason": null, "health": "OK",
        "currentSync": { "trigger": "REACTIVATION" }, "notice": null })
    );
    let now = server.idle(&id, "lastSync { trigger outcome mailDecision { kind reason } }").await;
    assert_eq!(
        now["lastSync"],
        json!({ "trigger": "REACTIVATION", "outcome": "SUCCEEDED",
        "mailDecision": { "kind": null, "reason": "NO_CHANGE" } })
    );
}

#[tokio::test]
async fn an_instance_switched_off_before_its_initial_sync_ended_stays_pending() {
    let server = Server::start().await;
    let id = server.rehearse("Acme", &[("latency_ms", "600000")]).await;
    set(&server, &id, "INACTIVE").await;
    assert_eq!(server.instance(&id, "health").await["health"], "PENDING");
    server.configure(&id, &[("latency_ms", "0")]).await;
    set(&server, &id, "LIVE").await;
    let now = server.idle(&id, "health lastSync { trigger mailDecision { kind } }").await;
    let wanted = json!({ "trigger": "REACTIVATION", "mailDecision": { "kind": "INITIAL_SYNC_SUCCEEDED" } });
    assert_eq!((&now["health"], &now["lastSync"]), (&json!("OK"), &wanted));
    let triggers: Vec<_> = server.runs(&id, "trigger").await.into_iter().map(|run| run["trigger"].clone()).collect();
    assert_eq!(triggers, ["INITIAL", "REACTIVATION"]);
}

#[tokio::test]
async fn setting_what_is_set_already_changes_nothing() {
    let server = Server::start().await;
    let id = server.rehearse("Acme", &[]).await;
    server.idle(&id, "").await;
    for status in ["LIVE", "INACTIVE"] {
        set(&server, &id, status).await;
        let before = server.everything().await;
        set(&server, &id, status).await;
        assert_eq!(server.everything().await, before, "{status}");
    }
}

#[tokio::test]
async fn a_sync_is_stopped_in_the_middle_of_a_page() {
    let server = Server::start().await;
    let id = endless(&server, "slow").await;
    let hanging = server.rehearse("hanging", &[("outcomes", "hang"), ("users", "40"), ("page_size", "20")]).await;
    server.until(&hanging, "currentSync { seen }", |now| now["currentSync"]["seen"] == 20).await;
    for (id, run) in [(&id, running(&server, &id).await), (&hanging, Value::Null)] {
        let fields = "run { id outcome finishedAt instance { status syncState nextSyncAt currentSync { id } } }";
        let payload = server.done("cancelSync", json!({ "instanceId": id }), fields).await;
        let stopped = &payload["run"];
        assert!(run.is_null() || stopped["id"] == run);
        assert!(stopped["outcome"] == "CANCELLED" && stopped["finishedAt"].is_string());
        let instance = &stopped["instance"];
        assert_eq!((&instance["status"], &instance["syncState"]), (&json!("LIVE"), &json!("IDLE")));
        assert!(instance["nextSyncAt"].is_string() && instance["currentSync"].is_null());
    }
    // The users that were read stay, and no user was removed. The worker is free again.
    assert_eq!(server.instance(&hanging, "userCount health").await, json!({ "userCount": 20, "health": "PENDING" }));
    assert_eq!(server.people(&hanging).await.len(), 20);
    server.configure(&id, &[("latency_ms", "0")]).await;
    assert_eq!(server.sync(&id, "outcome").await["outcome"], "SUCCEEDED");
}

#[tokio::test]
async fn there_is_nothing_to_cancel_when_no_run_is_active() {
    let server = Server::start().await;
    let id = server.rehearse("Acme", &[]).await;
    server.idle(&id, "").await;
    assert_eq!(server.refused("cancelSync", json!({ "instanceId": id })).await[0].0, "NOTHING_TO_CANCEL");
}

#[tokio::test]
async fn a_cancelled_run_hides_neither_the_trouble_nor_its_remedies() {
    let server = Server::start().await;
    let id = server.rehearse("Acme", &[("outcomes", "success,transient,hang")]).await;
    server.idle(&id, "").await;
    server.sync(&id, "id").await;
    running(&server, &id).await;
    server.done("cancelSync", json!({ "instanceId": id }), "").await;
    let now = server.instance(&id, "health notice { title detail remedies { mutation } }").await;
    assert_eq!(now["health"], "FAILING");
    let words = now["notice"].to_string();
    assert!(!words.contains("This server made an error"), "nothing is wrong with this server: {words}");
    assert!(words.contains("syncInstance"), "{words}");
}

#[tokio::test]
async fn a_cancelled_run_does_not_count_as_the_previous_outcome() {
    let server = Server::start().await;
    let id = server.rehearse("Acme", &[("outcomes", "success,transient,hang,transient,success")]).await;
    server.idle(&id, "").await;
    server.sync(&id, "id").await;
    running(&server, &id).await;
    server.done("cancelSync", json!({ "instanceId": id }), "").await;
    server.sync(&id, "id").await;
    server.sync(&id, "id").await;
    let kinds: Vec<_> =
        server.runs(&id, "mailDecision { kind }").await.iter().map(|run| run["mailDecision"]["kind"].clone()).collect();
    assert_eq!(
        kinds,
        [json!("INITIAL_SYNC_SUCCEEDED"), json!("SYNC_FAILED"), Value::Null, Value::Null, json!("SYNC_RECOVERED")]
    );
}

#[tokio::test]
async fn an_instance_has_one_active_run_however_many_ask_for_it() {
    let server = Server::start().await;
    let id = endless(&server, "Acme").await;
    let ask = || server.done("syncInstance", json!({ "id": id }), "run { id trigger }");
    let (a, b, c, d) = tokio::join!(ask(), ask(), ask(), ask());
    assert_eq!(a["run"]["trigger"], "MANUAL");
    for other in [b, c, d, ask().await] {
        assert_eq!(other["run"], a["run"]);
    }
    assert_eq!(server.runs(&id, "id").await.len(), 2);
}

#[tokio::test]
async fn a_sync_of_an_inactive_instance_is_refused() {
    let server = Server::start().await;
    let id = server.rehearse("Acme", &[]).await;
    server.idle(&id, "").await;
    set(&server, &id, "INACTIVE").await;
    assert_eq!(server.refused("syncInstance", json!({ "id": id })).await[0].0, "INSTANCE_INACTIVE");
}

#[tokio::test]
async fn a_rename_and_a_connection_test_leave_the_state_alone() {
    let server = Server::start().await;
    let id = server.rehearse("Acme", &[]).await;
    server.idle(&id, "").await;
    let state = "id status health syncState userCount nextSyncAt lastSync { id }";
    let before = server.instance(&id, state).await;
    let renamed =
        server.done("updateInstance", json!({ "id": id, "name": "  Acme Ltd " }), "instance { name revision }").await;
    assert_eq!(renamed["instance"], json!({ "name": "Acme Ltd", "revision": 2 }));
    assert_eq!(server.instance(&id, state).await, before);
    let everything = server.everything().await;
    let tested = server
        .done("testConnection", json!({ "instanceId": id }), "ok tenant lostCapabilities missingPermissions")
        .await;
    assert_eq!(
        (&tested["ok"], &tested["tenant"], &tested["lostCapabilities"]),
        (&json!(true), &json!("rehearsal"), &json!([]))
    );
    let config = json!([{ "key": "outcomes", "value": "partial" }]);
    let tested = server
        .done("testConnection", json!({ "instanceId": id, "config": config }), "ok lostCapabilities missingPermissions")
        .await;
    assert_eq!(tested["lostCapabilities"], json!(["LAST_ACTIVITY"]));
    assert_eq!(tested["missingPermissions"], json!(["rehearsal.activity.read"]));
    assert_eq!(server.everything().await, everything);
}
