//! Lists and searches of people, and who sees them.

use std::collections::BTreeSet;

use muster::auth::Role;
use muster::auth::tokens::NewToken;
use serde_json::{Value, json};

use super::roster::{Company, account, settled};
use crate::access::scope::only;

const PAGE: &str = "query($first: Int, $after: String, $filter: PersonFilter) {
    persons(first: $first, after: $after, filter: $filter) {
        totalCount nodes { id displayName } edges { cursor node { id } } pageInfo { endCursor hasNextPage } } }";

/// The names on all pages. Nobody may be on two of them.
async fn found(company: &Company, filter: Value) -> Vec<String> {
    let (mut names, mut ids, mut after) = (Vec::new(), BTreeSet::new(), Value::Null);
    loop {
        let page =
            company.server.ask(PAGE, json!({ "first": 3, "after": after, "filter": filter })).await["persons"].take();
        for person in page["nodes"].as_array().unwrap() {
            names.push(person["displayName"].as_str().unwrap().to_owned());
            assert!(ids.insert(person["id"].as_str().unwrap().to_owned()), "{filter}: {person} comes twice");
        }
        after = page["pageInfo"]["endCursor"].clone();
        if page["pageInfo"]["hasNextPage"] == false {
            assert_eq!(page["totalCount"], names.len(), "{filter}");
            names.sort();
            return names;
        }
    }
}

/// A company of eleven.
async fn company() -> Company {
    let mut company = Company::start().await;
    let names = [
        "Ann Archer",
        "Ann Anders",
        "Anna Berg",
        "Bob Annan",
        "Bj\u{f6}rn Stra\u{df}e",
        "Cem",
        "Dana",
        "Eve",
        "Fay",
        "Gus",
    ];
    let staff = (1..).zip(names).map(|(number, name)| {
        let account = account(&format!("h{number}"), &format!("mail.{number}@acme.example")).named(name);
        let manager = json!({ "value": if number % 2 == 0 { "h1" } else { "mail.2@acme.example" } });
        let account = account.enterprise("manager", manager).enterprise("department", "Sales".into());
        if number > 8 { account.suspended() } else { account }
    });
    company.connect("HR", staff).await;
    company.connect("Chat", [account("ann", "mail.1@acme.example"), account("zoe", "zoe@else.test")]).await;
    company.own(&["acme.example"]).await;
    company.trust(&["HR"]).await;
    company
}

#[tokio::test]
async fn people_are_found_by_words_states_and_domains() {
    let company = company().await;
    assert_eq!(found(&company, json!({})).await.len(), 11);
    for (filter, names) in [
        (json!({ "states": ["LEFT"] }), vec!["Fay", "Gus"]),
        (json!({ "states": ["LEFT", "UNKNOWN"] }), vec!["Fay", "Gus", "Zoe"]),
        (json!({ "states": [] }), vec![]),
        (json!({ "isExternal": true }), vec!["Zoe"]),
        (json!({ "search": "ann" }), vec!["Ann Anders", "Ann Archer", "Anna Berg", "Bob Annan"]),
        (json!({ "search": "ANN an" }), vec!["Ann Anders", "Ann Archer", "Anna Berg", "Bob Annan"]),
        (json!({ "search": "archer ann" }), vec!["Ann Archer"]),
        (json!({ "search": "rcher" }), vec![]),
        (json!({ "search": "bjorn strasse" }), vec!["Bj\u{f6}rn Stra\u{df}e"]),
        (json!({ "search": "mail.3@acme.example" }), vec!["Anna Berg"]),
        (json!({ "search": "else.te" }), vec!["Zoe"]),
        (json!({ "search": "ann", "states": ["LEFT"] }), vec![]),
    ] {
        let mut names: Vec<String> = names.into_iter().map(str::to_owned).collect();
        names.sort();
        assert_eq!(found(&company, filter.clone()).await, names, "{filter}");
    }
    assert_eq!(found(&company, json!({ "search": "%" })).await.len(), 11, "a text without a letter finds everybody");
    // A cursor of a search is none of the list.
    let page = company.server.ask(PAGE, json!({ "first": 1, "filter": { "search": "ann" } })).await;
    let after = page["persons"]["pageInfo"]["endCursor"].clone();
    assert_eq!(company.server.error_code(PAGE, json!({ "after": after })).await, "BAD_USER_INPUT");
}

