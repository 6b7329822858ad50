//! Pages and refusals of a real SCIM server.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::Scim;
use super::scim::{server, users};
use crate::support::{Client, Server};

async fn all_250_come_once(options: &[&str], least_calls: u64) {
    let scim = Scim::start(250, options);
    let server = server().start().await;
    let id = server.integrate("scim", "Directory", &scim.config()).await;
    let instance = server.idle(&id, "userCount lastSync { outcome seen added failure { message } }").await;
    let run = json!({ "outcome": "SUCCEEDED", "seen": 250, "added": 250, "failure": null });
    assert_eq!((&instance["userCount"], &instance["lastSync"]), (&json!(250), &run));
    let users = users(&server, &id).await;
    let distinct: HashSet<_> = users.iter().map(|user| user["externalId"].as_str().unwrap()).collect();
    assert_eq!(distinct.len(), 250);
    assert!(scim.calls().await >= least_calls);
}

#[tokio::test]
async fn an_application_that_gives_smaller_pages_than_asked_for_is_listed_whole() {
    all_250_come_once(&["--max-page=3"], 84).await;
}

#[tokio::test]
async fn an_application_that_pages_by_cursor_is_listed_whole() {
    all_250_come_once(&["--cursor", "--max-page=40"], 7).await;
}

#[tokio::test]
async fn an_application_without_users_is_a_success() {
    let scim = Scim::start(0, &[]);
    let server = server().start().await;
    let id = server.integrate("scim", "Directory", &scim.config()).await;
    let instance = server.idle(&id, "health userCount").await;
    assert_eq!((&instance["health"], &instance["userCount"]), (&json!("OK"), &json!(0)));
}

#[tokio::test]
async fn many_who_leave_at_once_are_held_until_somebody_accepts_it() {
    let scim = Scim::start(250, &[]);
    let server = server().start().await;
    let id = server.integrate("scim", "Directory", &scim.config()).await;
    server.idle(&id, "").await;
    scim.set_users(150).await;
    let run = server.sync(&id, "outcome removed failure { class message }").await;
    assert_eq!((&run["outcome"], &run["removed"]), (&json!("FAILED"), &json!(0)), "{run:#}");
    assert_eq!(run["failure"]["class"], "REMOVAL_GUARD");
    assert!(run["failure"]["message"].as_str().unwrap().contains("100 of 250"), "{run:#}");
    assert_eq!(users(&server, &id).await.len(), 250);

    let accept =
        "mutation($id: ID!) { syncInstance(input: { id: $id, acceptRemovals: true }) { userErrors { code } } }";
    server.ask(accept, json!({ "id": id })).await;
    let instance = server.idle(&id, "health userCount lastSync { removed }").await;
    assert_eq!(
        instance,
        json!({ "syncState": "IDLE", "health": "OK", "userCount": 150, "lastSync": { "removed": 100 } })
    );
}

/// The only refusal of an instance that must not be created.
async fn refusal(client: &Client, base_url: &str, token: &str) -> Value {
    let config = json!([{ "key": "base_url", "value": base_url }, { "key": "token", "value": token }]);
    let mutation = "mutation($config: [ConfigValueInput!]!) {
        createInstance(input: { integrationKey: \"scim\", name: \"Directory\", config: $config }) { instance { id } userErrors { code message field } } }";
    let answer = client.ask(mutation, json!({ "config": config })).await["createInstance"].clone();
    assert!(answer["instance"].is_null());
    assert_eq!(client.ask("{ instances { totalCount } }", json!({})).await["instances"]["totalCount"], 0);
    let errors = answer["userErrors"].as_array().unwrap();
    assert_eq!(errors.len(), 1, "{answer:#}");
    errors[0].clone()
}

#[tokio::test]
async fn a_wrong_token_is_refused_before_there_is_an_instance() {
    let scim = Scim::start(3, &[]);
    let server = server().start().await;
    let refused = refusal(&server, &scim.base_url, "wrong-5c1e").await;
    assert_eq!(refused["code"], "CREDENTIAL_REJECTED");
    assert_eq!(refused["field"][0], "config");
    assert!(!refused.to_string().contains("wrong-5c1e"), "{refused}");
}

#[tokio::test]
async fn an_address_where_nothing_listens_is_refused_as_unreachable() {
    let server = server().start().await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let refused = refusal(&server, &format!("http://{free}/v2"), "token").await;
    assert_eq!(refused["code"], "APPLICATION_UNREACHABLE");
}

#[tokio::test]
async fn a_loopback_address_that_nobody_allowed_is_never_called() {
    let scim = Scim::start(3, &[]);
    let server = Server::start().await;
    let port = scim.base_url.trim_start_matches("http://127.0.0.1:");
    for (base_url, sentence) in [
        (scim.base_url.clone(), "plain http is used only for hosts within MUSTER_ALLOWED_NETWORKS"),
        (format!("https://127.0.0.1:{port}"), "can allow the network with MUSTER_ALLOWED_NETWORKS"),
        (format!("https://localhost:{port}"), "can allow the network with MUSTER_ALLOWED_NETWORKS"),
        (format!("https://2130706433:{port}"), "can allow the network with MUSTER_ALLOWED_NETWORKS"),
        (format!("https://[::ffff:127.0.0.1]:{port}"), "can allow the network with MUSTER_ALLOWED_NETWORKS"),
    ] {
        let refused = refusal(&server, &base_url, &scim.token).await;
        assert_eq!(refused["code"], "APPLICATION_UNREACHABLE", "{base_url}");
        assert!(refused["message"].as_str().unwrap().contains(sentence), "{base_url}: {refused}");
    }
    assert_eq!(scim.calls().await, 0);
}
