//! The events of all instances.

use muster::auth::tokens::NewToken;
use muster::auth::{Role, Scope};
use serde_json::{Value, json};

use crate::access::scope::key;
use crate::subscriptions::states::{causes, receive_until};
use crate::support::{Server, change};

const PAGE: &str =
    "query($after: String, $filter: InstanceEventFilter) { instanceEvents(first: 4, after: $after, filter: $filter) {
    totalCount pageInfo { hasNextPage endCursor } nodes { cause at instance { id name } } } }";

/// The events of all pages, the newest first.
async fn all(server: &Server, token: &str, filter: &Value) -> Vec<Value> {
    let (mut found, mut after, mut total) = (Vec::new(), Value::Null, Value::Null);
    loop {
        let answer = server.ask_as(token, PAGE, json!({ "after": after, "filter": filter })).await;
        let page = &answer["data"]["instanceEvents"];
        found.extend(page["nodes"].as_array().unwrap_or_else(|| panic!("{answer}")).clone());
        total = if total.is_null() { page["totalCount"].clone() } else { total };
        if page["pageInfo"]["hasNextPage"] == false {
            assert_eq!(json!(found.len()), total, "{filter}");
            return found;
        }
        after = page["pageInfo"]["endCursor"].clone();
    }
}

#[tokio::test]
async fn events_of_all_instances_are_listed_with_the_newest_first() {
    let server = Server::start().await;
    let config = [("users", "3"), ("outcomes", "success,transient")];
    let (old, new) = (server.rehearse("Old", &config).await, server.rehearse("New", &config).await);
    for id in [&old, &new] {
        server.idle(id, "").await;
        server.sync(id, "id").await;
    }
    server.done("deleteInstance", json!({ "id": old, "acknowledgeIrreversible": true }), "").await;
    server.until(&old, "status", |now| now["status"] == "DELETED").await;
    let everything = all(&server, &server.viewer, &Value::Null).await;
    assert_eq!(everything[0]["cause"], "DELETED");
    assert_eq!(causes(&everything[everything.len() - 2..]).last(), Some(&"CREATED"));
    for id in [&old, &new] {
        let listed = server.instance(id, "events(first: 100) { nodes { cause } }").await;
        let listed = listed["events"]["nodes"].as_array().unwrap().clone();
        let own: Vec<_> = everything.iter().filter(|event| event["instance"]["id"] == id.as_str()).cloned().collect();
        assert_eq!(causes(&own), causes(&listed));
        assert_eq!(all(&server, &server.admin, &json!({ "instanceIds": [id, id] })).await, own);
        let scope = Scope { instances: [key(id)].into(), ..Scope::default() };
        let limited = NewToken { scope: Some(scope), ..NewToken::new("limited", Role::Viewer) };
        let limited = server.tokens.create(limited).await.unwrap().text;
        assert_eq!(all(&server, &limited, &Value::Null).await, own, "a limited token");
        let of = json!({ "causes": ["SYNC_FAILED", "SYNC_SUCCEEDED"], "instanceIds": [id] });
        assert_eq!(causes(&all(&server, &limited, &of).await), ["SYNC_FAILED", "SYNC_SUCCEEDED"]);
    }
    let some = all(&server, &server.admin, &json!({ "causes": ["SYNC_FAILED", "DELETED"] })).await;
    assert_eq!(causes(&some), ["DELETED", "SYNC_FAILED", "SYNC_FAILED"]);
    assert_eq!(all(&server, &server.admin, &json!({ "causes": [] })).await, [] as [Value; 0]);
    assert_eq!(all(&server, &server.admin, &json!({ "instanceIds": [] })).await, [] as [Value; 0]);
}

/// Numbers of the log may be far apart, and what is wanted may be far back.
#[tokio::test]
async fn a_page_goes_on_where_it_has_looked_at_enough_events() {
    let server = Server::start().await;
    let id = server.rehearse("Acme", &[("users", "3")]).await;
    server.idle(&id, "").await;
    change(&server.db, "UPDATE event SET seq = 100000 WHERE cause = 'sync_succeeded'").await;
    let found = all(&server, &server.admin, &json!({ "causes": ["CREATED"] })).await;
    assert_eq!(causes(&found), ["CREATED"]);
    let found = all(&server, &server.admin, &Value::Null).await;
    assert_eq!(causes(&found), ["SYNC_SUCCEEDED", "SYNC_STARTED", "CREATED"]);
}

#[tokio::test]
async fn a_subscription_from_the_current_cursor_brings_what_comes_after_it_and_nothing_else() {
    let server = Server::start().await;
    let ask = "{ eventCursor }";
    let empty = server.ask(ask, json!({})).await["eventCursor"].clone();
    let id = server.rehearse("Acme", &[("users", "3")]).await;
    server.idle(&id, "").await;
    let later = server.ask(ask, json!({})).await["eventCursor"].clone();
    server.done("updateInstance", json!({ "id": id, "name": "Renamed" }), "").await;
    for (cursor, wanted) in
        [(&empty, vec!["CREATED", "SYNC_STARTED", "SYNC_SUCCEEDED", "UPDATED"]), (&later, vec!["UPDATED"])]
    {
        let mut socket = server.acknowledged(&server.viewer).await;
        socket.subscribe("s", &format!("subscription {{ instanceStateChanged(after: {cursor}) {{ cause }} }}")).await;
        let events = receive_until(&mut socket, "s", |event| event["cause"] == "UPDATED").await;
        assert_eq!(causes(&events), wanted);
    }
}
