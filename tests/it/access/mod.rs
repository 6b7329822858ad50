//! Tokens, roles, and credentials that are never shown.

use std::time::Duration;

use muster::auth::Role;
use muster::auth::tokens::NewToken;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::time::Instant;

use self::walk::operations;
use crate::support::ask::pairs;
use crate::support::peer::Application;
use crate::support::wire::{ENDLESS, Socket};
use crate::support::{DEADLINE, Place, Server};

pub mod scope;
mod table;
mod tokens;
mod walk;

#[tokio::test]
async fn every_transport_needs_a_valid_token() {
    let server = Server::start().await;
    let revoked = server.tokens.create(NewToken::new("revoked", Role::Admin)).await.unwrap().text;
    server.tokens.revoke("revoked").await.unwrap();
    let body = r#"{"query":"{ recipients { emails } }"}"#;
    let stream = format!(r#"{{"query":"{ENDLESS}"}}"#);
    let json = "Content-Type: application/json";
    for credentials in ["", "nobody's", "muster_nobodys", &revoked, "Basic YWRhOnBhc3N3b3Jk", &server.admin[1..]] {
        let header = match credentials {
            "" => "X-Nothing: here".to_owned(),
            other if other.starts_with("Basic") => format!("Authorization: {other}"),
            other => format!("Authorization: Bearer {other}"),
        };
        for (start, accept, body) in [
            ("POST /graphql", "Accept: application/json", body),
            ("POST /graphql", "Accept: text/event-stream", &stream),
            ("GET /graphql?query=%7B__typename%7D", "Accept: application/json", ""),
            ("POST /graphql", "Accept: */*", "not even JSON"),
        ] {
            let (status, answer) = server.http(start, &[&header, json, accept], body).await;
            assert_eq!(status, 401, "{start} {accept} {header}");
            assert!(answer.contains("UNAUTHENTICATED") && answer.contains("www-authenticate: Bearer"), "{answer}");
        }
        let mut socket = server.socket().await;
        socket.init(header.trim_start_matches("Authorization: ")).await;
        assert_eq!(socket.close_code().await, 4401, "{header}");
    }
    let query = format!("GET /graphql?query=%7B__typename%7D&access_token={}", server.admin);
    assert_eq!(server.http(&query, &[], "").await.0, 401, "proxies would log a token in an address");
    let mut socket = server.socket().await;
    socket.subscribe("1", "{ __typename }").await;
    assert_eq!(socket.close_code().await, 4401);
}

#[tokio::test]
async fn a_viewer_can_read_and_change_nothing() {
    let server = Server::start().await;
    let id = server.rehearse("Acme", &[]).await;
    server.idle(&id, "").await;
    let before = server.everything().await;
    let mutations = operations("Mutation");
    assert!(mutations.len() >= 9);
    // Those are about the caller's own password and sessions.
    let own = ["changePassword", "endSession"];
    for (name, field) in mutations.into_iter().filter(|(name, _)| !own.contains(&name.as_str())) {
        let answer = server.ask_as(&server.viewer, &format!("mutation {{ {field} }}"), json!({})).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], "FORBIDDEN", "{name}: {answer}");
        assert!(answer["data"].is_null(), "{name}: {answer}");
    }
    let hidden = "query Q { __typename } mutation M { setRecipients(input: { emails: [] }) { __typename } }";
    let headers = [&format!("Authorization: Bearer {}", server.viewer), "Content-Type: application/json"];
    let body = json!({ "query": hidden, "operationName": "M" }).to_string();
    assert!(server.http("POST /graphql", &headers, &body).await.1.contains("FORBIDDEN"));
    assert_eq!(server.everything().await, before);

    let mut socket = server.acknowledged(&server.viewer).await;
    socket.subscribe("s", ENDLESS).await;
    assert_eq!(socket.next().await["type"], "next");
    socket.subscribe("m", "mutation { setRecipients(input: { emails: [] }) { __typename } }").await;
    let refusal = socket.next().await;
    assert_eq!((&refusal["id"], refusal.to_string().contains("FORBIDDEN")), (&json!("m"), true), "{refusal}");
}

#[tokio::test]
async fn a_revoked_token_loses_its_open_streams_within_two_seconds() {
    let server = Server::start().await;
    server.rehearse("Acme", &[]).await;
    let token = server.tokens.create(NewToken::new("guest", Role::Viewer)).await.unwrap().text;
    let mut socket = server.acknowledged(&token).await;
    socket.subscribe("s", ENDLESS).await;
    assert_eq!(socket.next().await["type"], "next");
    let headers =
        [&format!("Authorization: Bearer {token}"), "Content-Type: application/json", "Accept: text/event-stream"];
    let mut stream = server.send("POST /graphql", &headers, &json!({ "query": ENDLESS }).to_string()).await;
    let mut seen = String::new();
    while !seen.contains("event: next") {
        let mut part = [0; 4096];
        let read = tokio::time::timeout(DEADLINE, stream.read(&mut part)).await.expect("in time").unwrap();
        seen.push_str(&String::from_utf8_lossy(&part[..read]));
    }

    assert_eq!(server.tokens.revoke("guest").await.unwrap(), 1);
    let revoked = Instant::now();
    assert_eq!(socket.close_code().await, 4401);
    let mut rest = String::new();
    tokio::time::timeout(DEADLINE, stream.read_to_string(&mut rest)).await.expect("in time").unwrap();
    while server.http("GET /graphql?query=%7B__typename%7D", &headers[..1], "").await.0 != 401 {
        assert!(revoked.elapsed() < Duration::from_secs(2), "it is still served");
    }
    assert!(revoked.elapsed() < Duration::from_secs(2), "{:?}", revoked.elapsed());
    assert!(!rest.contains("event: complete"), "the stream was cut, not completed: {rest}");
}

