//! Several members send random commands at once, and the rules still hold.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::Server;
use crate::support::ask::pairs;

const STATE: &str = "name status inactiveReason syncState health failingSince revision nextSyncAt userCount
    currentSync { id } lastSync { id outcome }";

/// Sends a random command, which may be refused.
async fn act(server: &Server, id: &str, dice: &mut fastrand::Rng) {
    let outcomes = ["success", "partial", "transient", "token_inactive", "hang", "empty", "garbage"];
    let (field, input) = match dice.u8(0..12) {
        0..4 => ("syncInstance", json!({ "id": id, "acceptRemovals": dice.bool() })),
        4 | 5 => ("cancelSync", json!({ "instanceId": id })),
        6 => ("updateInstance", json!({ "id": id, "status": "INACTIVE" })),
        7 | 8 => ("updateInstance", json!({ "id": id, "status": "LIVE" })),
        9 => ("deleteAllUsers", json!({ "instanceId": id, "acknowledgeIrreversible": true })),
        10 => {
            let word = outcomes[dice.usize(..outcomes.len())];
            ("updateInstance", json!({ "id": id, "config": pairs(&[("outcomes", word)]) }))
        }
        _ => ("updateInstance", json!({ "id": id, "name": format!("{} {}", &id[id.len() - 6..], dice.u32(..)) })),
    };
    server.mutate(field, input, "").await;
}

/// Checks the order of an instance's mails: an initial one, then failures and recoveries in turn, and at most one
/// about a revocation between two recoveries.
fn assert_in_order(kinds: &[&str]) {
    let Some((first, rest)) = kinds.split_first() else { return };
    assert!(first.starts_with("INITIAL_SYNC_"), "{kinds:?}");
    let (mut failing, mut revoked) = (*first == "INITIAL_SYNC_FAILED", false);
    for kind in rest {
        match *kind {
            "SYNC_FAILED" => assert!(!std::mem::replace(&mut failing, true), "{kinds:?}"),
            "SYNC_RECOVERED" => {
                assert!(std::mem::replace(&mut failing, false), "{kinds:?}");
                revoked = false;
            }
            "AUTO_REVOKED" => assert!(failing && !std::mem::replace(&mut revoked, true), "{kinds:?}"),
            other => panic!("{other} in {kinds:?}"),
        }
    }
}

fn assert_possible(now: &Value) {
    let (live, inactive) = (now["status"] == "LIVE", now["status"] == "INACTIVE");
    assert_eq!(inactive, now["inactiveReason"].is_string(), "{now}");
    assert_eq!(now["syncState"] != "IDLE", now["currentSync"].is_object(), "{now}");
    assert!(now["syncState"] == "IDLE" || live, "{now}");
    assert_eq!(now["health"] == "FAILING", now["failingSince"].is_string(), "{now}");
    assert!(now["nextSyncAt"].is_null() || live && now["syncState"] == "IDLE", "{now}");
    assert!(now["userCount"].as_i64().unwrap() >= 0, "{now}");
}

async fn assert_lawful(server: &Server, id: &str) {
    let counts = "users { totalCount }";
    let now = server
        .idle(id, &format!("{STATE} {counts} events(first: 100) {{ nodes {{ cause instance {{ {STATE} }} }} }}"))
        .await;
    assert_eq!(now["userCount"], now["users"]["totalCount"], "{now:#}");
    let events = now["events"]["nodes"].as_array().unwrap();
    let last = &events[0]["instance"];
    for (key, value) in last.as_object().unwrap() {
        assert_eq!(&now[key], value, "the newest event does not tell the state: {key} of {now:#}");
    }
    for event in events {
        assert_possible(&event["instance"]);
    }
    let runs = server.runs(id, "outcome removed failure { class } mailDecision { kind reason }").await;
    for run in &runs {
        let complete = run["outcome"] == "SUCCEEDED" || run["outcome"] == "PARTIAL";
        assert!(complete || run["removed"] == 0, "{run}");
        assert!(run["failure"]["class"] != "INTERNAL", "{run}");
    }
    let kinds: Vec<_> = runs.iter().filter_map(|run| run["mailDecision"]["kind"].as_str()).collect();
    assert_in_order(&kinds);
}

#[tokio::test]
async fn whatever_members_do_at_once_the_rules_hold() {
    let server = Server::start().await;
    let mut ids = Vec::new();
    for name in ["a", "b", "c"] {
        let config = [("users", "40"), ("page_size", "10"), ("latency_ms", "3"), ("churn_percent", "10")];
        ids.push(server.rehearse(name, &config).await);
    }
    let (server, ids) = (&server, &ids);
    join_all((0..6).map(|member| async move {
        let mut dice = fastrand::Rng::with_seed(member);
        for _ in 0..15 {
            let id = &ids[dice.usize(..ids.len())];
            act(server, id, &mut dice).await;
        }
    }))
    .await;
    for id in ids {
        // A run that hangs would never end.
        server.mutate("cancelSync", json!({ "instanceId": id }), "").await;
        assert_lawful(server, id).await;
        server.done("deleteInstance", json!({ "id": id, "acknowledgeIrreversible": true }), "").await;
    }
    for id in ids {
        server.until(id, "status", |now| now["status"] == "DELETED").await;
    }
    let left = server
        .ask("{ users(filter: { includeRemoved: true }) { totalCount } instances { totalCount } }", json!({}))
        .await;
    assert_eq!(left, json!({ "users": { "totalCount": 0 }, "instances": { "totalCount": 0 } }));
}
