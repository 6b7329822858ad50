//! A real SCIM 2.0 server, from the first sync to the second integration.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::Scim;
use crate::support::authority::Authority;
use crate::support::{Builder, Client, Server};

/// A server that may send requests to loopback addresses, and waits for applications only shortly.
pub fn server() -> Builder {
    Server::builder().settings(|settings| settings.allowed_networks = vec!["127.0.0.0/8".parse().unwrap()]).limits(
        |limits| {
            limits.patience.first_look = Duration::from_millis(50);
            limits.patience.looks = Duration::from_millis(200);
            limits.patience.outage = Duration::from_millis(500);
            limits.patience.distance = (Duration::from_millis(50), Duration::from_millis(200));
        },
    )
}

/// All users that an instance reports.
pub async fn users(client: &Client, instance: &str) -> Vec<Value> {
    let query = "query($id: ID!, $after: String) { users(first: 100, after: $after, filter: { instanceId: $id }) {
        totalCount nodes { id externalId email displayName status isAdmin licenses lastActiveAt mfaEnabled } pageInfo { hasNextPage endCursor } } }";
    let mut found = Vec::new();
    let mut after = Value::Null;
    loop {
        let page = client.ask(query, json!({ "id": instance, "after": after })).await["users"].clone();
        found.extend(page["nodes"].as_array().unwrap().iter().cloned());
        if page["pageInfo"]["hasNextPage"] == false {
            assert_eq!(page["totalCount"], found.len(), "the pages hold what is counted");
            return found;
        }
        after = page["pageInfo"]["endCursor"].clone();
    }
}

async fn update(client: &Client, input: Value) -> Value {
    let mutation = "mutation($input: UpdateInstanceInput!) { updateInstance(input: $input) {
        instance { id status inactiveReason } userErrors { code message field } } }";
    client.ask(mutation, json!({ "input": input })).await["updateInstance"].clone()
}

fn names(changes: &Value) -> BTreeSet<(String, String)> {
    let name = |change: &Value| {
        let kind = change["kind"].as_str().unwrap().to_owned();
        (kind, change["user"]["externalId"].as_str().unwrap().to_owned())
    };
    changes["nodes"].as_array().unwrap().iter().map(name).collect()
}

const RUN: &str = "trigger outcome seen added changed removed failure { class message httpStatus }";

#[tokio::test]
async fn an_application_with_the_companys_own_certificate_is_trusted_by_a_setting() {
    let authority = Authority::new();
    let scim = Scim::start_with_tls(3, &authority.sign("IP:127.0.0.1"));
    let config: Vec<_> = scim.config().map(|(key, value)| json!({ "key": key, "value": value })).into();
    let input = json!({ "integrationKey": "scim", "name": "Directory", "config": config });
    let stranger = server().start().await;
    let refused = stranger.mutate("createInstance", input, "instance { id }").await;
    assert_eq!(refused["instance"], Value::Null);
    let message = refused["userErrors"][0]["message"].as_str().unwrap();
    assert!(message.to_lowercase().contains("certificate"), "{refused:#}");

    let file = authority.certificate().into();
    let server = server().settings(move |settings| settings.ca_file = Some(file)).start().await;
    let id = server.integrate("scim", "Directory", &scim.config()).await;
    let found = server.idle(&id, "userCount lastSync { outcome }").await;
    assert_eq!((&found["userCount"], &found["lastSync"]["outcome"]), (&json!(3), &json!("SUCCEEDED")));
}

#[tokio::test]
async fn the_first_sync_imports_everybody_as_the_application_has_them() {
    let scim = Scim::start(250, &[]);
    let server = server().start().await;
    let id = server.integrate("scim", "Directory", &scim.config()).await;
    let instance = server.idle(&id, &format!("health userCount lastSync {{ {RUN} }}")).await;
    assert_eq!(instance["health"], "OK");
    assert_eq!(instance["userCount"], 250);
    let expected = json!({ "trigger": "INITIAL", "outcome": "SUCCEEDED", "seen": 250, "added": 250, "changed": 0, "removed": 0, "failure": null });
    assert_eq!(instance["lastSync"], expected);

    let users = users(&server, &id).await;
    let of = |name: &str| users.iter().find(|user| user["externalId"] == name).unwrap();
    assert_eq!(users.len(), 250);
    assert_eq!(users.iter().filter(|user| user["status"] == "SUSPENDED").count(), 25);
    assert_eq!(users.iter().filter(|user| user["isAdmin"] == true).count(), 10);
    let user = of("user-7");
    assert_eq!(user["email"], "user-7@example.com");
    assert_eq!(user["displayName"], "User 7");
    assert_eq!(user["status"], "ACTIVE");
    assert_eq!(user["licenses"], json!(["pro"]));
    assert!(user["isAdmin"].is_null(), "no known right of an administrator is no “no”");
    assert!(user["lastActiveAt"].is_null() && user["mfaEnabled"].is_null(), "SCIM does not tell: {user:#}");
}

