//! Deleting all users of an instance, and deleting the instance.

use serde_json::{Value, json};

use crate::support::Server;

const USERS: &str =
    "query($id: ID!) { users(filter: { instanceId: $id, includeRemoved: true }) { totalCount nodes { id } } }";

async fn delete(server: &Server, id: &str, fields: &str) -> Value {
    let input = json!({ "id": id, "acknowledgeIrreversible": true });
    server.done("deleteInstance", input, &format!("instance {{ {fields} }}")).await["instance"].take()
}

async fn deleted(server: &Server, id: &str) {
    server.until(id, "status", |now| now["status"] == "DELETED").await;
}

#[tokio::test]
async fn all_users_are_deleted_at_once_and_imported_again_by_the_next_sync() {
    let server = Server::start().await;
    let id = server.rehearse("Acme", &[("users", "30")]).await;
    server.idle(&id, "").await;
    let old = server.ask(USERS, json!({ "id": id })).await["users"]["nodes"][0]["id"].take();
    let input = json!({ "instanceId": id, "acknowledgeIrreversible": true });
    let fields =
        "instance { status health userCount users(first: 5) { totalCount nodes { id } } integration { userCount } }";
    let payload = server.done("deleteAllUsers", input, fields).await;
    assert_eq!(
        payload["instance"],
        json!({ "status": "LIVE", "health": "OK", "userCount": 0,
        "users": { "totalCount": 0, "nodes": [] }, "integration": { "userCount": 0 } })
    );
    assert_eq!(server.ask(USERS, json!({ "id": id })).await["users"], json!({ "totalCount": 0, "nodes": [] }));
    let node = server.ask("query($id: ID!) { node(id: $id) { id } }", json!({ "id": old })).await;
    assert!(node["node"].is_null());

    let events = "events(first: 3) { nodes { cause usersRemoved } }";
    let now = server.until(&id, events, |now| now["events"]["nodes"][0]["cause"] == "USERS_DELETED").await;
    let wanted = json!([{ "cause": "USERS_DELETED", "usersRemoved": 30 }, { "cause": "USERS_DELETION_STARTED", "usersRemoved": null }]);
    assert_eq!(now["events"]["nodes"].as_array().unwrap()[..2], wanted.as_array().unwrap()[..]);

    let run = server.sync(&id, "trigger outcome added removed mailDecision { kind reason }").await;
    assert_eq!(
        run,
        json!({ "trigger": "MANUAL", "outcome": "SUCCEEDED", "added": 30, "removed": 0,
        "mailDecision": { "kind": null, "reason": "NO_CHANGE" } })
    );
    let again = server.ask(USERS, json!({ "id": id })).await;
    assert_eq!(again["users"]["totalCount"], 30);
    assert_eq!(server.instance(&id, "userCount").await["userCount"], 30);
    let first = server.runs(&id, "added changes { totalCount nodes { user { id } } }").await[0].take();
    assert_eq!(first, json!({ "added": 30, "changes": { "totalCount": 0, "nodes": [] } }));
}

#[tokio::test]
async fn deleting_all_users_stops_the_sync_that_would_bring_them_back() {
    let server = Server::start().await;
    let id = server.rehearse("Acme", &[("users", "40"), ("page_size", "20"), ("outcomes", "hang,success")]).await;
    server.until(&id, "currentSync { seen }", |now| now["currentSync"]["seen"] == 20).await;
    let input = json!({ "instanceId": id, "acknowledgeIrreversible": true });
    let fields = "instance { syncState userCount nextSyncAt lastSync { outcome } users { totalCount } }";
    let payload = server.done("deleteAllUsers", input, fields).await;
    let now = &payload["instance"];
    assert_eq!((&now["syncState"], &now["lastSync"]["outcome"]), (&json!("IDLE"), &json!("CANCELLED")));
    assert_eq!((&now["userCount"], &now["users"]["totalCount"]), (&json!(0), &json!(0)));
    assert!(now["nextSyncAt"].is_string());
    let run = server.sync(&id, "added").await;
    assert_eq!(run["added"], 40);
}

#[tokio::test]
async fn users_of_an_inactive_instance_can_be_deleted_and_stay_away() {
    let server = Server::start().await;
    let id = server.rehearse("Acme", &[("users", "5")]).await;
    server.idle(&id, "").await;
    server.done("updateInstance", json!({ "id": id, "status": "INACTIVE" }), "").await;
    server.done("deleteAllUsers", json!({ "instanceId": id, "acknowledgeIrreversible": true }), "").await;
    let events = "status userCount currentSync { id } events(first: 1) { nodes { cause } }";
    let now = server.until(&id, events, |now| now["events"]["nodes"][0]["cause"] == "USERS_DELETED").await;
    assert_eq!((&now["status"], &now["userCount"]), (&json!("INACTIVE"), &json!(0)));
    assert!(now["currentSync"].is_null());
}

