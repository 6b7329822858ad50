//! The plans of the statements about people, and of what is found about their accounts.
//!
//! The plans do not depend on what the database has counted in its tables, so few rows are enough: SQLite is not told to
//! count, and PostgreSQL reads a whole table only if no index has the rows.

use std::time::Duration;

use entity::account_link::{Rule, State as LinkState};
use entity::person::State;
use entity::source_account::Presence;
use entity::{
    account_link, account_owner, finding_exception, person, person_key, person_pin, person_word, source_account, user,
};
use muster::clock::{Clock, SteadyClock};
use muster::db::Location;
use muster::maintenance::retention::{Pruner, Retention};
use sea_orm::{ColumnTrait, ConnectionTrait, DatabaseConnection, DbBackend, EntityTrait, QueryFilter, Statement};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::heard::Heard;
use super::indexes::Use;
use super::rows::Size;
use super::{Plan, execute, explained, explaining, idle_indexes, pages, plans, rows, whole_tables};
use crate::database::connect;
use crate::people::roster::{Account, Roster, account};
use crate::support::{Client, DEADLINE, Place, Server, one};

/// The tables that grow with the people. None may be scanned.
const GROWING: [&str; 8] =
    ["account_link", "account_owner", "finding", "person", "person_key", "person_pin", "person_word", "source_account"];

/// A statement that once read the whole table, after each change of the settings of people.
const READS_ALL: &str = r#"SELECT * FROM "source_account" WHERE "source_account"."instance_id" NOT IN ({}) LIMIT 100"#;

struct Company {
    hr: Roster,
    chat: Roster,
}

fn staff() -> Vec<Account> {
    let of = |number: usize| {
        account(&format!("h{number}"), &format!("h{number}@acme.example"))
            .named(&format!("Harriet Holm {number}"))
            .employee(&number.to_string())
            .enterprise("department", json!("Sales"))
    };
    (0..12).map(of).collect()
}

fn talkers() -> Vec<Account> {
    let of = |number: usize| account(&format!("c{number}"), &format!("h{number}@acme.example"));
    (0..12).map(of).chain([account("robot", "robot@acme.example").named("Harriet Holm 3")]).collect()
}

async fn start(place: Place) -> Server {
    let networks = vec!["127.0.0.0/8".parse().unwrap()];
    Server::builder().place(place).settings(move |settings| settings.allowed_networks = networks).start().await
}

