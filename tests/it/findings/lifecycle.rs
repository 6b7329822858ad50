//! How findings are closed, and what is not closed because nobody could look.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use muster::clock::{Clock, DAY_MS};
use serde_json::{Value, json};

use super::application::{Office, ago, evaluated, names, tool};
use crate::people::roster::{Account, account};

fn records() -> Vec<Account> {
    (1..=12).map(|number| account(&format!("h{number}"), &format!("p{number}@acme.example"))).collect()
}

fn accounts() -> Vec<Value> {
    vec![
        tool("one", "p1@acme.example", json!({ "mfa": false })),
        tool("two", "p2@acme.example", json!({ "mfa": false })),
        tool("bot", "", json!({ "kind": "service" })),
        tool("ghost", "ghost@acme.example", json!({})),
        tool("idle", "p3@acme.example", json!({ "last": ago(100) })),
    ]
}

#[tokio::test]
async fn a_finding_is_closed_for_the_reason_that_a_sync_shows() {
    let office = Office::start(records(), accounts()).await;
    let open = ["bot UNOWNED_SERVICE", "ghost UNMATCHED", "idle INACTIVE", "one NO_MFA", "two NO_MFA"];
    assert_eq!(office.findings("OPEN").await, names(open));
    // One gets a second factor, another is suspended, the next is removed, and somebody is employed.
    let mut now = accounts();
    now[0] = tool("one", "p1@acme.example", json!({}));
    now[4] = tool("idle", "p3@acme.example", json!({ "last": ago(100), "status": "suspended" }));
    now.remove(1);
    office.list(now.clone()).await;
    let mut more = records();
    more.push(account("h13", "ghost@acme.example"));
    office.employ(more).await;
    assert_eq!(office.findings("OPEN").await, names(["bot UNOWNED_SERVICE"]));
    let closed = office.closed().await;
    assert_eq!(closed["one NO_MFA"], "FIXED");
    assert_eq!(closed["idle INACTIVE"], "FIXED");
    assert_eq!(closed["two NO_MFA"], "ACCOUNT_GONE");
    assert_eq!(closed["ghost UNMATCHED"], "FIXED");
    // A member names an owner, who leaves, as does the one who was employed last.
    let bot = office.finding("bot", "UNOWNED_SERVICE").await["user"]["id"].clone();
    let owner =
        office.server.ask("{ persons(first: 1, filter: { search: \"h5\" }) { nodes { id } } }", json!({})).await;
    let input = json!({ "userId": bot, "personId": owner["persons"]["nodes"][0]["id"] });
    office.server.done("setOwner", input, "").await;
    assert_eq!(office.findings("OPEN").await, names([]));
    let mut fewer = records();
    fewer[4] = account("h5", "p5@acme.example").suspended();
    office.employ(fewer).await;
    assert_eq!(office.findings("OPEN").await, names(["bot UNOWNED_SERVICE", "ghost LEAVER_ACTIVE"]));
    office.end().await;
}

#[tokio::test]
async fn an_address_that_changes_hands_is_a_finding_until_a_member_decides() {
    let office = Office::start(records(), accounts()).await;
    assert_eq!(office.figures().await["conflicts"], [0, 3, 0, 0]);
    // The person of "one" gets another address, and somebody new gets this one.
    let mut moved = records();
    moved[0] = account("h1", "p1.second@acme.example");
    moved.push(account("h13", "p1@acme.example"));
    office.employ(moved).await;
    let found = office.findings("OPEN").await;
    let conflicts: Vec<&String> = found.iter().filter(|name| name.ends_with(" CONFLICT")).collect();
    assert_eq!(conflicts, ["one CONFLICT"]);
    assert_eq!(office.figures().await["conflicts"], [1, 2, 0, 0]);
    let user = office.finding("one", "CONFLICT").await["user"]["id"].clone();
    let new = office.server.ask("{ persons(first: 1, filter: { search: \"h13\" }) { nodes { id } } }", json!({})).await;
    let input = json!({ "userId": user, "personId": new["persons"]["nodes"][0]["id"] });
    office.server.done("linkAccount", input, "").await;
    assert_eq!(office.closed().await["one CONFLICT"], "FIXED");
    assert_eq!(office.figures().await["conflicts"], [0, 3, 0, 0]);
    office.end().await;
}

