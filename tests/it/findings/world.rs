//! A small company with every trap of the definitions.

use std::collections::{BTreeMap, BTreeSet};

use chrono::DateTime;
use muster::clock::{Clock, DAY_MS};
use serde_json::{Value, json};

use super::application::{Office, ago, names, tool};
use crate::people::roster::{Account, account};

pub fn records() -> Vec<Account> {
    let mut records: Vec<Account> =
        (1..=10).map(|number| account(&format!("h{number}"), &format!("p{number}@acme.example"))).collect();
    records[8] = account("h9", "p9@acme.example").suspended();
    records
}

pub fn accounts() -> Vec<Value> {
    vec![
        tool("fine", "p1@acme.example", json!({})),
        // What is not known is no finding.
        tool("silent", "p2@acme.example", json!({ "mfa": null, "admin": null, "watched": false, "licenses": ["Pro"] })),
        tool("weak", "p3@acme.example", json!({ "mfa": false })),
        tool("chief", "p4@acme.example", json!({ "mfa": false, "admin": true })),
        // Programs and shared accounts are not asked about second factors and activity.
        tool("bot", "", json!({ "kind": "service", "mfa": false, "last": ago(300), "admin": true })),
        tool("box", "box@acme.example", json!({ "kind": "shared", "mfa": false })),
        // An account that was never used is inactive if it is old.
        tool("idle", "p5@acme.example", json!({ "last": ago(200) })),
        tool("unused", "p6@acme.example", json!({ "last": null, "licenses": ["Pro"] })),
        tool("dusty", "p10@acme.example", json!({ "last": null, "licenses": ["Free"] })),
        tool("fresh", "p7@acme.example", json!({ "last": null, "created": ago(1), "licenses": ["Pro"] })),
        tool("left", "p9@acme.example", json!({})),
        tool("off", "p9@acme.example", json!({ "status": "suspended", "mfa": false, "last": ago(300) })),
        tool("invited", "p8@acme.example", json!({ "status": "invited", "mfa": false, "last": null })),
        tool("ghost", "ghost@acme.example", json!({})),
        tool("guest", "p8@acme.example", json!({ "guest": true })),
        tool("partner", "x@partner.test", json!({ "admin": true })),
        tool("nameless", "", json!({ "kind": null })),
        tool("twice", "p1@acme.example", json!({})),
    ]
}

const TRUTH: [&str; 15] = [
    "bot UNOWNED_SERVICE",
    "box UNOWNED_SERVICE",
    "chief ADMIN_WITHOUT_MFA",
    "chief NO_MFA",
    "dusty INACTIVE",
    "fine DUPLICATE",
    "ghost UNMATCHED",
    "guest EXTERNAL",
    "idle INACTIVE",
    "left LEAVER_ACTIVE",
    "partner EXTERNAL",
    "partner EXTERNAL_ADMIN",
    "unused INACTIVE",
    "unused NEVER_USED",
    "weak NO_MFA",
];

fn truth() -> BTreeSet<String> {
    TRUTH.into_iter().map(str::to_owned).collect()
}

#[tokio::test]
async fn every_finding_is_true_and_an_identical_sync_changes_none() {
    let office = Office::start(records(), accounts()).await;
    assert_eq!(office.findings("OPEN").await, truth());
    let (before, figures) = (office.shown("OPEN").await, office.figures().await);
    office.list(accounts()).await;
    office.employ(records()).await;
    assert_eq!(office.shown("OPEN").await, before);
    assert_eq!(office.findings("CLOSED, UNCONFIRMED, EXCEPTED").await, names([]));
    assert_eq!(office.figures().await, figures);
    let severities: BTreeMap<String, &Value> = before
        .iter()
        .map(|it| (format!("{} {}", it["user"]["externalId"].as_str().unwrap(), it["type"].as_str().unwrap()), it))
        .collect();
    let severity = |name: &str| severities[name]["severity"].clone();
    assert_eq!(severity("weak NO_MFA"), "MEDIUM");
    assert_eq!(severity("chief NO_MFA"), "HIGH", "an administrator");
    assert_eq!(severity("chief ADMIN_WITHOUT_MFA"), "CRITICAL");
    let evidence = severities["idle INACTIVE"]["evidence"].clone();
    assert_eq!((&evidence[0]["field"], &evidence[1]["field"]), (&json!("lastActiveAt"), &json!("createdAt")));
    assert!(evidence[0]["value"].as_str().unwrap().starts_with(&ago(200)[..10]), "{evidence}");
    office.end().await;
}

