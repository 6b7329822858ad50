//! Tokens: how they are created, listed and revoked, and when they end.

use std::time::Duration;

use muster::auth::Role;
use muster::auth::members::{Change, NewMember};
use muster::auth::tokens::{self, NewToken};
use muster::clock::{Clock, date_time};
use serde_json::{Value, json};

use crate::members::{Browser, member};
use crate::support::wire::ENDLESS;
use crate::support::{DEADLINE, Server, change};

const FIELDS: &str =
    "token apiToken { id name role email isPersonal isUnlimited createdAt createdBy expiresAt expiresSoon
    lastUsedAt revokedAt scope { integrationKeys instanceIds } }";

async fn tokens(server: &Server) -> Vec<Value> {
    let list = "{ apiTokens(first: 100) { totalCount nodes { id name expiresSoon lastUsedAt revokedAt } } }";
    let found = server.ask(list, json!({})).await["apiTokens"].take();
    let nodes = found["nodes"].as_array().unwrap().clone();
    assert_eq!(found["totalCount"], nodes.len());
    nodes
}

/// Whether the server accepts a token within the time in which it notices changes.
async fn is_refused(server: &Server, token: &str) -> bool {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(5);
    loop {
        let answer = server.ask_as(token, "{ __typename }", json!({})).await;
        if answer["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED" {
            return true;
        }
        if tokio::time::Instant::now() > deadline {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_token_is_created_shown_once_listed_and_revoked() {
    let server = Server::start().await;
    let inside = server.rehearse("Inside", &[]).await;
    let scope = json!({ "integrationKeys": ["okta"], "instanceIds": [inside] });
    let input = json!({ "name": " Wall ", "role": "REPORTS", "scope": scope, "email": "ann@example.com" });
    let created = server.done("createApiToken", input, FIELDS).await;
    let (text, token) = (created["token"].as_str().unwrap(), &created["apiToken"]);
    assert_eq!((&token["name"], &token["role"], &token["scope"]), (&json!("Wall"), &json!("REPORTS"), &scope));
    let time = |field: &str| chrono::DateTime::parse_from_rfc3339(token[field].as_str().unwrap()).unwrap();
    let days = (time("expiresAt") - time("createdAt")).num_days();
    assert!((364..=365).contains(&days) && token["expiresSoon"] == false, "{token}");
    let seen = server.ask_as(text, "{ instances { nodes { name } } }", json!({})).await;
    assert_eq!(seen["data"]["instances"]["nodes"], json!([{ "name": "Inside" }]));

    let listed = tokens(&server).await;
    assert_eq!(listed.iter().map(|it| it["name"].as_str().unwrap()).collect::<Vec<_>>(), ["Wall", "viewer", "admin"]);
    assert!(!json!(listed).to_string().contains(text));
    let revoked = server.done("revokeApiToken", json!({ "id": token["id"] }), "apiToken { revokedAt }").await;
    assert!(revoked["apiToken"]["revokedAt"].is_string());
    let again = server.done("revokeApiToken", json!({ "id": token["id"] }), "apiToken { revokedAt }").await;
    assert_eq!(again, revoked);
    assert!(is_refused(&server, text).await);
}

#[tokio::test]
async fn what_cannot_be_a_token_is_refused() {
    let server = Server::start().await;
    let other = server.ask("{ integration(key: \"okta\") { id } }", json!({})).await["integration"]["id"].take();
    let token = |more: Value| {
        let mut input = json!({ "name": "a", "role": "VIEWER" });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        input
    };
    for (input, field) in [
        (token(json!({ "name": " " })), "name"),
        (token(json!({ "name": "a\nb" })), "name"),
        (token(json!({ "name": "a".repeat(101) })), "name"),
        (token(json!({ "expiresAt": "2020-01-01T00:00:00Z" })), "expiresAt"),
        (token(json!({ "email": "nobody" })), "email"),
        (token(json!({ "personal": true })), "personal"),
        (token(json!({ "scope": {} })), "scope"),
        (token(json!({ "scope": { "integrationKeys": ["nope"] } })), "scope"),
        (token(json!({ "scope": { "instanceIds": [other] } })), "scope"),
    ] {
        let refused = server.mutate("createApiToken", input.clone(), FIELDS).await;
        assert!(refused["token"].is_null() && refused["apiToken"].is_null(), "{input}: {refused}");
        assert_eq!(refused["userErrors"][0]["field"][0], field, "{input}: {refused}");
    }
    assert_eq!(tokens(&server).await.len(), 2);
    let missing = server.ask("{ apiTokens { nodes { id } } }", json!({})).await["apiTokens"]["nodes"][0]["id"].take();
    let missing = missing.as_str().unwrap();
    let none =
        server.mutate("revokeApiToken", json!({ "id": format!("{}AA", &missing[..missing.len() - 2]) }), "").await;
    assert!(!none["userErrors"].as_array().unwrap().is_empty(), "{none}");
}

#[tokio::test]
async fn a_token_creates_none_that_outlives_it_or_its_member() {
    let server = Server::start().await;
    let mutation = "mutation($input: CreateApiTokenInput!) { createApiToken(input: $input) {
        token apiToken { createdBy isPersonal expiresAt } userErrors { field } } }";
    let create = async |with: &str, more: Value| {
        let mut input = json!({ "name": "child", "role": "ADMIN" });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        server.ask_as(with, mutation, json!({ "input": input })).await["data"]["createApiToken"].take()
    };
    let end = Clock::System.now() / 1000 * 1000 + 3_600_000;
    let brief = NewToken { expires_at: Some(end), ..NewToken::new("brief", Role::Admin) };
    let brief = server.tokens.create(brief).await.unwrap().text;
    for expires in [json!(null), json!(date_time(end + 1_000))] {
        let refused = create(&brief, json!({ "expiresAt": expires })).await;
        assert_eq!(refused["userErrors"][0]["field"], json!(["expiresAt"]), "{refused}");
    }
    let made = create(&brief, json!({})).await["apiToken"].take();
    let at = chrono::DateTime::parse_from_rfc3339(made["expiresAt"].as_str().unwrap()).unwrap();
    assert_eq!((at.timestamp_millis(), &made["createdBy"]), (end, &json!("brief")));

    // Who bears a token is remembered for a moment.
    server.tokens.revoke("brief").await.unwrap();
    let refused = create(&brief, json!({})).await;
    assert!(refused["apiToken"].is_null(), "{refused}");

    let ada = NewMember { name: "Ada".into(), email: "ada@example.com".into(), role: Role::Admin };
    let ada = server.members.create(&ada).await.unwrap().0.id;
    let own = NewToken { member_id: Some(ada), ..NewToken::new("own", Role::Admin) };
    let own = server.tokens.create(own).await.unwrap().text;
    let refused = create(&own, json!({ "personal": false })).await;
    assert_eq!(refused["userErrors"][0]["field"], json!(["personal"]), "{refused}");
    let made = create(&own, json!({})).await;
    assert_eq!(made["apiToken"]["isPersonal"], true, "{made}");
    server.members.reset(ada).await.unwrap();
    assert!(is_refused(&server, &own).await && is_refused(&server, made["token"].as_str().unwrap()).await);
}

#[tokio::test]
async fn a_token_ends_when_it_expires_and_its_socket_with_it() {
    let server = Server::start().await;
    let now = Clock::System.now();
    let new = NewToken { expires_at: Some(now + 3_000), ..NewToken::new("brief", Role::Viewer) };
    let brief = server.tokens.create(new).await.unwrap().text;
    let expiring = "{ serverStatus { expiringTokens { name expiresSoon } } }";
    let found = server.ask(expiring, json!({})).await;
    assert_eq!(found["serverStatus"]["expiringTokens"], json!([{ "name": "brief", "expiresSoon": true }]));
    let mut socket = server.acknowledged(&brief).await;
    socket.subscribe("s", ENDLESS).await;
    assert_eq!(socket.close_code().await, 4401);
    assert!(Clock::System.now() >= now + 3_000 && is_refused(&server, &brief).await);
    let found = server.ask(expiring, json!({})).await;
    assert_eq!(found["serverStatus"]["expiringTokens"], json!([]));
}

#[tokio::test]
async fn the_last_use_is_written_in_the_background() {
    let server = Server::start().await;
    server.ask_as(&server.viewer, "{ __typename }", json!({})).await;
    server.tokens.write_uses().await.unwrap();
    let used: Vec<_> =
        tokens(&server).await.iter().map(|it| (it["name"].clone(), it["lastUsedAt"].is_string())).collect();
    assert_eq!(used[0], (json!("viewer"), true));
    server.tokens.write_uses().await.unwrap();
    assert!(tokens(&server).await.iter().all(|it| it["lastUsedAt"].is_string()));
}

#[tokio::test]
async fn a_row_that_was_changed_outside_is_no_token() {
    let server = Server::start().await;
    let scope = muster::auth::Scope { integrations: ["okta".to_owned()].into(), ..Default::default() };
    let at = Clock::System.now() + 60_000;
    for (name, change_to) in [("scoped", "scope = NULL"), ("brief", "expires_at = NULL"), ("own", "member_id = NULL")] {
        let new = NewToken {
            scope: Some(scope.clone()),
            expires_at: Some(at),
            member_id: Some(uuid::Uuid::nil()),
            ..NewToken::new(name, Role::Viewer)
        };
        let token = server.tokens.create(new).await.unwrap().text;
        change(&server.db, &format!("UPDATE api_token SET {change_to} WHERE name = '{name}'")).await;
        assert!(is_refused(&server, &token).await, "{name}");
    }
}

const CREATE: &str = "mutation($input: CreateApiTokenInput!) { createApiToken(input: $input) {
    token apiToken { isPersonal createdBy } userErrors { message } } }";
