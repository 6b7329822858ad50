//! The users of an instance in the order of their names.

use serde_json::{Value, json};

use crate::support::{Server, change};

const PAGE: &str = "query($after: String, $filter: UserFilter, $order: UserOrder) {
    users(first: 7, after: $after, filter: $filter, orderBy: $order) { pageInfo { hasNextPage endCursor } nodes { displayName externalId } } }";

fn by(direction: &str) -> Value {
    json!({ "field": "NAME", "direction": direction })
}

/// The users of all pages.
async fn all(server: &Server, filter: &Value, direction: &str) -> Vec<(Option<String>, String)> {
    let (mut found, mut after) = (Vec::new(), Value::Null);
    loop {
        let variables = json!({ "after": after, "filter": filter, "order": by(direction) });
        let page = server.ask(PAGE, variables).await["users"].take();
        found.extend(page["nodes"].as_array().unwrap().iter().map(|user| {
            (user["displayName"].as_str().map(str::to_owned), user["externalId"].as_str().unwrap().to_owned())
        }));
        if page["pageInfo"]["hasNextPage"] == false {
            return found;
        }
        after = page["pageInfo"]["endCursor"].clone();
    }
}

#[tokio::test]
async fn users_are_ordered_by_name_in_both_directions_with_those_without_one_last() {
    let server = Server::start().await;
    let id = server.rehearse("Acme", &[("users", "40")]).await;
    server.idle(&id, "").await;
    server.rehearse("Other", &[("users", "5")]).await;
    for (users, name) in [
        ("%1", "'same'"),
        ("%2", "NULL"),
        ("%3", "'aDA ' || external_id"),
        ("%4", "'Ökonom'"),
        ("%5", "'Ada ' || external_id"),
    ] {
        let statement = format!("UPDATE user_account SET display_name = {name} WHERE external_id LIKE '{users}'");
        change(&server.db, &statement).await;
    }
    change(
        &server.db,
        "UPDATE user_account SET status = 'suspended' WHERE external_id LIKE '%2' OR external_id LIKE '%3'",
    )
    .await;
    for filter in [json!({ "instanceId": id }), json!({ "instanceId": id, "statuses": ["SUSPENDED", "INVITED"] })] {
        let ascending = all(&server, &filter, "ASC").await;
        let names: Vec<_> = ascending.iter().map(|(name, _)| name.as_deref().map(str::to_ascii_lowercase)).collect();
        assert!(names.is_sorted_by_key(|name| (name.is_none(), name.clone())), "{names:?}");
        assert_eq!(names.iter().filter(|name| name.is_none()).count(), 4, "{names:?}");
        let mut ids: Vec<_> = ascending.iter().map(|(_, id)| id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), ascending.len(), "each user once");
        let mut descending = all(&server, &filter, "DESC").await;
        let nameless = descending.split_off(descending.len() - 4);
        assert!(nameless.iter().all(|(name, _)| name.is_none()), "{nameless:?}");
        descending.reverse();
        assert_eq!(descending, ascending[..ascending.len() - 4]);
        assert!(filter.get("statuses").is_some() || ascending.len() == 40);
    }
    let nested = "query($id: ID!, $order: UserOrder) { instance(id: $id) { users(first: 100, orderBy: $order) { nodes { externalId } } } }";
    let nested = server.ask(nested, json!({ "id": id, "order": by("ASC") })).await["instance"]["users"].take();
    let nested: Vec<_> = nested["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|user| user["externalId"].as_str().unwrap().to_owned())
        .collect();
    let ids: Vec<_> = all(&server, &json!({ "instanceId": id }), "ASC").await.into_iter().map(|(_, id)| id).collect();
    assert_eq!(nested, ids);
}

#[tokio::test]
async fn what_has_no_such_order_is_refused() {
    let server = Server::start().await;
    let id = server.rehearse("Acme", &[]).await;
    server.idle(&id, "").await;
    let of = |filter: Value, after: Value| json!({ "filter": filter, "order": by("ASC"), "after": after });
    assert_eq!(server.error_code(PAGE, of(json!({}), Value::Null)).await, "BAD_USER_INPUT", "all instances");
    let searched = json!({ "instanceId": id, "search": "a" });
    assert_eq!(server.error_code(PAGE, of(searched, Value::Null)).await, "BAD_USER_INPUT", "a search");
    let own = json!({ "instanceId": id });
    let page = server.ask(PAGE, json!({ "filter": own, "order": by("DESC") })).await;
    let other = page["users"]["pageInfo"]["endCursor"].clone();
    assert_eq!(server.error_code(PAGE, of(own, other)).await, "BAD_USER_INPUT", "a cursor of another order");
}