/// The answers to each question, computed from the list of users alone: yes, no and unknown.
#[expect(clippy::too_many_lines, reason = "one question after the other")]
fn recomputed(users: &[Value], now: i64) -> BTreeMap<&'static str, [i64; 3]> {
    let mut found: BTreeMap<&'static str, [i64; 3]> = BTreeMap::new();
    let mut count = |name: &'static str, answer: Option<bool>| {
        let own = found.entry(name).or_default();
        match answer {
            Some(true) => own[0] += 1,
            Some(false) => own[1] += 1,
            None => own[2] += 1,
        }
    };
    let edge = now - 90 * DAY_MS;
    let time = |value: &Value| value.as_str().map(|at| DateTime::parse_from_rfc3339(at).unwrap().timestamp_millis());
    let mut first_of: BTreeMap<String, usize> = BTreeMap::new();
    for user in users {
        let (active, state) = (user["status"] == "ACTIVE", user["link"]["state"].as_str().unwrap());
        let kind = user["kind"].as_str();
        let is_person = active && kind.is_none_or(|kind| kind == "HUMAN");
        let admin = user["isAdmin"].as_bool();
        let external = if user["guest"] == true {
            Some(true)
        } else {
            user["email"].as_str().map(|mail| !mail.ends_with("@acme.example"))
        };
        if is_person {
            count("mfa", user["mfaEnabled"].as_bool());
            count("admins", admin);
            count("externals", external);
            if admin != Some(false) {
                count("adminMfa", admin.and(user["mfaEnabled"].as_bool()));
                count("externalAdmins", admin.and(external));
            }
            let (never, last) = (user["neverActive"].as_bool(), time(&user["lastActiveAt"]));
            let age = time(&user["createdAt"]).or(time(&user["firstSeenAt"])).unwrap();
            count("neverActive", never);
            count("inactive", never.map(|never| age < edge && (never || last.unwrap() < edge)));
            // The others cost nothing.
            if user["licenses"].as_array().unwrap().contains(&json!("Pro")) {
                count("neverUsed", never.map(|never| never && age < edge));
            }
        }
        match kind {
            None => count("ownedServices", None),
            Some("HUMAN") => {}
            Some(_) => count("ownedServices", Some(user["owner"]["state"] == "CURRENT")),
        }
        let is_personal = !["NOT_PERSONAL", "NOBODY"].contains(&state);
        if active && is_personal {
            count(
                "leavers",
                match user["person"]["state"].as_str() {
                    Some("LEFT") => Some(true),
                    Some("CURRENT") => Some(false),
                    _ => None,
                },
            );
            if user["link"]["rule"] != "FOREIGN_ADDRESS" {
                count(
                    "unmatched",
                    match state {
                        "UNMATCHED" => Some(true),
                        "LINKED" | "CONFLICT" => Some(false),
                        _ => None,
                    },
                );
            }
            match user["person"]["id"].as_str() {
                Some(person) => *first_of.entry(person.to_owned()).or_default() += 1,
                None => count("duplicates", None),
            }
        }
        if is_personal && state != "UNMATCHED" {
            count("conflicts", if state == "NO_ADDRESS" { None } else { Some(state == "CONFLICT") });
        }
    }
    for accounts in first_of.into_values() {
        count("duplicates", Some(accounts > 1));
    }
    found
}