#[tokio::test]
async fn a_deleted_instance_takes_its_users_along_and_leaves_its_history() {
    let server = Server::start().await;
    let id = server.rehearse("Acme", &[("users", "30")]).await;
    let other = server.rehearse("Bolt", &[("users", "3")]).await;
    server.idle(&id, "").await;
    server.idle(&other, "").await;
    let now = delete(
        &server,
        &id,
        "status inactiveReason userCount users { totalCount } integration { instanceCount userCount }",
    )
    .await;
    assert!(now["status"] == "DELETING" || now["status"] == "DELETED");
    assert_eq!(
        (&now["inactiveReason"], &now["userCount"], &now["users"]["totalCount"]),
        (&Value::Null, &json!(0), &json!(0))
    );
    assert_eq!(now["integration"], json!({ "instanceCount": 1, "userCount": 3 }));
    deleted(&server, &id).await;
    let now = server.instance(&id, "nextSyncAt notice { title } syncHistory { totalCount } events(first: 2) { nodes { cause usersRemoved actor } }").await;
    let wanted = json!([{ "cause": "DELETED", "usersRemoved": 30, "actor": null },
        { "cause": "DELETION_STARTED", "usersRemoved": null, "actor": "ada@example.com" }]);
    assert_eq!(now["events"]["nodes"], wanted);
    assert_eq!(
        (&now["syncHistory"]["totalCount"], &now["nextSyncAt"], &now["notice"]),
        (&json!(1), &Value::Null, &Value::Null)
    );
    let all = server
        .ask("{ users { totalCount nodes { instance { name } } } instances { totalCount nodes { name } } }", json!({}))
        .await;
    assert_eq!(all["users"]["totalCount"], 3);
    assert_eq!(all["instances"], json!({ "totalCount": 1, "nodes": [{ "name": "Bolt" }] }));
}

#[tokio::test]
async fn deleting_stops_a_running_sync() {
    let server = Server::start().await;
    let id = server.rehearse("Acme", &[("users", "40"), ("page_size", "20"), ("outcomes", "hang")]).await;
    server.until(&id, "currentSync { seen }", |now| now["currentSync"]["seen"] == 20).await;
    let now = delete(&server, &id, "syncState currentSync { id } lastSync { outcome mailDecision { reason } }").await;
    let cancelled = json!({ "outcome": "CANCELLED", "mailDecision": { "reason": "CANCELLED" } });
    assert_eq!(now, json!({ "syncState": "IDLE", "currentSync": null, "lastSync": cancelled }));
    deleted(&server, &id).await;
    let query = "{ users(filter: { includeRemoved: true }) { totalCount } notifications { totalCount } }";
    let nothing = json!({ "users": { "totalCount": 0 }, "notifications": { "totalCount": 0 } });
    assert_eq!(server.ask(query, json!({})).await, nothing);
}

#[tokio::test]
async fn the_name_of_a_deleted_instance_is_free_again_and_integrating_again_imports_all() {
    let server = Server::start().await;
    let id = server.rehearse("Acme", &[("users", "30")]).await;
    server.idle(&id, "").await;
    delete(&server, &id, "id").await;
    deleted(&server, &id).await;
    let again = server.rehearse("ACME", &[("users", "30")]).await;
    assert_ne!(again, id);
    let now = server.idle(&again, "userCount lastSync { trigger added }").await;
    assert_eq!((&now["userCount"], &now["lastSync"]), (&json!(30), &json!({ "trigger": "INITIAL", "added": 30 })));
}

#[tokio::test]
async fn repeating_a_delete_answers_the_same_and_changes_nothing() {
    let server = Server::start().await;
    let id = server.rehearse("Acme", &[("users", "30")]).await;
    server.idle(&id, "").await;
    delete(&server, &id, "id").await;
    deleted(&server, &id).await;
    let before = server.everything().await;
    assert_eq!(delete(&server, &id, "id status").await, json!({ "id": id, "status": "DELETED" }));
    assert_eq!(server.everything().await, before);
}

#[tokio::test]
async fn a_deleted_instance_takes_no_other_change() {
    let server = Server::start().await;
    let id = server.rehearse("Acme", &[("users", "3")]).await;
    server.idle(&id, "").await;
    delete(&server, &id, "id").await;
    deleted(&server, &id).await;
    for (mutation, input) in [
        ("updateInstance", json!({ "id": id, "name": "Bolt" })),
        ("updateInstance", json!({ "id": id, "status": "LIVE" })),
        ("syncInstance", json!({ "id": id })),
        ("cancelSync", json!({ "instanceId": id })),
        ("deleteAllUsers", json!({ "instanceId": id, "acknowledgeIrreversible": true })),
        ("deleteAllUsers", json!({ "instanceId": id, "acknowledgeIrreversible": false })),
        ("testConnection", json!({ "instanceId": id })),
    ] {
        let path = if input["id"].is_null() { "instanceId" } else { "id" };
        assert_eq!(
            server.refused(mutation, input).await,
            [("INSTANCE_DELETED".to_owned(), json!([path]))],
            "{mutation}"
        );
    }
}
