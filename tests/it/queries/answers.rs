//! An answer that was kept is the one that would be computed now.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use async_graphql::{Request, Variables};
use muster::auth::{Caller, Role, Who};
use muster::clock::Clock;
use muster::graphql::answers::Answers;
use muster::graphql::guard::Guard;
use muster::graphql::json;
use muster::graphql::subscription::{EventSources, Subscriptions};
use muster::graphql::transport::execution::{Executor, Transport};
use serde_json::{Value, json};
use uuid::Uuid;

use super::written::{Document, Random, Schema, register};
use crate::maintenance::retention::{ALL, prune_after};
use crate::process::Home;
use crate::support::{Client, Server, http};

/// How many generated documents are asked.
const DOCUMENTS: usize = 300;

const DASHBOARD: &str = "{ instances(first: 50, filter: { statuses: [LIVE, INACTIVE, DELETING, DELETED] }) {
    totalCount pageInfo { hasNextPage } nodes {
        id name status inactiveReason syncState health revision syncIntervalMinutes nextSyncAt userCount updatedAt
        config { key value isSet } freshness { state asOf } notice { title detail } credentialExpiresAt
        capabilityStates { capability asOf lostSince } integration { key name instanceCount userCount }
        lastSync { id outcome seen added removed failure { message } } currentSync { id seen added waitingReason }
        syncHistory(first: 3) { totalCount nodes { id outcome seen } }
        events(first: 3) { totalCount nodes { cursor cause instance { name } } } } } }";

/// Asks until an answer is kept.
async fn poll(server: &Client) -> Value {
    server.ask(DASHBOARD, json!({})).await;
    server.ask(DASHBOARD, json!({})).await
}

/// Compares the answer to a question that was asked before with those to questions that nobody asked before.
async fn assert_current(server: &Client, what: &str) {
    let new = || {
        let question = format!("{DASHBOARD} # {}", Uuid::now_v7());
        async move { server.ask(&question, json!({})).await }
    };
    let mut before = new().await;
    for _ in 0..100 {
        let polled = server.ask(DASHBOARD, json!({})).await;
        let after = new().await;
        if before == after {
            assert_eq!(polled, after, "{what}");
            return;
        }
        before = after;
    }
    panic!("{what}: it changes all the time");
}

#[tokio::test]
async fn each_kind_of_change_shows_at_once() {
    let server = Server::start().await;
    let config = [("users", "60"), ("page_size", "5"), ("latency_ms", "100"), ("churn_percent", "5")];
    let id = server.rehearse("Acme", &config).await;
    let current = |what: &'static str| assert_current(&server, what);
    poll(&server).await;
    current("a new instance").await;
    // A run changes its row with each page.
    while server.instance(&id, "syncState").await["syncState"] != "IDLE" {
        current("the first run").await;
    }
    for number in 0..20 {
        poll(&server).await;
        let name = format!("Acme {number}");
        server.done("updateInstance", json!({ "id": id, "name": name }), "").await;
        assert_eq!(server.ask(DASHBOARD, json!({})).await["instances"]["nodes"][0]["name"], name.as_str());
    }
    let change = async |mutation: &'static str, input: Value| {
        poll(&server).await;
        server.done(mutation, input, "").await;
        current(mutation).await;
    };
    change("updateInstance", json!({ "id": id, "syncIntervalMinutes": 5 })).await;
    change("syncInstance", json!({ "id": id })).await;
    change("cancelSync", json!({ "instanceId": id })).await;
    change("updateInstance", json!({ "id": id, "status": "INACTIVE" })).await;
    change("updateInstance", json!({ "id": id, "status": "LIVE" })).await;
    server.idle(&id, "").await;
    current("a completed run").await;
    change("setRecipients", json!({ "emails": ["grace@example.com"] })).await;
    change("updateInstance", json!({ "id": id, "config": [{ "key": "outcomes", "value": "transient" }] })).await;
    server.sync(&id, "id").await;
    current("a failed run").await;
    change("deleteAllUsers", json!({ "instanceId": id, "acknowledgeIrreversible": true })).await;
    change("deleteInstance", json!({ "id": id, "acknowledgeIrreversible": true })).await;
    server.until(&id, "status", |found| found["status"] == "DELETED").await;
    current("a deleted instance").await;
    poll(&server).await;
    prune_after(&server.db, 29, ALL).await;
    current("a log that was kept").await;
    poll(&server).await;
    prune_after(&server.db, 1_000, ALL).await;
    current("what retention removed").await;
    let found = server.ask(DASHBOARD, json!({})).await;
    assert_eq!(found["instances"]["nodes"][0]["syncHistory"]["totalCount"], 1);
}

