//! A server that is killed while it finds whose accounts are: everything is found in the end, and once.

use serde_json::{Value, json};

use super::roster::{Roster, account, settled};
use crate::process::kill::accident;
use crate::process::{Home, rounds};
use crate::support::Client;

const PEOPLE: usize = 250;

fn list(kind: &str) -> Vec<super::roster::Account> {
    (1..=PEOPLE)
        .map(|number| {
            account(&format!("{kind}{number}"), &format!("p{number}@acme.example")).employee(&number.to_string())
        })
        .collect()
}

async fn figures(client: &Client) -> Value {
    let query = "{ persons(filter: { states: [CURRENT] }) { totalCount } all: persons { totalCount }
        users { totalCount nodes { person { accounts { totalCount } } link { rule } } } }";
    client.ask(query, json!({})).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_are_found_once_however_often_the_server_is_killed() {
    let (rounds, mut random) = rounds("people");
    let home = Home::new().set("ALLOWED_NETWORKS", "127.0.0.0/8");
    let token = home.token();
    let mut program = home.serve(&token).await;
    let (hr, chat) = (Roster::start(list("h")).await, Roster::start(list("c")).await);
    let source = program.client.integrate("scim", "HR", &hr.config()).await;
    program.client.idle(&source, "").await;
    let other = program.client.integrate("scim", "Chat", &chat.config()).await;
    program.client.idle(&other, "").await;
    for round in 0..rounds {
        let sources = if round % 2 == 0 { json!([{ "instanceId": source, "rank": 1 }]) } else { json!([]) };
        program.client.done("setOwnedDomains", json!({ "owned": ["acme.example"] }), "").await;
        program.client.done("setPeopleSources", json!({ "sources": sources }), "").await;
        accident(&mut random, 0..400).await;
        program.kill();
        home.leases_run_out().await;
        program = home.serve(&token).await;
        settled(&program.client).await;
        let found = figures(&program.client).await;
        let current = if round % 2 == 0 { PEOPLE } else { 0 };
        assert_eq!(found["persons"]["totalCount"], current, "round {round}: {found:#}");
        assert_eq!(found["all"]["totalCount"], PEOPLE, "round {round}");
        for user in found["users"]["nodes"].as_array().unwrap() {
            assert_eq!(user["person"]["accounts"]["totalCount"], 2, "round {round}: {user}");
        }
    }
    program.kill();
    home.assert_intact().await;
}
