//! Query plans: every statement finds its rows by an index, and every index is used.
//!
//! A server with enough rows answers every listing and does every kind of work. Its statements are collected from the
//! log (as `MUSTER_LOG=muster::db=trace` shows them). PostgreSQL reports each plan by `auto_explain`, whose notices
//! arrive on the connection; SQLite is asked for the plans afterwards.

mod heard;
mod indexes;
mod rows;

use std::collections::BTreeMap;
use std::time::Duration;

use muster::clock::{Clock, SteadyClock};
use muster::db::Location;
use muster::directory::rekey;
use muster::maintenance::retention::{Pruner, Retention};
use muster::sync::Limits;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::connect;
use crate::findings::application::evaluated;
use crate::members::Browser;
use crate::support::{Client, Server, one};
use heard::Heard;
use indexes::{INDEXES, Use};

/// The tables that grow. None may be scanned.
const GROWING: [&str; 13] = [
    "instance",
    "sync_run",
    "user_account",
    "user_change",
    "user_word",
    "finding",
    "event",
    "notification",
    "job",
    "api_token",
    "audit_entry",
    "audit_person",
    "oauth_authorization",
];

/// Statements that may scan a table, by a part of their text, with the reason.
const WHOLE: &[(&str, &str)] = &[
    ("COUNT(", "a total is counted, when somebody asks for it"),
    (r#"SUM("instance"."user_count""#, "the total of all users is the sum of what the instances know"),
    ("LIKE", "a search for a part of the name looks at every name"),
    (r#"GROUP BY "instance"."integration_key""#, "the catalog shows how many instances each integration has"),
    (r#""instance"."secrets" IS NOT NULL LIMIT"#, "a start tries the key on one stored secret"),
    (r#"UPDATE "job" SET "lease_until" = ? WHERE"#, "a start on SQLite takes over what a dead process left"),
    (r#""api_token"."email" IS NOT NULL"#, "the tokens of people are few, and are read when a mail is decided"),
    (r#"DELETE FROM "oauth_authorization""#, "consents that are waited for are few: each is forgotten after minutes"),
];

/// A statement and its plan.
struct Plan {
    sql: String,
    steps: String,
}

#[tokio::test]
async fn every_statement_finds_its_rows_by_an_index_and_every_index_has_a_statement() {
    let server = Server::start().await;
    first_rows(&server).await;
    let place = server.stop().await;
    let db = connect(&place.location()).await;
    rows::fill(&db).await;
    let settings = match place.location() {
        Location::Sqlite(_) => Vec::new(),
        Location::Postgres(_) => explaining(&one(&place.location(), "SELECT current_database()::text").await),
    };
    for statement in settings.iter().map(String::as_str).chain(["ANALYZE"]) {
        db.execute_unprepared(statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
    let heard = Heard::from_now_on();
    // A mail that is held is not looked at in time.
    let quick = |limits: &mut Limits| limits.hold.first = Duration::ZERO;
    let server = Server::builder().place(place).limits(quick).start().await;
    everything(&server).await;
    let place = server.stop().await;

    let plans = plans(&db, &heard).await;
    assert!(plans.len() > 50, "{} plans were told", plans.len());
    let mut faults = idle_indexes(&indexes(&db).await, &plans);
    faults.extend(whole_tables(&plans));
    faults.extend(unbounded(&plans));
    db.close().await.unwrap();
    drop(place);
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}

/// Makes PostgreSQL report the plan of every statement on its connection.
fn explaining(database: &str) -> Vec<String> {
    let set = |setting: &str| format!("ALTER DATABASE {database} SET {setting}");
    vec![
        set("session_preload_libraries = 'auto_explain'"),
        set("auto_explain.log_min_duration = 0"),
        set("auto_explain.log_level = 'notice'"),
    ]
}

/// One row of each kind, to be copied.
async fn first_rows(client: &Client) {
    let id = client.rehearse("Acme", &[("users", "40"), ("churn_percent", "10")]).await;
    client.idle(&id, "").await;
    client.sync(&id, "id").await;
    client.done("testConnection", json!({ "instanceId": id }), "ok").await;
}

/// Uses every listing and every kind of work.
async fn everything(server: &Server) {
    rekey::run(&server.db, &Clock::System, &CancellationToken::new()).await.unwrap();
    let config = [("users", "40"), ("churn_percent", "20"), ("outcomes", "success,transient,success")];
    let id = server.rehearse("Worker", &config).await;
    server.idle(&id, "").await;
    for _ in 0..3 {
        server.sync(&id, "id").await;
    }
    // One in which nothing changes.
    let quiet = server.rehearse("Quiet", &[("users", "40"), ("churn_percent", "0")]).await;
    server.idle(&quiet, "").await;
    evaluated(server).await;
    server.sync(&quiet, "id").await;
    evaluated(server).await;
    listings(server, &id).await;
    server.done("deleteAllUsers", json!({ "instanceId": id, "acknowledgeIrreversible": true }), "").await;
    let newest = "events(first: 1) { nodes { cause } }";
    server.until(&id, newest, |found| found["events"]["nodes"][0]["cause"] == "USERS_DELETED").await;
    server.sync(&id, "id").await;
    server.done("deleteInstance", json!({ "id": id, "acknowledgeIrreversible": true }), "").await;
    server.until(&id, "status", |found| found["status"] == "DELETED").await;
    let retention = Retention { events: 1, runs: 1, changes: 1, mails: 1, removed_users: 1, audit: 1, audit_names: 1 };
    let pruner = Pruner { db: server.db.clone(), age_clock: SteadyClock::new(Clock::System), retention };
    pruner.run_once(&CancellationToken::new()).await;
}

async fn listings(client: &Client, id: &str) {
    for field in ["NAME", "CREATED_AT", "LAST_SYNCED_AT"] {
        for direction in ["ASC", "DESC"] {
            pages(client, "instances", &format!("orderBy: {{ field: {field}, direction: {direction} }}")).await;
        }
    }
    // Without deleted instances, the unique index on the name serves as well.
    pages(client, "instances", "filter: { statuses: [LIVE, DELETED] }, orderBy: { field: NAME, direction: ASC }").await;
    for filter in ["search: \"opy 7\"", "integrationKeys: [\"scim\"]", "statuses: [DELETED]", "health: [FAILING]"] {
        pages(client, "instances", &format!("filter: {{ {filter} }}")).await;
    }
    let of = format!("instanceId: \"{id}\"");
    let in_one = format!("{of}, search: \"person\"");
    let few = format!("{of}, statuses: [SUSPENDED]");
    let searches = ["search: \"person\"", "search: \"number 7\"", "search: \"example.com\", statuses: [ACTIVE]"];
    for filter in ["", &of, &in_one, &few, "statuses: [SUSPENDED]", "includeRemoved: true"].into_iter().chain(searches)
    {
        pages(client, "users", &format!("filter: {{ {filter} }}")).await;
    }
    past(client, &of).await;
    for filter in ["", &of, "outcomes: [FAILED]", "integrationKeys: [\"scim\"]"] {
        pages(client, "syncHistory", &format!("filter: {{ {filter} }}")).await;
    }
    for filter in ["", &of] {
        pages(client, "notifications", &format!("filter: {{ {filter} }}")).await;
    }
    let in_one = format!("instanceIds: [\"{id}\"]");
    for filter in ["", "types: [NO_MFA]", "states: [CLOSED]", "severities: [HIGH]", &in_one] {
        pages(client, "findings", &format!("filter: {{ {filter} }}")).await;
    }
    client.ask("{ posture { mfa { no } } users { nodes { findings { totalCount nodes { id } } } } }", json!({})).await;
    for direction in ["ASC", "DESC"] {
        for filter in ["", ", statuses: [SUSPENDED, INVITED]"] {
            let order = format!("orderBy: {{ field: NAME, direction: {direction} }}");
            pages(client, "users", &format!("filter: {{ {of} {filter} }}, {order}")).await;
        }
    }
    for filter in ["", "causes: [DELETED]", &format!("instanceIds: [\"{id}\"]")] {
        pages(client, "instanceEvents", &format!("filter: {{ {filter} }}")).await;
    }
    client.ask("{ eventCursor instanceCounts { total } }", json!({})).await;
    people(client).await;
    let large = client.ask("{ instances(filter: { search: \"Copy 0\" }) { nodes { id name } } }", json!({})).await;
    let large = large["instances"]["nodes"].as_array().unwrap().iter().find(|it| it["name"] == "Copy 0").unwrap();
    let of = format!("instanceId: {}", large["id"]);
    for filter in ["", "statuses: [SUSPENDED]", "statuses: [ACTIVE]", "search: \"person\"", "includeRemoved: true"] {
        pages(client, "users", &format!("filter: {{ {of}, {filter} }}")).await;
    }
    for direction in ["ASC", "DESC"] {
        pages(client, "users", &format!("filter: {{ {of} }}, orderBy: {{ field: NAME, direction: {direction} }}"))
            .await;
    }
    let nested = "{ integrations(filter: { integrated: true }) { nodes { instanceCount userCount instances(first: 2) { totalCount nodes {
        lastSync { id } currentSync { id } users(first: 2) { totalCount nodes { id } } events(first: 2) { totalCount nodes { cause } }
        syncHistory(first: 2) { totalCount nodes { changes(first: 2) { totalCount nodes { user { id } } } } } } } } } }";
    client.ask(nested, json!({})).await;
    let one =
        "{ integration(key: \"scim\") { instanceCount userCount instances(first: 2) { totalCount nodes { id } } } }";
    client.ask(one, json!({})).await;
}

/// Users as they were when something had just happened.
async fn past(client: &Client, of: &str) {
    let newest = client.ask("{ instanceEvents(first: 1) { nodes { at } } }", json!({})).await;
    let at = &newest["instanceEvents"]["nodes"][0]["at"];
    for filter in ["", of, "statuses: [ACTIVE]"] {
        let query = format!(
            "query($at: DateTime) {{ users(first: 10, asOf: $at, filter: {{ {filter} }}) {{ nodes {{ email }} }} }}"
        );
        client.ask(&query, json!({ "at": at })).await;
    }
}

/// What is known of members, and the audit log.
async fn people(client: &Client) {
    let refused = Browser::new(client).sign_in("nobody@example.com", "not a password").await;
    assert_eq!(refused.0, 401, "{}", refused.1);
    let member = json!({ "name": "Grace", "email": "grace@example.com", "role": "VIEWER" });
    let member = client.done("createMember", member, "member { id }").await["member"]["id"].clone();
    client.ask(&format!("{{ sessions(memberId: {member}) {{ id }} }}"), json!({})).await;
    let (actor, subject) = (format!("actorId: {member}"), format!("subjectId: {member}"));
    let span = "from: \"2020-01-01T00:00:00Z\", to: \"2100-01-01T00:00:00Z\"";
    let rare = ["actions: [TOKEN_CREATED]", "outcomes: [FAILED]", "address: \"192.0.2.1\""];
    for filter in ["", &actor, &subject, span].into_iter().chain(rare) {
        pages(client, "auditLog", &format!("filter: {{ {filter} }}")).await;
    }
}

/// The first two pages of a listing, and its total.
async fn pages(client: &Client, list: &str, arguments: &str) {
    let mut after = Value::Null;
    for _ in 0..2 {
        let query = format!(
            "{{ {list}(first: 10, after: {after} {arguments}) {{ totalCount nodes {{ __typename }} pageInfo {{ endCursor }} }} }}"
        );
        after = client.ask(&query, json!({})).await[list]["pageInfo"]["endCursor"].clone();
        if after.is_null() {
            break;
        }
    }
}

/// The plans of all distinct statements.
async fn plans(db: &DatabaseConnection, heard: &Heard) -> Vec<Plan> {
    if db.get_database_backend() == DbBackend::Postgres {
        let told = heard.notices().into_iter();
        let plans = told.filter_map(|notice| {
            let (_, told) = notice.split_once("Query Text: ")?;
            let (sql, steps) = told.split_once('\n')?;
            Some(Plan { sql: sql.to_owned(), steps: format!("\n{steps}") })
        });
        return plans.collect();
    }
    let mut plans = Vec::new();
    for sql in heard.statements() {
        plans.push(Plan { steps: explained(db, &sql).await, sql });
    }
    plans
}

/// SQLite's plan of a statement; empty for one that reads no rows.
async fn explained(db: &DatabaseConnection, sql: &str) -> String {
    if !["SELECT", "INSERT", "UPDATE", "DELETE", "WITH"].iter().any(|verb| sql.starts_with(verb)) {
        return String::new();
    }
    let explain = Statement::from_string(DbBackend::Sqlite, format!("EXPLAIN QUERY PLAN {sql}"));
    let rows = db.query_all_raw(explain).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    let steps: Vec<_> = rows.iter().map(|row| row.try_get::<String>("", "detail").unwrap()).collect();
    format!("\n{}", steps.join("\n"))
}

/// The indexes of the migrations, without those of keys.
async fn indexes(db: &DatabaseConnection) -> Vec<String> {
    let sql = match db.get_database_backend() {
        DbBackend::Sqlite => "SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL",
        _ => {
            "SELECT relname::text AS name FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
                WHERE relnamespace = 'public'::regnamespace AND NOT indisprimary
                AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)"
        }
    };
    let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), sql)).await.unwrap();
    rows.iter().map(|row| row.try_get("", "name").unwrap()).collect()
}

