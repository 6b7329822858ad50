//! Responses that are not a page of users. Each fails the listing; none may make it look complete.

use std::io::Write as _;

use serde_json::json;

use super::*;
use crate::source::ErrorClass;

async fn error_of(response: impl Fn() -> Response<Body> + Clone + Send + Sync + 'static) -> (SourceError, usize) {
    let peer = Peer::answering(move |_, _| response()).await;
    let error = ids(&source(one_page(), &peer.origin)).await.unwrap_err();
    assert!(error.message.chars().count() < 500 && !error.message.chars().any(char::is_control), "{}", error.message);
    (error, peer.calls().len())
}

#[tokio::test]
async fn bad_answers_fail_at_once_and_name_what_is_wrong() {
    type Case = (&'static str, &'static str, Vec<u8>, &'static str);
    let cases: Vec<Case> = vec![
        ("html", "text/html", b"<!doctype html><h1>502</h1>".to_vec(), "HTML"),
        ("html without a label", "application/json", b"\n <html></html>".to_vec(), "HTML"),
        ("text with HTML's label", "text/html; charset=utf-8", b"Please sign in".to_vec(), "HTML"),
        ("no bytes", "application/json", Vec::new(), "it is empty"),
        ("garbage", "application/json", (0..=255).rev().collect(), "not valid JSON"),
        ("Latin-1", "application/json", b"{\"users\": [{\"id\": \"\xe9\"}]}".to_vec(), "not valid JSON"),
        (
            "too deep",
            "application/json",
            ["[".repeat(100_000), "]".repeat(100_000)].concat().into_bytes(),
            "not valid JSON",
        ),
        ("two documents", "application/json", b"{} {}".to_vec(), "not valid JSON"),
        ("an empty object", "application/json", b"{}".to_vec(), "“$.users” is missing"),
        ("null for the list", "application/json", br#"{"users": null}"#.to_vec(), "“$.users” is missing"),
        ("an object for the list", "application/json", br#"{"users": {"id": 1}}"#.to_vec(), "“$.users” is missing"),
        (
            "nulls in the list",
            "application/json",
            br#"{"users": [{"id": 1}, null]}"#.to_vec(),
            "entry 2 of the list is not an object",
        ),
        (
            "a record without id",
            "application/json",
            br#"{"users": [{"id": 1}, {"email": "a@b"}]}"#.to_vec(),
            "entry 2 of the list has no id",
        ),
        ("an id that is an object", "application/json", br#"{"users": [{"id": {}}]}"#.to_vec(), "no id"),
        (
            "a very long id",
            "application/json",
            format!(r#"{{"users": [{{"id": "{}"}}]}}"#, "x".repeat(513)).into_bytes(),
            "512 bytes",
        ),
    ];
    for (name, label, body, expected) in cases {
        let (error, calls) = error_of(move || respond(200, &[("content-type", label)], body.clone())).await;
        assert_eq!(
            (error.class, calls, error.http_status),
            (ErrorClass::Config, 1, Some(200)),
            "{name}: {}",
            error.message
        );
        assert!(error.message.contains(expected), "{name}: {}", error.message);
    }
}

#[tokio::test]
async fn json_without_a_label_is_accepted() {
    let peer =
        Peer::answering(|_, _| respond(200, &[("content-type", "text/plain")], r#" {"users": [{"id": 1}]}"#)).await;
    assert_eq!(ids(&source(one_page(), &peer.origin)).await.unwrap(), ["1"]);
}

#[tokio::test]
async fn answers_that_break_off_are_tried_again() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
    let cases = [
        ("a short body", format!("{head}content-length: 500\r\n\r\n{{}}")),
        ("bad chunks", format!("{head}transfer-encoding: chunked\r\n\r\nZZ\r\n{{}}\r\n")),
        ("half a chunk", format!("{head}transfer-encoding: chunked\r\n\r\n5\r\n{{")),
        ("no HTTP", "220 mail.example.com ESMTP\r\n".to_owned()),
        ("nothing", String::new()),
        ("JSON that ends in the middle", format!("{head}content-length: 14\r\n\r\n{{\"users\": [{{\"i")),
    ];
    for (name, bytes) in cases {
        let origin = raw_peer(bytes.into_bytes(), true).await;
        let error = ids(&source(one_page(), &origin)).await.unwrap_err();
        assert_eq!(error.class, ErrorClass::Transient, "{name}: {}", error.message);
    }
}

#[tokio::test]
async fn an_application_that_stops_answering_is_a_timeout() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{";
    for bytes in ["", head] {
        let origin = raw_peer(bytes.as_bytes().to_vec(), false).await;
        let error = ids(&source(one_page(), &origin)).await.unwrap_err();
        assert_eq!(error.class, ErrorClass::Timeout, "{}", error.message);
    }
}

#[tokio::test]
async fn a_closed_port_and_an_unknown_name_are_transient() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = ids(&source(one_page(), &closed)).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Transient);
    // A label of more than 63 letters is invalid, so no DNS server is asked.
    let unknown = format!("http://{}.invalid", "x".repeat(64));
    let error = ids(&source(one_page(), &unknown)).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Transient);
    assert!(error.message.contains("resolved"), "{}", error.message);
}

#[tokio::test]
async fn a_server_without_tls_is_transient_and_said_so() {
    let origin = raw_peer(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), true).await;
    let error = ids(&source(one_page(), &origin.replace("http:", "https:"))).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Transient);
    assert!(error.message.contains("certificate"), "{}", error.message);
}

#[tokio::test]
async fn a_page_is_bounded_also_after_decompression() {
    let bomb = bomb(40);
    let peer = Peer::answering(move |_, _| respond(200, &[("content-encoding", "gzip")], bomb.clone())).await;
    let error = ids(&source(one_page(), &peer.origin)).await.unwrap_err();
    assert_eq!((error.class, peer.calls().len()), (ErrorClass::Config, 1));
    assert!(error.message.contains("larger"), "{}", error.message);

    let values = format!("[{}1]", "1,".repeat(1_250_001));
    let peer = Peer::answering(move |_, _| respond(200, &[], values.clone())).await;
    let error = ids(&source(one_page(), &peer.origin)).await.unwrap_err();
    assert!(error.message.contains("too large"), "{}", error.message);

    let (error, _) = error_of(|| respond(200, &[("x-a", &"x".repeat(100_000))], r#"{"users": []}"#)).await;
    assert_eq!(error.class, ErrorClass::Config);
}

/// `mib` MiB of spaces, compressed.
fn bomb(mib: usize) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    for _ in 0..mib {
        encoder.write_all(&vec![b' '; 1 << 20]).unwrap();
    }
    encoder.finish().unwrap()
}

#[tokio::test]
async fn a_later_page_that_is_bad_fails_the_whole_listing_and_is_named() {
    let peer = Peer::answering(|number, _| match number {
        1 => ok(&json!({"users": records([1]), "next": "b"})),
        _ => ok(&json!({"next": null})),
    })
    .await;
    let users = "  pages: {cursor: {at: $.next, param: cursor}}\n  records: $.users";
    let error = ids(&source(manifest(users, ""), &peer.origin)).await.unwrap_err();
    assert!(
        error.message.contains("“$.users” is missing") && error.message.starts_with("Page 2 of"),
        "{}",
        error.message
    );
}
