use serde_json::{Value, json};

use super::BAD_NAMES;
use crate::support::Server;
use crate::support::ask::pairs;

fn one(code: &str, field: &str) -> Vec<(String, Value)> {
    vec![(code.to_owned(), json!([field]))]
}

async fn idle_instance(server: &Server, name: &str) -> String {
    let id = server.rehearse(name, &[]).await;
    server.idle(&id, "").await;
    id
}

#[tokio::test]
async fn invalid_values_are_refused_with_their_field() {
    let server = Server::start().await;
    let id = idle_instance(&server, "Acme").await;
    let long = "x".repeat(10_000);
    for name in BAD_NAMES.into_iter().chain([&long[..201], &long]) {
        assert_eq!(
            server.refused("updateInstance", json!({ "id": id, "name": name })).await,
            one("INVALID_INPUT", "name"),
            "{name:?}"
        );
    }
    for minutes in [0, -1, 43_201] {
        let input = json!({ "id": id, "syncIntervalMinutes": minutes });
        assert_eq!(server.refused("updateInstance", input).await, one("INVALID_INPUT", "syncIntervalMinutes"));
    }
    for status in ["DELETING", "DELETED"] {
        let refusals = server.refused("updateInstance", json!({ "id": id, "status": status })).await;
        assert_eq!(refusals, one("INVALID_INPUT", "status"));
    }
    for (config, field) in [
        (pairs(&[("nope", "1")]), "nope"),
        (pairs(&[("users", "1"), ("users", "1")]), "users"),
        (pairs(&[("users", "x")]), "users"),
    ] {
        let refusals = server.refused("updateInstance", json!({ "id": id, "config": config })).await;
        assert_eq!(refusals, [("INVALID_INPUT".to_owned(), json!(["config", field]))]);
    }
    let mixed = json!({ "id": id, "name": "Bolt", "status": "INACTIVE", "syncIntervalMinutes": 0 });
    assert_eq!(server.refused("updateInstance", mixed).await, one("INVALID_INPUT", "syncIntervalMinutes"));
}

#[tokio::test]
async fn null_is_a_value_and_an_absent_field_is_not() {
    let server = Server::start().await;
    let id = idle_instance(&server, "Acme").await;
    for field in ["name", "status", "config"] {
        let refusals = server.refused("updateInstance", json!({ "id": id, field: null })).await;
        assert_eq!(refusals, one("INVALID_INPUT", field));
    }
    let fields = "instance { name syncIntervalMinutes status revision }";
    let payload = server.done("updateInstance", json!({ "id": id, "syncIntervalMinutes": 5 }), fields).await;
    assert_eq!(payload["instance"]["syncIntervalMinutes"], 5);
    let payload = server.done("updateInstance", json!({ "id": id, "name": "Bolt" }), fields).await;
    assert_eq!(payload["instance"]["syncIntervalMinutes"], 5, "absent keeps it");
    let payload = server.done("updateInstance", json!({ "id": id, "syncIntervalMinutes": null }), fields).await;
    assert_eq!(
        payload["instance"],
        json!({ "name": "Bolt", "syncIntervalMinutes": 60, "status": "LIVE", "revision": 4 })
    );
    let before = server.everything().await;
    server.done("updateInstance", json!({ "id": id, "expectedRevision": null }), fields).await;
    assert_eq!(server.everything().await, before);
}

#[tokio::test]
async fn an_omitted_variable_is_absent_and_a_null_variable_is_null() {
    let server = Server::start().await;
    let id = idle_instance(&server, "Acme").await;
    let query = "mutation($id: ID!, $name: String, $status: InstanceStatus, $minutes: Int, $config: [ConfigValueInput!]) {
        updateInstance(input: { id: $id, name: $name, status: $status, syncIntervalMinutes: $minutes, config: $config }) {
            instance { name syncIntervalMinutes } userErrors { code field } } }";
    let data = server.ask(query, json!({ "id": id, "minutes": 7 })).await;
    assert_eq!(
        data["updateInstance"],
        json!({ "instance": { "name": "Acme", "syncIntervalMinutes": 7 }, "userErrors": [] })
    );
    let data = server.ask(query, json!({ "id": id, "name": "Bolt" })).await;
    assert_eq!(data["updateInstance"]["instance"], json!({ "name": "Bolt", "syncIntervalMinutes": 7 }));
    for (variable, field) in [("name", "name"), ("status", "status"), ("config", "config")] {
        let data = server.ask(query, json!({ "id": id, variable: null })).await;
        let refusal = json!({ "instance": null, "userErrors": [{ "code": "INVALID_INPUT", "field": [field] }] });
        assert_eq!(data["updateInstance"], refusal, "{field}");
    }
    let data = server.ask(query, json!({ "id": id, "minutes": null })).await;
    assert_eq!(data["updateInstance"]["instance"]["syncIntervalMinutes"], 60);
}

