//! Outcomes of runs, and the health and mail that follow from them.

use serde_json::{Value, json};

use crate::support::Server;

const AXES: &str = "status inactiveReason syncState health";

fn mail(run: &Value) -> (&str, &str) {
    let decision = &run["mailDecision"];
    (decision["kind"].as_str().unwrap_or("none"), decision["reason"].as_str().unwrap())
}

/// Runs one sync for each rehearsed outcome, and returns the health and the mail after each.
async fn rehearsed(server: &Server, outcomes: &str) -> Vec<(String, String, String)> {
    let id = server.rehearse(outcomes, &[("outcomes", outcomes), ("users", "30")]).await;
    let mut story = Vec::new();
    for turn in 0..outcomes.split(',').count() {
        if turn > 0 {
            server.sync(&id, "id").await;
        }
        let now = server.idle(&id, "health lastSync { mailDecision { kind reason } }").await;
        let (kind, reason) = mail(&now["lastSync"]);
        story.push((now["health"].as_str().unwrap().into(), kind.into(), reason.into()));
    }
    story
}

fn told(story: &[(&str, &str, &str)]) -> Vec<(String, String, String)> {
    story.iter().map(|(a, b, c)| ((*a).into(), (*b).into(), (*c).into())).collect()
}

#[tokio::test]
async fn a_new_instance_is_live_and_pending_and_its_initial_sync_starts_at_once() {
    let server = Server::start().await;
    let config = json!([{ "key": "latency_ms", "value": "600000" }]);
    let input = json!({ "integrationKey": "rehearsal", "name": "Acme", "config": config });
    let fields = "instance { id status inactiveReason syncState health userCount freshness { state asOf staleSince }
        failingSince nextSyncAt notice { title } lastSync { id } currentSync { trigger outcome } createdBy revision syncIntervalMinutes }";
    let mut created = server.done("createInstance", input, fields).await["instance"].take();
    let id = created["id"].take();
    let wanted = json!({ "id": null, "status": "LIVE", "inactiveReason": null, "syncState": "QUEUED", "health": "PENDING",
        "userCount": 0, "freshness": { "state": "NEVER", "asOf": null, "staleSince": null }, "failingSince": null,
        "nextSyncAt": null, "notice": null, "lastSync": null, "currentSync": { "trigger": "INITIAL", "outcome": null },
        "createdBy": "ada@example.com", "revision": 1, "syncIntervalMinutes": 60 });
    assert_eq!(created, wanted);
    server.until(id.as_str().unwrap(), "syncState", |now| now["syncState"] == "RUNNING").await;
}

#[tokio::test]
async fn an_initial_sync_that_succeeds_reports_the_users_and_is_mailed() {
    let server = Server::start().await;
    let id = server.rehearse("Acme", &[]).await;
    let fields = "health userCount freshness { state asOf staleSince } notice { title } nextSyncAt currentSync { id }
        lastSync { trigger outcome seen added changed removed failure { message } finishedAt mailDecision { kind reason } }
        users(first: 1) { totalCount }";
    let now = server.idle(&id, fields).await;
    let run = &now["lastSync"];
    assert_eq!(
        (&now["health"], &now["userCount"], &now["users"]["totalCount"]),
        (&json!("OK"), &json!(100), &json!(100))
    );
    assert_eq!(
        (&run["trigger"], &run["outcome"], &run["failure"]),
        (&json!("INITIAL"), &json!("SUCCEEDED"), &Value::Null)
    );
    assert_eq!([&run["seen"], &run["added"], &run["changed"], &run["removed"]], [100, 100, 0, 0]);
    assert_eq!(mail(run), ("INITIAL_SYNC_SUCCEEDED", "EDGE"));
    assert_eq!(now["freshness"], json!({ "state": "FRESH", "asOf": run["finishedAt"], "staleSince": null }));
    assert!(now["nextSyncAt"].is_string() && now["notice"].is_null() && now["currentSync"].is_null());
}