#[tokio::test]
async fn a_run_that_tells_activity_alone_changes_what_follows_from_activity() {
    let mut now = accounts();
    let office = Office::start(records(), now.clone()).await;
    let (before, figures) = (office.shown("OPEN").await, office.figures().await);
    now[0]["last"] = json!(ago(200));
    now[4]["last"] = json!(ago(1));
    let run = office.list(now.clone()).await;
    assert_eq!((&run["changed"], &run["added"], &run["removed"]), (&json!(0), &json!(0), &json!(0)), "{run}");
    let open = ["bot UNOWNED_SERVICE", "ghost UNMATCHED", "one INACTIVE", "one NO_MFA", "two NO_MFA"];
    assert_eq!(office.findings("OPEN").await, names(open));
    assert_eq!(office.closed().await["idle INACTIVE"], "FIXED");
    assert_eq!(office.figures().await, figures, "one is inactive, as before");
    now[0]["last"] = json!(ago(1));
    office.list(now).await;
    assert_eq!(office.figures().await["inactive"], [0, 4, 0, 0]);
    let left: Vec<Value> = before.into_iter().filter(|it| it["type"] != "INACTIVE").collect();
    assert_eq!(office.shown("OPEN").await, left);
    office.end().await;
}

#[tokio::test]
async fn a_time_that_is_known_is_not_forgotten_when_the_application_tells_none() {
    let mut now = accounts();
    let office = Office::start(records(), now.clone()).await;
    let before = (office.shown("OPEN").await, office.figures().await);
    // First it says that the account was never used, and then nothing.
    for is_watched in [true, false] {
        now[4]["last"] = Value::Null;
        now[4]["watched"] = json!(is_watched);
        office.list(now.clone()).await;
        assert_eq!((office.shown("OPEN").await, office.figures().await), before, "{is_watched}");
        let user =
            office.server.instance(&office.tool, "users(first: 9) { nodes { externalId lastActiveAt neverActive } }");
        let users = user.await["users"]["nodes"].take();
        let idle = users.as_array().unwrap().iter().find(|user| user["externalId"] == "idle").unwrap();
        assert!(idle["lastActiveAt"].as_str().unwrap().starts_with(&ago(100)[..10]), "{idle}");
        assert_eq!(idle["neverActive"], false);
    }
    office.end().await;
}

#[tokio::test]
async fn what_the_last_run_could_not_read_is_neither_opened_nor_closed() {
    let office = Office::start(records(), accounts()).await;
    office.keep_secret(true);
    let mut now = accounts();
    now.push(tool("new", "p4@acme.example", json!({ "mfa": false })));
    let run = office.list(now.clone()).await;
    assert_eq!(run["failure"]["lostCapabilities"], json!(["MFA"]), "{run}");
    assert_eq!(office.findings("UNCONFIRMED").await, names(["one NO_MFA", "two NO_MFA"]));
    assert_eq!(office.findings("CLOSED").await, names([]));
    let open = names(["bot UNOWNED_SERVICE", "ghost UNMATCHED", "idle INACTIVE"]);
    assert_eq!(office.findings("OPEN").await, open);
    assert_eq!(office.figures().await["mfa"], [0, 0, 5, 0], "they are unknown");
    // One of them leaves meanwhile.
    now.remove(1);
    office.list(now.clone()).await;
    assert_eq!(office.closed().await["two NO_MFA"], "ACCOUNT_GONE");
    office.keep_secret(false);
    office.list(now).await;
    assert_eq!(office.findings("UNCONFIRMED").await, names([]));
    assert!(office.findings("OPEN").await.is_superset(&names(["one NO_MFA", "new NO_MFA"])));
    assert_eq!(office.figures().await["mfa"], [2, 2, 0, 0]);
    office.end().await;
}