#[tokio::test]
async fn what_changes_with_time_alone_shows_at_once() {
    let at = Arc::new(AtomicI64::new(1_800_000_000_000));
    let server = Server::builder().clock(Clock::Manual(at.clone())).start().await;
    let id = server.rehearse("Acme", &[("users", "1")]).await;
    server.idle(&id, "").await;
    // No run is due any more, so that nothing else happens.
    server.done("updateInstance", json!({ "id": id, "syncIntervalMinutes": 43_200 }), "").await;
    let state = async || {
        let fields = "freshness { state staleSince }";
        server.instance(&id, fields).await;
        server.instance(&id, fields).await;
        server.instance(&id, fields).await["freshness"]["state"].as_str().unwrap().to_owned()
    };
    assert_eq!(state().await, "FRESH");
    crate::support::change(&server.db, "UPDATE instance SET next_sync_at = 4000000000000").await;
    at.fetch_add(2 * 43_200 * 60_000, Ordering::Relaxed);
    assert_eq!(state().await, "FRESH");
    at.fetch_add(1, Ordering::Relaxed);
    assert_eq!(state().await, "STALE");
}

/// How many questions were answered with what was kept, and how many were not.
async fn counts(server: &Client) -> [u64; 2] {
    let text = http().get(format!("{}/metrics", server.url)).send().await.unwrap().text().await.unwrap();
    ["hit", "miss"].map(|outcome| {
        let name = format!("muster_graphql_kept_answers_total{{outcome=\"{outcome}\"}} ");
        text.lines().find_map(|line| line.strip_prefix(&name)).map_or(0, |count| count.parse().unwrap())
    })
}

#[tokio::test]
async fn only_what_was_asked_before_by_the_same_token_is_a_hit() {
    let home = Home::new();
    let program = home.serve(&home.token()).await;
    let other = home.run(&["token", "create", "--name", "other", "--role", "viewer"]);
    let other = String::from_utf8(other.stdout).unwrap().trim().to_owned();
    let server = &program.client;
    let id = server.rehearse("Acme", &[("users", "3")]).await;
    server.idle(&id, "").await;
    let one = "query($id: ID!, $first: Int) { instance(id: $id) { name syncHistory(first: $first) { nodes { id } } } }";
    let gained = async |asked: &dyn Fn() -> (String, &'static str, Value), times: usize| {
        let before = counts(server).await;
        for _ in 0..times {
            let (token, document, variables) = asked();
            server.ask_as(&token, document, variables).await;
        }
        let after = counts(server).await;
        [after[0] - before[0], after[1] - before[1]]
    };
    let admin = server.admin.clone();
    assert_eq!(gained(&|| (admin.clone(), one, json!({ "id": id })), 5).await, [3, 2]);
    assert_eq!(gained(&|| (admin.clone(), one, json!({ "id": id, "first": null })), 1).await, [1, 0], "it is the same");
    assert_eq!(gained(&|| (admin.clone(), one, json!({ "id": id, "first": 2 })), 3).await, [1, 2]);
    assert_eq!(gained(&|| (other.clone(), one, json!({ "id": id })), 3).await, [1, 2]);
    for document in [
        "{ __typename }",
        "{ serverStatus { __typename } }",
        "{ users { totalCount } }",
        "{ instances { nodes { id users(first: 1) { totalCount } } } }",
        "{ recipients { emails } }",
        "{ notifications { totalCount } }",
        "{ auditLog { totalCount } }",
        "{ __schema { queryType { name } } }",
        "{ instances { nodes { id nothing } } }",
        "mutation { syncInstance(input: { id: \"nothing\" }) { userErrors { code } } }",
    ] {
        assert_eq!(gained(&|| (admin.clone(), document, json!({})), 4).await, [0, 0], "{document}");
    }
    let refused = "{ instance(id: \"nonsense\") { name } }";
    assert_eq!(gained(&|| (admin.clone(), refused, json!({})), 4).await, [0, 4], "an error is not kept");
    assert!(home.run(&["token", "revoke", "--name", "other"]).status.success());
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let answer = server.ask_as(&other, one, json!({ "id": id })).await;
    assert!(answer["data"].is_null(), "the token was revoked: {answer}");
}

