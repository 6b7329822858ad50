//! Users as they were at a time in the past.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::DateTime;
use muster::auth::tokens::NewToken;
use muster::auth::{Role, Scope};
use muster::clock::{Clock, DAY_MS, SteadyClock};
use muster::maintenance::retention::{Pruner, Retention};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::reports;
use crate::access::scope::key;
use crate::people::roster::{Account, Company, account};
use crate::support::{Client, Server};

/// What the history has of a user. The file of the users has more.
const FIELDS: [&str; 12] = [
    "id",
    "instance",
    "externalId",
    "displayName",
    "email",
    "status",
    "guest",
    "isAdmin",
    "mfaEnabled",
    "licenses",
    "firstSeenAt",
    "removedAt",
];

const PAGE: &str = "query($first: Int, $after: String, $filter: UserFilter, $at: DateTime) {
    users(first: $first, after: $after, filter: $filter, asOf: $at) { pageInfo { hasNextPage endCursor } nodes {
        id instance { id name } externalId displayName email status kind guest isAdmin mfaEnabled licenses createdAt
        firstSeenAt removedAt lastActiveAt neverActive } } }";

fn instant(at: i64) -> String {
    DateTime::from_timestamp_millis(at).unwrap().to_rfc3339()
}

/// The list at a time, in pages of this size, and how many pages it has.
async fn then(client: &Client, token: &str, (at, first): (i64, usize), filter: &Value) -> (Vec<Value>, usize) {
    let (mut found, mut after, mut pages) = (Vec::new(), Value::Null, 0);
    loop {
        let variables = json!({ "first": first, "after": after, "filter": filter, "at": instant(at) });
        let answer = client.ask_as(token, PAGE, variables).await;
        let page = &answer["data"]["users"];
        let nodes = page["nodes"].as_array().unwrap_or_else(|| panic!("{answer}"));
        assert!(nodes.len() <= first);
        assert!(nodes.iter().all(|user| user["lastActiveAt"].is_null() && user["neverActive"].is_null()));
        found.extend(nodes.iter().map(remembered));
        pages += 1;
        if page["pageInfo"]["hasNextPage"] == false {
            return (found, pages);
        }
        after = page["pageInfo"]["endCursor"].clone();
    }
}

fn remembered(user: &Value) -> Value {
    FIELDS.iter().map(|field| ((*field).to_owned(), user[*field].clone())).collect::<serde_json::Map<_, _>>().into()
}

/// The file of the users as they are now.
async fn now(server: &Server, filter: &Value) -> Vec<Value> {
    let (rows, _) = reports::lines(server, &server.viewer, "users", Some(filter.clone())).await;
    rows.iter().map(remembered).collect()
}

/// What an application lists, one sync after another: accounts are new, change, are removed, and come back otherwise.
fn lists() -> Vec<Vec<Account>> {
    let (ann, bob) = (|| account("ann", "ann@acme.example"), || account("bob", "bob@acme.example"));
    let (cem, dan) = (|| account("cem", "cem@acme.example"), || account("dan", "dan@acme.example"));
    vec![
        vec![ann(), bob(), cem()],
        vec![ann().named("Ann Archer"), bob().suspended(), cem(), dan()],
        vec![ann().named("Ann Archer"), bob(), dan().set("userType", "Guest")],
        vec![ann().named("Ann Bell"), bob(), dan().set("userType", "Guest")],
        // Nothing is different.
        vec![ann().named("Ann Bell"), bob(), dan().set("userType", "Guest")],
        vec![account("ann", "ann.bell@acme.example"), cem().named("Cem is back"), account("eve", "")],
        vec![cem().suspended(), dan(), account("eve", "eve@acme.example"), bob().named("Bob is back")],
    ]
}

#[tokio::test]
async fn the_list_of_a_time_is_the_file_of_that_time() {
    let clock = Arc::new(AtomicI64::new(Clock::System.now() / 1_000 * 1_000));
    let mut company = Company::at(Clock::Manual(clock.clone())).await;
    let start = clock.load(Ordering::Relaxed);
    let filters = [
        json!({}),
        json!({ "includeRemoved": true }),
        json!({ "statuses": ["SUSPENDED"] }),
        json!({ "statuses": ["ACTIVE", "INVITED"], "includeRemoved": true }),
        json!({ "integrationKeys": ["scim"] }),
    ];
    clock.fetch_add(60_000, Ordering::Relaxed);
    let churning = [("users", "40"), ("churn_percent", "20"), ("outcomes", "success,success,transient,partial")];
    let acme = company.server.rehearse("Acme", &churning).await;
    company.server.idle(&acme, "").await;
    let mut known = Vec::new();
    for (number, list) in lists().into_iter().enumerate() {
        if number == 0 {
            company.connect("Chat", list).await;
        } else {
            assert_eq!(company.list("Chat", list).await["outcome"], "SUCCEEDED", "{number}");
            company.server.sync(&acme, "outcome").await;
        }
        let at = clock.load(Ordering::Relaxed);
        let mut files = Vec::new();
        for filter in &filters {
            files.push(now(&company.server, filter).await);
        }
        files.push(now(&company.server, &json!({ "instanceId": company.id("Chat") })).await);
        known.push((at, files));
        clock.fetch_add(60_000, Ordering::Relaxed);
    }
    let filters = [&filters[..], &[json!({ "instanceId": company.id("Chat") })]].concat();
    let server = &company.server;
    for (at, files) in &known {
        for (filter, file) in filters.iter().zip(files) {
            for (at, first) in [(*at, 100), (*at, 7), (at + 59_999, 1)] {
                let (list, _) = then(server, &server.viewer, (at, first), filter).await;
                assert_eq!(&list, file, "{filter} at {}, in pages of {first}", instant(at));
            }
        }
    }
    let distinct: std::collections::BTreeSet<String> =
        known.iter().map(|(_, files)| json!(files[5]).to_string()).collect();
    assert_eq!(distinct.len(), 6, "all of them but one are different");
    let (before, _) = then(server, &server.viewer, (start, 100), &json!({ "includeRemoved": true })).await;
    assert_eq!(before, [] as [Value; 0], "nobody was known");

    // A limited token sees the past of its own instances.
    let scope = Scope { instances: [key(company.id("Chat"))].into(), ..Scope::default() };
    let limited = NewToken { scope: Some(scope), ..NewToken::new("limited", Role::Viewer) };
    let limited = server.tokens.create(limited).await.unwrap().text;
    let (at, files) = &known[1];
    assert_eq!(&then(server, &limited, (*at, 3), &json!({})).await.0, &files[5]);
    let other = json!({ "instanceId": acme });
    assert_eq!(then(server, &limited, (*at, 3), &other).await.0, [] as [Value; 0]);
    // Who was deleted is left out of the past as well.
    server.done("deleteAllUsers", json!({ "instanceId": acme, "acknowledgeIrreversible": true }), "").await;
    assert_eq!(&then(server, &server.viewer, (*at, 100), &json!({})).await.0, &files[5]);
}

