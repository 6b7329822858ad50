//! A client for a server in this process or another.

use std::time::Duration;

use serde_json::{Value, json};

use super::DEADLINE;

/// A client of a server's API, with an administrator's token.
pub struct Client {
    pub url: String,
    pub admin: String,
    http: reqwest::Client,
}

/// An HTTP client for calls other than GraphQL.
pub fn http() -> reqwest::Client {
    patient_http().build().unwrap()
}

/// The settings of an HTTP client that fails when nothing arrives for long, so that a test that waits says for what.
pub fn patient_http() -> reqwest::ClientBuilder {
    let _already_installed = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().read_timeout(2 * DEADLINE)
}

impl Client {
    pub fn new(url: String, admin: String) -> Self {
        Self { url, admin, http: http() }
    }

    /// The complete response to a document.
    pub async fn ask_as(&self, token: &str, query: &str, variables: Value) -> Value {
        let answer = self
            .http
            .post(format!("{}/graphql", self.url))
            .bearer_auth(token)
            .header("content-type", "application/json")
            .body(json!({ "query": query, "variables": variables }).to_string())
            .send()
            .await
            .unwrap();
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
    }

    /// The data of a response, which must have no errors.
    pub async fn ask(&self, query: &str, variables: Value) -> Value {
        let answer = self.ask_as(&self.admin, query, variables).await;
        assert!(answer.get("errors").is_none(), "{answer:#}");
        answer["data"].clone()
    }

    /// Creates a rehearsal instance and returns its id.
    pub async fn rehearse(&self, name: &str, config: &[(&str, &str)]) -> String {
        self.integrate("rehearsal", name, config).await
    }

    /// Creates an instance and returns its id.
    pub async fn integrate(&self, key: &str, name: &str, config: &[(&str, &str)]) -> String {
        let config: Vec<_> = config.iter().map(|(key, value)| json!({ "key": key, "value": value })).collect();
        let data = self
            .ask(
                "mutation($input: CreateInstanceInput!) { createInstance(input: $input) { instance { id } userErrors { code message field } } }",
                json!({ "input": { "integrationKey": key, "name": name, "config": config } }),
            )
            .await;
        assert_eq!(data["createInstance"]["userErrors"], json!([]));
        data["createInstance"]["instance"]["id"].as_str().unwrap().to_owned()
    }

    /// The fields of an instance.
    pub async fn instance(&self, id: &str, fields: &str) -> Value {
        let query = format!("query($id: ID!) {{ instance(id: $id) {{ {fields} }} }}");
        self.ask(&query, json!({ "id": id })).await["instance"].clone()
    }

    /// Waits until `wanted` is true for the fields of an instance, and returns them.
    pub async fn until(&self, id: &str, fields: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = tokio::time::Instant::now() + DEADLINE;
        loop {
            let found = self.instance(id, fields).await;
            if wanted(&found) {
                return found;
            }
            assert!(tokio::time::Instant::now() < deadline, "waited too long; it is {found:#}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until no run is active, and returns the fields.
    pub async fn idle(&self, id: &str, fields: &str) -> Value {
        self.until(id, &format!("syncState {fields}"), |found| found["syncState"] == "IDLE").await
    }

    /// Waits until searches find everybody.
    pub async fn searchable(&self) {
        let deadline = tokio::time::Instant::now() + DEADLINE;
        while !self.ask("{ users(first: 1) { searchAsOf } }", json!({})).await["users"]["searchAsOf"].is_null() {
            assert!(tokio::time::Instant::now() < deadline, "the words were never written");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Starts a sync, waits for its end, and returns the fields of the run.
    pub async fn sync(&self, id: &str, fields: &str) -> Value {
        let data = self
            .ask(
                "mutation($id: ID!) { syncInstance(input: { id: $id }) { run { id } userErrors { code message } } }",
                json!({ "id": id }),
            )
            .await;
        assert_eq!(data["syncInstance"]["userErrors"], json!([]));
        let run = data["syncInstance"]["run"]["id"].clone();
        self.idle(id, "").await;
        let query = format!("query($id: ID!) {{ syncRun(id: $id) {{ {fields} }} }}");
        self.ask(&query, json!({ "id": run })).await["syncRun"].clone()
    }
}