const INVITE: &str = "mutation($email: String!) { createMember(input: { name: \"Eve\", email: $email, role: ADMIN }) {
    member { role } userErrors { code } } }";

/// Waits until a token may administer, or may not.
async fn administers(server: &Server, token: &str, wanted: bool) {
    let deadline = tokio::time::Instant::now() + DEADLINE;
    loop {
        let answer = server.ask_as(token, "{ members { totalCount } }", json!({})).await;
        let may = answer["data"]["members"]["totalCount"].is_number();
        assert!(may || answer["errors"][0]["extensions"]["code"] == "FORBIDDEN", "{answer}");
        if may == wanted {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "{answer}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_token_of_the_installation_administers_as_long_as_its_creator_does() {
    let server = Server::start().await;
    for email in ["ada@example.com", "root@example.com"] {
        member(&server, email, Role::Admin).await;
    }
    let ada = server.members.id_of("ada@example.com").await.unwrap();
    let mut browser = Browser::signed_in(&server, "ada@example.com").await;
    let input = json!({ "input": { "name": "machine", "role": "ADMIN" } });
    let made = browser.ask(CREATE, input.clone()).await["data"]["createApiToken"].take();
    assert_eq!(made["apiToken"], json!({ "isPersonal": false, "createdBy": "ada@example.com" }), "{made}");
    let machine = made["token"].as_str().unwrap().to_owned();
    // What the token creates is Ada's as well.
    let child = server.ask_as(&machine, CREATE, input).await["data"]["createApiToken"]["token"].take();
    let child = child.as_str().unwrap().to_owned();
    let invited = server.ask_as(&machine, INVITE, json!({ "email": "eve@example.com" })).await;
    assert_eq!(invited["data"]["createMember"]["member"], json!({ "role": "ADMIN" }), "{invited}");
    let log = "{ auditLog(first: 1, filter: { actions: [MEMBER_CREATED] }) { nodes { actor actorKind outcome } } }";
    let entry = server.ask(log, json!({})).await["auditLog"]["nodes"][0].take();
    assert_eq!(entry, json!({ "actor": "machine", "actorKind": "TOKEN", "outcome": "OK" }));

    let role = |role| Change { role: Some(role), ..Change::default() };
    let disabled = |disabled| Change { disabled: Some(disabled), ..Change::default() };
    for (lose, gain) in [(role(Role::Viewer), role(Role::Admin)), (disabled(true), disabled(false))] {
        let mut socket = server.acknowledged(&machine).await;
        socket.subscribe("s", ENDLESS).await;
        server.members.update(ada, &lose).await.unwrap();
        let began = tokio::time::Instant::now();
        assert_eq!(socket.close_code().await, 4401);
        for token in [&machine, &child] {
            administers(&server, token, false).await;
            assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
            let refused = server.ask_as(token, INVITE, json!({ "email": "mallory@example.com" })).await;
            assert_eq!(refused["errors"][0]["extensions"]["code"], "FORBIDDEN", "{refused}");
            let answer = server.ask_as(token, "{ instances { totalCount } recipients { emails } }", json!({})).await;
            assert!(answer.get("errors").is_none(), "machines go on with instances: {answer}");
        }
        server.members.update(ada, &gain).await.unwrap();
        administers(&server, &machine, true).await;
    }
    change(&server.db, "UPDATE api_token SET creator_id = NULL WHERE name = 'machine'").await;
    assert!(is_refused(&server, &machine).await, "its creator is signed");
}

#[tokio::test]
async fn a_role_and_a_scope_of_a_newer_version_open_nothing() {
    let server = Server::start().await;
    let token = server.tokens.create(NewToken::new("newer", Role::Admin)).await.unwrap().text;
    change(&server.db, "UPDATE api_token SET role = 'wizard' WHERE name = 'newer'").await;
    assert!(is_refused(&server, &token).await);
    let list = "{ apiTokens(first: 100) { nodes { name role } } }";
    let found = server.ask(list, json!({})).await["apiTokens"]["nodes"].take();
    assert_eq!(found[0], json!({ "name": "newer", "role": "REPORTS" }));
    assert_eq!(found.as_array().unwrap().len(), 3);
    member(&server, "ada@example.com", Role::Admin).await;
    let mut browser = Browser::signed_in(&server, "ada@example.com").await;
    change(&server.db, "UPDATE member SET role = 'wizard'").await;
    let found = server.ask("{ members { nodes { email role } } }", json!({})).await["members"]["nodes"].take();
    assert_eq!(found, json!([{ "email": "ada@example.com", "role": "REPORTS" }]));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!browser.is_in().await);

    let row = server.tokens.list().await.unwrap().remove(0);
    let newer = Some(r#"{"integrations":["okta"],"instances":[],"countries":["NL"]}"#.to_owned());
    let seen = tokens::scope(&entity::api_token::Model { scope: newer, ..row }).expect("it is limited");
    assert!(!seen.has("okta", uuid::Uuid::nil()), "to nothing");
}
