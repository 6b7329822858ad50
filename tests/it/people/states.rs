//! Who is with the company and who has left. A source that says nothing, or cannot be believed, makes no leavers.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use muster::clock::{Clock, DAY_MS};
use serde_json::json;

use super::roster::{Account, Company, account, said, settled};
use crate::support::change;

/// So many employees; a guard holds if all are missing, or more than a fifth of ten or more.
fn staff(count: usize) -> Vec<Account> {
    (1..=count).map(employee).collect()
}

fn employee(number: usize) -> Account {
    account(&format!("h{number}"), &format!("e{number}@acme.example"))
        .named(&format!("Employee {number}"))
        .employee(&number.to_string())
}

async fn company(count: usize) -> Company {
    let mut company = Company::start().await;
    company.connect("HR", staff(count)).await;
    company.connect("Chat", [account("one", "e1@acme.example"), account("two", "e2@acme.example")]).await;
    company.own(&["acme.example"]).await;
    company.trust(&["HR"]).await;
    company
}

async fn left(company: &Company) -> Vec<String> {
    let states = company.states().await;
    assert!(!states.is_empty());
    states.into_iter().filter(|(_, state)| state != "CURRENT").map(|(name, state)| format!("{name} {state}")).collect()
}

#[tokio::test]
async fn whoever_is_suspended_or_missing_has_left_and_may_come_back() {
    let company = company(6).await;
    assert_eq!(left(&company).await, Vec::<String>::new());
    let mut staff = staff(5);
    staff[1] = employee(2).suspended();
    company.list("HR", staff).await;
    assert_eq!(left(&company).await, ["Employee 2 LEFT", "Employee 6 LEFT"]);
    assert_eq!(company.links("Chat").await["two"], "Employee 2 ADDRESS LINKED", "the account is still hers");
    let filter =
        "{ persons(filter: { states: [LEFT] }) { totalCount nodes { stateAsOf accounts { nodes { status } } } } }";
    let found = company.server.ask(filter, json!({})).await["persons"].take();
    assert_eq!(found["totalCount"], 2);
    assert!(found["nodes"][0]["stateAsOf"].is_string(), "{found}");
    company.list("HR", self::staff(6)).await;
    assert_eq!(left(&company).await, Vec::<String>::new());
    company.end().await;
}

#[tokio::test]
async fn a_source_that_fails_is_held_or_lists_nobody_makes_no_leavers() {
    let company = company(30).await;
    // Fewer than the guard lets go.
    assert_eq!(company.list("HR", staff(15)).await["failure"]["class"], "REMOVAL_GUARD");
    assert_eq!(left(&company).await, Vec::<String>::new());
    // What a held run says of those whom it lists is not believed either.
    let suspended: Vec<Account> = (1..=15).map(|number| employee(number).suspended()).collect();
    assert_eq!(company.list("HR", suspended).await["outcome"], "FAILED");
    assert_eq!(left(&company).await, Vec::<String>::new());
    assert_eq!(company.list("HR", []).await["failure"]["class"], "REMOVAL_GUARD");
    assert_eq!(left(&company).await, Vec::<String>::new());
    company.roster("HR").fail(404);
    assert_eq!(company.server.sync(company.id("HR"), "outcome").await["outcome"], "FAILED");
    assert_eq!(left(&company).await, Vec::<String>::new());
    // When it is believed again, its people are what it says, also those whom this run has not changed.
    let mut staff = staff(30);
    staff[3] = employee(4).suspended();
    assert_eq!(company.list("HR", staff).await["outcome"], "SUCCEEDED");
    assert_eq!(left(&company).await, ["Employee 4 LEFT"]);
    company.end().await;
}

#[tokio::test]
async fn whom_a_held_run_has_suspended_leaves_when_the_source_is_believed() {
    let company = company(30).await;
    let mut fewer = staff(15);
    fewer[0] = employee(1).suspended();
    assert_eq!(company.list("HR", fewer).await["outcome"], "FAILED");
    assert_eq!(left(&company).await, Vec::<String>::new());
    let mut all = staff(30);
    all[0] = employee(1).suspended();
    company.list("HR", all).await;
    assert_eq!(left(&company).await, ["Employee 1 LEFT"]);
    company.end().await;
}

