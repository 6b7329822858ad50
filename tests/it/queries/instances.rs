use serde_json::{Value, json};

use crate::support::Server;

const PAGE: &str = "query($order: InstanceOrder, $after: String, $filter: InstanceFilter) {
    instances(first: 2, after: $after, orderBy: $order, filter: $filter) {
        totalCount pageInfo { hasNextPage hasPreviousPage startCursor endCursor } edges { cursor node { name } } nodes { name } } }";

fn names(page: &Value) -> Vec<String> {
    page["nodes"].as_array().unwrap().iter().map(|node| node["name"].as_str().unwrap().to_owned()).collect()
}

/// The names on all pages from `after` on.
async fn pages(server: &Server, order: &Value, mut after: Value) -> Vec<String> {
    let mut found = Vec::new();
    loop {
        let variables = json!({ "order": order, "after": after });
        let page = server.ask(PAGE, variables).await["instances"].take();
        let edges: Vec<_> = page["edges"].as_array().unwrap().iter().map(|edge| edge["node"].clone()).collect();
        assert_eq!(page["nodes"], json!(edges));
        assert_eq!(page["pageInfo"]["hasPreviousPage"], !after.is_null());
        assert_eq!(page["pageInfo"]["endCursor"], page["edges"][edges.len().max(1) - 1]["cursor"]);
        assert_eq!(page["pageInfo"]["startCursor"], page["edges"][0]["cursor"]);
        found.extend(names(&page));
        if page["pageInfo"]["hasNextPage"] == false {
            return found;
        }
        after = page["pageInfo"]["endCursor"].clone();
    }
}

async fn filled(server: &Server, names: &[&str]) -> Vec<String> {
    let mut ids = Vec::new();
    for name in names {
        let id = server.rehearse(name, &[("users", "2")]).await;
        server.idle(&id, "").await;
        ids.push(id);
    }
    ids
}

#[tokio::test]
async fn each_order_contains_every_instance_once() {
    let server = Server::start().await;
    let ids = filled(&server, &["delta", "Alpha", "echo", "Bravo", "charlie"]).await;
    let never = server.rehearse("never synced", &[("outcomes", "transient")]).await;
    server.idle(&never, "").await;
    server.sync(&ids[0], "id").await;
    for (field, wanted) in [
        ("NAME", ["Alpha", "Bravo", "charlie", "delta", "echo", "never synced"]),
        ("CREATED_AT", ["delta", "Alpha", "echo", "Bravo", "charlie", "never synced"]),
        ("LAST_SYNCED_AT", ["never synced", "Alpha", "echo", "Bravo", "charlie", "delta"]),
    ] {
        let mut wanted = wanted.to_vec();
        assert_eq!(
            pages(&server, &json!({ "field": field, "direction": "ASC" }), Value::Null).await,
            wanted,
            "{field}"
        );
        wanted.reverse();
        assert_eq!(
            pages(&server, &json!({ "field": field, "direction": "DESC" }), Value::Null).await,
            wanted,
            "{field}"
        );
    }
    assert_eq!(pages(&server, &Value::Null, Value::Null).await[..2], ["delta", "Alpha"], "the oldest first by default");
}

#[tokio::test]
async fn rows_that_are_added_or_deleted_between_pages_do_not_move_others() {
    let server = Server::start().await;
    let ids = filled(&server, &["b", "d", "f", "h"]).await;
    let order = json!({ "field": "NAME", "direction": "ASC" });
    let first = server.ask(PAGE, json!({ "order": order })).await["instances"].take();
    assert_eq!((names(&first), &first["totalCount"]), (vec!["b".into(), "d".into()], &json!(4)));
    filled(&server, &["a", "c", "e", "g"]).await;
    // The row of the cursor may be deleted, too.
    server.done("deleteInstance", json!({ "id": ids[1], "acknowledgeIrreversible": true }), "").await;
    server.until(&ids[1], "status", |now| now["status"] == "DELETED").await;
    assert_eq!(pages(&server, &order, first["pageInfo"]["endCursor"].clone()).await, ["e", "f", "g", "h"]);
    let order = json!({ "field": "NAME", "direction": "DESC" });
    assert_eq!(pages(&server, &order, Value::Null).await, ["h", "g", "f", "e", "c", "b", "a"]);
}

