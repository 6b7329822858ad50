//! The limits of a request.

use std::fmt::Write;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::Server;

/// Asserts that a query is refused as too expensive, and quickly.
async fn too_much(server: &Server, query: &str) {
    let began = Instant::now();
    let answer = server.ask_as(&server.admin, query, json!({})).await;
    assert!(began.elapsed() < Duration::from_secs(3), "{:?} for {:.80}", began.elapsed(), query);
    let said = answer.to_string();
    assert_eq!(answer["errors"][0]["extensions"]["code"], "QUERY_TOO_COMPLEX", "{query:.80}: {said:.500}");
    assert!(answer["data"].is_null() && said.len() < 2_000, "{said:.500}");
}

/// A query for users of instances of users, nested `levels` times.
fn nested(levels: usize) -> String {
    let mut query = "name".to_owned();
    for level in 0..levels {
        query = if level % 2 == 0 {
            format!("instance {{ {query} }}")
        } else {
            format!("users(first: 1) {{ nodes {{ {query} }} }}")
        };
    }
    format!("{{ users(first: 1) {{ nodes {{ {query} }} }} }}")
}

#[tokio::test]
async fn depth_is_limited() {
    let server = Server::start().await;
    server.ask(&nested(7), json!({})).await;
    too_much(&server, &nested(12)).await;
    too_much(&server, &nested(400)).await;
    too_much(&server, &"{a".repeat(10_000)).await;
    let deep = format!(
        "query($filter: UserFilter) {{ users(filter: $filter) {{ totalCount }} q: __type(name: {}) {{ name }} }}",
        "[".repeat(5_000)
    );
    too_much(&server, &deep).await;
}

#[tokio::test]
async fn the_price_of_nested_lists_is_the_product_of_their_sizes() {
    let server = Server::start().await;
    let lists = |outer: u32, inner: u32| {
        format!("{{ instances(first: {outer}) {{ nodes {{ users(first: {inner}) {{ nodes {{ id email }} }} }} }} }}")
    };
    server.ask(&lists(100, 20), json!({})).await;
    too_much(&server, &lists(100, 100)).await;
    let query = "query($n: Int = 100) { instances(first: $n) { nodes { users(first: $n) { nodes { id email } } } } }";
    too_much(&server, query).await;
    let query = "query($n: Int) { instances(first: $n) { nodes { users(first: $n) { nodes { id email } } } } }";
    server.ask(query, json!({ "n": 20 })).await;
    let answer = server.ask_as(&server.admin, query, json!({ "n": 100 })).await;
    assert!(answer["data"].is_null(), "{answer}");
    // What nobody may ask for has no price: the mistake is named.
    for n in [-1, 101, i32::MAX] {
        let answer = server.ask_as(&server.admin, query, json!({ "n": n })).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], "BAD_USER_INPUT", "{n}: {answer}");
    }
}

#[tokio::test]
async fn aliases_fields_and_directives_are_limited() {
    let server = Server::start().await;
    let aliases = |count: usize| {
        (0..count).fold(String::new(), |mut query, number| {
            write!(query, " a{number}: recipients {{ emails }}").unwrap();
            query
        })
    };
    server.ask(&format!("{{ {} }}", aliases(50)), json!({})).await;
    too_much(&server, &format!("{{ {} }}", aliases(51))).await;
    too_much(&server, &format!("{{ {} }}", "__typename ".repeat(3_000))).await;
    too_much(&server, &format!("{{ __typename {} }}", "@skip(if: true)".repeat(51))).await;
    too_much(
        &server,
        &format!(
            "mutation {{ {} }}",
            aliases(60).replace("recipients { emails }", "setRecipients(input: { emails: [] }) { __typename }")
        ),
    )
    .await;
}

#[tokio::test]
async fn fragment_bombs_are_refused_before_they_are_expanded() {
    let server = Server::start().await;
    let mut bomb = "{ ...F0 }".to_owned();
    for level in 0..8 {
        write!(bomb, " fragment F{level} on Query {{ {} }}", format!("...F{} ", level + 1).repeat(20)).unwrap();
    }
    bomb.push_str(" fragment F8 on Query { __typename }");
    too_much(&server, &bomb).await;
    for circle in
        ["{ ...A } fragment A on Query { ...A }", "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }"]
    {
        assert_eq!(server.error_code(circle, json!({})).await, "GRAPHQL_VALIDATION_FAILED");
    }
}

#[tokio::test]
async fn a_body_is_at_most_a_mebibyte() {
    let server = Server::start().await;
    let token = format!("Authorization: Bearer {}", server.admin);
    let headers = [token.as_str(), "Content-Type: application/json"];
    let padded = |size: usize| {
        let empty = r#"{"query":"{__typename}","variables":{"x":""}}"#;
        empty.replace("\"\"", &format!("\"{}\"", " ".repeat(size - empty.len())))
    };
    assert_eq!(server.http("POST /graphql", &headers, &padded(1024 * 1024)).await.0, 200);
    assert_eq!(server.http("POST /graphql", &headers, &padded(1024 * 1024 + 1)).await.0, 413);
    let long = format!("{{ __typename # {} \n }}", "x".repeat(40_000));
    too_much(&server, &long).await;
}

#[tokio::test]
async fn introspection_can_be_switched_off() {
    let server = Server::builder().settings(|settings| settings.introspection = false).start().await;
    for query in [
        "{ __schema { types { name } } }",
        "{ __type(name: \"User\") { name } }",
        "{ ...F } fragment F on Query { x: __schema { types { name } } }",
        "{ __typename ... on Query { __type(name: \"User\") { name } } }",
    ] {
        assert_eq!(server.error_code(query, json!({})).await, "INTROSPECTION_DISABLED", "{query}");
    }
    let answer = server.ask("{ __typename recipients { __typename } }", json!({})).await;
    assert_eq!(answer, json!({ "__typename": "Query", "recipients": { "__typename": "Recipients" } }));
    let answer = server.ask_as(&server.admin, "{ userz { id } }", json!({})).await;
    assert!(!answer.to_string().contains("users"), "no names are suggested: {answer}");
}

#[tokio::test]
async fn introspection_is_limited() {
    let server = Server::start().await;
    let mut circles = "name".to_owned();
    for _ in 0..4 {
        circles = format!("fields {{ type {{ {circles} }} }}");
    }
    too_much(&server, &format!("{{ __schema {{ types {{ {circles} }} }} }}")).await;
    let again: Vec<_> = (0..6).map(|number| format!("a{number}: __schema {{ types {{ name }} }}")).collect();
    too_much(&server, &format!("{{ {} }}", again.join(" "))).await;
    let nothing: Value = server.ask("{ __schema { queryType { name } } }", json!({})).await;
    assert_eq!(nothing["__schema"]["queryType"]["name"], "Query");
}