#[tokio::test]
async fn a_page_looks_at_so_many_users_and_says_where_to_go_on() {
    let server = Server::start().await;
    let before = Clock::System.now();
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    let id = server.rehearse("Acme", &[("users", "2500"), ("page_size", "500")]).await;
    server.idle(&id, "").await;
    let (nobody, pages) = then(&server, &server.viewer, (before, 100), &json!({})).await;
    assert_eq!((nobody.len(), pages), (0, 3));
    let filter = json!({ "instanceId": id });
    let (everybody, _) = then(&server, &server.viewer, (Clock::System.now(), 100), &filter).await;
    assert_eq!(everybody.len(), 2_500);
}

#[tokio::test]
async fn what_the_history_does_not_have_is_refused() {
    let clock = Arc::new(AtomicI64::new(Clock::System.now()));
    let server = Server::builder().clock(Clock::Manual(clock.clone())).start().await;
    let start = clock.load(Ordering::Relaxed);
    let id = server.rehearse("Acme", &[("users", "40"), ("churn_percent", "10")]).await;
    server.idle(&id, "").await;
    clock.fetch_add(60_000, Ordering::Relaxed);
    server.sync(&id, "outcome").await;
    let refused = async |arguments: String, fields: &str| {
        let query = format!("{{ users(first: 2, {arguments}) {{ {fields} }} }}");
        let answer = server.ask_as(&server.viewer, &query, json!({})).await;
        let error = &answer["errors"][0];
        if error.is_null() {
            return String::new();
        }
        assert_eq!(error["extensions"]["code"], "BAD_USER_INPUT", "{answer}");
        error["message"].as_str().unwrap().to_owned()
    };
    let at = |at: i64| format!("asOf: \"{}\"", instant(at));
    let (nodes, now) = ("nodes { id }", clock.load(Ordering::Relaxed));
    assert_eq!(refused(at(now), nodes).await, "");
    for (arguments, fields, message) in [
        (at(now + 1), nodes, "asOf is a time that has not come yet."),
        (at(start - 400 * DAY_MS), nodes, "The history of the users begins at "),
        (format!("{}, filter: {{ search: \"a\" }}", at(now)), nodes, "A list of the past has no search"),
        (
            format!("{}, filter: {{ instanceId: \"{id}\" }}, orderBy: {{ field: NAME, direction: ASC }}", at(now)),
            nodes,
            "A list of the past has no search",
        ),
        (at(now), "totalCount", "A list of the past is not counted"),
        (at(now), "totalCountIsExact", "A list of the past is not counted"),
    ] {
        let told = refused(arguments.clone(), fields).await;
        assert!(told.starts_with(message), "{arguments}: {told}");
    }
    // A cursor of the list of today is none of the past.
    let today = server.ask("{ users(first: 2) { pageInfo { endCursor } } }", json!({})).await;
    let cursor = today["users"]["pageInfo"]["endCursor"].clone();
    assert_eq!(refused(format!("{}, after: {cursor}", at(now)), nodes).await, "after is not a cursor of this list.");

    // What retention has removed is not made up.
    for (retention, days) in [
        (Retention { changes: 2, ..Retention::default() }, 3),
        (Retention { removed_users: 2, ..Retention::default() }, 6),
    ] {
        let known = clock.load(Ordering::Relaxed);
        assert_eq!(refused(at(known), nodes).await, "");
        clock.store(now + days * DAY_MS, Ordering::Relaxed);
        let age_clock = SteadyClock::new(Clock::Manual(clock.clone()));
        Pruner { db: server.db.clone(), age_clock, retention }.run_once(&CancellationToken::new()).await;
        let told = refused(at(known), nodes).await;
        let begins = DateTime::from_timestamp_millis(now + (days - 2) * DAY_MS).unwrap();
        let begins = begins.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
        assert_eq!(told, format!("The history of the users begins at {begins}. What was before is not known."));
        assert_eq!(refused(at(now + (days - 2) * DAY_MS), nodes).await, "");
        server.sync(&id, "outcome").await;
    }
}