/// Waits until everything is considered and evaluated.
async fn settled(client: &Client) {
    let deadline = tokio::time::Instant::now() + DEADLINE;
    let query = "{ peopleSettings { pendingTasks } reportSettings { pendingEvaluations } }";
    loop {
        let left = client.ask(query, json!({})).await;
        let left = [&left["peopleSettings"]["pendingTasks"], &left["reportSettings"]["pendingEvaluations"]];
        if left.iter().all(|count| **count == 0) {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "{left:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn every_statement_about_people_finds_its_rows_by_an_index() {
    let server = start(Place::new()).await;
    super::first_rows(&server).await;
    let company = Company { hr: Roster::start(staff()).await, chat: Roster::start(talkers()).await };
    let hr = server.integrate("scim", "HR", &company.hr.config()).await;
    let chat = server.integrate("scim", "Chat", &company.chat.config()).await;
    for id in [&hr, &chat] {
        server.idle(id, "").await;
    }
    server.done("setOwnedDomains", json!({ "owned": ["acme.example", "example.com"] }), "").await;
    server.done("setPeopleSources", json!({ "sources": [{ "instanceId": hr, "rank": 1 }] }), "").await;
    settled(&server).await;
    let place = server.stop().await;
    let db = connect(&place.location()).await;
    rows::fill(&db, Size { instances: 4, users_each: 60, of_large: 0, others: 10 }).await;
    fill(&db).await;
    if let Location::Postgres(_) = place.location() {
        let database = one(&place.location(), "SELECT current_database()::text").await;
        // A table without an index looks so expensive then that the statement would be compiled.
        let set = |setting: &str| format!("ALTER DATABASE {database} SET {setting} = off");
        let settings = [explaining(&database), vec![set("enable_seqscan"), set("jit")]].concat();
        execute(&db, settings.iter().map(String::as_str).chain(["ANALYZE"])).await;
    }
    // The settings are those of new connections.
    db.close().await.unwrap();
    let db = connect(&place.location()).await;
    let heard = Heard::from_now_on();
    let server = start(place).await;
    everything(&server, &company, (&hr, &chat)).await;
    let place = server.stop().await;

    let plans = plans(&db, &heard).await;
    assert!(plans.len() > 80, "{} plans were told", plans.len());
    let mut faults = idle_indexes(&plans, |of| match of {
        Use::OfPeople(parts) => Some(*parts),
        Use::Finds(_) | Use::Forbids | Use::Unplayed => None,
    });
    faults.extend(whole_tables(&plans, &GROWING));
    let found = whole_tables(&[reading_all(&db).await], &GROWING);
    assert_eq!(found.len(), 1, "a statement that reads a whole table is found");
    db.close().await.unwrap();
    drop(place);
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}

/// The plan of [`READS_ALL`].
async fn reading_all(db: &DatabaseConnection) -> Plan {
    let id = match db.get_database_backend() {
        DbBackend::Sqlite => "x'00'",
        _ => "gen_random_uuid()",
    };
    let sql = READS_ALL.replace("{}", id);
    let steps = match db.get_database_backend() {
        DbBackend::Sqlite => explained(db, &sql).await,
        backend => {
            let rows = db.query_all_raw(Statement::from_string(backend, format!("EXPLAIN {sql}"))).await.unwrap();
            let lines: Vec<String> = rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect();
            lines.join("\n")
        }
    };
    Plan { sql, steps }
}

/// A person for each account that is nobody's, with everything that is known of people.
async fn fill(db: &DatabaseConnection) {
    // Each has an address of its own.
    for statement in [
        "UPDATE user_account SET match_key = email, source_id = 's-' || external_id, employee_id = external_id
            WHERE external_id LIKE 'copy-%'",
        "UPDATE user_account SET kind = 'service' WHERE external_id LIKE 'copy-%9'",
    ] {
        db.execute_unprepared(statement).await.unwrap();
    }
    let accounts = user::Entity::find().filter(user::Column::ExternalId.starts_with("copy-")).all(db).await.unwrap();
    let accounts: Vec<(user::Model, Uuid)> = accounts.into_iter().map(|account| (account, Uuid::now_v7())).collect();
    let each = || accounts.iter().map(|(account, id)| (account, id)).enumerate();
    let persons = each().map(|(number, (account, id))| person::Model {
        id: *id,
        address: account.email.clone(),
        state: [State::Left, State::Unknown, State::Current][(number % 10).min(2)],
        state_since: 0,
        is_external: Some(false),
        display_name: account.display_name.clone(),
        email: account.email.clone(),
        department: Some(format!("Department {}", number % 40)),
        employee_id: account.employee_id.clone(),
        manager: None,
        source_instance_id: Some(account.instance_id),
        source_user_id: Some(account.id),
    });
    rows::insert::<person::Entity>(db, persons).await;
    let words = each().flat_map(|(number, (_, id))| {
        let words = ["number".to_owned(), format!("{number}"), format!("person{number}")];
        words.map(|word| person_word::Model { word, person_id: *id })
    });
    rows::insert::<person_word::Entity>(db, words).await;
    fill_links(db, &accounts).await;
    fill_decisions(db, &accounts).await;
}

/// What links accounts to people.
async fn fill_links(db: &DatabaseConnection, accounts: &[(user::Model, Uuid)]) {
    let each = || accounts.iter().map(|(account, id)| (account, id)).enumerate();
    let told = each().map(|(_, (account, id))| source_account::Model {
        instance_id: account.instance_id,
        external_id: account.external_id.clone(),
        person_id: Some(*id),
        employee_id: account.employee_id.clone(),
        address: account.email.clone(),
        presence: Presence::Present,
    });
    rows::insert::<source_account::Entity>(db, told).await;
    let keys = each().map(|(_, (account, _))| person_key::Model {
        id: Uuid::now_v7(),
        value: account.email.clone().unwrap(),
        instance_id: account.instance_id,
        external_id: account.external_id.clone(),
        listed: true,
        valid_from: 0,
        valid_to: None,
        recorded_at: 0,
    });
    rows::insert::<person_key::Entity>(db, keys).await;
    let links = each().map(|(number, (account, id))| account_link::Model {
        user_id: account.id,
        instance_id: account.instance_id,
        person_id: Some(*id),
        rule: Some(Rule::OwnedAddress),
        state: LinkState::Linked,
        evidence: None,
        address: account.email.clone(),
        address_since: 0,
        source_id: account.source_id.clone(),
        kind: (number % 50 == 0).then_some(user::AccountKind::Human),
    });
    rows::insert::<account_link::Entity>(db, links).await;
}

/// What members have decided about every tenth account.
async fn fill_decisions(db: &DatabaseConnection, accounts: &[(user::Model, Uuid)]) {
    let few = || accounts.iter().map(|(account, id)| (account, id)).enumerate().filter(|(number, _)| number % 10 == 0);
    let pins = few().map(|(_, (account, id))| person_pin::Model {
        instance_id: account.instance_id,
        external_id: account.external_id.clone(),
        links: true,
        person_id: Some(*id),
        kind: None,
        decided_by: "ada".into(),
        decided_at: 0,
        reason: None,
    });
    rows::insert::<person_pin::Entity>(db, pins).await;
    let owners = few().map(|(_, (account, id))| account_owner::Model {
        instance_id: account.instance_id,
        external_id: account.external_id.clone(),
        person_id: *id,
        decided_by: "ada".into(),
        decided_at: 0,
    });
    rows::insert::<account_owner::Entity>(db, owners).await;
    let accepted = few().map(|(_, (account, _))| finding_exception::Model {
        instance_id: account.instance_id,
        external_id: account.external_id.clone(),
        kind: entity::finding::Kind::NoMfa,
        severity: entity::finding::Severity::Medium,
        reason: "A kiosk.".into(),
        decided_by: "ada".into(),
        decided_at: 0,
        until: 9_000_000_000_000,
    });
    rows::insert::<finding_exception::Entity>(db, accepted).await;
}

/// Every listing of people and of what is found, and every kind of work.
async fn everything(server: &Server, company: &Company, (hr, chat): (&str, &str)) {
    settled(server).await;
    // One in which nothing changes but the activity.
    let quiet = server.rehearse("Quiet", &[("users", "40"), ("churn_percent", "0")]).await;
    server.idle(&quiet, "").await;
    settled(server).await;
    server.sync(&quiet, "outcome").await;
    settled(server).await;
    listings(server).await;
    let user = async |id: &str, external: &str| {
        let found = server.instance(id, "users(first: 100) { nodes { id externalId } }").await;
        let own = found["users"]["nodes"].as_array().unwrap().iter().find(|it| it["externalId"] == external);
        own.unwrap_or_else(|| panic!("{external}: {found}"))["id"].clone()
    };
    let named = async |name: &str| {
        let query =
            "query($name: String!) { persons(first: 100, filter: { search: $name }) { nodes { id displayName } } }";
        let found = server.ask(query, json!({ "name": name })).await;
        let own = found["persons"]["nodes"].as_array().unwrap().iter().find(|it| it["displayName"] == name);
        own.unwrap_or_else(|| panic!("{name}: {found}"))["id"].clone()
    };
    let (robot, ann) = (user(chat, "robot").await, named("Harriet Holm 1").await);
    for (mutation, input) in [
        ("linkAccount", json!({ "userId": robot, "personId": ann })),
        ("unlinkAccount", json!({ "userId": robot })),
        ("resetLink", json!({ "userId": robot })),
        ("setAccountKind", json!({ "userId": robot, "kind": "SERVICE" })),
        ("setOwner", json!({ "userId": robot, "personId": ann })),
    ] {
        server.done(mutation, input, "").await;
    }
    settled(server).await;
    about(server, &ann, &robot).await;
    moves(server, company, (hr, chat)).await;
    settings(server, (hr, chat)).await;
    let gone = named("Harriet Holm 6").await;
    let erase = json!({ "id": gone, "reason": "asked for", "force": true, "acknowledgeIrreversible": true });
    server.done("erasePerson", erase, "accounts").await;
    settled(server).await;
    server.done("deleteAllUsers", json!({ "instanceId": chat, "acknowledgeIrreversible": true }), "").await;
    server.idle(chat, "").await;
    server.sync(chat, "outcome").await;
    settled(server).await;
    server.done("deleteInstance", json!({ "id": chat, "acknowledgeIrreversible": true }), "").await;
    server.until(chat, "status", |found| found["status"] == "DELETED").await;
    settled(server).await;
    let retention = Retention { changes: 1, removed_users: 1, ..Retention::default() };
    let pruner = Pruner { db: server.db.clone(), age_clock: SteadyClock::new(Clock::System), retention };
    pruner.run_once(&CancellationToken::new()).await;
}

/// Somebody leaves, is new, has another address, and gets the number of somebody else.
async fn moves(server: &Server, company: &Company, (hr, chat): (&str, &str)) {
    let mut now = staff();
    now.remove(11);
    now[2] = account("h2", "h2@acme.example").named("Harriet Holm 2").employee("2").suspended();
    now[3] = account("h3", "other@acme.example").named("Harriet Holm 3").employee("3").alias("h3@acme.example");
    now.push(account("h20", "h4@acme.example").named("Harriet Holm 20").employee("5"));
    company.hr.list(now);
    let mut talkers = talkers();
    talkers.remove(5);
    talkers.push(account("new", "x@nowhere.test").set("externalId", "h7"));
    company.chat.list(talkers);
    for id in [hr, chat, hr] {
        server.sync(id, "outcome").await;
        settled(server).await;
    }
}

/// Two sources are joined, and domains are equivalent.
async fn settings(server: &Server, (hr, chat): (&str, &str)) {
    let sources = json!([{ "instanceId": hr, "rank": 1 }, { "instanceId": chat, "rank": 2 }]);
    let domains = json!({ "owned": ["acme.example", "acme.test", "example.com"], "stripTags": true,
        "equivalents": [{ "domain": "acme.example", "sameAs": "acme.test" }] });
    for is_trial in [true, false] {
        server.done("setPeopleSources", json!({ "sources": sources, "dryRun": is_trial }), "").await;
        let mut input = domains.clone();
        input["dryRun"] = json!(is_trial);
        server.done("setOwnedDomains", input, "").await;
    }
    settled(server).await;
}

async fn listings(client: &Client) {
    let searches = ["search: \"person77\"", "search: \"number 7\"", "search: \"harriet\", states: [CURRENT]"];
    for filter in ["", "states: [LEFT]", "states: [CURRENT, LEFT]", "isExternal: false"].into_iter().chain(searches) {
        pages(client, "persons", &format!("filter: {{ {filter} }}")).await;
    }
    let nested = "{ persons(first: 5) { nodes { manager { id } stateAsOf accounts(first: 3) { totalCount nodes {
        link { state evidence suggestions { __typename } } owner { id } person { id } findings(first: 2) { totalCount nodes { type } } } } } } }";
    client.ask(nested, json!({})).await;
    for kind in ["APPLICATION", "LICENSE", "DEPARTMENT", "PERSON"] {
        client.ask(&format!("{{ spend(groupBy: {kind}) {{ totals {{ held {{ amount }} }} buckets(first: 3) {{ nodes {{ kind }} }} }} }}"), json!({})).await;
    }
    client
        .ask("{ posture { leavers { yes excepted } } trend(question: MFA, from: \"2026-01-01\") { day } }", json!({}))
        .await;
}

/// What is shown of one person, and of one account.
async fn about(client: &Client, person: &Value, account: &Value) {
    let query = "query($id: ID!) { person(id: $id) { stateAsOf accounts { totalCount nodes { id } } }
        findings(filter: { personId: $id }) { totalCount nodes { id } } }";
    client.ask(query, json!({ "id": person })).await;
    let query =
        "query($id: ID!) { node(id: $id) { ... on User { link { suggestions { __typename } } owner { id } } } }";
    client.ask(query, json!({ "id": account })).await;
}
