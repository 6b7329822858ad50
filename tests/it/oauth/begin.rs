//! Beginning a consent: what is refused, and what the authorization URL and the cookie contain.

use std::collections::BTreeMap;

use sea_orm::EntityTrait;
use serde_json::{Value, json};

use super::provider::{CLIENT, Provider, SECRET};
use super::{KEY, begin, connect, new, server};
use crate::support::ask::pairs;
use crate::support::{Server, http, publish};

async fn refused(server: &Server, input: Value) -> (String, Value) {
    let mut refusals = server.refused("beginAuthorization", input.clone()).await;
    assert_eq!(refusals.len(), 1, "{input}");
    refusals.remove(0)
}

#[tokio::test]
async fn whatever_create_instance_would_refuse_sends_nobody_away() {
    let (server, provider) = (server().start().await, Provider::start().await);
    let taken = server.rehearse("Taken", &[]).await;
    server.idle(&taken, "").await;
    let with = |field: &str, value: Value| {
        let mut input = new(&provider, "Acme");
        input[field] = value;
        input
    };
    let secret_left_out = pairs(&provider.config()[..2]);
    for (input, code, field) in [
        (json!({ "config": [] }), "INVALID_INPUT", json!(["integrationKey"])),
        (with("instanceId", json!("x")), "INVALID_INPUT", json!(["integrationKey"])),
        (with("integrationKey", json!("nope")), "UNKNOWN_INTEGRATION", json!(["integrationKey"])),
        (with("name", Value::Null), "INVALID_INPUT", json!(["name"])),
        (with("name", json!("a\nb")), "INVALID_INPUT", json!(["name"])),
        (with("name", json!("taken")), "NAME_TAKEN", json!(["name"])),
        (with("syncIntervalMinutes", json!(0)), "INVALID_INPUT", json!(["syncIntervalMinutes"])),
        (with("config", secret_left_out), "INVALID_INPUT", json!(["config", "client_secret"])),
        (with("config", pairs(&[("nope", "1")])), "INVALID_INPUT", json!(["config", "nope"])),
        (
            json!({ "integrationKey": "rehearsal", "name": "R", "config": [] }),
            "INVALID_INPUT",
            json!(["integrationKey"]),
        ),
    ] {
        let payload = server.mutate("beginAuthorization", input.clone(), "authorizationUrl expiresAt").await;
        assert_eq!((&payload["authorizationUrl"], &payload["expiresAt"]), (&Value::Null, &Value::Null), "{input}");
        let found = payload["userErrors"].as_array().unwrap().iter().find(|refusal| refusal["field"] == field);
        assert_eq!(found.unwrap_or_else(|| panic!("{input}: {payload}"))["code"], code, "{input}");
    }
    let by_token = pairs(&[("base_url", &provider.url), ("authentication", "token"), ("token", "t")]);
    assert_eq!(refused(&server, with("config", by_token)).await, ("INVALID_INPUT".into(), json!(["integrationKey"])));
    assert_eq!(entity::oauth_authorization::Entity::find().all(server.db.read()).await.unwrap().len(), 0);
}

#[tokio::test]
async fn a_reconnection_is_refused_where_it_makes_no_sense() {
    let (server, provider) = (server().start().await, Provider::start().await);
    let id = connect(&server, new(&provider, "Acme")).await;
    server.idle(&id, "").await;
    let by_token = pairs(&[("authentication", "token"), ("token", "t")]);
    for (input, field) in [
        (json!({ "instanceId": id, "name": "Bolt" }), json!(["name"])),
        (json!({ "instanceId": id, "syncIntervalMinutes": 5 }), json!(["syncIntervalMinutes"])),
        (json!({ "instanceId": id, "config": pairs(&[("nope", "1")]) }), json!(["config", "nope"])),
        (json!({ "instanceId": id, "config": by_token }), json!(["instanceId"])),
        (json!({ "instanceId": "x" }), json!(["instanceId"])),
    ] {
        assert_eq!(refused(&server, input.clone()).await, ("INVALID_INPUT".into(), field), "{input}");
    }
    let rehearsal = server.rehearse("Rehearsal", &[]).await;
    server.idle(&rehearsal, "").await;
    let input = json!({ "instanceId": rehearsal });
    assert_eq!(refused(&server, input).await, ("INVALID_INPUT".into(), json!(["instanceId"])));
    server.done("deleteInstance", json!({ "id": id, "acknowledgeIrreversible": true }), "").await;
    server.until(&id, "status", |found| found["status"] == "DELETED").await;
    let input = json!({ "instanceId": id });
    assert_eq!(refused(&server, input).await, ("INSTANCE_DELETED".into(), json!(["instanceId"])));
}