#[tokio::test]
async fn an_expected_revision_protects_the_changes_of_others() {
    let server = Server::start().await;
    let id = idle_instance(&server, "Acme").await;
    let payload = server
        .done("updateInstance", json!({ "id": id, "name": "Bolt", "expectedRevision": 1 }), "instance { revision }")
        .await;
    assert_eq!(payload["instance"]["revision"], 2);
    for revision in [1, 3, 0, -1] {
        let input = json!({ "id": id, "name": "Crux", "expectedRevision": revision });
        assert_eq!(server.refused("updateInstance", input.clone()).await, one("REVISION_CONFLICT", "expectedRevision"));
        let conflict = "instance { id } conflict { by at revision instance { name revision } }";
        let refused = server.mutate("updateInstance", input, conflict).await;
        let (conflict, now) = (&refused["conflict"], json!({ "name": "Bolt", "revision": 2 }));
        assert_eq!((&conflict["by"], &conflict["revision"]), (&json!("ada@example.com"), &json!(2)), "{refused}");
        assert!(
            conflict["at"].is_string() && conflict["instance"] == now && refused["instance"].is_null(),
            "{refused}"
        );
    }
    server.sync(&id, "id").await;
    assert_eq!(server.instance(&id, "revision").await["revision"], 2, "syncs do not change it");
    let names = ["Dune", "Echo", "Fern"].map(|name| json!({ "id": id, "name": name, "expectedRevision": 2 }));
    let rivals =
        futures_util::future::join_all(names.map(|input| server.mutate("updateInstance", input, "instance { name }")))
            .await;
    assert_eq!(rivals.iter().filter(|payload| payload["instance"].is_object()).count(), 1, "{rivals:?}");
}

#[tokio::test]
async fn changes_without_an_expected_revision_are_all_made() {
    let server = Server::start().await;
    let id = idle_instance(&server, "Acme").await;
    let update = |input: Value| server.done("updateInstance", input, "");
    tokio::join!(
        update(json!({ "id": id, "name": "Bolt" })),
        update(json!({ "id": id, "syncIntervalMinutes": 9 })),
        update(json!({ "id": id, "config": pairs(&[("users", "7")]) })),
    );
    let now = server.instance(&id, "name syncIntervalMinutes revision config { key value }").await;
    assert_eq!((&now["name"], &now["syncIntervalMinutes"], &now["revision"]), (&json!("Bolt"), &json!(9), &json!(4)));
    assert!(now["config"].as_array().unwrap().contains(&json!({ "key": "users", "value": "7" })));
}

#[tokio::test]
async fn a_name_of_another_instance_is_taken_and_its_own_is_not() {
    let server = Server::start().await;
    let id = idle_instance(&server, "Acme").await;
    idle_instance(&server, "Bolt").await;
    assert_eq!(server.refused("updateInstance", json!({ "id": id, "name": " BOLT" })).await, one("NAME_TAKEN", "name"));
    let payload = server.done("updateInstance", json!({ "id": id, "name": "ACME" }), "instance { name }").await;
    assert_eq!(payload["instance"]["name"], "ACME");
}

#[tokio::test]
async fn a_key_that_is_left_out_keeps_its_value_and_an_empty_value_clears_it() {
    let server = Server::start().await;
    let id = server.rehearse("Acme", &[("users", "7"), ("tenant", "blue")]).await;
    server.idle(&id, "").await;
    server.configure(&id, &[("page_size", "3")]).await;
    let value = |config: &Value, key: &str| {
        config.as_array().unwrap().iter().find(|field| field["key"] == key).unwrap()["value"].clone()
    };
    let config = server.instance(&id, "config { key value }").await["config"].take();
    assert_eq!([value(&config, "users"), value(&config, "tenant"), value(&config, "page_size")], ["7", "blue", "3"]);
    server.configure(&id, &[("users", "")]).await;
    let config = server.instance(&id, "config { key value }").await["config"].take();
    assert_eq!(value(&config, "users"), "100", "the field's default");
}