#[tokio::test]
async fn mail_tells_only_of_changes_from_well_to_badly_and_back() {
    let server = Server::start().await;
    assert_eq!(
        rehearsed(&server, "success,success,transient,garbage,rate_limited,success,partial,transient,partial").await,
        told(&[
            ("OK", "INITIAL_SYNC_SUCCEEDED", "EDGE"),
            ("OK", "none", "NO_CHANGE"),
            ("FAILING", "SYNC_FAILED", "EDGE"),
            ("FAILING", "none", "NO_CHANGE"),
            ("FAILING", "none", "NO_CHANGE"),
            ("OK", "SYNC_RECOVERED", "EDGE"),
            ("PARTIAL", "none", "NO_CHANGE"),
            ("FAILING", "SYNC_FAILED", "EDGE"),
            ("PARTIAL", "SYNC_RECOVERED", "EDGE"),
        ])
    );
}

#[tokio::test]
async fn a_failed_initial_sync_is_mailed_once_and_so_is_its_recovery() {
    let server = Server::start().await;
    assert_eq!(
        rehearsed(&server, "transient,transient,success,success").await,
        told(&[
            ("FAILING", "INITIAL_SYNC_FAILED", "EDGE"),
            ("FAILING", "none", "NO_CHANGE"),
            ("OK", "SYNC_RECOVERED", "EDGE"),
            ("OK", "none", "NO_CHANGE"),
        ])
    );
    let partial = rehearsed(&server, "partial").await;
    assert_eq!(partial, told(&[("PARTIAL", "INITIAL_SYNC_SUCCEEDED", "EDGE")]));
}

#[tokio::test]
async fn the_mails_of_an_instance_stand_in_the_ledger_one_per_address() {
    let server = Server::start().await;
    let emails = json!(["grace@example.com", "ADA@example.com", "grace@EXAMPLE.com"]);
    server.done("setRecipients", json!({ "emails": emails }), "").await;
    let id = server.rehearse("Acme", &[]).await;
    server.idle(&id, "").await;
    let query = "query($id: ID!) { notifications(filter: { instanceId: $id }) { nodes { address kind run { trigger } instance { name } } } }";
    let found = server.ask(query, json!({ "id": id })).await;
    let mails = found["notifications"]["nodes"].as_array().unwrap();
    let mut addresses: Vec<_> = mails.iter().map(|mail| mail["address"].as_str().unwrap().to_lowercase()).collect();
    addresses.sort();
    assert_eq!(addresses, ["ada@example.com", "grace@example.com"]);
    for mail in mails {
        assert_eq!(mail["kind"], "INITIAL_SYNC_SUCCEEDED");
        assert_eq!((&mail["run"]["trigger"], &mail["instance"]["name"]), (&json!("INITIAL"), &json!("Acme")));
    }
}

#[tokio::test]
async fn a_partial_sync_names_what_was_lost_and_keeps_its_old_data() {
    let server = Server::start().await;
    let id = server.rehearse("Acme", &[("outcomes", "success,partial"), ("users", "3")]).await;
    let users = "users(first: 10) { nodes { externalId lastActiveAt licenses mfaEnabled } }";
    let before = server.idle(&id, users).await["users"].clone();
    assert!(before["nodes"][1]["lastActiveAt"].is_string());
    let failure = "failure { class message httpStatus lostCapabilities missingPermissions }";
    let run = server.sync(&id, &format!("outcome seen changed removed {failure}")).await;
    assert_eq!(
        (&run["outcome"], &run["seen"], &run["changed"], &run["removed"]),
        (&json!("PARTIAL"), &json!(3), &json!(0), &json!(0))
    );
    assert_eq!(run["failure"]["class"], "PERMISSION");
    assert_eq!(run["failure"]["lostCapabilities"], json!(["LAST_ACTIVITY"]));
    assert_eq!(run["failure"]["missingPermissions"], json!(["rehearsal.activity.read"]));
    let now = server.instance(&id, &format!("{AXES} freshness {{ state }} {users}")).await;
    assert_eq!(now["users"], before);
    assert_eq!(
        (&now["status"], &now["health"], &now["freshness"]["state"]),
        (&json!("LIVE"), &json!("PARTIAL"), &json!("FRESH"))
    );
}

