use serde_json::{Value, json};

use super::BAD_NAMES;
use crate::support::Server;
use crate::support::ask::pairs;

fn invalid(path: &[&str]) -> Vec<(String, Value)> {
    vec![("INVALID_INPUT".to_owned(), json!(path))]
}

fn named(name: &str) -> Value {
    json!({ "integrationKey": "rehearsal", "name": name, "config": [] })
}

#[tokio::test]
async fn a_name_must_be_readable_and_not_too_long() {
    let server = Server::start().await;
    let (long, endless) = ("ä".repeat(201), "x".repeat(10_000));
    for name in BAD_NAMES.into_iter().chain([long.as_str(), &endless]) {
        assert_eq!(server.refused("createInstance", named(name)).await, invalid(&["name"]), "{name:?}");
    }
    for name in ["ä".repeat(200), "Ünïcødé 日本 🦀 l'équipe \"A\" <b>&amp; % _ \\".into()] {
        let created = server.done("createInstance", named(&name), "instance { name }").await;
        assert_eq!(created["instance"]["name"], name);
    }
}

#[tokio::test]
async fn a_name_is_taken_in_any_case_and_with_spaces_around_it() {
    let server = Server::start().await;
    let id = server.rehearse("Ärzte", &[]).await;
    server.idle(&id, "").await;
    for name in ["Ärzte", "ärzte", " ÄRZTE  "] {
        let refusals = server.refused("createInstance", named(name)).await;
        assert_eq!(refusals, [("NAME_TAKEN".to_owned(), json!(["name"]))], "{name}");
    }
    let (a, b) = (named("Twin"), named("twin"));
    let (a, b) = tokio::join!(
        server.mutate("createInstance", a, "instance { id }"),
        server.mutate("createInstance", b, "instance { id }")
    );
    assert_ne!(a["instance"].is_null(), b["instance"].is_null(), "exactly one of two gets the name");
}

#[tokio::test]
async fn the_integration_must_be_in_the_catalog() {
    let server = Server::start().await;
    for key in ["", "nope", "REHEARSAL", "rehearsal ", "../rehearsal"] {
        let input = json!({ "integrationKey": key, "name": "Acme", "config": [] });
        let refusals = server.refused("createInstance", input).await;
        assert_eq!(refusals, [("UNKNOWN_INTEGRATION".to_owned(), json!(["integrationKey"]))], "{key}");
    }
}

#[tokio::test]
async fn a_configuration_has_each_field_of_the_form_at_most_once() {
    let server = Server::start().await;
    let with = |key: &str, config: Value| json!({ "integrationKey": key, "name": "Acme", "config": config });
    for (config, field) in [
        (json!([{ "key": "nope", "value": "x" }]), "nope"),
        (json!([{ "key": "Users", "value": "1" }]), "Users"),
        (json!([{ "key": "users", "value": "1" }, { "key": "users", "value": "2" }]), "users"),
        (json!([{ "key": "users", "value": "many" }]), "users"),
        (json!([{ "key": "users", "value": "-1" }]), "users"),
        (json!([{ "key": "page_size", "value": "0" }]), "page_size"),
        (json!([{ "key": "users", "value": "99999999999999999999" }]), "users"),
        (json!([{ "key": "outcomes", "value": "success,nope" }]), "outcomes"),
        (json!([{ "key": "tenant", "value": "a\u{0}b" }]), "tenant"),
        (json!([{ "key": "tenant", "value": "x".repeat(20_000) }]), "tenant"),
    ] {
        assert_eq!(
            server.refused("createInstance", with("rehearsal", config)).await,
            invalid(&["config", field]),
            "{field}"
        );
    }
    let refusals = server.refused("createInstance", with("scim", json!([]))).await;
    assert_eq!(refusals, [invalid(&["config", "base_url"]), invalid(&["config", "token"])].concat());
    let config = pairs(&[("base_url", "  "), ("token", "")]);
    assert_eq!(
        server.refused("createInstance", with("scim", config)).await,
        refusals,
        "a blank value counts as left out"
    );
    for address in ["nonsense", "ftp://example.com", "https://user:pass@example.com", "https://example.com/?a=b"] {
        let config = pairs(&[("base_url", address), ("token", "secret")]);
        assert_eq!(
            server.refused("createInstance", with("scim", config)).await,
            invalid(&["config", "base_url"]),
            "{address}"
        );
    }
}

#[tokio::test]
async fn all_errors_are_reported_at_once() {
    let server = Server::start().await;
    let input = json!({ "integrationKey": "rehearsal", "name": " ", "syncIntervalMinutes": 0,
        "config": pairs(&[("users", "x"), ("nope", "x")]) });
    let mut paths: Vec<String> =
        server.refused("createInstance", input).await.into_iter().map(|(_, path)| path.to_string()).collect();
    paths.sort();
    assert_eq!(paths, [r#"["config","nope"]"#, r#"["config","users"]"#, r#"["name"]"#, r#"["syncIntervalMinutes"]"#]);
}

#[tokio::test]
async fn an_interval_is_from_a_minute_to_thirty_days() {
    let server = Server::start().await;
    let every = |minutes: i64| json!({ "integrationKey": "rehearsal", "name": format!("every {minutes}"), "config": [], "syncIntervalMinutes": minutes });
    for minutes in [0, -1, 43_201, i64::from(i32::MAX)] {
        assert_eq!(
            server.refused("createInstance", every(minutes)).await,
            invalid(&["syncIntervalMinutes"]),
            "{minutes}"
        );
    }
    for minutes in [1, 43_200] {
        let created = server.done("createInstance", every(minutes), "instance { syncIntervalMinutes }").await;
        assert_eq!(created["instance"]["syncIntervalMinutes"], minutes);
    }
}

#[tokio::test]
async fn no_instance_is_created_for_an_unreachable_application() {
    let server = Server::start().await;
    let input = json!({ "integrationKey": "scim", "name": "Acme",
        "config": pairs(&[("base_url", "https://127.0.0.1:9/scim"), ("token", "secret")]) });
    let refusals = server.refused("createInstance", input).await;
    assert_eq!(refusals, [("APPLICATION_UNREACHABLE".to_owned(), json!(["config"]))]);
}
