//! Applications to which a person consents: how grants are kept, begun, brought back and renewed.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::ask::pairs;
use crate::support::{Builder, Client, Server, http};

mod begin;
mod callback;
mod credential_expiry;
mod provider;
mod renewal;
mod store;
mod story;

use provider::Provider;

const KEY: &str = "consenting";

/// Puts the manifest where a server finds it.
fn connectors(dir: &Path) -> std::path::PathBuf {
    let dir = dir.join("connectors");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("consenting.yaml"), provider::MANIFEST).unwrap();
    dir
}

/// A server that knows the application and may call this machine.
fn server() -> Builder {
    let builder = Server::builder();
    let dir = connectors(builder.path());
    builder.settings(move |settings| {
        settings.connectors_dir = Some(dir);
        settings.allowed_networks = vec!["127.0.0.0/8".parse().unwrap()];
    })
}

/// A new instance, as `beginAuthorization` takes it.
fn new(provider: &Provider, name: &str) -> Value {
    json!({ "integrationKey": KEY, "name": name, "config": pairs(&provider.config()) })
}

/// What a browser shows after a redirect, or instead of one.
struct Shown {
    status: u16,
    location: String,
    headers: reqwest::header::HeaderMap,
    body: String,
}

/// Asks without following.
async fn visit(url: &str, cookie: Option<&str>) -> Shown {
    let _ = http();
    let web = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
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

/// Begins, and gives the address to go to.
async fn begin(client: &Client, input: Value) -> String {
    let begun = client.done("beginAuthorization", input, "authorizationUrl expiresAt").await;
    begun["authorizationUrl"].as_str().unwrap().to_owned()
}

/// Begins, and goes there; gives the address that the application sends the person back to.
async fn consent(client: &Client, input: Value) -> String {
    let shown = visit(&begin(client, input).await, None).await;
    assert_eq!(shown.status, 302, "{}", shown.body);
    shown.location
}

/// All the way: gives the id of the instance that the console is to show.
async fn connect(client: &Client, input: Value) -> String {
    let back = consent(client, input).await;
    let shown = visit(&back, None).await;
    assert_eq!(shown.status, 303, "{}", shown.body);
    let (_, id) = shown.location.split_once("/#/instances/").expect("an instance's page");
    id.to_owned()
}

/// The audit entries of consents that came to nothing, newest first.
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

/// Which mutations an instance's notice offers.
fn mutations(found: &Value) -> Vec<Value> {
    found["notice"]["remedies"].as_array().unwrap().iter().map(|remedy| remedy["mutation"].clone()).collect()
}