#[tokio::test]
async fn a_later_sync_counts_and_lists_exactly_what_changed() {
    let scim = Scim::start(250, &[]);
    let server = server().start().await;
    let id = server.integrate("scim", "Directory", &scim.config()).await;
    server.idle(&id, "").await;
    let before = users(&server, &id).await;

    for gone in ["user-1", "user-2", "user-3"] {
        scim.delete(gone).await;
    }
    for joiner in ["nia", "noor", "nils", "nora", "naim"] {
        scim.add(joiner).await;
    }
    scim.deactivate("user-4").await;

    let diff = "changes(first: 100) { totalCount nodes { kind fields user { externalId status removedAt } } }";
    let run = server.sync(&id, &format!("{RUN} {diff}")).await;
    let counts = ["seen", "added", "changed", "removed"].map(|count| run[count].as_i64().unwrap());
    assert_eq!((run["outcome"].as_str(), counts), (Some("SUCCEEDED"), [252, 5, 1, 3]), "{run:#}");
    let expected = [
        ("ADDED", "nia"),
        ("ADDED", "noor"),
        ("ADDED", "nils"),
        ("ADDED", "nora"),
        ("ADDED", "naim"),
        ("CHANGED", "user-4"),
        ("REMOVED", "user-1"),
        ("REMOVED", "user-2"),
        ("REMOVED", "user-3"),
    ];
    assert_eq!(names(&run["changes"]), expected.map(|(kind, user)| (kind.to_owned(), user.to_owned())).into());
    let changed =
        run["changes"]["nodes"].as_array().unwrap().iter().find(|change| change["kind"] == "CHANGED").unwrap();
    assert_eq!(changed["fields"], json!(["status"]));
    assert_eq!(changed["user"]["status"], "SUSPENDED");

    let after = users(&server, &id).await;
    let external = |users: &[Value]| {
        users.iter().map(|user| user["externalId"].as_str().unwrap().to_owned()).collect::<BTreeSet<_>>()
    };
    let mut wanted = external(&before);
    for gone in ["user-1", "user-2", "user-3"] {
        wanted.remove(gone);
    }
    wanted.extend(["nia", "noor", "nils", "nora", "naim"].map(str::to_owned));
    assert_eq!(external(&after), wanted);

    let again = server.sync(&id, RUN).await;
    assert_eq!(["seen", "added", "changed", "removed"].map(|count| again[count].as_i64().unwrap()), [252, 0, 0, 0]);
}