#[tokio::test]
async fn figures_are_those_of_the_users_and_of_the_lists_behind_them() {
    let office = Office::start(records(), accounts()).await;
    let fields =
        "users(first: 100) { nodes { status kind isAdmin mfaEnabled guest email lastActiveAt neverActive createdAt
        firstSeenAt licenses link { state rule } person { id state } owner { state } } } userCount
        posture { accounts { active service shared invited suspended unknownStatus }
            mfa { basis { asOf evaluatedAt unassessed staleSources { asOf } } } }";
    let found = office.server.instance(&office.tool, fields).await;
    let users = found["users"]["nodes"].as_array().unwrap();
    let figures = office.figures().await;
    let expected = recomputed(users, Clock::System.now());
    for (name, [yes, no, unknown, excepted]) in &figures {
        let wanted = expected.get(name.as_str()).copied().unwrap_or_default();
        assert_eq!([*yes, *no, *unknown], wanted, "{name}");
        assert_eq!(*excepted, 0, "{name}");
    }
    assert!(expected.len() == figures.len(), "{expected:?}");
    let counts = &found["posture"]["accounts"];
    let accounts: i64 = counts.as_object().unwrap().values().map(|count| count.as_i64().unwrap()).sum();
    assert_eq!(accounts, found["userCount"].as_i64().unwrap());
    assert_eq!((&counts["service"], &counts["shared"]), (&json!(1), &json!(1)), "they are counted beside the people");
    let basis = &found["posture"]["mfa"]["basis"];
    assert!(basis["asOf"].is_string() && basis["evaluatedAt"].is_string(), "{basis}");
    assert_eq!((&basis["unassessed"], &basis["staleSources"]), (&json!(0), &json!([])));

    // Each figure is the size of the list behind it.
    for (name, kind, place) in [
        ("mfa", "NO_MFA", 1),
        ("adminMfa", "ADMIN_WITHOUT_MFA", 1),
        ("ownedServices", "UNOWNED_SERVICE", 1),
        ("externalAdmins", "EXTERNAL_ADMIN", 0),
        ("externals", "EXTERNAL", 0),
        ("leavers", "LEAVER_ACTIVE", 0),
        ("unmatched", "UNMATCHED", 0),
        ("inactive", "INACTIVE", 0),
        ("neverUsed", "NEVER_USED", 0),
        ("duplicates", "DUPLICATE", 0),
        ("conflicts", "CONFLICT", 0),
    ] {
        let query = "query($types: [FindingType!], $ids: [ID!]) {
            findings(filter: { types: $types, instanceIds: $ids }, first: 100) { totalCount nodes { id } } }";
        let list = office.server.ask(query, json!({ "types": [kind], "ids": [office.tool] })).await;
        assert_eq!(list["findings"]["totalCount"], figures[name][place], "{name}");
        assert_eq!(
            i64::try_from(list["findings"]["nodes"].as_array().unwrap().len()).unwrap(),
            figures[name][place],
            "{name}"
        );
    }
    // All instances together: the source has nobody whose second factor is known.
    let all = office.server.ask("{ posture { mfa { yes no unknown } } all: findings { totalCount } }", json!({})).await;
    assert_eq!((&all["posture"]["mfa"]["yes"], &all["posture"]["mfa"]["no"]), (&json!(figures["mfa"][0]), &json!(2)));
    assert_eq!(all["all"]["totalCount"], 15, "the source has no findings");
    office.end().await;
}

#[tokio::test]
async fn lists_of_findings_are_paged_and_selected() {
    let office = Office::start(records(), accounts()).await;
    let (mut seen, mut after) = (Vec::new(), Value::Null);
    loop {
        let query = "query($after: String) { findings(first: 3, after: $after) { nodes { id } pageInfo { hasNextPage endCursor } } }";
        let page = office.server.ask(query, json!({ "after": after })).await["findings"].take();
        seen.extend(page["nodes"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap().to_owned()));
        if page["pageInfo"]["hasNextPage"] == false {
            break;
        }
        after = page["pageInfo"]["endCursor"].clone();
    }
    let newest: Vec<String> =
        office.shown("OPEN").await.iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(seen, newest);
    let user = office.finding("chief", "NO_MFA").await["user"]["id"].clone();
    let query =
        "query($id: ID!) { node(id: $id) { ... on User { person { id } findings { totalCount nodes { type } } } } }";
    let user = office.server.ask(query, json!({ "id": user })).await["node"].take();
    assert_eq!(user["findings"]["totalCount"], 2);
    assert_eq!(user["findings"]["nodes"].as_array().unwrap().len(), 2);
    let count = async |filter: Value| {
        let query = "query($filter: FindingFilter) { findings(filter: $filter) { totalCount } }";
        office.server.ask(query, json!({ "filter": filter })).await["findings"]["totalCount"].as_i64().unwrap()
    };
    assert_eq!(count(json!({ "personId": user["person"]["id"] })).await, 2);
    assert_eq!(count(json!({ "severities": ["CRITICAL"] })).await, 1);
    assert_eq!(count(json!({ "openedSince": ago(1) })).await, 15);
    assert_eq!(count(json!({ "openedSince": ago(-1) })).await, 0);
    assert_eq!(count(json!({ "states": ["CLOSED"] })).await, 0);
    office.end().await;
}