#[tokio::test]
async fn a_person_is_shown_with_everything_that_is_known() {
    let company = company().await;
    let query = "query($id: ID!) { person(id: $id) { displayName email department employeeId state isExternal
        manager { displayName manager { displayName } }
        accounts(first: 1) { totalCount nodes { externalId instance { name } } pageInfo { endCursor hasNextPage } } } }";
    let id = company.person("Ann Archer").await;
    let found = company.server.ask(query, json!({ "id": id })).await["person"].take();
    assert_eq!((&found["department"], &found["email"]), (&json!("Sales"), &json!("mail.1@acme.example")));
    assert_eq!(found["manager"], json!({ "displayName": "Ann Anders", "manager": { "displayName": "Ann Archer" } }));
    assert_eq!(
        (&found["accounts"]["totalCount"], &found["accounts"]["pageInfo"]["hasNextPage"]),
        (&json!(2), &json!(true))
    );
    let accounts =
        "query($id: ID!, $after: String) { person(id: $id) { accounts(after: $after) { nodes { externalId } } } }";
    let after = found["accounts"]["pageInfo"]["endCursor"].clone();
    let rest = company.server.ask(accounts, json!({ "id": id, "after": after })).await;
    assert_eq!(rest["person"]["accounts"]["nodes"], json!([{ "externalId": "ann" }]));
    // Removed accounts are shown if they are asked for.
    company.list("Chat", [account("zoe", "zoe@else.test")]).await;
    let removed = "query($id: ID!, $all: Boolean) { person(id: $id) { accounts(includeRemoved: $all) { totalCount nodes { externalId } } } }";
    for (all, count) in [(false, 1), (true, 2)] {
        let found = company.server.ask(removed, json!({ "id": id, "all": all })).await["person"]["accounts"].take();
        assert_eq!((&found["totalCount"], found["nodes"].as_array().unwrap().len()), (&json!(count), count));
    }
    assert!(
        company.server.ask(query, json!({ "id": company.person("Zoe").await })).await["person"]["manager"].is_null()
    );
}

#[tokio::test]
async fn names_suggest_people_and_link_nobody() {
    let company = company().await;
    let chat = [
        account("unknown", "a.nother@acme.example").named("Archer, Ann"),
        account("local", "berg.anna@acme.example").named("ab"),
        account("short", "x@acme.example").named("Cem"),
    ];
    company.list("Chat", chat).await;
    let fields =
        "users { nodes { externalId person { id } link { state suggestions(limit: 2) { person { displayName } } } } }";
    let found = company.server.instance(company.id("Chat"), fields).await;
    let nodes = found["users"]["nodes"].as_array().unwrap();
    for (account, names) in [("unknown", json!(["Ann Archer"])), ("local", json!(["Anna Berg"])), ("short", json!([]))]
    {
        let user = nodes.iter().find(|user| user["externalId"] == account).unwrap();
        let suggested: Value = user["link"]["suggestions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["person"]["displayName"].clone())
            .collect();
        assert_eq!((&suggested, &user["person"], &user["link"]["state"]), (&names, &json!(null), &json!("UNMATCHED")));
    }
}

#[tokio::test]
async fn a_token_for_some_instances_sees_no_people() {
    let company = company().await;
    let server = &company.server;
    let new = NewToken { scope: Some(only(company.id("Chat"))), ..NewToken::new("limited", Role::Admin) };
    let limited = server.tokens.create(new).await.unwrap().text;
    let query =
        "{ users(filter: { statuses: [ACTIVE] }) { nodes { externalId person { displayName } owner { displayName }
        link { state rule evidence suggestions { person { displayName } } } } } }";
    let answer = server.ask_as(&limited, query, json!({})).await;
    let text = answer.to_string();
    assert!(text.contains("ADDRESS") && !text.contains("Archer") && !text.contains("acme.example"), "{answer}");
    for query in ["{ persons { totalCount } }", "{ peopleSettings { stripTags } }"] {
        let answer = server.ask_as(&limited, query, json!({})).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], "FORBIDDEN", "{answer}");
    }
}

#[tokio::test]
async fn the_number_of_statements_does_not_grow_with_the_people() {
    let mut counts = Vec::new();
    for count in [2, 9] {
        let mut company = Company::start().await;
        let list = |kind: &str| {
            let account = |number: usize| {
                account(&format!("{kind}{number}"), &format!("p{number}@acme.example"))
                    .named(&format!("Person Number{number}"))
                    .enterprise("manager", json!({ "value": "HR1" }))
            };
            (1..=count).map(account).collect::<Vec<_>>()
        };
        company.connect("HR", list("HR")).await;
        company.connect("Chat", list("Chat")).await;
        company.connect("Mail", [account("x", "x@acme.example").named("Person Number1")]).await;
        company.own(&["acme.example"]).await;
        company.trust(&["HR"]).await;
        settled(&company.server).await;
        let queries = [
            "persons(first: 20) { totalCount nodes { displayName stateAsOf manager { displayName } accounts(first: 2) { totalCount
                nodes { email kind instance { name } person { displayName } owner { id } link { rule } } } } }",
            "persons(first: 20, filter: { search: \"number\" }) { totalCount nodes { displayName accounts { nodes { id } } } }",
            "users(first: 50) { nodes { kind person { displayName manager { displayName } accounts { totalCount } } owner { id }
                link { state evidence suggestions { person { displayName } } } } }",
        ];
        let mut of_this = Vec::new();
        for query in queries {
            let mut least = u64::MAX;
            // Others work beside it, so that the least is what it takes.
            for number in 0..24 {
                let before = company.server.db.statements();
                company.server.ask(&format!("{{ {query} }} # {number}"), json!({})).await;
                least = least.min(company.server.db.statements() - before);
            }
            of_this.push(least);
        }
        counts.push(of_this);
    }
    assert_eq!(counts[0], counts[1]);
}
