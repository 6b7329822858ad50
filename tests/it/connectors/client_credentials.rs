//! Client credentials, with a real authorization server that checks the token requests.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::Peered;
use crate::peers::users;
use crate::support::ask::pairs;

/// Connects, and checks the users and the token requests.
async fn lists_everybody(authentication: &str, more: &[(&str, &str)], auth: &str) {
    let peered = Peered::start().await;
    let key = peered.oidc.private_key().await;
    let more: Vec<_> = more.iter().map(|&(name, value)| (name, if value == "KEY" { &*key } else { value })).collect();
    let id = peered.server.integrate("peer", "Peer", &peered.config(authentication, &more)).await;
    let instance = peered.server.idle(&id, "health userCount lastSync { outcome failure { message } }").await;
    assert_eq!((&instance["health"], &instance["userCount"]), (&json!("OK"), &json!(5)), "{instance:#}");

    let users = users(&peered.server, &id).await;
    let seen: BTreeSet<_> =
        users.iter().map(|user| (user["externalId"].as_str().unwrap(), user["status"].as_str().unwrap())).collect();
    let wanted = [("u1", "ACTIVE"), ("u2", "ACTIVE"), ("u3", "SUSPENDED"), ("u4", "ACTIVE"), ("u5", "ACTIVE")];
    assert_eq!(seen, BTreeSet::from(wanted));

    let requests = peered.oidc.tokens().await;
    assert!(!requests.is_empty());
    for request in requests {
        assert_eq!(
            (request.grant_type.as_str(), request.auth.as_str(), request.status),
            ("client_credentials", auth, 200),
            "{request:?}"
        );
        assert_eq!(request.scope.as_deref(), Some("users.read"));
    }
}

#[tokio::test]
async fn a_secret_in_the_header() {
    lists_everybody("basic", &[("client_id", "basic"), ("client_secret", "secret-of-basic")], "basic").await;
}

#[tokio::test]
async fn a_secret_in_the_body() {
    lists_everybody("body", &[("client_id", "post"), ("client_secret", "secret-of-post")], "body").await;
}

#[tokio::test]
async fn an_assertion_that_is_signed_with_a_private_key() {
    lists_everybody("key", &[("client_id", "key"), ("private_key", "KEY")], "private_key_jwt").await;
}

#[tokio::test]
async fn a_token_that_the_application_has_ended_early_is_replaced_within_the_run() {
    let peered = Peered::start().await;
    let config = peered.config("basic", &[("client_id", "basic"), ("client_secret", "secret-of-basic")]);
    let id = peered.server.integrate("peer", "Peer", &config).await;
    peered.server.idle(&id, "").await;
    peered.oidc.expire().await;
    let run = peered.server.sync(&id, "outcome seen failure { class message }").await;
    assert_eq!(run, json!({ "outcome": "SUCCEEDED", "seen": 5, "failure": null }));
}

/// The refusals of an instance that must not be created.
async fn refusals(peered: &Peered, config: &[(&str, &str)]) -> Vec<Value> {
    let input = json!({ "integrationKey": "peer", "name": "Peer", "config": pairs(config) });
    let payload = peered.server.mutate("createInstance", input, "instance { id }").await;
    assert!(payload["instance"].is_null(), "{payload:#}");
    payload["userErrors"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_wrong_secret_is_refused_before_there_is_an_instance() {
    let peered = Peered::start().await;
    let config = peered.config("basic", &[("client_id", "basic"), ("client_secret", "wrong-5c1e")]);
    let refused = refusals(&peered, &config).await;
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0]["code"], "CREDENTIAL_REJECTED", "{refused:?}");
    assert!(!refused[0].to_string().contains("wrong-5c1e"));
    assert_eq!(peered.oidc.tokens().await.last().unwrap().error.as_deref(), Some("invalid_client"));
}

#[tokio::test]
async fn a_token_without_the_scope_is_refused_with_the_name_of_the_scope() {
    let peered = Peered::start().await;
    let config = peered
        .config("basic", &[("client_id", "basic"), ("client_secret", "secret-of-basic"), ("scope", "users.write")]);
    let refused = refusals(&peered, &config).await;
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0]["code"], "INSUFFICIENT_PERMISSIONS", "{refused:?}");
    assert!(refused[0]["message"].as_str().unwrap().contains("users.read"), "{refused:?}");
}