/// The statements about indexes that do not hold.
fn idle_indexes(there: &[String], plans: &[Plan]) -> Vec<String> {
    let said: BTreeMap<_, _> = INDEXES.iter().map(|(name, used)| (*name, used)).collect();
    let mut faults: Vec<_> = there
        .iter()
        .filter(|name| !said.contains_key(name.as_str()))
        .map(|name| format!("nobody says what the index {name} is for"))
        .collect();
    for (name, used) in said {
        if !there.iter().any(|index| index == name) {
            faults.push(format!("there is no index {name}"));
        }
        let Use::Finds(parts) = used else { continue };
        let statements: Vec<_> = plans.iter().filter(|plan| parts.iter().all(|part| plan.sql.contains(part))).collect();
        if !statements.iter().any(|plan| plan.uses(name)) {
            let told: String = statements.iter().map(ToString::to_string).collect();
            faults.push(format!("no statement with {parts:?} uses {name}:{told}"));
        }
    }
    faults
}

/// The statements that scan a growing table without permission.
fn whole_tables(plans: &[Plan]) -> Vec<String> {
    let excused = |plan: &&Plan| !WHOLE.iter().any(|(part, _)| plan.sql.contains(part));
    let whole = plans.iter().filter(|plan| GROWING.iter().any(|table| plan.reads_all_of(table)));
    whole.filter(excused).map(|plan| format!("a whole table is read:{plan}")).collect()
}

