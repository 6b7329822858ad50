//! The three transports of `/graphql` over real sockets: status codes, close codes and the order of messages.

use futures_util::SinkExt;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::support::Server;
use crate::support::wire::ENDLESS;

#[tokio::test]
async fn the_http_status_depends_on_the_media_type() {
    let server = Server::start().await;
    let (json, graphql) = ("application/json", "application/graphql-response+json");
    for (query, accept, status) in [
        ("{ __typename }", json, 200),
        ("{ __typename }", graphql, 200),
        ("{ nope }", json, 200),
        ("{ nope }", graphql, 400),
        ("{", graphql, 400),
        (ENDLESS, json, 406),
        ("{ __typename }", "text/html", 406),
    ] {
        let (got, answer) = server.post(query, accept).await;
        assert_eq!(got, status, "{query} as {accept}: {answer}");
        assert!(answer.contains("cache-control: no-store"), "{answer}");
    }
}

#[tokio::test]
async fn http_refuses_malformed_requests() {
    let server = Server::start().await;
    let token = format!("Authorization: Bearer {}", server.admin);
    let json = "Content-Type: application/json";
    let good = r#"{"query":"{__typename}"}"#;
    for (status, start, headers, body) in [
        (405, "DELETE /graphql", vec![token.as_str()], ""),
        (405, "GET /graphql?query=mutation%7B__typename%7D", vec![&token], ""),
        (200, "GET /graphql?query=%7B__typename%7D", vec![&token], ""),
        (415, "POST /graphql", vec![&token, "Content-Type: text/plain"], good),
        (415, "POST /graphql", vec![&token, json, "Content-Encoding: gzip"], good),
        (400, "POST /graphql", vec![&token, json], "[]"),
        (400, "POST /graphql", vec![&token, json], "not JSON"),
    ] {
        assert_eq!(server.http(start, &headers, body).await.0, status, "{start} {headers:?}");
    }
}

#[tokio::test]
async fn an_event_stream_ends_with_complete_and_has_errors_as_a_result() {
    let server = Server::start().await;
    let (_, answer) = server.post("{ __typename }", "text/event-stream").await;
    assert!(answer.contains("event: next\ndata: {\"data\":") && answer.contains("event: complete\ndata:"), "{answer}");
    let (status, answer) = server.post("{ nope }", "text/event-stream").await;
    assert!(status == 200 && answer.contains("\"errors\"") && answer.contains("event: complete"), "{answer}");
}

#[tokio::test]
async fn each_violation_of_the_protocol_has_its_close_code() {
    let server = Server::start().await;
    let mut socket = server.acknowledged(&server.admin).await;
    socket.init(&format!("Bearer {}", server.admin)).await;
    assert_eq!(socket.close_code().await, 4429);

    let mut socket = server.acknowledged(&server.admin).await;
    socket.subscribe("1", ENDLESS).await;
    socket.subscribe("1", ENDLESS).await;
    assert_eq!(socket.close_code().await, 4409);

    for nonsense in ["", "[]", r#"{"type":"start"}"#, r#"{"type":"subscribe","id":"1"}"#] {
        let mut socket = server.acknowledged(&server.admin).await;
        socket.0.send(Message::text(nonsense)).await.expect("sent");
        assert_eq!(socket.close_code().await, 4400, "{nonsense}");
    }
    let mut socket = server.acknowledged(&server.admin).await;
    socket.0.send(Message::text(" ".repeat(256 * 1024 + 1))).await.expect("sent");
    assert_eq!(socket.close_code().await, 4400);
}

#[tokio::test]
async fn an_operation_fails_alone_and_frees_its_id() {
    let server = Server::start().await;
    server.rehearse("Acme", &[]).await;
    let mut socket = server.acknowledged(&server.admin).await;
    for _ in 0..3 {
        socket.subscribe("q", "{ __typename }").await;
        assert_eq!(socket.next().await["payload"], json!({ "data": { "__typename": "Query" } }));
        assert_eq!(socket.next().await, json!({ "type": "complete", "id": "q" }));
    }
    for query in ["{ nope }", "{", "{ ...F } fragment F on Query { ...F }"] {
        socket.subscribe("q", query).await;
        let refusal = socket.next().await;
        assert_eq!((&refusal["type"], &refusal["id"]), (&json!("error"), &json!("q")));
        assert!(refusal["payload"][0]["extensions"]["code"].is_string(), "{refusal}");
    }
    socket.subscribe("s", ENDLESS).await;
    let first = socket.next().await;
    assert_eq!(first["payload"]["data"]["instanceStateChanged"]["instance"]["name"], "Acme");
    socket.say(json!({ "type": "complete", "id": "s" })).await;
    socket.say(json!({ "type": "ping" })).await;
    while socket.next().await["type"] != "pong" {}
    socket.subscribe("q", "{ __typename }").await;
    assert_eq!(socket.next().await["id"], "q");
}

#[tokio::test]
async fn a_socket_holds_a_hundred_operations() {
    let server = Server::start().await;
    let mut socket = server.acknowledged(&server.admin).await;
    for i in 0..=100 {
        socket.subscribe(&i.to_string(), ENDLESS).await;
    }
    let refusal = socket.next().await;
    assert_eq!((&refusal["type"], &refusal["id"]), (&json!("error"), &json!("100")));
    assert_eq!(refusal["payload"][0]["extensions"]["code"], "TOO_MANY_OPERATIONS");
}

#[tokio::test]
async fn pages_of_other_origins_get_no_socket() {
    let server = Server::start().await;
    let upgrade = [
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Protocol: graphql-transport-ws",
        "Origin: https://elsewhere.example",
    ];
    assert_eq!(server.http("GET /graphql", &upgrade, "").await.0, 403);
}

#[tokio::test]
async fn a_stopping_server_closes_its_sockets() {
    let server = Server::start().await;
    let mut socket = server.acknowledged(&server.admin).await;
    let (code, _) = tokio::join!(socket.close_code(), server.stop());
    assert_eq!(code, 1001);
}
