//! Automatic persisted queries over real sockets, as Apollo's clients send them.

use std::fmt::Write as _;

use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use crate::support::Server;
use crate::support::wire::ENDLESS;

const JSON: &str = "application/json";
const GRAPHQL: &str = "application/graphql-response+json";
const NOT_FOUND: &str =
    r#"{"errors":[{"message":"PersistedQueryNotFound","extensions":{"code":"PERSISTED_QUERY_NOT_FOUND"}}]}"#;

fn hash(document: &str) -> String {
    digest(&SHA256, document.as_bytes()).as_ref().iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// The extension for a document.
fn extensions(document: &str) -> Value {
    json!({ "persistedQuery": { "version": 1, "sha256Hash": hash(document) } })
}

fn body(response: &str) -> &str {
    response.split_once("\r\n\r\n").expect("a body").1
}

impl Server {
    async fn post_params(&self, params: &Value, accept: &str) -> (u16, String) {
        let token = format!("Authorization: Bearer {}", self.admin);
        let headers = [&token, "Content-Type: application/json", &format!("Accept: {accept}")];
        self.http("POST /graphql", &headers, &params.to_string()).await
    }

    async fn get_params(&self, params: &[(&str, &str)], accept: &str) -> (u16, String) {
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish();
        let token = format!("Authorization: Bearer {}", self.admin);
        self.http(&format!("GET /graphql?{query}"), &[&token, &format!("Accept: {accept}")], "").await
    }
}

#[tokio::test]
async fn a_hash_is_enough_once_its_document_was_executed() {
    let server = Server::start().await;
    let document = "query Counts($skip: Boolean!) { users @skip(if: $skip) { totalCount } instances { totalCount } }";
    let alone = json!({ "extensions": extensions(document), "variables": { "skip": true } });
    let with_text = json!({ "query": document, "extensions": extensions(document), "variables": { "skip": true } });
    for accept in [JSON, GRAPHQL] {
        let (status, answer) = server.post_params(&alone, accept).await;
        assert_eq!((status, body(&answer)), (200, NOT_FOUND));
        assert!(answer.contains("cache-control: no-store"), "{answer}");
    }
    let counted = r#"{"data":{"instances":{"totalCount":0}}}"#;
    assert_eq!(body(&server.post_params(&with_text, JSON).await.1), counted);
    assert_eq!(body(&server.post_params(&alone, GRAPHQL).await.1), counted);
    let get = [("extensions", &*extensions(document).to_string()), ("variables", r#"{"skip":false}"#)];
    let both = r#"{"data":{"users":{"totalCount":0},"instances":{"totalCount":0}}}"#;
    assert_eq!(body(&server.get_params(&get, JSON).await.1), both);
    // Variables are checked anew.
    let (status, answer) = server.post_params(&json!({ "extensions": extensions(document) }), GRAPHQL).await;
    assert!(status == 400 && answer.contains("$skip needs a value"), "{answer}");
    let wrong = json!({ "extensions": extensions(document), "variables": { "skip": "yes" } });
    let (status, answer) = server.post_params(&wrong, GRAPHQL).await;
    assert!(status == 400 && answer.contains(r#""code":"GRAPHQL_VALIDATION_FAILED""#), "{answer}");
}

#[tokio::test]
async fn a_get_can_send_the_document_with_its_hash() {
    let server = Server::start().await;
    let document = "{ __typename }";
    let claim = extensions(document).to_string();
    assert_eq!(body(&server.get_params(&[("extensions", &claim)], JSON).await.1), NOT_FOUND);
    for params in [&[("query", document), ("extensions", &*claim)][..], &[("extensions", &claim)]] {
        assert_eq!(body(&server.get_params(params, JSON).await.1), r#"{"data":{"__typename":"Query"}}"#);
    }
    let other = extensions("{ other }").to_string();
    let (status, answer) = server.get_params(&[("query", document), ("extensions", &other)], GRAPHQL).await;
    assert!(status == 400 && answer.contains("provided sha does not match query"), "{answer}");
    let (status, answer) = server.get_params(&[("operationName", "A")], JSON).await;
    assert!(status == 400 && answer.contains("The parameter query is missing."), "{answer}");
}

#[tokio::test]
async fn what_is_refused_is_not_kept() {
    let server = Server::start().await;
    let deep = format!("{}id{}", "{ node(id: 1) ".repeat(16), "}".repeat(16));
    let dear = "{ instances(first: 100) { nodes { users(first: 100) { nodes { id email status } } } } }";
    for document in ["{ nope }", "{", dear, &deep] {
        let with_text = json!({ "query": document, "extensions": extensions(document) });
        let (_, answer) = server.post_params(&with_text, JSON).await;
        assert!(answer.contains("\"errors\""), "{answer}");
        let (_, answer) = server.post_params(&json!({ "extensions": extensions(document) }), JSON).await;
        assert_eq!(body(&answer), NOT_FOUND, "{document}");
    }
    // Neither under the hash of another document.
    let wrong = json!({ "query": "{ __typename }", "extensions": extensions("{ other }") });
    let (status, answer) = server.post_params(&wrong, JSON).await;
    assert!(status == 200 && answer.contains("provided sha does not match query"), "{answer}");
    let alone = json!({ "extensions": extensions("{ other }") });
    assert_eq!(body(&server.post_params(&alone, JSON).await.1), NOT_FOUND);
}

#[tokio::test]
async fn a_persisted_mutation_needs_post_and_a_role() {
    let server = Server::start().await;
    let document = r#"mutation { setRecipients(input: { emails: ["ada@example.com"] }) { userErrors { code } } }"#;
    let with_text = json!({ "query": document, "extensions": extensions(document) });
    assert!(server.post_params(&with_text, JSON).await.1.contains(r#""userErrors":[]"#));
    let alone = json!({ "extensions": extensions(document) });
    assert!(server.post_params(&alone, JSON).await.1.contains(r#""userErrors":[]"#));
    let claim = extensions(document).to_string();
    assert_eq!(server.get_params(&[("extensions", &claim)], JSON).await.0, 405);
    let headers = [&*format!("Authorization: Bearer {}", server.viewer), "Content-Type: application/json"];
    let (_, answer) = server.http("POST /graphql", &headers, &alone.to_string()).await;
    assert!(answer.contains("FORBIDDEN"), "{answer}");
    assert_eq!(server.http("POST /graphql", &["Content-Type: application/json"], &alone.to_string()).await.0, 401);
}

#[tokio::test]
async fn streams_take_hashes_and_sockets_check_them() {
    let server = Server::start().await;
    let document = "{ instances { totalCount } }";
    let alone = json!({ "extensions": extensions(document) });
    let events = "text/event-stream";
    let (status, answer) = server.post_params(&alone, events).await;
    assert!(status == 200 && answer.contains("PERSISTED_QUERY_NOT_FOUND"), "{answer}");

    // The protocol of the socket demands the document in each `subscribe`.
    let mut socket = server.acknowledged(&server.admin).await;
    let subscribe = |document: &str, extensions: Value| json!({ "type": "subscribe", "id": "1", "payload": { "query": document, "extensions": extensions } });
    socket.say(subscribe(document, extensions(ENDLESS))).await;
    assert_eq!(socket.next().await["payload"][0]["message"], "provided sha does not match query");
    socket.say(subscribe(document, extensions(document))).await;
    assert_eq!(socket.next().await["payload"], json!({ "data": { "instances": { "totalCount": 0 } } }));
    let (_, answer) = server.post_params(&alone, events).await;
    assert!(answer.contains(r#"data: {"data":{"instances":{"totalCount":0}}}"#), "{answer}");
    socket.next().await;
    socket.say(json!({ "type": "subscribe", "id": "2", "payload": alone })).await;
    assert_eq!(socket.close_code().await, 4400);
}
