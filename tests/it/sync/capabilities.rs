//! As of when each part of an instance's user list is known.

use serde_json::{Value, json};

use crate::support::Server;

const STATES: &str = "capabilityStates { capability provided asOf lostSince reason missingPermission }";
const ALL: [&str; 7] = ["USERS", "INVITATIONS", "LAST_ACTIVITY", "MFA", "ADMIN_ROLES", "LICENSES", "PROFILE"];

fn part<'a>(states: &'a Value, capability: &str) -> &'a Value {
    let states = states["capabilityStates"].as_array().unwrap();
    states.iter().find(|state| state["capability"] == capability).unwrap()
}

#[tokio::test]
async fn a_part_that_is_lost_is_as_of_the_last_run_that_read_it() {
    let server = Server::start().await;
    let outcomes = "transient,success,partial,transient,partial,uncertain,success";
    let id = server.rehearse("Acme", &[("outcomes", outcomes), ("users", "3")]).await;
    let mut starts = vec![Value::Null];
    let mut now = server.idle(&id, &format!("{STATES} lastSync {{ startedAt }}")).await;
    let capabilities = now["capabilityStates"].as_array().unwrap().iter();
    let capabilities: Vec<_> = capabilities.map(|state| state["capability"].as_str().unwrap().to_owned()).collect();
    assert_eq!(capabilities, ALL);
    // The numbers of the runs from which a part is known, and since which it is lost.
    for (users, activity, lost) in [(0, 0, 0), (2, 2, 0), (3, 2, 3), (3, 2, 3), (5, 2, 3), (5, 6, 0), (7, 7, 0)] {
        starts.push(now["lastSync"]["startedAt"].clone());
        let number = starts.len() - 1;
        let known = part(&now, "LAST_ACTIVITY");
        assert_eq!((&known["asOf"], &known["lostSince"]), (&starts[activity], &starts[lost]), "run {number}: {now}");
        let permission = if lost > 0 { json!("rehearsal.activity.read") } else { Value::Null };
        assert_eq!((&known["provided"], &known["missingPermission"]), (&json!(true), &permission));
        let known = part(&now, "USERS");
        let uncertain = if number == 6 { starts[6].clone() } else { Value::Null };
        assert_eq!((&known["asOf"], &known["lostSince"]), (&starts[users], &uncertain), "run {number}: {now}");
        assert_eq!(known["reason"].is_string(), number == 6);
        assert_eq!(part(&now, "MFA")["asOf"], starts[if number == 6 { 6 } else { users }], "run {number}: {now}");
        if number < 7 {
            server.sync(&id, "id").await;
            now = server.idle(&id, &format!("{STATES} lastSync {{ startedAt }}")).await;
        }
    }
}

#[tokio::test]
async fn a_profile_that_is_lost_keeps_its_values_and_its_age() {
    let server = Server::start().await;
    let people = "users(first: 10) { nodes { externalId aliases sourceId employeeId department manager } }";
    let id = server.rehearse("Acme", &[("outcomes", "success,no_profile,success"), ("users", "4")]).await;
    let first = server.idle(&id, &format!("{STATES} lastSync {{ startedAt }} {people}")).await;
    let known = first["users"]["nodes"].as_array().unwrap();
    let expected = json!({
        "externalId": "person-3", "aliases": ["p3@rehearsal.example"], "sourceId": "directory-3",
        "employeeId": "E000003", "department": "Sales", "manager": "person-0"
    });
    assert!(known.contains(&expected), "{first:#}");
    server.sync(&id, "id").await;
    let fields = format!("{STATES} health lastSync {{ startedAt failure {{ lostCapabilities }} }} {people}");
    let second = server.idle(&id, &fields).await;
    assert_eq!(second["users"], first["users"]);
    assert_eq!(
        (&second["health"], &second["lastSync"]["failure"]["lostCapabilities"]),
        (&json!("PARTIAL"), &json!(["PROFILE"]))
    );
    let (before, after) = (part(&first, "PROFILE"), part(&second, "PROFILE"));
    assert_eq!((&before["provided"], &before["asOf"]), (&json!(true), &first["lastSync"]["startedAt"]));
    assert_eq!((&after["asOf"], &after["lostSince"]), (&before["asOf"], &second["lastSync"]["startedAt"]));
    assert_eq!(after["missingPermission"], "rehearsal.profile.read");
    assert_eq!(part(&second, "USERS")["asOf"], second["lastSync"]["startedAt"]);
    server.sync(&id, "id").await;
    let third = server.idle(&id, &format!("{STATES} lastSync {{ startedAt }}")).await;
    let now = part(&third, "PROFILE");
    assert_eq!((&now["asOf"], &now["lostSince"]), (&third["lastSync"]["startedAt"], &Value::Null));
}

#[tokio::test]
async fn nothing_is_known_after_all_users_were_deleted_or_the_instance_was() {
    let server = Server::start().await;
    let id = server.rehearse("Acme", &[("latency_ms", "1")]).await;
    server.idle(&id, "").await;
    assert!(part(&server.instance(&id, STATES).await, "MFA")["asOf"].is_string());
    server.done("deleteAllUsers", json!({ "instanceId": id, "acknowledgeIrreversible": true }), "").await;
    let after = server.instance(&id, STATES).await;
    for capability in ALL {
        assert_eq!(
            (&part(&after, capability)["asOf"], &part(&after, capability)["provided"]),
            (&Value::Null, &json!(capability != "INVITATIONS"))
        );
    }
    server.sync(&id, "id").await;
    assert!(part(&server.instance(&id, STATES).await, "MFA")["asOf"].is_string());
    server.done("deleteInstance", json!({ "id": id, "acknowledgeIrreversible": true }), "").await;
    let count = "SELECT CAST(COUNT(*) AS TEXT) FROM capability_state";
    assert_eq!(crate::support::one(&server.place.location(), count).await, "0");
    assert_eq!(part(&server.instance(&id, STATES).await, "MFA")["asOf"], Value::Null);
}

#[tokio::test]
async fn a_capability_that_this_version_does_not_know_or_has_no_row_of_hides_no_other() {
    let server = Server::start().await;
    let id = server.rehearse("Acme", &[("users", "3")]).await;
    server.idle(&id, "").await;
    let before = server.instance(&id, STATES).await;
    crate::support::change(&server.db, "UPDATE capability_state SET capability = 'new' WHERE capability = 'mfa'").await;
    let after = server.instance(&id, STATES).await;
    assert_eq!(after["capabilityStates"].as_array().unwrap().len(), ALL.len());
    assert_eq!((&part(&after, "MFA")["asOf"], &part(&after, "MFA")["provided"]), (&Value::Null, &json!(true)));
    assert_eq!(part(&after, "USERS"), part(&before, "USERS"));
}