#[tokio::test]
async fn a_dead_connector_makes_nobody_inactive_and_a_dead_source_no_leavers() {
    let clock = Arc::new(AtomicI64::new(Clock::System.now()));
    let office = Office::at(Clock::Manual(clock.clone()), records(), accounts()).await;
    let before = office.shown("OPEN").await;
    for id in [&office.hr, &office.tool] {
        office.server.done("updateInstance", json!({ "id": id, "status": "INACTIVE" }), "").await;
    }
    clock.fetch_add(200 * DAY_MS, Ordering::Relaxed);
    // Everything is evaluated again.
    office.server.done("setReportSettings", json!({ "inactiveDays": 90 }), "").await;
    assert_eq!(office.shown("OPEN").await, before);
    assert_eq!(office.findings("CLOSED").await, names([]));
    let stale = office
        .server
        .instance(&office.tool, "posture { inactive { yes basis { asOf staleSources { staleSince } } } }")
        .await;
    assert_eq!(stale["posture"]["inactive"]["yes"], 1);
    assert_eq!(stale["posture"]["inactive"]["basis"]["staleSources"].as_array().unwrap().len(), 1);
    office.end().await;
}

#[tokio::test]
async fn a_source_that_is_held_or_deleted_gives_no_leavers() {
    let office = Office::start(records(), accounts()).await;
    let before = office.findings("OPEN").await;
    let held = office.employ(records().into_iter().take(2).collect()).await;
    assert_eq!(held["failure"]["class"], "REMOVAL_GUARD");
    assert_eq!(office.findings("OPEN").await, before);
    // Two leave.
    office.employ(records().into_iter().take(11).collect()).await;
    let mut suspended = records();
    suspended[0] = account("h1", "p1@acme.example").suspended();
    office.employ(suspended).await;
    assert!(office.findings("OPEN").await.contains("one LEAVER_ACTIVE"));
    let input = json!({ "id": office.hr, "acknowledgeIrreversible": true });
    office.server.done("deleteInstance", input, "").await;
    office.server.until(&office.hr, "status", |found| found["status"] == "DELETED").await;
    let open = names(["bot UNOWNED_SERVICE", "idle INACTIVE", "one NO_MFA", "two NO_MFA"]);
    assert_eq!(office.findings("OPEN").await, open, "nothing is said of leavers without a source");
    assert_eq!(office.closed().await["one LEAVER_ACTIVE"], "REASSESSED");
    assert_eq!(office.figures().await["leavers"], [0, 0, 4, 0]);
    office.end().await;
}

#[tokio::test]
async fn findings_go_with_the_users_and_with_the_instance() {
    let office = Office::start(records(), accounts()).await;
    let id = office.finding("one", "NO_MFA").await["id"].clone();
    let until = json!({ "findingId": id, "reason": "A kiosk.", "until": ago(-9) });
    office.server.done("exceptFinding", until, "").await;
    office.server.done("updateInstance", json!({ "id": office.tool, "status": "INACTIVE" }), "").await;
    let all = json!({ "instanceId": office.tool, "acknowledgeIrreversible": true });
    office.server.done("deleteAllUsers", all, "").await;
    assert_eq!(office.findings("OPEN, EXCEPTED, UNCONFIRMED").await, names([]));
    assert_eq!(office.figures().await["mfa"], [0, 0, 0, 0]);
    office.server.done("updateInstance", json!({ "id": office.tool, "status": "LIVE" }), "").await;
    office.server.idle(&office.tool, "").await;
    assert_eq!(office.finding("one", "NO_MFA").await["state"], "EXCEPTED", "the exception has stayed");
    let open = office.findings("OPEN").await;
    assert!(open.contains("two NO_MFA"), "{open:?}");
    let input = json!({ "id": office.tool, "acknowledgeIrreversible": true });
    office.server.done("deleteInstance", input, "").await;
    office.server.until(&office.tool, "status", |found| found["status"] == "DELETED").await;
    evaluated(&office.server).await;
    let left = office.server.ask("{ findings { totalCount } posture { mfa { yes no } } }", json!({})).await;
    assert_eq!(left["findings"]["totalCount"], 0);
    let closed = office.shown("CLOSED").await;
    let reasons: Vec<&Value> = closed.iter().map(|it| &it["closeReason"]).collect();
    assert_eq!(reasons.iter().filter(|reason| **reason == "INSTANCE_DELETED").count(), 5, "{reasons:?}");
    assert_eq!(reasons.iter().filter(|reason| **reason == "ACCOUNT_GONE").count(), 5, "{reasons:?}");
    office.end().await;
}
