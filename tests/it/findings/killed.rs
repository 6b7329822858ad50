//! A server that is killed while it evaluates: every finding is there in the end, and once.

use std::collections::BTreeSet;

use serde_json::json;

use super::application::evaluated;
use crate::people::roster::{Account, Roster, account};
use crate::process::kill::accident;
use crate::process::{Home, rounds};

const ACCOUNTS: usize = 2_200;

fn list(kind: &str, is_active: bool) -> Vec<Account> {
    let one = |number: usize| {
        let account = account(&format!("{kind}{number}"), &format!("p{number}@acme.example"));
        if is_active { account } else { account.suspended() }
    };
    (1..=ACCOUNTS).map(one).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn findings_are_opened_once_however_often_the_server_is_killed() {
    let (rounds, mut random) = rounds("findings");
    let home = Home::new().set("ALLOWED_NETWORKS", "127.0.0.0/8");
    let token = home.token();
    let mut program = home.serve(&token).await;
    let (hr, chat) = (Roster::start(list("h", false)).await, Roster::start(list("c", true)).await);
    let source = program.client.integrate("scim", "HR", &hr.config()).await;
    program.client.idle(&source, "").await;
    let other = program.client.integrate("scim", "Chat", &chat.config()).await;
    program.client.idle(&other, "").await;
    program.client.done("setOwnedDomains", json!({ "owned": ["acme.example"] }), "").await;
    program.client.done("setPeopleSources", json!({ "sources": [{ "instanceId": source, "rank": 1 }] }), "").await;
    evaluated(&program.client).await;
    for round in 0..rounds {
        let off = if round % 2 == 0 { json!(["LEAVER_ACTIVE"]) } else { json!([]) };
        program.client.done("setReportSettings", json!({ "disabledTypes": off }), "").await;
        accident(&mut random, 0..400).await;
        program.kill();
        home.leases_run_out().await;
        program = home.serve(&token).await;
        evaluated(&program.client).await;
        let wanted = if round % 2 == 0 { 0 } else { ACCOUNTS };
        let query = "query($ids: [ID!]) { findings(filter: { types: [LEAVER_ACTIVE] }) { totalCount }
            counted: findings(filter: { types: [LEAVER_ACTIVE], severities: [HIGH] }, first: 100) { totalCount
                nodes { user { id } } } posture(instanceIds: $ids) { leavers { yes no unknown } } }";
        let found = program.client.ask(query, json!({ "ids": [other] })).await;
        assert_eq!(found["findings"]["totalCount"], wanted, "round {round}: {found:#}");
        assert_eq!(found["counted"]["totalCount"], wanted, "round {round}");
        assert_eq!(found["posture"]["leavers"]["yes"], wanted, "round {round}");
        let nodes = found["counted"]["nodes"].as_array().unwrap();
        let users: BTreeSet<String> = nodes.iter().map(|it| it["user"]["id"].to_string()).collect();
        assert_eq!(users.len(), nodes.len(), "round {round}");
    }
    program.kill();
    home.assert_intact().await;
}