/// Whether the answer has what asking has changed: that somebody's page was read is in the audit log.
fn shows_itself(text: &str) -> bool {
    text.contains("auditLog") && ["node(", "person("].iter().any(|field| text.contains(field))
}

#[tokio::test]
async fn kept_answers_are_those_of_the_schema_on_sqlite() {
    let (api, schema, app, ids, cursors, _place) = register().await;
    let documents = Schema::new(&ids, &cursors);
    let sources = EventSources {
        db: app.db.clone(),
        clock: app.clock.clone(),
        log: muster::events::Log::new(app.db.clone(), 0),
        progress: app.engine.progress.clone(),
        epoch: 1,
    };
    let subscriptions = Subscriptions::new(api.clone(), schema.clone(), sources, app.shutdown());
    let answers = Answers::new(app.db.clone(), app.clock.clone());
    let executor = Executor::new(api.clone(), schema.clone(), subscriptions, answers, true);
    let guard = Guard::new(true);
    let caller = Caller {
        who: Who::Token(Uuid::nil()),
        name: "test".into(),
        email: None,
        role: Role::Admin,
        scope: None,
        unlimited: true,
    };
    let ask = async |text: &str, variables: &Variables| {
        let operation = executor.check(params(text, variables)).unwrap();
        executor.execute(caller.clone(), operation, Transport::Http).await
    };
    let seed = fastrand::u64(..);
    let mut random = Random::new(seed);
    let (mut covered, mut changes) = (0, 0);
    while covered < DOCUMENTS {
        random.repeats = random.bool();
        let Document { text, variables } = documents.document(&mut random);
        let Ok(checked) = guard.check(Request::new(text.clone())) else { continue };
        if shows_itself(&text) || !checked.checked().document.keeps_answers && random.u8(..10) > 0 {
            continue;
        }
        covered += 1;
        for round in 0..3 {
            for variables in &variables {
                let request = Request::new(text.clone()).variables(variables.clone());
                let Ok(operation) = guard.check(request) else { continue };
                let own = schema.execute(operation.into_request().data(caller.clone()).data(api.clone())).await;
                if own.errors.is_empty() {
                    let expected = String::from_utf8(json::response(&own)).unwrap();
                    for _ in 0..3 {
                        let kept = ask(&text, variables).await.into_body();
                        assert_eq!(std::str::from_utf8(&kept).unwrap(), expected, "seed {seed}: {text} {variables:?}");
                    }
                }
            }
            if round < 2 {
                changes += 1;
                let input = json!({ "id": ids[changes % 4], "name": format!("number {changes}") });
                let rename =
                    "mutation($input: UpdateInstanceInput!) { updateInstance(input: $input) { userErrors { code } } }";
                let renamed = ask(rename, &Variables::from_json(json!({ "input": input }))).await.into_body();
                assert!(renamed.ends_with(br#"{"userErrors":[]}}}"#), "{renamed:?}");
            }
        }
    }
}

fn params(text: &str, variables: &Variables) -> muster::graphql::transport::params::Params {
    let body = json!({ "query": text, "variables": serde_json::to_value(variables).unwrap() });
    muster::graphql::transport::params::Params::from_body(body.to_string().as_bytes()).unwrap()
}