/// Lists of users that are sorted, or joined as whole tables. One instance has very many users, and a page of them
/// must cost no more than any other.
fn unbounded(plans: &[Plan]) -> Vec<String> {
    let lists = [r#""user_account"."external_id""#, r#""user_word"."words""#];
    let pages =
        plans.iter().filter(|plan| plan.sql.contains(" LIMIT ") && lists.iter().any(|it| plan.sql.contains(it)));
    let costly = ["Sort", "Bitmap", "Hash Join", "Hash Semi", "Hash Anti", "Merge", "TEMP B-TREE"];
    let unbounded = pages.filter(|plan| costly.iter().any(|step| plan.steps.contains(step)));
    unbounded.map(|plan| format!("a page costs more than its rows:{plan}")).collect()
}

impl Plan {
    fn uses(&self, index: &str) -> bool {
        self.steps.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == index)
    }

    fn reads_all_of(&self, table: &str) -> bool {
        // In the order of the primary key, up to the limit.
        let first_rows =
            self.sql.contains(" LIMIT ") && !self.sql.contains(" WHERE ") && !self.steps.contains("B-TREE");
        self.steps.lines().any(|step| {
            let scanned = |verb| step.split_once(verb).is_some_and(|(_, rest)| rest.split(' ').next() == Some(table));
            scanned("Seq Scan on ") || (scanned("SCAN ") && !step.contains(" USING ") && !first_rows)
        })
    }
}

impl std::fmt::Display for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "\n{:.2000}{:.2000}", self.sql, self.steps)
    }
}