#[tokio::test]
async fn a_list_that_is_not_known_to_be_whole_removes_nobody() {
    let server = Server::start().await;
    let config =
        [("outcomes", "success,uncertain,uncertain"), ("users", "30"), ("page_size", "10"), ("churn_percent", "10")];
    let id = server.rehearse("Acme", &config).await;
    server.idle(&id, "").await;
    for users in [32, 35] {
        let run =
            server.sync(&id, "outcome removed failure { class message lostCapabilities missingPermissions }").await;
        assert_eq!((&run["outcome"], &run["removed"]), (&json!("PARTIAL"), &json!(0)));
        let failure = &run["failure"];
        assert_eq!((&failure["class"], &failure["lostCapabilities"]), (&json!("CONFIG"), &json!(["USERS"])));
        let message = failure["message"].as_str().unwrap();
        assert!(message.contains("nobody was removed") && message.contains("30 users, but lists 29"), "{message}");
        let now = server.instance(&id, "health userCount consecutive: failingSince").await;
        assert_eq!((&now["health"], &now["userCount"]), (&json!("PARTIAL"), &json!(users)));
    }
}

#[tokio::test]
async fn each_run_tells_who_joined_and_who_left() {
    let server = Server::start().await;
    let id = server.rehearse("Acme", &[("users", "20"), ("churn_percent", "10")]).await;
    server.idle(&id, "").await;
    let changes = "changes(first: 10, kind: KIND) { totalCount nodes { kind fields user { externalId removedAt } } }";
    let (joined, left) = (changes.replace("KIND", "ADDED"), changes.replace("KIND", "REMOVED"));
    let run = server
        .sync(&id, &format!("seen added changed removed joined: {joined} left: {left} all: changes {{ totalCount }}"))
        .await;
    assert_eq!([&run["seen"], &run["added"], &run["changed"], &run["removed"]], [20, 2, 0, 2]);
    let ids = |list: &Value| -> Vec<String> {
        list["nodes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|change| change["user"]["externalId"].as_str().unwrap().into())
            .collect()
    };
    assert_eq!(ids(&run["joined"]), ["person-20", "person-21"]);
    assert_eq!(ids(&run["left"]), ["person-0", "person-1"]);
    assert!(
        run["left"]["nodes"][0]["user"]["removedAt"].is_string()
            && run["joined"]["nodes"][0]["user"]["removedAt"].is_null()
    );
    assert_eq!((&run["joined"]["totalCount"], &run["all"]["totalCount"]), (&json!(2), &json!(4)));
    let people = server.people(&id).await;
    assert!(people.len() == 20 && !people.contains(&"person-1".to_owned()) && people.contains(&"person-21".to_owned()));
}

#[tokio::test]
async fn a_person_who_comes_back_is_the_same_user_and_has_joined() {
    let server = Server::start().await;
    let id = server.rehearse("Acme", &[("users", "4"), ("outcomes", "success,empty,success")]).await;
    let users = "users(first: 10, filter: { includeRemoved: true }) { nodes { id firstSeenAt removedAt } }";
    let before = server.idle(&id, users).await["users"].clone();
    server.done("syncInstance", json!({ "id": id, "acceptRemovals": true }), "").await;
    let run = server.idle(&id, "lastSync { seen added removed }").await["lastSync"].take();
    assert_eq!(run, json!({ "seen": 0, "added": 0, "removed": 4 }));
    assert_eq!(server.people(&id).await.len(), 0);
    let run = server.sync(&id, "seen added changed removed").await;
    assert_eq!(run, json!({ "seen": 4, "added": 4, "changed": 0, "removed": 0 }));
    assert_eq!(server.instance(&id, users).await["users"], before);
}
