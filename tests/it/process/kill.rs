//! A server that is killed again and again: no acknowledged change is lost, and nothing happens twice.

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Home, rounds};
use crate::support::{Client, http};

/// Waits for the random moment at which the server is killed.
pub async fn accident(random: &mut fastrand::Rng, after_ms: Range<u64>) {
    tokio::time::sleep(Duration::from_millis(random.u64(after_ms))).await;
}

async fn external_ids(client: &Client, instance: &str) -> BTreeSet<String> {
    let query = "query($id: ID!, $after: String) { users(first: 100, after: $after, filter: { instanceId: $id }) {
        nodes { externalId } pageInfo { hasNextPage endCursor } } }";
    let mut found = BTreeSet::new();
    let mut after = Value::Null;
    loop {
        let page = client.ask(query, json!({ "id": instance, "after": after })).await["users"].clone();
        for user in page["nodes"].as_array().unwrap() {
            assert!(found.insert(user["externalId"].as_str().unwrap().to_owned()), "{user} comes twice");
        }
        if page["pageInfo"]["hasNextPage"] == false {
            return found;
        }
        after = page["pageInfo"]["endCursor"].clone();
    }
}

/// Renames the instance again and again until the server is gone. Returns the last name that was acknowledged.
async fn rename_until_gone(url: String, token: String, id: String, round: u32) -> String {
    let web = http();
    let mut acknowledged = String::new();
    for number in 0.. {
        let name = format!("round {round}, name {number}");
        let query = "mutation($id: ID!, $name: String!) { updateInstance(input: { id: $id, name: $name }) { instance { name } } }";
        let call = web
            .post(format!("{url}/graphql"))
            .bearer_auth(&token)
            .header("content-type", "application/json")
            .body(json!({ "query": query, "variables": { "id": id, "name": name } }).to_string());
        let Ok(answer) = call.send().await else { break };
        let Ok(body) = answer.bytes().await else { break };
        let answer: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(answer["data"]["updateInstance"]["instance"]["name"], *name, "{answer:#}");
        acknowledged = name;
    }
    acknowledged
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sync_that_is_killed_resumes_and_counts_everybody_once() {
    let (rounds, mut random) = rounds("sync");
    let home = Home::new();
    let token = home.token();
    let mut program = home.serve(&token).await;
    let config = [("users", "1000"), ("page_size", "25"), ("latency_ms", "10"), ("churn_percent", "5")];
    let id = program.client.rehearse("Acme", &config).await;
    program.client.idle(&id, "").await;

    for round in 1..=rounds {
        let started = "mutation($id: ID!) { syncInstance(input: { id: $id }) { run { id } userErrors { code } } }";
        let run = program.client.ask(started, json!({ "id": id })).await["syncInstance"]["run"]["id"].clone();
        let renaming = tokio::spawn(rename_until_gone(program.client.url.clone(), token.clone(), id.clone(), round));
        accident(&mut random, 0..900).await;
        program.kill();
        let acknowledged = renaming.await.unwrap();
        if random.u8(..) < 80 {
            program = home.serve(&token).await;
            accident(&mut random, 0..300).await;
            program.kill();
        }
        home.leases_run_out().await;
        program = home.serve(&token).await;

        let instance = program.client.idle(&id, "name health userCount syncHistory { totalCount }").await;
        let name = instance["name"].as_str().unwrap();
        let next = |name: &str| name.rsplit_once(' ').and_then(|(_, number)| number.parse::<u32>().ok());
        assert!(
            acknowledged.is_empty()
                || name == acknowledged
                || next(name) == next(&acknowledged).map(|number| number + 1),
            "round {round}: {acknowledged} was acknowledged, {name} is stored"
        );
        assert_eq!(instance["syncHistory"]["totalCount"], round + 1, "one run for each that was asked for");
        let query = "query($id: ID!) { syncRun(id: $id) { trigger outcome seen added changed removed failure { class message } changes { totalCount } } }";
        let run = program.client.ask(query, json!({ "id": run })).await["syncRun"].clone();
        let expected = json!({ "trigger": "MANUAL", "outcome": "SUCCEEDED", "seen": 1000, "added": 50, "changed": 0, "removed": 50,
            "failure": null, "changes": { "totalCount": 100 } });
        assert_eq!(run, expected, "round {round}");
        assert_eq!((&instance["health"], &instance["userCount"]), (&json!("OK"), &json!(1000)));
        let present = 50 * round..50 * round + 1000;
        let present: BTreeSet<_> = present.map(|place| format!("person-{place}")).collect();
        assert_eq!(external_ids(&program.client, &id).await, present, "round {round}");
        home.assert_intact().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deletion_that_is_killed_finishes_and_takes_nobody_else_along() {
    let (rounds, mut random) = rounds("deletion");
    let home = Home::new();
    let token = home.token();
    let mut program = home.serve(&token).await;
    let other = program.client.rehearse("Stays", &[("users", "70")]).await;
    program.client.idle(&other, "").await;

    for round in 1..=rounds {
        let config = [("users", "3000"), ("page_size", "3000")];
        let id = program.client.rehearse("Leaves", &config).await;
        program.client.idle(&id, "").await;
        let deletion = "mutation($id: ID!) { deleteInstance(input: { id: $id, acknowledgeIrreversible: true }) { instance { status } userErrors { code } } }";
        let answer = program.client.ask(deletion, json!({ "id": id })).await;
        assert_eq!(answer["deleteInstance"]["userErrors"], json!([]));
        accident(&mut random, 0..150).await;
        program.kill();
        home.leases_run_out().await;
        program = home.serve(&token).await;

        let count = "query($id: ID!) { users(filter: { instanceId: $id, includeRemoved: true }) { totalCount } instance(id: $id) { status } }";
        let at_once = program.client.ask(count, json!({ "id": id })).await;
        assert_eq!(
            at_once["users"]["totalCount"], 0,
            "round {round}: they left reporting when the deletion was accepted"
        );
        let gone = program
            .client
            .until(
                &id,
                "status userCount currentSync { id } events(first: 1) { nodes { cause usersRemoved } }",
                |found| found["status"] == "DELETED",
            )
            .await;
        let event = json!([{ "cause": "DELETED", "usersRemoved": 3000 }]);
        assert_eq!((&gone["userCount"], &gone["events"]["nodes"]), (&json!(0), &event), "round {round}");
        let left = "SELECT CAST(count(*) AS TEXT) FROM user_account WHERE NOT EXISTS (SELECT 1 FROM instance WHERE instance.id = user_account.instance_id AND instance.status = 'live')";
        assert_eq!(home.one(left).await, "0", "round {round}: no user of a deleted instance is stored");
        let all = program.client.ask("{ users { totalCount } instances { totalCount } }", json!({})).await;
        assert_eq!(all, json!({ "users": { "totalCount": 70 }, "instances": { "totalCount": 1 } }), "round {round}");
        home.assert_intact().await;
    }
}
