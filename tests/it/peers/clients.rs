//! GraphQL clients that people use, against a real server.

use serde_json::{Value, json};

use super::command;
use crate::support::Server;

/// A server with two instances.
async fn server() -> Server {
    let server = Server::start().await;
    for name in ["One", "Two"] {
        let id = server.rehearse(name, &[]).await;
        server.idle(&id, "").await;
    }
    server
}

/// Runs a client to its end, and returns the line that it printed.
async fn run(interpreter: &'static str, script: &'static str, arguments: Vec<String>) -> Value {
    let run = move || command(interpreter, script).args(arguments).output().expect("the client runs");
    let done = tokio::task::spawn_blocking(run).await.unwrap();
    assert!(done.status.success(), "{script}: {}", String::from_utf8_lossy(&done.stderr));
    serde_json::from_slice(&done.stdout).unwrap()
}

fn names(nodes: &Value) -> Vec<&str> {
    nodes.as_array().unwrap().iter().map(|node| node["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn gql_for_python_finds_the_sub_protocol() {
    let server = server().await;
    let said = run("TEST_PYTHON", "gql_client.py", vec![server.url.clone(), server.admin.clone()]).await;
    assert_eq!(said["protocol"], "graphql-transport-ws");
    assert_eq!(names(&said["query"]["instances"]["nodes"]), ["One", "Two"]);
    assert_eq!(said["event"]["instanceStateChanged"]["cause"], "SNAPSHOT");
}

#[tokio::test]
async fn apollo_client_queries_caches_and_subscribes() {
    let server = server().await;
    let said = run("TEST_NODE", "apollo_client.mjs", vec![server.url.clone(), server.admin.clone()]).await;
    assert_eq!(names(&said["query"]["instances"]["nodes"]), ["One", "Two"]);
    assert_eq!(said["cached"], said["query"]);
    assert_eq!(said["event"]["instanceStateChanged"]["cause"], "SNAPSHOT");
}

#[tokio::test]
async fn relay_compiles_pages_and_finds_objects_by_their_ids() {
    let server = server().await;
    let schema = format!("{}/schema.graphql", env!("CARGO_MANIFEST_DIR"));
    let said = run("TEST_NODE", "relay_client.mjs", vec![schema, server.url.clone(), server.admin.clone()]).await;
    assert_eq!(said, json!({ "first": ["One"], "both": ["One", "Two"], "node": "One" }));
}

#[tokio::test]
async fn apollo_client_sends_the_hashes_of_its_queries() {
    let server = server().await;
    let said = run("TEST_NODE", "apollo_persisted.mjs", vec![server.url.clone(), server.admin.clone()]).await;
    assert_eq!(said["answers"], json!([["One"], ["One", "Two"], ["One"], ["One", "Two"]]));
    // A hash that is unknown, the document, and from then on hashes.
    let by_get = ["GET hash 200", "POST document 200", "GET hash 200"];
    let by_post = ["POST hash 200", "POST document 200", "POST hash 200"];
    assert_eq!(said["requests"], json!([by_get, by_post].concat()));
}