#[tokio::test]
async fn a_token_that_died_revokes_and_a_new_one_reconnects_in_place() {
    let mut scim = Scim::start(250, &[]);
    let server = server().start().await;
    let id = server.integrate("scim", "Directory", &scim.config()).await;
    server.idle(&id, "").await;
    let before = users(&server, &id).await;

    scim.accept_only("scim-secret-new").await;
    let run = server.sync(&id, RUN).await;
    assert_eq!(run["outcome"], "FAILED");
    assert_eq!(run["failure"]["class"], "TOKEN");
    assert_eq!(run["failure"]["httpStatus"], 401);
    let revoked = server
        .instance(&id, "status inactiveReason health userCount nextSyncAt freshness { state } notice { severity remedies { mutation } }")
        .await;
    assert_eq!(revoked["status"], "INACTIVE");
    assert_eq!(revoked["inactiveReason"], "TOKEN_INACTIVE");
    assert_eq!(revoked["health"], "FAILING");
    assert_eq!(revoked["userCount"], 250, "its users stay reported");
    assert_eq!(revoked["freshness"]["state"], "STALE");
    assert_eq!(revoked["notice"]["severity"], "DANGER");
    assert!(revoked["nextSyncAt"].is_null());

    let wrong = update(&server, json!({ "id": id, "config": [{ "key": "token", "value": "still wrong" }] })).await;
    assert_eq!(wrong["userErrors"][0]["code"], "CREDENTIAL_REJECTED", "{wrong:#}");
    assert_eq!(server.instance(&id, "inactiveReason").await["inactiveReason"], "TOKEN_INACTIVE");

    let mended = update(&server, json!({ "id": id, "config": [{ "key": "token", "value": scim.token }] })).await;
    assert_eq!(mended, json!({ "instance": { "id": id, "status": "LIVE", "inactiveReason": null }, "userErrors": [] }));
    let live = server
        .idle(
            &id,
            &format!("health notice {{ title }} lastSync {{ {RUN} }} syncHistory {{ totalCount nodes {{ trigger }} }}"),
        )
        .await;
    assert_eq!(live["health"], "OK");
    assert!(live["notice"].is_null());
    assert_eq!(live["lastSync"]["trigger"], "REACTIVATION");
    assert_eq!(
        ["seen", "added", "changed", "removed"].map(|count| live["lastSync"][count].as_i64().unwrap()),
        [250, 0, 0, 0]
    );
    assert_eq!(live["syncHistory"]["totalCount"], 3, "the history is kept");
    assert_eq!(users(&server, &id).await, before, "the users are the same, ids and all");
}

#[tokio::test]
async fn users_are_found_by_words_of_name_or_address_and_by_status() {
    let scim = Scim::start(120, &[]);
    let server = server().start().await;
    let id = server.integrate("scim", "Directory", &scim.config()).await;
    server.idle(&id, "").await;
    server.searchable().await;
    let query =
        "query($filter: UserFilter!) { users(first: 100, filter: $filter) { totalCount nodes { externalId } } }";
    for (filter, count) in [
        (json!({ "search": "USER-12@" }), 2),
        (json!({ "search": "user 12" }), 2),
        (json!({ "search": "user-11" }), 11),
        (json!({ "statuses": ["SUSPENDED"], "instanceId": id }), 12),
        (json!({ "statuses": ["SUSPENDED"], "search": "user-1", "integrationKeys": ["scim"] }), 4),
        (json!({ "integrationKeys": ["rehearsal"] }), 0),
    ] {
        let found = server.ask(query, json!({ "filter": filter })).await;
        assert_eq!(found["users"]["totalCount"], count, "{filter}: {found:#}");
        assert_eq!(found["users"]["nodes"].as_array().unwrap().len(), count, "{filter}");
    }
}

#[tokio::test]
async fn an_application_that_was_deleted_and_is_integrated_again_imports_everybody_again() {
    let scim = Scim::start(250, &[]);
    let server = server().start().await;
    let id = server.integrate("scim", "Directory", &scim.config()).await;
    server.idle(&id, "").await;
    let deletion = "mutation($id: ID!) { deleteInstance(input: { id: $id, acknowledgeIrreversible: true }) { instance { status userCount config { key isSet value } } userErrors { code } } }";
    let deleted = server.ask(deletion, json!({ "id": id })).await["deleteInstance"].clone();
    assert_eq!(deleted["userErrors"], json!([]));
    assert_eq!(users(&server, &id).await, Vec::<Value>::new(), "they leave reporting at once");
    server.until(&id, "status", |found| found["status"] == "DELETED").await;

    let calls = scim.calls().await;
    let again = server.integrate("scim", "Directory", &scim.config()).await;
    assert_ne!(again, id);
    let instance = server.idle(&again, &format!("userCount lastSync {{ {RUN} }}")).await;
    assert_eq!(instance["userCount"], 250);
    assert_eq!((&instance["lastSync"]["trigger"], &instance["lastSync"]["added"]), (&json!("INITIAL"), &json!(250)));
    assert_eq!(users(&server, &again).await.len(), 250);
    assert!(scim.calls().await > calls);
    let scope =
        server.ask("{ users { totalCount } integration(key: \"scim\") { instanceCount userCount } }", json!({})).await;
    assert_eq!(
        scope,
        json!({ "users": { "totalCount": 250 }, "integration": { "instanceCount": 1, "userCount": 250 } })
    );
}
