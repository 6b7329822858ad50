//! People sources and domains, and trials of them.

use std::collections::BTreeMap;

use entity::people_task;
use muster::clock::Clock;
use muster::directory::{follow_up, rekey};
use sea_orm::EntityTrait;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::roster::{Company, account, said};
use crate::support::{Server, change};

const CHANGE: &str = "change { accountsLinked accountsUnlinked accountsMoved peopleAdded peopleRemoved
    becomeCurrent becomeLeft becomeUnknown isComplete }";

async fn company() -> Company {
    let mut company = Company::start().await;
    let staff = [
        account("h1", "ann@acme.example").named("Ann Archer"),
        account("h2", "bob@acme.example").named("Bob Berg").suspended(),
        account("h3", "cem@acme.example").named("Cem Cole"),
    ];
    company.connect("HR", staff).await;
    let chat = [
        account("ann", "ann@acme.example"),
        account("bob", "bob@acme.example"),
        account("ghost", "ghost@acme.example"),
        account("zoe", "zoe@else.test"),
    ];
    company.connect("Chat", chat).await;
    company
}

/// Everything that is known of accounts and people.
async fn known(company: &Company) -> Value {
    let query = "{ peopleSettings { ownedDomains equivalentDomains { domain sameAs } stripTags sources { rank instance { name } } }
        persons(first: 100) { nodes { id displayName state stateSince isExternal email } }
        users(first: 100) { nodes { externalId person { id } link { rule state evidence } } } }";
    company.server.ask(query, json!({})).await
}

async fn tried(company: &Company, mutation: &str, mut input: Value) -> Value {
    let before = known(company).await;
    input["dryRun"] = true.into();
    let tried = company.server.done(mutation, input, CHANGE).await["change"].take();
    assert_eq!(known(company).await, before, "a trial of {mutation} changes nothing");
    assert_eq!(tried["isComplete"], true);
    tried
}

/// The person of each account, and the state of each person.
async fn compare(company: &Company) -> (BTreeMap<String, Value>, BTreeMap<String, Value>) {
    super::roster::settled(&company.server).await;
    let known = known(company).await;
    let map = |list: &str, key: &str, value: &str| -> BTreeMap<String, Value> {
        let nodes = known[list]["nodes"].as_array().unwrap();
        nodes
            .iter()
            .map(|node| (node[key].as_str().unwrap().to_owned(), node.pointer(value).unwrap_or(&Value::Null).clone()))
            .collect()
    };
    (map("users", "externalId", "/person/id"), map("persons", "id", "/state"))
}

/// A trial says exactly what the change then does.
async fn carry_out(company: &Company, mutation: &str, input: Value) -> Value {
    let tried = tried(company, mutation, input.clone()).await;
    let (accounts, people) = compare(company).await;
    company.server.done(mutation, input, "").await;
    let (accounts_after, people_after) = compare(company).await;
    let count = |is: fn(&Value, &Value) -> bool| {
        accounts.iter().filter(|(account, before)| is(before, &accounts_after[*account])).count()
    };
    let becomes = |state: &str| {
        let before = |id: &String| people.get(id).cloned().unwrap_or_else(|| "UNKNOWN".into());
        people_after.iter().filter(|(id, after)| **after == state && before(id) != **after).count()
    };
    let seen = json!({
        "accountsLinked": count(|before, after| before.is_null() && !after.is_null()),
        "accountsUnlinked": count(|before, after| !before.is_null() && after.is_null()),
        "accountsMoved": count(|before, after| !before.is_null() && !after.is_null() && before != after),
        "peopleAdded": people_after.keys().filter(|id| !people.contains_key(*id)).count(),
        "peopleRemoved": people.keys().filter(|id| !people_after.contains_key(*id)).count(),
        "becomeCurrent": becomes("CURRENT"),
        "becomeLeft": becomes("LEFT"),
        "becomeUnknown": becomes("UNKNOWN"),
        "isComplete": true,
    });
    assert_eq!(tried, seen, "{mutation}");
    seen
}

#[tokio::test]
async fn a_trial_says_what_the_change_then_does() {
    let company = company().await;
    company.links("Chat").await;
    let owned = carry_out(&company, "setOwnedDomains", json!({ "owned": ["@Acme.Example"] })).await;
    assert_eq!(
        (&owned["accountsLinked"], &owned["accountsMoved"]),
        (&json!(0), &json!(0)),
        "all have a person already"
    );
    let sources = json!({ "sources": [{ "instanceId": company.id("HR"), "rank": 1 }] });
    let marked = carry_out(&company, "setPeopleSources", sources).await;
    assert_eq!((&marked["becomeCurrent"], &marked["becomeLeft"]), (&json!(2), &json!(1)), "{marked}");
    assert_eq!((&marked["accountsUnlinked"], &marked["peopleRemoved"]), (&json!(1), &json!(1)), "a ghost: {marked}");
    assert_eq!(marked["accountsMoved"], 0, "people keep their ids: {marked}");
    let unmarked = carry_out(&company, "setPeopleSources", json!({ "sources": [] })).await;
    assert_eq!((&unmarked["becomeUnknown"], &unmarked["accountsLinked"]), (&json!(3), &json!(1)), "{unmarked}");
    let foreign = carry_out(&company, "setOwnedDomains", json!({ "owned": ["else.test"] })).await;
    assert_eq!(foreign["accountsMoved"], 0, "{foreign}");
    assert_eq!(company.links("Chat").await["zoe"], "Zoe OWNED_ADDRESS LINKED");
    company.end().await;
}