#[tokio::test]
async fn the_clock_two_hundred_days_on_makes_no_leavers() {
    let clock = Arc::new(AtomicI64::new(Clock::System.now()));
    let mut company = Company::at(Clock::Manual(clock.clone())).await;
    company.connect("HR", staff(3)).await;
    company.connect("Chat", [account("one", "e1@acme.example")]).await;
    company.own(&["acme.example"]).await;
    company.trust(&["HR"]).await;
    company.server.done("updateInstance", json!({ "id": company.id("HR"), "status": "INACTIVE" }), "").await;
    clock.fetch_add(200 * DAY_MS, Ordering::Relaxed);
    company.trust(&["HR"]).await;
    company.list("Chat", [account("one", "e1@acme.example"), account("two", "e2@acme.example")]).await;
    assert_eq!(left(&company).await, Vec::<String>::new());
    let links = said([("one", "Employee 1 ADDRESS LINKED"), ("two", "Employee 2 ADDRESS LINKED")]);
    assert_eq!(company.links("Chat").await, links);
}

#[tokio::test]
async fn a_source_without_users_keeps_its_people_as_they_were() {
    let company = company(3).await;
    let mut some_left = staff(3);
    some_left[1] = employee(2).suspended();
    company.list("HR", some_left).await;
    let before = company.person("Employee 1").await;
    company.roster("HR").fail(503);
    let id = company.id("HR");
    company.server.done("updateInstance", json!({ "id": id, "status": "INACTIVE" }), "").await;
    company.server.done("deleteAllUsers", json!({ "instanceId": id, "acknowledgeIrreversible": true }), "").await;
    // Who has no other account is not shown at once. The others keep their states, whatever they are called.
    let states: Vec<String> = company.states().await.into_values().collect();
    assert_eq!(states, ["CURRENT", "LEFT"]);
    company
        .server
        .until(id, "events(first: 9) { nodes { cause } }", |found| found.to_string().contains("USERS_DELETED"))
        .await;
    settled(&company.server).await;
    assert_eq!(company.links("Chat").await["one"].split(' ').next_back(), Some("LINKED"));
    // They come back, and are the same people.
    company.roster("HR").list(staff(3));
    company.server.done("updateInstance", json!({ "id": id, "status": "LIVE" }), "").await;
    company.server.idle(id, "").await;
    assert_eq!(left(&company).await, Vec::<String>::new());
    assert_eq!(company.person("Employee 1").await, before);
    company.end().await;
}

#[tokio::test]
async fn the_people_of_a_source_that_is_deleted_are_unknown() {
    let company = company(3).await;
    let before = company.person("Employee 1").await;
    let id = company.id("HR");
    company.server.done("deleteInstance", json!({ "id": id, "acknowledgeIrreversible": true }), "").await;
    company.server.until(id, "status", |found| found["status"] == "DELETED").await;
    settled(&company.server).await;
    // Their names were those of the source. The accounts that are left have others.
    assert_eq!(company.states().await, said([("One", "UNKNOWN"), ("Two", "UNKNOWN")]));
    assert_eq!(company.person("One").await, before);
    assert_eq!(company.links("Chat").await["one"], "One OWNED_ADDRESS LINKED");
    let settings = company.server.ask("{ peopleSettings { sources { rank } } }", json!({})).await;
    assert_eq!(settings["peopleSettings"]["sources"], json!([]));
    company.end().await;
}

#[tokio::test]
async fn sources_of_one_rank_decide_together_and_a_later_one_only_for_its_own() {
    let mut company = company(3).await;
    company.connect("Sister", [account("s1", "s1@acme.example").named("Employee 1").employee("1")]).await;
    company
        .connect("Directory", [account("d3", "e3@acme.example"), account("d9", "d9@acme.example").named("Temp")])
        .await;
    let source = |name: &str, rank: i32| json!({ "instanceId": company.id(name), "rank": rank });
    let sources = json!({ "sources": [source("HR", 1), source("Sister", 1), source("Directory", 2)] });
    company.server.done("setPeopleSources", sources, "").await;
    // The first one moves to the sister, the third one leaves although the directory has not heard of it.
    company.list("HR", [employee(1).suspended(), employee(2), employee(3).suspended()]).await;
    assert_eq!(left(&company).await, ["Employee 3 LEFT"]);
    assert_eq!(company.states().await["Temp"], "CURRENT");
    company.list("Directory", [account("d3", "e3@acme.example")]).await;
    assert_eq!(left(&company).await, ["Employee 3 LEFT", "Temp LEFT"]);
    company.end().await;
}

#[tokio::test]
async fn people_whose_accounts_were_removed_long_ago_are_forgotten() {
    let company = company(4).await;
    company.list("HR", staff(3)).await;
    assert_eq!(left(&company).await, ["Employee 4 LEFT"]);
    change(&company.server.db, "UPDATE user_account SET removed_at = 5 WHERE removed_at IS NOT NULL").await;
    let (db, now) = (&company.server.db, Clock::System.now());
    let removed = db.write(|tx| async move { muster::directory::prune::removed(&tx, 9, now - 120_000, 100).await });
    assert_eq!(removed.await.unwrap(), 1);
    assert_eq!(left(&company).await, Vec::<String>::new());
    company.end().await;
}
