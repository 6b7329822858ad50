//! Lists that are requested by POST.

use super::*;

fn body(call: &Call) -> Value {
    serde_json::from_str(&call.body).unwrap()
}

#[tokio::test]
async fn a_cursor_and_the_size_of_a_page_go_into_the_body() {
    let peer = Peer::answering(|number, call| {
        assert_eq!(
            (call.uri.as_str(), &call.headers["content-type"]),
            ("/users", &"application/json".parse().unwrap())
        );
        match number {
            1 => ok(&json!({"data": {"users": records(1..=2), "page": {"end": "c1", "more": true}}})),
            _ => ok(&json!({"data": {"users": records(3..=3), "page": {"end": "c2", "more": false}}})),
        }
    })
    .await;
    let keys = r#"
  json:
    query: "query ($after: String) { users }"
    variables: {org: "{{config.base_url}}", after: null, deep: [1, true]}
  page_size: {json: $.variables.count, count: 50}
  pages: {cursor: {at: $.data.page.end, json: $.variables.after, more: "$[?@.data.page.more == true]"}}
  records: $.data.users"#;
    assert_eq!(ids(&source(manifest(keys, ""), &peer.origin)).await.unwrap(), ["1", "2", "3"]);
    let sent: Vec<Value> = peer.calls().iter().map(body).collect();
    let variables = |after: Value| json!({"org": peer.origin, "after": after, "deep": [1, true], "count": 50});
    assert_eq!(sent[0]["variables"], variables(Value::Null));
    assert_eq!(sent[1]["variables"], variables("c1".into()));
}

#[tokio::test]
async fn following_pages_may_have_an_address_and_a_body_of_their_own() {
    let peer = Peer::answering(|_, call| match call.uri.as_str() {
        "/users?all=1" => ok(&json!({"members": records(1..=2), "cursor": "c", "has_more": true})),
        "/users/continue" => ok(&json!({"members": records(3..=3), "cursor": "d", "has_more": false})),
        _ => respond(500, &[], "unexpected"),
    })
    .await;
    let keys = r#"
  query: {all: "1"}
  json: {include_removed: true}
  page_size: {json: $.limit, count: 100}
  pages:
    cursor: {at: $.cursor, json: $.cursor, more: "$[?@.has_more == true]", then: {path: /users/continue, json: {}}}
  records: $.members"#;
    assert_eq!(ids(&source(manifest(keys, ""), &peer.origin)).await.unwrap(), ["1", "2", "3"]);
    let sent: Vec<Value> = peer.calls().iter().map(body).collect();
    assert_eq!(sent, [json!({"include_removed": true, "limit": 100}), json!({"cursor": "c"})]);
}

#[tokio::test]
async fn an_offset_may_go_into_the_body() {
    let peer = Peer::answering(|_, call| {
        let from = body(call)["page"]["from"].as_u64().unwrap();
        ok(&json!({"users": records(from + 1..=(from + 2).min(3)), "total": 3}))
    })
    .await;
    let keys = "  json: {}\n  pages: {offset: {json: $.page.from, total: $.total}}\n  records: $.users";
    assert_eq!(ids(&source(manifest(keys, ""), &peer.origin)).await.unwrap(), ["1", "2", "3"]);
}
