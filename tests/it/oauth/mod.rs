//! Applications that require a person's consent: beginning, the callback, and storing and renewing grants.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::ask::pairs;
use crate::support::{Builder, Client, Server, patient_http};

mod begin;
mod callback;
mod credential_expiry;
mod mix_up;
pub mod provider;
mod renewal;
mod store;
mod story;

use provider::Provider;

pub const KEY: &str = "consenting";

/// Writes the manifest to a folder below `dir`, and returns that folder.
fn connectors(dir: &Path) -> std::path::PathBuf {
    let dir = dir.join("connectors");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("consenting.yaml"), provider::MANIFEST).unwrap();
    dir
}

/// A server with the application in its catalog, which may send requests to loopback addresses.
pub fn server() -> Builder {
    let builder = Server::builder();
    let dir = connectors(builder.path());
    builder.settings(move |settings| {
        settings.connectors_dir = Some(dir);
        settings.allowed_networks = vec!["127.0.0.0/8".parse().unwrap()];
    })
}

/// The input of `beginAuthorization` for a new instance.
fn new(provider: &Provider, name: &str) -> Value {
    json!({ "integrationKey": KEY, "name": name, "config": pairs(&provider.config()) })
}

/// A response to a browser.
struct Shown {
    status: u16,
    location: String,
    headers: reqwest::header::HeaderMap,
    body: String,
}

/// A request that follows no redirects.
async fn visit(url: &str, cookie: Option<&str>) -> Shown {
    let web = patient_http().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let mut call = web.get(url);
    if let Some(cookie) = cookie {
        call = call.header("cookie", cookie);
    }
    let answer = call.send().await.unwrap();
    let headers = answer.headers().clone();
    let location = headers.get("location").map_or("", |it| it.to_str().unwrap()).to_owned();
    let status = answer.status().as_u16();
    Shown { status, location, headers, body: String::from_utf8(answer.bytes().await.unwrap().to_vec()).unwrap() }
}

/// Begins a consent, and returns the authorization URL.
async fn begin(client: &Client, input: Value) -> String {
    let begun = client.done("beginAuthorization", input, "authorizationUrl expiresAt").await;
    begun["authorizationUrl"].as_str().unwrap().to_owned()
}

/// Begins a consent, visits the authorization URL, and returns the URL that it redirects to.
async fn consent(client: &Client, input: Value) -> String {
    let shown = visit(&begin(client, input).await, None).await;
    assert_eq!(shown.status, 302, "{}", shown.body);
    shown.location
}

/// Completes a consent, and returns the id of the instance.
async fn connect(client: &Client, input: Value) -> String {
    let back = consent(client, input).await;
    let shown = visit(&back, None).await;
    assert_eq!(shown.status, 303, "{}", shown.body);
    let (_, id) = shown.location.split_once("/instances/").expect("an instance's page");
    id.to_owned()
}

/// The audit entries of failed consents, newest first.
async fn failures(client: &Client) -> Vec<String> {
    let found = client.ask("{ auditLog(first: 50) { nodes { action actor detail } } }", json!({})).await;
    let entries = found["auditLog"]["nodes"].as_array().unwrap().clone();
    let failed = entries.into_iter().filter(|entry| entry["action"] == "AUTHORIZATION_FAILED");
    failed
        .map(|entry| {
            assert_eq!(entry["actor"], "ada@example.com");
            entry["detail"].as_str().unwrap().to_owned()
        })
        .collect()
}

/// The mutations that an instance's notice offers.
fn mutations(found: &Value) -> Vec<Value> {
    found["notice"]["remedies"].as_array().unwrap().iter().map(|remedy| remedy["mutation"].clone()).collect()
}