#[tokio::test]
async fn the_settings_are_shown_as_they_are_compared() {
    let company = company().await;
    let input = json!({ "owned": [" B\u{fc}cher.example ", "@acme.example", "ACME.example"], "stripTags": true,
        "equivalents": [{ "domain": "b.example", "sameAs": "A.example" }, { "domain": "a.example", "sameAs": "b.example" }] });
    company.server.done("setOwnedDomains", input, "").await;
    company.trust(&["Chat", "HR"]).await;
    let shown = known(&company).await["peopleSettings"].take();
    let expected = json!({
        "ownedDomains": ["acme.example", "xn--bcher-kva.example"],
        "equivalentDomains": [{ "domain": "a.example", "sameAs": "b.example" }],
        "stripTags": true,
        "sources": [{ "rank": 1, "instance": { "name": "Chat" } }, { "rank": 2, "instance": { "name": "HR" } }],
    });
    assert_eq!(shown, expected);
}

#[tokio::test]
async fn wrong_settings_are_refused_and_change_nothing() {
    let company = company().await;
    let (server, hr) = (&company.server, company.id("HR"));
    let source = |id: &str, rank: i32| json!({ "instanceId": id, "rank": rank });
    for (sources, code, field) in [
        (vec![source(hr, 1), source(hr, 2)], "INVALID_INPUT", json!(["sources"])),
        (vec![source(hr, 0)], "INVALID_INPUT", json!(["sources", "0", "rank"])),
        (vec![source(hr, 1), source("nobody", 1)], "INVALID_INPUT", json!(["sources", "1", "instanceId"])),
        (vec![source(&company.user("HR", "h1").await, 1)], "INVALID_INPUT", json!(["sources", "0", "instanceId"])),
    ] {
        let refused = server.refused("setPeopleSources", json!({ "sources": sources })).await;
        assert_eq!(refused, [(code.to_owned(), field)]);
    }
    for (input, fields) in [
        (json!({ "owned": ["acme.example", "no domain"] }), vec![json!(["owned", "1"])]),
        (json!({ "owned": ["com", "192.0.2.1"] }), vec![json!(["owned", "0"]), json!(["owned", "1"])]),
        (
            json!({ "owned": [], "equivalents": [{ "domain": "x", "sameAs": "b.example" }] }),
            vec![json!(["equivalents", "0", "domain"])],
        ),
        (
            json!({ "owned": [], "equivalents": [{ "domain": "b.example", "sameAs": "B.example" }] }),
            vec![json!(["equivalents"])],
        ),
    ] {
        let refused = server.refused("setOwnedDomains", input.clone()).await;
        let expected: Vec<_> = fields.into_iter().map(|field| ("INVALID_INPUT".to_owned(), field)).collect();
        assert_eq!(refused, expected, "{input}");
    }
    server.done("deleteInstance", json!({ "id": hr, "acknowledgeIrreversible": true }), "").await;
    server.until(hr, "status", |found| found["status"] == "DELETED").await;
    let gone = server.refused("setPeopleSources", json!({ "sources": [source(hr, 1)] })).await;
    assert_eq!(gone, [("NOT_FOUND".to_owned(), json!(["sources", "0", "instanceId"]))]);
    assert_eq!(company.links("Chat").await.len(), 4);
    assert_ne!(company.links("Chat").await, said([]));
}

#[tokio::test]
async fn one_task_does_for_several_changes_of_the_settings() {
    let server = Server::start().await;
    let waiting = server.db.write(|tx| async move {
        for at in 1..=3 {
            follow_up::everything(&tx, at).await?;
        }
        Ok(people_task::Entity::find().all(tx.conn()).await?)
    });
    let waiting = waiting.await.unwrap();
    assert_eq!(waiting.iter().map(|task| task.at).collect::<Vec<_>>(), [3]);
}

#[tokio::test]
async fn keys_that_are_written_anew_say_whose_accounts_are() {
    let company = company().await;
    company.own(&["acme.example"]).await;
    company.trust(&["HR"]).await;
    let ann = "Ann Archer ADDRESS LINKED";
    assert_eq!(company.links("Chat").await["ann"], ann);
    // As an earlier version stored it.
    let ann_of = |set: &str| format!("UPDATE user_account SET {set} WHERE external_id = 'ann'");
    change(&company.server.db, &ann_of("match_key = NULL")).await;
    company.own(&["acme.example", "acme.test"]).await;
    assert_ne!(company.links("Chat").await["ann"], ann, "without a key, nobody knows whose it is");
    // From now on, a worker may come first.
    change(&company.server.db, &ann_of("key_version = 0")).await;
    rekey::run(&company.server.db, &Clock::System, &CancellationToken::new()).await.unwrap();
    assert_eq!(company.links("Chat").await["ann"], ann);
    company.end().await;
}
