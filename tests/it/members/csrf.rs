//! Pages of other sites cannot use the session of a browser.

use muster::auth::Role;
use serde_json::json;

use super::{Browser, JSON, PASSWORD, member};
use crate::support::Server;
use crate::support::wire::ENDLESS;

const ADA: &str = "ada@example.com";
const FOREIGN: [&str; 4] =
    ["Origin: https://evil.example", "Origin: null", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site"];

#[tokio::test]
async fn a_session_is_used_by_the_console_alone() {
    let server = Server::start().await;
    member(&server, ADA, Role::Viewer).await;
    let mut browser = Browser::signed_in(&server, ADA).await;
    let own = format!("Origin: {}", server.url);
    let (document, stream) = (r#"{"query":"{ __typename }"}"#, json!({ "query": ENDLESS }).to_string());
    for headers in [&[JSON][..], &[JSON, &own], &[JSON, &own, "Sec-Fetch-Site: same-origin"]] {
        assert_eq!(browser.send("POST /graphql", headers, document).await.0, 200, "{headers:?}");
    }
    for foreign in FOREIGN {
        for (accept, body) in [("Accept: application/json", document), ("Accept: text/event-stream", &stream)] {
            let (status, answer) = browser.send("POST /graphql", &[JSON, accept, foreign], body).await;
            assert!(status == 403 && answer.contains("FOREIGN_ORIGIN"), "{foreign}: {answer}");
        }
        assert_eq!(browser.send("DELETE /session", &[foreign], "").await.0, 403, "{foreign}");
        let entered = json!({ "email": ADA, "password": PASSWORD }).to_string();
        assert_eq!(browser.send("POST /session", &[JSON, foreign], &entered).await.0, 403, "{foreign}");
        assert_eq!(browser.send("POST /session/link", &[JSON, foreign], r#"{"link":"x"}"#).await.0, 403, "{foreign}");
    }
    for simple in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
        let kind = format!("Content-Type: {simple}");
        for path in ["POST /graphql", "POST /session", "POST /session/link"] {
            assert_eq!(browser.send(path, &[&kind], document).await.0, 415, "{path} {simple}");
        }
    }
    let get = "GET /graphql?query=%7B__typename%7D";
    assert_eq!(browser.send(get, &[], "").await.0, 403, "an image of another port of this host");
    assert_eq!(browser.send(get, &["Sec-Fetch-Site: none"], "").await.0, 403);
    assert_eq!(browser.send(get, &["Sec-Fetch-Site: same-origin"], "").await.0, 200);
    assert!(browser.is_in().await);
}

#[tokio::test]
async fn a_foreign_page_gets_no_socket_of_a_session() {
    let server = Server::start().await;
    member(&server, ADA, Role::Viewer).await;
    let browser = Browser::signed_in(&server, ADA).await;
    let cookie = browser.cookie.as_deref().unwrap();
    for foreign in ["https://evil.example", "null", "http://localhost:1"] {
        let refused = server.socket_with(&[("Cookie", cookie), ("Origin", foreign)]).await;
        assert_eq!(refused.err(), Some(403), "{foreign}");
    }
    let port = server.url.rsplit(':').next().unwrap();
    for loopback in ["localhost", "127.0.0.1", "[::1]"] {
        let origin = format!("http://{loopback}:{port}");
        let own = [("Cookie", cookie), ("Origin", origin.as_str()), ("Sec-Fetch-Site", "same-origin")];
        let mut socket = server.socket_with(&own).await.ok().unwrap();
        socket.say(json!({ "type": "connection_init" })).await;
        assert_eq!(socket.next().await["type"], "connection_ack", "{loopback}");
    }
    let mut socket = server.socket_with(&[("Cookie", cookie), ("Sec-Fetch-Site", "cross-site")]).await.ok().unwrap();
    socket.say(json!({ "type": "connection_init" })).await;
    assert_eq!(socket.close_code().await, 4401, "the cookie does not count");
    let own = [("Cookie", cookie), ("Origin", server.url.as_str()), ("Sec-Fetch-Site", "same-origin")];
    let mut socket = server.socket_with(&own).await.ok().unwrap();
    socket.say(json!({ "type": "connection_init" })).await;
    assert_eq!(socket.next().await["type"], "connection_ack");
}
