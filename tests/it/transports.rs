//! The three transports of `/graphql` over real sockets: status codes, close codes and the order of messages.

use std::io::Read as _;

use flate2::read::GzDecoder;
use futures_util::SinkExt;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

use crate::support::wire::ENDLESS;
use crate::support::{Server, patient_http};

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
async fn a_long_answer_is_compressed_for_those_who_accept_it_and_a_short_one_never() {
    let server = Server::start().await;
    let long = "{ integrations(first: 100) { nodes { key name description } } }";
    for (query, accepted, is_compressed) in [
        (long, "br, gzip", true),
        (long, "gzip;q=0", false),
        (long, "identity", false),
        ("{ __typename }", "gzip", false),
    ] {
        let plain = patient_http().gzip(false).build().unwrap();
        let request = plain.post(format!("{}/graphql", server.url)).bearer_auth(&server.admin);
        let request = request.header("accept-encoding", accepted).json(&json!({ "query": query }));
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let coding = answer.headers().get("content-encoding").cloned();
        let body = answer.bytes().await.unwrap();
        assert_eq!(coding.is_some(), is_compressed, "{accepted}: {coding:?}");
        let mut text = String::new();
        if is_compressed {
            GzDecoder::new(&*body).read_to_string(&mut text).unwrap();
            assert!(body.len() * 2 < text.len(), "{} of {}", body.len(), text.len());
        } else {
            text.push_str(std::str::from_utf8(&body).unwrap());
        }
        assert!(text.starts_with("{\"data\":{") && text.ends_with("}}"), "{text}");
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

/// The header lines of a WebSocket's handshake.
const UPGRADE: [&str; 4] = [
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Protocol: graphql-transport-ws",
];

/// The answer to a handshake up to its empty line, and what comes after it.
async fn handshake(server: &Server, headers: &[&str]) -> (String, TcpStream) {
    let lines = ["GET /graphql HTTP/1.1", "Connection: Upgrade"].iter().chain(&UPGRADE).chain(headers);
    let request: String = lines.flat_map(|line| [line, "\r\n"]).collect();
    let mut stream = TcpStream::connect(server.url.trim_start_matches("http://")).await.unwrap();
    stream.write_all(format!("{request}\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    while !answer.ends_with("\r\n\r\n") {
        answer.push(char::from(stream.read_u8().await.unwrap()));
    }
    (answer, stream)
}

#[tokio::test]
async fn pages_of_other_origins_get_no_data_and_can_learn_why() {
    let server = Server::start().await;
    let port = server.url.rsplit_once(':').unwrap().1;
    let named = |name: &str| (format!("Origin: http://{name}:{port}"), format!("Host: {name}:{port}"));
    for (origin, host) in ["127.0.0.1", "localhost", "[::1]"].map(named) {
        let answer = handshake(&server, &[&origin, &host]).await.0;
        assert!(answer.starts_with("HTTP/1.1 101 "), "{origin}: {answer}");
    }
    let (status, _) = server.http("GET /graphql", &["Origin: http://localhost"], "").await;
    assert_eq!(status, 401, "nothing is wrong with this origin");
    for origin in ["https://elsewhere.example", "http://localhost:1", "null"] {
        assert_eq!(server.socket_with(&[("Origin", origin)]).await.err(), Some(403), "{origin}");
        let origin = format!("Origin: {origin}");
        let (status, answer) = server.http("GET /graphql", &[&origin], "").await;
        assert!(status == 403 && answer.contains("FOREIGN_ORIGIN") && answer.contains("MUSTER_PUBLIC_URL"), "{answer}");
        assert!(answer.contains("access-control-allow-origin: *"), "{answer}");
    }
}

#[tokio::test]
async fn a_handshake_ignores_the_credentials_of_a_proxy_and_refuses_a_wrong_token() {
    let server = Server::start().await;
    let own = format!("Authorization: Bearer {}", server.admin);
    for (headers, status) in [
        (vec!["Authorization: Basic YWRhOnBhc3N3b3Jk"], 101),
        (vec!["Authorization: Negotiate YWRh", &own], 101),
        (vec!["Authorization: Bearer nobody"], 401),
        (vec!["Authorization: Bearer"], 401),
        (vec![&own, "Authorization: Bearer nobody"], 401),
    ] {
        let headers: Vec<&str> = [vec!["Host: localhost"], headers].concat();
        let answer = handshake(&server, &headers).await.0;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{headers:?}: {answer}");
    }
    let json = "Content-Type: application/json";
    let headers = [&own, "Authorization: Basic YWRhOnBhc3N3b3Jk", json];
    assert_eq!(server.http("POST /graphql", &headers, r#"{"query":"{__typename}"}"#).await.0, 200);
}

#[tokio::test]
async fn a_handshake_is_answered_in_the_spelling_of_the_request() {
    let server = Server::start().await;
    let answer = handshake(&server, &["Host: localhost"]).await.0;
    assert!(answer.contains("\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n"), "{answer}");
}

#[tokio::test]
async fn a_socket_of_another_protocol_is_told_which_one_is_spoken() {
    let server = Server::start().await;
    let mut socket = server.socket_with(&[("Sec-WebSocket-Protocol", "graphql-ws")]).await.ok().unwrap();
    let (code, reason) = socket.close_reason().await;
    assert!(code == 4400 && reason.contains("graphql-transport-ws"), "{code} {reason}");
}

#[tokio::test]
async fn a_stopping_server_closes_its_sockets() {
    let server = Server::start().await;
    let mut socket = server.acknowledged(&server.admin).await;
    let (code, _) = tokio::join!(socket.close_code(), server.stop());
    assert_eq!(code, 1001);
}