#[tokio::test]
async fn without_a_consent_nothing_is_created_or_tried() {
    let (server, provider) = (server().start().await, Provider::start().await);
    let wanted = [("AUTHORIZATION_REQUIRED".to_owned(), json!(["integrationKey"]))];
    assert_eq!(server.refused("createInstance", new(&provider, "Acme")).await, wanted);
    let payload = server.mutate("createInstance", new(&provider, "Acme"), "").await;
    assert!(payload["userErrors"][0]["message"].as_str().unwrap().contains("beginAuthorization"), "{payload}");
    let input = json!({ "integrationKey": KEY, "config": pairs(&provider.config()) });
    assert_eq!(server.refused("testConnection", input).await, wanted);
    // The other kind of authentication needs no consent.
    let by_token = json!({ "integrationKey": KEY, "name": "Acme",
        "config": pairs(&[("base_url", &provider.url), ("authentication", "token"), ("token", "t")]) });
    let refused = server.refused("createInstance", by_token).await;
    assert_eq!(refused, [("CREDENTIAL_REJECTED".to_owned(), json!(["config"]))]);
}

#[tokio::test]
async fn only_administrators_begin() {
    let (server, provider) = (server().start().await, Provider::start().await);
    let query = "mutation($input: BeginAuthorizationInput!) { beginAuthorization(input: $input) { authorizationUrl } }";
    let answer = server.ask_as(&server.viewer, query, json!({ "input": new(&provider, "Acme") })).await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "FORBIDDEN");
}

#[tokio::test]
async fn the_address_has_all_that_the_application_needs_and_the_database_no_secret_in_clear() {
    let provider = Provider::start().await;
    let server = server().settings(|settings| publish(settings, "https://muster.example.com/inner/")).start().await;
    let url = begin(&server, new(&provider, "Acme")).await;
    let url = url::Url::parse(&url).unwrap();
    assert_eq!(url.path(), "/authorize");
    let query: BTreeMap<_, _> = url.query_pairs().into_owned().collect();
    let of = |name: &str| query.get(name).map_or("", String::as_str);
    assert_eq!(
        (of("response_type"), of("client_id"), of("scope"), of("code_challenge_method"), of("redirect_uri")),
        ("code", CLIENT, "directory.read", "S256", "https://muster.example.com/inner/oauth/callback/consenting")
    );
    assert_eq!((of("state").len(), of("code_challenge").len()), (43, 43));
    let again = begin(&server, new(&provider, "Acme")).await;
    assert!(!again.contains(of("state")) && !again.contains(of("code_challenge")));

    let rows = entity::oauth_authorization::Entity::find().all(server.db.read()).await.unwrap();
    assert_eq!(rows.len(), 2);
    assert!(rows.iter().all(|row| row.browser_hash.is_none() && row.expires_at == row.created_at + 600_000));
    for (name, bytes) in server.stop().await.stored().await {
        for secret in [SECRET, query["state"].as_str()] {
            assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()), "{name}");
        }
    }
}

#[tokio::test]
async fn a_caller_can_wait_for_some_consents_only() {
    let (server, provider) = (server().start().await, Provider::start().await);
    for number in 0..20 {
        begin(&server, new(&provider, &format!("Acme {number}"))).await;
    }
    let refused = server.mutate("beginAuthorization", new(&provider, "Acme"), "authorizationUrl").await;
    assert_eq!(refused["userErrors"][0]["code"], "INVALID_INPUT", "{refused}");
}

/// The `Set-Cookie` header of the response to `beginAuthorization` with these request headers.
async fn cookie(server: &Server, provider: &Provider, headers: &[(&str, &str)]) -> Option<String> {
    let query = "mutation($input: BeginAuthorizationInput!) { beginAuthorization(input: $input) { authorizationUrl } }";
    let mut call = http()
        .post(format!("{}/graphql", server.url))
        .bearer_auth(&server.admin)
        .header("content-type", "application/json")
        .body(json!({ "query": query, "variables": { "input": new(provider, "Acme") } }).to_string());
    for (name, value) in headers {
        call = call.header(*name, *value);
    }
    let answer = call.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.headers().get("set-cookie").map(|value| value.to_str().unwrap().to_owned())
}

#[tokio::test]
async fn only_the_console_gets_a_cookie() {
    let (server, provider) = (server().start().await, Provider::start().await);
    let own = server.url.clone();
    for headers in [
        &[][..],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "same-origin"), ("origin", "http://localhost:1")],
        &[("origin", "http://localhost:1")],
    ] {
        assert_eq!(cookie(&server, &provider, headers).await, None, "{headers:?}");
    }
    // Over plain HTTP, browsers send only the origin.
    assert!(cookie(&server, &provider, &[("origin", &own)]).await.is_some());
    let cookie = cookie(&server, &provider, &[("sec-fetch-site", "same-origin"), ("origin", &own)]).await.unwrap();
    assert!(cookie.starts_with("muster_authorization_"), "{cookie}");
    let mut attributes: Vec<_> = cookie.split("; ").skip(1).collect();
    attributes.sort_unstable();
    assert_eq!(attributes, ["HttpOnly", "Max-Age=600", "Path=/oauth/callback", "SameSite=Lax"], "{cookie}");
    // No other request sets a cookie.
    let answer = http()
        .post(format!("{}/graphql", server.url))
        .bearer_auth(&server.admin)
        .header("content-type", "application/json")
        .header("sec-fetch-site", "same-origin")
        .body(json!({ "query": "{ integrations { totalCount } }" }).to_string());
    assert!(answer.send().await.unwrap().headers().get("set-cookie").is_none());
}
