//! Lists that do not count: nothing changes.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{csv, csv_of, deliver, put, refused};
use crate::support::{DEADLINE, Server, one};

async fn stored(server: &Server) -> String {
    let left = "SELECT CAST((SELECT COUNT(*) FROM list_delivery WHERE state <> 'done') + (SELECT COUNT(*) FROM list_batch) AS text)";
    one(&server.place.location(), left).await
}

#[tokio::test]
async fn a_list_with_a_bad_row_is_refused_as_a_whole() {
    let server = Server::start().await;
    let id = server.integrate("list", "Payroll", &[]).await;
    deliver(&server, &id, csv(&["ada", "bob"])).await;
    server.idle(&id, "").await;
    let before = server.everything().await;
    // The good rows before it are many batches.
    let bad = format!("{}secret,cem,active\n", csv_of(1_200));
    let response = put(&server, &server.admin, &id, "text/csv", bad).await;
    assert_eq!(response.status(), 422);
    let body: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    let message = "Line 1202, column “mail”: The value is not an e-mail address.";
    let extensions = json!({ "code": "BAD_USER_INPUT", "line": 1202, "column": "mail" });
    assert_eq!(body, json!({ "errors": [{ "message": message, "extensions": extensions }] }));
    assert_eq!(server.everything().await, before);
    assert_eq!(stored(&server).await, "0");
    let log = "{ auditLog(filter: { actions: [LIST_DELIVERED], outcomes: [REFUSED] }) { nodes { code detail subjectName } } }";
    let log = server.ask(log, json!({})).await["auditLog"]["nodes"].take();
    let detail = "The delivery of a list was refused.";
    assert_eq!(log, json!([{ "code": "BAD_USER_INPUT", "detail": detail, "subjectName": "Payroll" }]));
}

#[tokio::test]
async fn a_request_that_is_wrong_is_told_what_is_right() {
    let server = Server::builder().settings(|settings| settings.max_users_per_instance = 5).start().await;
    let list = server.integrate("list", "Payroll", &[]).await;
    let other = server.rehearse("Acme", &[]).await;
    for (path, content_type, body, status, part) in [
        (list.clone(), "application/json", csv(&["ada"]), 415, "text/csv"),
        (format!("{list}?mail=Mail"), "text/csv", csv(&["ada"]), 400, "externalId, email,"),
        (format!("{list}?encoding=ebcdic"), "text/csv", csv(&["ada"]), 400, "windows-1252"),
        (format!("{list}?separator=abc"), "text/csv", csv(&["ada"]), 400, "semicolon"),
        (format!("{list}?dates=ymd"), "text/csv", csv(&["ada"]), 400, "dmy"),
        (format!("{list}?email=mail"), "application/x-ndjson", "{}".into(), 400, "no columns"),
        (format!("{list}?email=Post"), "text/csv", csv(&["ada"]), 422, "no column of this name"),
        (list.clone(), "text/csv", csv_of(6), 422, "at most 5 rows"),
        (list.clone(), "text/csv", String::new(), 422, "empty"),
        (other, "text/csv", csv(&["ada"]), 409, "List only"),
        ("nothing".into(), "text/csv", csv(&["ada"]), 400, "id"),
    ] {
        let (found, messages) = refused(&server, &path, content_type, body).await;
        assert_eq!((found, messages.len()), (status, 1), "{path}: {messages:?}");
        assert!(messages[0].contains(part), "{path}: {messages:?}");
    }
    assert_eq!(stored(&server).await, "0");
    let run = server.instance(&list, "lastSync { id } currentSync { id }").await;
    assert_eq!(run, json!({ "lastSync": null, "currentSync": null }));
}

#[tokio::test]
async fn a_delivery_that_breaks_off_changes_nothing() {
    let server = Server::start().await;
    let id = server.integrate("list", "Payroll", &[]).await;
    deliver(&server, &id, csv(&["ada", "bob"])).await;
    server.idle(&id, "").await;
    let before = server.everything().await;
    let mut stream = TcpStream::connect(server.url.strip_prefix("http://").unwrap()).await.unwrap();
    let body = csv_of(5_000);
    let head = format!(
        "PUT /lists/{id} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: text/csv\r\ncontent-length: {}\r\n\r\n",
        server.admin,
        body.len() + 1
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body.as_bytes()).await.unwrap();
    let deadline = tokio::time::Instant::now() + DEADLINE;
    while one(&server.place.location(), "SELECT CAST(COUNT(*) AS text) FROM list_batch").await == "0" {
        assert!(tokio::time::Instant::now() < deadline, "nothing arrives");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(stream);
    while stored(&server).await != "0" {
        assert!(tokio::time::Instant::now() < deadline, "what broke off stays");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(server.everything().await, before);
}

#[tokio::test]
async fn an_instance_that_is_not_live_takes_no_list() {
    let server = Server::start().await;
    let id = server.integrate("list", "Payroll", &[]).await;
    server.done("updateInstance", json!({ "id": id, "status": "INACTIVE" }), "").await;
    let (status, messages) = refused(&server, &id, "text/csv", csv(&["ada"])).await;
    assert_eq!(status, 409);
    assert!(messages[0].contains("inactive"), "{messages:?}");
    server.done("updateInstance", json!({ "id": id, "status": "LIVE" }), "").await;
    let live = server.instance(&id, "syncState lastSync { id } nextSyncAt").await;
    assert_eq!(live, json!({ "syncState": "IDLE", "lastSync": null, "nextSyncAt": null }), "nothing can be read");
    deliver(&server, &id, csv(&["ada"])).await;
    server.idle(&id, "").await;
    let codes = server.refused("syncInstance", json!({ "id": id })).await;
    assert_eq!(codes, [("NOTHING_DELIVERED".to_owned(), json!(["id"]))]);
}

#[tokio::test]
async fn the_answer_to_a_refused_list_comes_after_the_whole_list() {
    let server = Server::start().await;
    let id = server.integrate("list", "Payroll", &[]).await;
    let mut stream = TcpStream::connect(server.url.strip_prefix("http://").unwrap()).await.unwrap();
    let body = format!("mail\nsecret\n{}", "x@acme.example\n".repeat(200_000));
    let head = format!(
        "PUT /lists/{id} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {}\r\ncontent-type: text/csv\r\ncontent-length: {}\r\n\r\n",
        server.admin,
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 422") && answer.contains("\"line\":2"), "{answer}");
}