/// The files and tables that contain the text.
async fn holds(place: &Place, canary: &str) -> Vec<String> {
    let held = |bytes: &[u8]| bytes.windows(canary.len()).any(|window| window == canary.as_bytes());
    place.stored().await.into_iter().filter(|(_, bytes)| held(bytes)).map(|(name, _)| name).collect()
}

/// The messages of a subscription up to the event of the instance's deletion.
async fn until_deleted(socket: &mut Socket) -> Vec<Value> {
    let mut messages = Vec::new();
    loop {
        let message = socket.next().await;
        let last = message["payload"]["data"]["instanceStateChanged"]["cause"] == "DELETED";
        messages.push(message);
        if last {
            return messages;
        }
    }
}

#[tokio::test]
async fn a_credential_is_never_shown_or_stored_in_plain_text() {
    const CANARY: &str = "canary-7f3b9c1e5d";
    const SECOND: &str = "kanarie-0a8d2c4b6e";
    let application = Application::start(CANARY, 3).await;
    let server = Server::builder()
        .settings(|settings| settings.allowed_networks = vec!["127.0.0.0/8".parse().unwrap()])
        .start()
        .await;
    let mut answers: Vec<Value> = Vec::new();
    let mut socket = server.acknowledged(&server.viewer).await;
    let config = "config { key value isSet }";
    socket
        .subscribe("s", &format!("subscription {{ instanceStateChanged {{ cause instance {{ {config} }} }} }}"))
        .await;

    let with = |token: &str| {
        let config = pairs(&[("base_url", &application.url), ("token", token)]);
        json!({ "integrationKey": "scim", "name": "Acme", "config": config })
    };
    let refused = server.mutate("createInstance", with(&format!("{CANARY}wrong")), "instance { id }").await;
    assert_eq!(refused["userErrors"][0]["code"], "CREDENTIAL_REJECTED", "{refused}");
    answers.push(refused);
    let created = server.done("createInstance", with(CANARY), &format!("instance {{ id {config} }}")).await;
    let id = created["instance"]["id"].as_str().unwrap().to_owned();
    let field = |of: &Value, key: &str| {
        let fields = of["instance"]["config"].as_array().unwrap();
        fields.iter().find(|field| field["key"] == key).cloned().unwrap()
    };
    let address = json!({ "key": "base_url", "value": application.url, "isSet": true });
    assert_eq!(field(&created, "base_url"), address);
    assert_eq!(field(&created, "token"), json!({ "key": "token", "value": null, "isSet": true }));
    answers.push(created);
    let now = server.idle(&id, "health userCount").await;
    assert_eq!((&now["health"], &now["userCount"]), (&json!("OK"), &json!(3)));

    application.accept(SECOND);
    let now = server.sync(&id, "failure { message }").await;
    answers.push(now);
    assert_eq!(server.instance(&id, "inactiveReason").await["inactiveReason"], "TOKEN_INACTIVE");
    let input = json!({ "id": id, "config": pairs(&[("token", SECOND)]) });
    answers.push(server.done("updateInstance", input, &format!("instance {{ {config} }}")).await);
    server.idle(&id, "").await;
    answers.push(
        server.mutate("testConnection", json!({ "instanceId": id, "config": pairs(&[("token", CANARY)]) }), "ok").await,
    );
    answers.push(server.everything().await);
    let input = json!({ "id": id, "acknowledgeIrreversible": true });
    answers.push(server.done("deleteInstance", input, &format!("instance {{ {config} }}")).await);
    assert_eq!(field(answers.last().unwrap(), "token"), json!({ "key": "token", "value": null, "isSet": false }));
    server.until(&id, "status", |now| now["status"] == "DELETED").await;
    answers.extend(until_deleted(&mut socket).await);
    let mails = std::fs::read_dir(server.mail_dir()).unwrap().count();
    assert!(mails >= 3, "{mails} mails were written");
    for canary in [CANARY, SECOND] {
        for answer in &answers {
            assert!(!answer.to_string().contains(canary), "{answer}");
        }
        assert_eq!(holds(&server.place, canary).await, Vec::<String>::new());
    }
    let place = server.stop().await;
    assert_eq!(holds(&place, CANARY).await, Vec::<String>::new());
}