#[tokio::test]
async fn instances_that_were_created_in_the_same_millisecond_are_all_listed() {
    use std::sync::Arc;
    use std::sync::atomic::AtomicI64;
    let clock = muster::clock::Clock::Manual(Arc::new(AtomicI64::new(1_800_000_000_000)));
    let server = Server::builder().clock(clock).start().await;
    filled(&server, &["e", "d", "c", "b", "a"]).await;
    for field in ["CREATED_AT", "LAST_SYNCED_AT"] {
        for direction in ["ASC", "DESC"] {
            let mut found = pages(&server, &json!({ "field": field, "direction": direction }), Value::Null).await;
            found.sort();
            assert_eq!(found, ["a", "b", "c", "d", "e"], "{field} {direction}");
        }
    }
}

#[tokio::test]
async fn a_cursor_belongs_to_one_order() {
    let server = Server::start().await;
    filled(&server, &["a", "b", "c"]).await;
    let by = |field: &str, direction: &str| json!({ "field": field, "direction": direction });
    let page = server.ask(PAGE, json!({ "order": by("NAME", "ASC") })).await;
    let after = page["instances"]["pageInfo"]["endCursor"].clone();
    for order in [by("NAME", "DESC"), by("CREATED_AT", "ASC"), by("LAST_SYNCED_AT", "ASC"), Value::Null] {
        assert_eq!(
            server.error_code(PAGE, json!({ "order": order, "after": after })).await,
            "BAD_USER_INPUT",
            "{order}"
        );
    }
}

#[tokio::test]
async fn filters_narrow_the_list_and_its_count() {
    let server = Server::start().await;
    let ids = filled(&server, &["Acme 100%", "Acme_HQ", "Ölwerk"]).await;
    let failing = server.rehearse("failing", &[("outcomes", "transient")]).await;
    server.idle(&failing, "").await;
    let pending = server.rehearse("pending", &[("outcomes", "hang")]).await;
    server.done("updateInstance", json!({ "id": ids[0], "status": "INACTIVE" }), "").await;
    server.done("deleteInstance", json!({ "id": ids[1], "acknowledgeIrreversible": true }), "").await;
    server.until(&ids[1], "status", |now| now["status"] == "DELETED").await;
    let query = "query($filter: InstanceFilter) { instances(filter: $filter) { totalCount nodes { name } } }";
    for (filter, wanted) in [
        (Value::Null, vec!["Acme 100%", "Ölwerk", "failing", "pending"]),
        (json!({ "statuses": ["INACTIVE"] }), vec!["Acme 100%"]),
        (json!({ "statuses": ["DELETED"] }), vec!["Acme_HQ"]),
        (json!({ "statuses": ["DELETED", "INACTIVE"] }), vec!["Acme 100%", "Acme_HQ"]),
        (json!({ "statuses": [] }), vec![]),
        (json!({ "statuses": null, "search": null }), vec!["Acme 100%", "Ölwerk", "failing", "pending"]),
        (json!({ "health": ["FAILING", "PENDING"] }), vec!["failing", "pending"]),
        (json!({ "health": ["OK"], "statuses": ["LIVE"] }), vec!["Ölwerk"]),
        (json!({ "ids": [failing, pending, failing] }), vec!["failing", "pending"]),
        (json!({ "ids": [] }), vec![]),
        (json!({ "integrationKeys": ["rehearsal"], "search": "ing" }), vec!["failing", "pending"]),
        (json!({ "integrationKeys": ["scim"] }), vec![]),
        (json!({ "search": "ACME" }), vec!["Acme 100%"]),
        (json!({ "search": "öl" }), vec!["Ölwerk"]),
        (json!({ "search": "ÖLW" }), vec!["Ölwerk"]),
        (json!({ "search": "%" }), vec!["Acme 100%"]),
        (json!({ "search": "_" }), vec![]),
        (json!({ "search": "\\" }), vec![]),
        (json!({ "search": "' OR 1=1 --" }), vec![]),
        (json!({ "search": "" }), vec!["Acme 100%", "Ölwerk", "failing", "pending"]),
    ] {
        let found = server.ask(query, json!({ "filter": filter })).await["instances"].take();
        assert_eq!(
            (names(&found), &found["totalCount"]),
            (wanted.iter().map(|it| (*it).to_owned()).collect(), &json!(wanted.len())),
            "{filter}"
        );
    }
}

