use serde_json::{Value, json};

use crate::support::Server;

#[tokio::test]
async fn everything_with_an_id_is_found_by_it() {
    let server = Server::start().await;
    let id = server.rehearse("Acme", &[("users", "1")]).await;
    server.idle(&id, "").await;
    let query = "{ integrations { nodes { id key } } instances { nodes { id name } } syncHistory { nodes { id } }
        users { nodes { id externalId } } notifications { nodes { id kind } } }";
    let all = server.ask(query, json!({})).await;
    let node = "query($id: ID!) { node(id: $id) { __typename id ... on Integration { key } ... on Instance { name } ... on SyncRun { trigger }
        ... on User { externalId } ... on Notification { kind } } }";
    let of = |list: &str| all[list]["nodes"].as_array().unwrap().iter().last().unwrap()["id"].clone();
    for (list, kind, field, value) in [
        ("integrations", "Integration", "key", json!("scim")),
        ("instances", "Instance", "name", json!("Acme")),
        ("syncHistory", "SyncRun", "trigger", json!("INITIAL")),
        ("users", "User", "externalId", json!("person-0")),
        ("notifications", "Notification", "kind", json!("INITIAL_SYNC_SUCCEEDED")),
    ] {
        let found = server.ask(node, json!({ "id": of(list) })).await["node"].take();
        assert_eq!((&found["__typename"], &found["id"]), (&json!(kind), &of(list)), "{found}");
        assert!(found[field].is_string() && (list == "integrations" || found[field] == value), "{found}");
    }
    let run = of("syncHistory");
    assert_eq!(
        server.ask("query($id: ID!) { syncRun(id: $id) { id } }", json!({ "id": run })).await["syncRun"]["id"],
        run
    );
}

#[tokio::test]
async fn a_deleted_instance_is_found_only_by_its_id_and_its_users_are_not_found() {
    let server = Server::start().await;
    let id = server.rehearse("Acme", &[("users", "1")]).await;
    let user = server.idle(&id, "users { nodes { id } }").await["users"]["nodes"][0]["id"].take();
    server.done("deleteInstance", json!({ "id": id, "acknowledgeIrreversible": true }), "").await;
    server.until(&id, "status", |now| now["status"] == "DELETED").await;
    let query = "query($id: ID!, $user: ID!) { instance(id: $id) { name status config { key isSet } } instances { totalCount }
        node(id: $id) { ... on Instance { status } } user: node(id: $user) { id }
        list: instances(filter: { ids: [$id] }) { totalCount } asked: instances(filter: { ids: [$id], statuses: [DELETED] }) { totalCount } }";
    let found = server.ask(query, json!({ "id": id, "user": user })).await;
    assert_eq!((&found["instance"]["status"], &found["node"]["status"]), (&json!("DELETED"), &json!("DELETED")));
    assert_eq!((&found["user"], &found["instances"]["totalCount"]), (&Value::Null, &json!(0)));
    assert_eq!((&found["list"]["totalCount"], &found["asked"]["totalCount"]), (&json!(0), &json!(1)));
}

#[tokio::test]
async fn fields_of_the_response_are_in_the_order_of_the_query() {
    let server = Server::start().await;
    let id = server.rehearse("Acme", &[("users", "2")]).await;
    server.idle(&id, "").await;
    let query = "query Q { z: recipients { emails } users { totalCount pageInfo { hasNextPage } nodes { status email id displayName } }
        ...F a: instances { nodes { userCount name b: id } totalCount } } fragment F on Query { integrations { totalCount } y: recipients { emails } }";
    let (_, answer) = server.post(query, "application/json").await;
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    let mut from = 0;
    for key in [
        "z",
        "users",
        "totalCount",
        "pageInfo",
        "nodes",
        "status",
        "email",
        "id",
        "displayName",
        "integrations",
        "y",
        "a",
        "nodes",
        "userCount",
        "name",
        "b",
        "totalCount",
    ] {
        let quoted = format!("\"{key}\":");
        from += body[from..].find(&quoted).unwrap_or_else(|| panic!("{key} is out of order: {body}")) + quoted.len();
    }
}

#[tokio::test]
async fn optional_variables_may_be_left_out_everywhere() {
    let server = Server::start().await;
    let id = server.rehearse("Acme", &[]).await;
    server.idle(&id, "").await;
    let query = "query Q($id: ID!, $first: Int, $after: String, $users: UserFilter, $runs: SyncRunFilter, $order: InstanceOrder, $kind: UserChangeKind, $search: String) {
        users(first: $first, after: $after, filter: $users) { nodes { id } }
        found: users(first: 1, filter: { search: $search }) { nodes { id } }
        instances(first: $first, orderBy: $order) { nodes { ...I } } integrations(first: $first) { totalCount }
        instance(id: $id) { ...I } notifications(first: $first) { totalCount } }
        fragment I on Instance { events(first: $first) { totalCount } syncHistory(first: 5, filter: $runs) { nodes { changes(first: $first, kind: $kind) { totalCount } } } }";
    let left_out = server.ask(query, json!({ "id": id })).await;
    let nulls = json!({ "id": id, "first": null, "after": null, "users": null, "runs": null, "order": null, "kind": null, "search": null });
    assert_eq!(left_out, server.ask(query, nulls).await);
    assert_eq!(left_out["users"]["nodes"].as_array().unwrap().len(), 20);
    let several = "query Other($n: Int) { users(first: $n) { totalCount } } query Q($first: Int = 3) { users(first: $first) { nodes { id } } }";
    let headers = [&format!("Authorization: Bearer {}", server.viewer), "Content-Type: application/json"];
    let (_, answer) =
        server.http("POST /graphql", &headers, &json!({ "query": several, "operationName": "Q" }).to_string()).await;
    assert_eq!(answer.matches("\"id\"").count(), 3, "{answer}");
}
