//! Calls that most tests need.

use serde_json::{Value, json};

use super::Client;

/// Everything that a client can see. A refused request must not change it.
const EVERYTHING: &str = "{
  instances(first: 100, filter: { statuses: [LIVE, INACTIVE, DELETING, DELETED] }) { totalCount nodes {
    id name status inactiveReason syncState health failingSince createdBy createdAt updatedAt revision
    syncIntervalMinutes nextSyncAt userCount config { key value isSet } notice { title since }
    events(first: 20) { totalCount nodes { cursor cause } } } }
  syncHistory(first: 100) { totalCount nodes { id outcome queuedAt finishedAt seen added changed removed } }
  users(first: 100, filter: { includeRemoved: true }) { totalCount nodes { id email removedAt lastSeenAt } }
  notifications(first: 100) { totalCount nodes { id kind address } }
  recipients { emails }
}";

impl Client {
    /// The payload of a mutation with one input: `userErrors` and `fields`.
    pub async fn mutate(&self, field: &str, input: Value, fields: &str) -> Value {
        let kind = format!("{}{}Input", field[..1].to_uppercase(), &field[1..]);
        let query = format!(
            "mutation($input: {kind}!) {{ {field}(input: $input) {{ {fields} userErrors {{ code message field }} }} }}"
        );
        self.ask(&query, json!({ "input": input })).await[field].clone()
    }

    /// The payload of a mutation, which must not be refused.
    pub async fn done(&self, field: &str, input: Value, fields: &str) -> Value {
        let payload = self.mutate(field, input, fields).await;
        assert_eq!(payload["userErrors"], json!([]), "{field}");
        payload
    }

    /// The refusals of a mutation, as code and path. Asserts that nothing was changed.
    pub async fn refused(&self, field: &str, input: Value) -> Vec<(String, Value)> {
        let before = self.everything().await;
        let payload = self.mutate(field, input.clone(), "__typename").await;
        assert_eq!(self.everything().await, before, "{field} {input} was refused and changed something");
        let refusals = payload["userErrors"].as_array().unwrap();
        assert!(!refusals.is_empty(), "{field} {input} was not refused");
        refusals
            .iter()
            .map(|refusal| {
                assert!(refusal["message"].as_str().unwrap().ends_with('.'), "{refusal}");
                (refusal["code"].as_str().unwrap().to_owned(), refusal["field"].clone())
            })
            .collect()
    }

    /// Everything that a client can see.
    pub async fn everything(&self) -> Value {
        self.ask(EVERYTHING, json!({})).await
    }

    /// The code of the only error of a query.
    pub async fn error_code(&self, query: &str, variables: Value) -> String {
        let answer = self.ask_as(&self.admin, query, variables).await;
        let errors = answer["errors"].as_array().unwrap_or_else(|| panic!("{query} is answered: {answer}"));
        assert_eq!(errors.len(), 1, "{answer}");
        errors[0]["extensions"]["code"].as_str().unwrap_or_else(|| panic!("no code: {answer}")).to_owned()
    }

    /// The runs of an instance, oldest first.
    pub async fn runs(&self, id: &str, fields: &str) -> Vec<Value> {
        let found = self.instance(id, &format!("syncHistory(first: 100) {{ nodes {{ {fields} }} }}")).await;
        let mut runs = found["syncHistory"]["nodes"].as_array().unwrap().clone();
        runs.reverse();
        runs
    }

    /// The external ids of the users that an instance reports.
    pub async fn people(&self, id: &str) -> Vec<String> {
        let found = self.instance(id, "users(first: 100) { nodes { externalId } }").await;
        let nodes = found["users"]["nodes"].as_array().unwrap();
        nodes.iter().map(|user| user["externalId"].as_str().unwrap().to_owned()).collect()
    }

    /// Changes the configuration of an instance.
    pub async fn configure(&self, id: &str, config: &[(&str, &str)]) {
        self.done("updateInstance", json!({ "id": id, "config": pairs(config) }), "").await;
    }
}

/// A configuration in the form of the API.
pub fn pairs(config: &[(&str, &str)]) -> Value {
    config.iter().map(|(key, value)| json!({ "key": key, "value": value })).collect()
}