#[tokio::test]
async fn the_catalog_counts_its_instances_and_lists_them() {
    let server = Server::start().await;
    let ids = filled(&server, &["b", "a", "c"]).await;
    server.done("deleteInstance", json!({ "id": ids[2], "acknowledgeIrreversible": true }), "").await;
    let query = "query($filter: IntegrationFilter) { integrations(filter: $filter) { totalCount nodes { key instanceCount userCount
        instances(first: 1, orderBy: { field: NAME, direction: ASC }) { totalCount nodes { name } pageInfo { hasNextPage } } } } }";
    let of = async |filter: Value| server.ask(query, json!({ "filter": filter })).await["integrations"].take();
    let rehearsal = json!({ "key": "rehearsal", "instanceCount": 2, "userCount": 4,
        "instances": { "totalCount": 2, "nodes": [{ "name": "a" }], "pageInfo": { "hasNextPage": true } } });
    server.until(&ids[2], "status", |now| now["status"] == "DELETED").await;
    assert_eq!(of(json!({ "integrated": true })).await, json!({ "totalCount": 1, "nodes": [rehearsal] }));
    let others = of(json!({ "integrated": false })).await;
    assert!(
        others["nodes"].as_array().unwrap().iter().all(|it| it["key"] != "rehearsal" && it["instanceCount"] == 0),
        "{others}"
    );
    assert_eq!(of(json!({ "search": "REHEARS" })).await["nodes"], json!([rehearsal]));
    assert_eq!(of(json!({ "search": "scim", "category": "testing" })).await["totalCount"], 0);
    let other_name = of(json!({ "search": "azure ad" })).await;
    assert_eq!((&other_name["totalCount"], &other_name["nodes"][0]["key"]), (&json!(1), &json!("entra")));
    let found =
        server.ask("{ integration(key: \"scim\") { key configFields { key required secret } } }", json!({})).await;
    let fields = found["integration"]["configFields"].as_array().unwrap();
    assert!(fields.contains(&json!({ "key": "base_url", "required": true, "secret": false })), "{fields:?}");
    assert!(fields.iter().any(|field| field["key"] == "token" && field["secret"] == true), "{fields:?}");
}

#[tokio::test]
async fn a_page_may_begin_after_so_many_rows() {
    let server = Server::start().await;
    filled(&server, &["a", "b", "c", "d", "e"]).await;
    let page = async |arguments: &str| {
        let query = format!(
            "{{ instances(first: 2, orderBy: {{ field: NAME, direction: ASC }}, {arguments}) {{ totalCount pageInfo {{ hasNextPage endCursor }} nodes {{ name }} }} }}"
        );
        server.ask(&query, json!({})).await["instances"].take()
    };
    for (offset, expected, has_next) in [(0, vec!["a", "b"], true), (3, vec!["d", "e"], false), (7, vec![], false)] {
        let found = page(&format!("offset: {offset}")).await;
        assert_eq!(
            (names(&found), &found["pageInfo"]["hasNextPage"]),
            (expected.iter().map(|name| (*name).to_owned()).collect(), &json!(has_next)),
            "{offset}"
        );
        assert_eq!(found["totalCount"], 5);
    }
    let first = page("offset: 1").await;
    let after = first["pageInfo"]["endCursor"].to_string();
    assert_eq!(names(&page(&format!("after: {after}")).await), ["d", "e"]);
    assert_eq!(names(&page(&format!("after: {after}, offset: 1")).await), ["e"]);
    for offset in [-1, 100_001] {
        let answer =
            server.post(&format!("{{ instances(offset: {offset}) {{ totalCount }} }}"), "application/json").await.1;
        assert!(answer.contains("offset must be from 0 to 100000."), "{answer}");
    }
}
