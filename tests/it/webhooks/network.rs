//! Where messages may be sent to.

use std::time::Duration;

use serde_json::json;
use tokio::net::TcpListener;

use super::{Receiver, Reply, add, builder, deliveries};
use crate::support::Server;

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (server, first, second) = (builder().start().await, Receiver::start().await, Receiver::start().await);
    let (id, _) = add(&server, &first.url, json!({})).await;
    for status in [301, 302, 303, 307, 308] {
        let target = second.url.clone();
        first.answer(move |_, _| Reply::With(status, "location", target.clone()));
        let sent = server.done("testWebhook", json!({ "id": id }), "delivery { state httpStatus lastError }").await;
        let delivery = &sent["delivery"];
        assert_eq!((&delivery["state"], &delivery["httpStatus"]), (&json!("FAILED"), &json!(status)));
        assert!(delivery["lastError"].as_str().unwrap().contains("redirect"), "{delivery}");
    }
    assert_eq!((first.all().len(), second.all().len()), (5, 0));
}

#[tokio::test]
async fn closed_networks_are_not_called() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = Server::start().await;
    for url in [format!("http://127.0.0.1:{port}/"), "http://example.com/".into()] {
        let refused = server.mutate("createWebhook", json!({ "url": url }), "").await;
        assert_eq!(refused["userErrors"][0]["field"], json!(["url"]), "{url}: {refused}");
    }
    for host in [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0x7f.1",
        "2130706433",
        "169.254.169.254",
        "10.0.0.1",
        "192.168.0.1",
        "100.64.0.1",
        "[fd00::1]",
        "[64:ff9b::7f00:1]",
    ] {
        let (id, _) = add(&server, &format!("https://{host}:{port}/"), json!({})).await;
        let sent = server.done("testWebhook", json!({ "id": id }), "delivery { state httpStatus lastError }").await;
        let expected = json!({ "state": "FAILED", "httpStatus": null,
            "lastError": "The message was not accepted: the address is not permitted." });
        assert_eq!(sent["delivery"], expected, "{host}");
        server.done("deleteWebhook", json!({ "id": id }), "").await;
        assert_eq!(deliveries(&server, &id).await, Vec::<serde_json::Value>::new());
    }
    let called = tokio::time::timeout(Duration::from_millis(200), listener.accept()).await;
    assert!(called.is_err(), "somebody was called");
}

#[tokio::test]
async fn plain_http_is_for_allowed_networks_only() {
    let server = builder().start().await;
    let (id, _) = add(&server, "http://192.0.2.1:9/", json!({})).await;
    let sent = server.done("testWebhook", json!({ "id": id }), "delivery { lastError }").await;
    let error = sent["delivery"]["lastError"].as_str().unwrap();
    assert_eq!(error, "The message was not accepted: plain http is not permitted for this address.");
}
