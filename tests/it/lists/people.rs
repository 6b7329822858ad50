//! A list as a source of people.

use serde_json::json;

use super::deliver;
use crate::people::roster::settled;
use crate::support::Server;

#[tokio::test]
async fn people_come_from_a_list_and_leave_with_it() {
    let server = Server::start().await;
    let hr = server.integrate("list", "HR", &[]).await;
    let chat = server.integrate("list", "Chat", &[]).await;
    server.done("setOwnedDomains", json!({ "owned": ["acme.example"] }), "").await;
    let staff = "mail,name,personnel number\nada@acme.example,Ada,1\nbob@acme.example,Bob,2\n";
    deliver(&server, &hr, staff).await;
    deliver(&server, &chat, "id,mail\na,ada@acme.example\nb,bob@acme.example\n").await;
    server.idle(&hr, "").await;
    server.idle(&chat, "").await;
    server.done("setPeopleSources", json!({ "sources": [{ "instanceId": hr, "rank": 1 }] }), "").await;
    settled(&server).await;
    let states = async || {
        let found = server.ask("{ persons(first: 9) { nodes { displayName state } } }", json!({})).await;
        let mut people = found["persons"]["nodes"].as_array().unwrap().clone();
        people.sort_by_key(|person| person["displayName"].to_string());
        people
    };
    let person = |name: &str, state: &str| json!({ "displayName": name, "state": state });
    assert_eq!(states().await, [person("Ada", "CURRENT"), person("Bob", "CURRENT")]);
    deliver(&server, &hr, "mail,name,personnel number\nada@acme.example,Ada,1\n").await;
    server.idle(&hr, "").await;
    settled(&server).await;
    assert_eq!(states().await, [person("Ada", "CURRENT"), person("Bob", "LEFT")]);
}
