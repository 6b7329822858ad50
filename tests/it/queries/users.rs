use serde_json::{Value, json};

use crate::support::{Server, change};

const SEARCH: &str = "query($filter: UserFilter, $after: String) { users(first: 100, filter: $filter, after: $after) {
    totalCount nodes { externalId email displayName instance { name } } pageInfo { endCursor hasNextPage } } }";

async fn found(server: &Server, filter: Value) -> Vec<String> {
    let page = server.ask(SEARCH, json!({ "filter": filter })).await["users"].take();
    let nodes = page["nodes"].as_array().unwrap();
    assert_eq!(page["totalCount"], nodes.len());
    nodes.iter().map(|user| user["externalId"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn users_have_pages_in_the_order_in_which_they_were_first_seen() {
    let server = Server::start().await;
    let id = server.rehearse("Acme", &[("users", "250")]).await;
    server.idle(&id, "").await;
    let (mut all, mut after) = (Vec::new(), Value::Null);
    loop {
        let page = server.ask(SEARCH, json!({ "after": after })).await["users"].take();
        assert_eq!(page["totalCount"], 250);
        all.extend(
            page["nodes"].as_array().unwrap().iter().map(|user| user["externalId"].as_str().unwrap().to_owned()),
        );
        after = page["pageInfo"]["endCursor"].clone();
        if page["pageInfo"]["hasNextPage"] == false {
            break;
        }
    }
    assert_eq!(all, (0..250).map(|place| format!("person-{place}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn all_filters_must_match() {
    let server = Server::start().await;
    let acme = server.rehearse("Acme", &[("users", "20"), ("churn_percent", "10")]).await;
    let bolt = server.rehearse("Bolt", &[("users", "5")]).await;
    server.idle(&acme, "").await;
    server.idle(&bolt, "").await;
    server.sync(&acme, "id").await;
    assert_eq!(found(&server, json!({})).await.len(), 25);
    assert_eq!(found(&server, json!({ "includeRemoved": true })).await.len(), 27);
    assert_eq!(found(&server, json!({ "instanceId": bolt })).await.len(), 5);
    assert_eq!(found(&server, json!({ "instanceId": acme, "includeRemoved": true })).await.len(), 22);
    assert_eq!(
        found(&server, json!({ "instanceId": acme, "search": "ada" })).await,
        ["person-16"],
        "the first Ada was removed"
    );
    assert_eq!(
        found(&server, json!({ "statuses": ["SUSPENDED", "INVITED"], "instanceId": acme })).await,
        ["person-7", "person-8", "person-9"]
    );
    assert_eq!(found(&server, json!({ "statuses": [] })).await, Vec::<String>::new());
    assert_eq!(found(&server, json!({ "integrationKeys": ["rehearsal"] })).await.len(), 25);
    assert_eq!(found(&server, json!({ "integrationKeys": ["scim"] })).await, Vec::<String>::new());
    let fields = "users(first: 100, filter: { includeRemoved: true, search: \"ada\" }) { totalCount nodes { externalId removedAt } }";
    let users = server.instance(&acme, fields).await["users"].take();
    assert_eq!((&users["totalCount"], &users["nodes"][0]["externalId"]), (&json!(2), &json!("person-0")));
    assert!(users["nodes"][0]["removedAt"].is_string() && users["nodes"][1]["removedAt"].is_null());
    let other = format!("users(filter: {{ instanceId: \"{bolt}\" }}) {{ totalCount nodes {{ id }} }}");
    assert_eq!(server.instance(&acme, &other).await["users"], json!({ "totalCount": 0, "nodes": [] }));
}

#[tokio::test]
async fn a_user_has_the_values_of_the_application() {
    let server = Server::start().await;
    let id = server.rehearse("Acme", &[("users", "8")]).await;
    server.idle(&id, "").await;
    let fields = "externalId email displayName status isAdmin mfaEnabled licenses lastActiveAt removedAt instance { id } firstSeenAt lastSeenAt";
    let query = format!("{{ users {{ nodes {{ {fields} }} }} }}");
    let mut users = server.ask(&query, json!({})).await["users"]["nodes"].take();
    let (first_seen, last_seen) = (users[7]["firstSeenAt"].take(), users[7]["lastSeenAt"].take());
    assert!(first_seen.is_string() && first_seen == last_seen);
    assert_eq!(
        users[7],
        json!({ "externalId": "person-7", "email": "hana.abe.7@rehearsal.example", "displayName": "Hana Abe",
        "status": "SUSPENDED", "isAdmin": false, "mfaEnabled": true, "licenses": ["Basic"], "lastActiveAt": "2026-01-08T00:00:00+00:00",
        "removedAt": null, "instance": { "id": id }, "firstSeenAt": null, "lastSeenAt": null })
    );
    assert_eq!((&users[0]["isAdmin"], &users[0]["licenses"]), (&json!(true), &json!(["Full"])));
}

#[tokio::test]
async fn a_user_has_a_kind_an_age_and_a_profile_and_was_perhaps_never_active() {
    let server = Server::start().await;
    let id = server.rehearse("Acme", &[("users", "40")]).await;
    server.idle(&id, "").await;
    let fields = "kind guest createdAt aliases sourceId employeeId department manager lastActiveAt neverActive";
    let query = format!("{{ users(first: 50) {{ nodes {{ externalId {fields} }} }} }}");
    let users = server.ask(&query, json!({})).await["users"]["nodes"].take();
    let user = |number: usize| {
        let id = format!("person-{number}");
        let mut found = users.as_array().unwrap().iter().find(|user| user["externalId"] == *id).unwrap().clone();
        found.as_object_mut().unwrap().remove("externalId");
        found
    };
    assert_eq!(
        user(13),
        json!({ "kind": "HUMAN", "guest": false, "createdAt": "2025-12-18T00:00:00+00:00",
        "aliases": ["p13@rehearsal.example"], "sourceId": "directory-13", "employeeId": "E000013", "department": "Sales",
        "manager": "person-1", "lastActiveAt": "2026-01-14T00:00:00+00:00", "neverActive": false })
    );
    let invited = user(9);
    assert_eq!((&invited["lastActiveAt"], &invited["neverActive"]), (&Value::Null, &json!(true)));
    assert_eq!((&invited["aliases"], &user(0)["manager"]), (&json!([]), &Value::Null));
    assert_eq!((&user(37)["kind"], &user(31)["guest"]), (&json!("SERVICE"), &json!(true)));
    // What the application does not tell is not known, and not “no”.
    let untold = "UPDATE user_account SET kind = NULL, guest = NULL, last_active_at = NULL, aliases = NULL";
    change(&server.db, untold).await;
    let user =
        server.ask("{ users(first: 1) { nodes { kind guest neverActive lastActiveAt aliases } } }", json!({})).await;
    let nothing = json!({ "kind": null, "guest": null, "neverActive": null, "lastActiveAt": null, "aliases": [] });
    assert_eq!(user["users"]["nodes"][0], nothing);
}
