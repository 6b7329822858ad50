//! A server that is killed while it evaluates: every finding is there in the end, and once, and is told to webhooks.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use tokio::time::{Duration, Instant, sleep};

use super::application::evaluated;
use crate::people::roster::{Account, Roster, account};
use crate::process::kill::accident;
use crate::process::{Home, rounds};
use crate::support::DEADLINE;
use crate::webhooks::{Receiver, add};

const ACCOUNTS: usize = 2_200;

fn list(kind: &str, is_active: bool) -> Vec<Account> {
    let one = |number: usize| {
        let account = account(&format!("{kind}{number}"), &format!("p{number}@acme.example"));
        if is_active { account } else { account.suspended() }
    };
    (1..=ACCOUNTS).map(one).collect()
}

/// How many findings were opened and closed as the messages tell it, each counted once.
fn told(receiver: &Receiver) -> [usize; 2] {
    let messages = receiver.all();
    let each: BTreeMap<_, _> = messages.iter().map(|message| (message.id(), &message.body["data"])).collect();
    ["opened", "closed"].map(|change| {
        let count = |data: &&serde_json::Value| data[change]["LEAVER_ACTIVE"].as_u64().unwrap_or_default();
        usize::try_from(each.values().map(count).sum::<u64>()).unwrap()
    })
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
    let receiver = Receiver::start().await;
    add(&program.client, &receiver.url, json!({ "causes": [], "findingChanges": true })).await;
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
        let done = usize::try_from(round).unwrap() + 1;
        let wanted = [done / 2, done.div_ceil(2)].map(|rounds| rounds * ACCOUNTS);
        let deadline = Instant::now() + DEADLINE;
        while told(&receiver) != wanted {
            assert!(Instant::now() < deadline, "round {round}: {:?} were told, not {wanted:?}", told(&receiver));
            sleep(Duration::from_millis(50)).await;
        }
    }
    program.kill();
    home.assert_intact().await;
}
