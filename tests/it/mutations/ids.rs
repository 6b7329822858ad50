use serde_json::{Value, json};

use crate::support::Server;

/// Every mutation of an instance, with the field for its id.
fn mutations_of(id: &str) -> [(&'static str, &'static str, Value); 6] {
    [
        ("updateInstance", "id", json!({ "id": id, "name": "Bolt" })),
        ("syncInstance", "id", json!({ "id": id })),
        ("cancelSync", "instanceId", json!({ "instanceId": id })),
        ("deleteAllUsers", "instanceId", json!({ "instanceId": id, "acknowledgeIrreversible": true })),
        ("deleteInstance", "id", json!({ "id": id, "acknowledgeIrreversible": true })),
        ("testConnection", "instanceId", json!({ "instanceId": id })),
    ]
}

/// Texts that are no ids.
const GARBAGE: [&str; 9] =
    ["", "1", "nonsense", "null", "💥", "SW5zdGFuY2U", "SW5zdGFuY2U6", "SW5zdGFuY2U6bm9wZQ", "' OR 1=1 --"];
/// `Instance:00000000000000000000000000000001`
const UNKNOWN: &str = "SW5zdGFuY2U6MDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDE";

#[tokio::test]
async fn an_invalid_id_is_refused_with_its_field() {
    // It reads everything before and after each refusal.
    let server = Server::builder().settings(|settings| settings.token_cost_per_minute = u32::MAX).start().await;
    let id = server.rehearse("Acme", &[]).await;
    let now = server.idle(&id, "integration { id } lastSync { id } users(first: 1) { nodes { id } }").await;
    let others = [&now["integration"]["id"], &now["lastSync"]["id"], &now["users"]["nodes"][0]["id"]]
        .map(|id| id.as_str().unwrap());
    let long = "A".repeat(10_000);
    for bad in GARBAGE.into_iter().chain(others).chain([long.as_str()]) {
        for (mutation, field, input) in mutations_of(bad) {
            let refusals = server.refused(mutation, input).await;
            assert_eq!(refusals, [("INVALID_INPUT".to_owned(), json!([field]))], "{mutation} {bad}");
        }
    }
}

#[tokio::test]
async fn an_unknown_id_is_not_found() {
    let server = Server::start().await;
    for (mutation, field, input) in mutations_of(UNKNOWN) {
        let refusals = server.refused(mutation, input).await;
        assert_eq!(refusals, [("NOT_FOUND".to_owned(), json!([field]))], "{mutation}");
    }
}

#[tokio::test]
async fn what_cannot_be_undone_needs_an_acknowledgement() {
    let server = Server::start().await;
    let id = server.rehearse("Acme", &[]).await;
    server.idle(&id, "").await;
    let wanted = [("ACKNOWLEDGEMENT_REQUIRED".to_owned(), json!(["acknowledgeIrreversible"]))];
    let input = json!({ "id": id, "acknowledgeIrreversible": false });
    assert_eq!(server.refused("deleteInstance", input).await, wanted);
    let input = json!({ "instanceId": id, "acknowledgeIrreversible": false });
    assert_eq!(server.refused("deleteAllUsers", input).await, wanted);
    for input in ["{ id: $id }", "{ id: $id, acknowledgeIrreversible: null }"] {
        let query = format!("mutation($id: ID!) {{ deleteInstance(input: {input}) {{ __typename }} }}");
        assert_eq!(server.error_code(&query, json!({ "id": id })).await, "GRAPHQL_VALIDATION_FAILED");
    }
}

#[tokio::test]
async fn a_connection_test_needs_either_an_integration_or_an_instance() {
    let server = Server::start().await;
    let id = server.rehearse("Acme", &[]).await;
    server.idle(&id, "").await;
    for input in [json!({}), json!({ "integrationKey": "rehearsal", "instanceId": id })] {
        let refusals = server.refused("testConnection", input).await;
        assert_eq!(refusals, [("INVALID_INPUT".to_owned(), json!(["integrationKey"]))]);
    }
    let refusals = server.refused("testConnection", json!({ "integrationKey": "nope" })).await;
    assert_eq!(refusals, [("UNKNOWN_INTEGRATION".to_owned(), json!(["integrationKey"]))]);
    let config = json!([{ "key": "users", "value": "x" }]);
    let refusals = server.refused("testConnection", json!({ "instanceId": id, "config": config })).await;
    assert_eq!(refusals, [("INVALID_INPUT".to_owned(), json!(["config", "users"]))]);
}
