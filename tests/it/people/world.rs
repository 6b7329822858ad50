//! A small company of which the truth is known: whose each account is, and why.

use serde_json::json;

use super::roster::{Account, Company, account, said};

const TRUTH: [(&str, &str); 13] = [
    ("alias", "Bob Berg ADDRESS LINKED"),
    ("bot", "- - NOT_PERSONAL"),
    ("contractor", "Dana Duke ADDRESS LINKED"),
    ("equivalent", "Bob Berg EQUIVALENT_DOMAIN LINKED"),
    ("federated", "Bob Berg SOURCE_ID LINKED"),
    ("foreign", "Foreign FOREIGN_ADDRESS LINKED"),
    ("ghost", "- - UNMATCHED"),
    ("left", "Cem Cole ADDRESS LINKED"),
    ("namesake", "Ann Archer FOREIGN_ADDRESS LINKED"),
    ("nameless", "- - NO_ADDRESS"),
    ("plain", "Ann Archer ADDRESS LINKED"),
    ("second", "Ann Archer ADDRESS LINKED"),
    ("tagged", "Ann Archer TAG LINKED"),
];

const OF_RECORDS: [(&str, &str); 5] = [
    ("h1", "Ann Archer SOURCE LINKED"),
    ("h2", "Bob Berg SOURCE LINKED"),
    ("h3", "Cem Cole SOURCE LINKED"),
    ("h4", "Dana Duke SOURCE LINKED"),
    ("h5", "- - NOT_PERSONAL"),
];

const OF_DIRECTORY: [(&str, &str); 5] = [
    ("i1", "Ann Archer SOURCE LINKED"),
    ("i2", "Bob Berg SOURCE LINKED"),
    ("i3", "Cem Cole SOURCE LINKED"),
    ("i4", "Eve Esser SOURCE LINKED"),
    ("i5", "Foreign FOREIGN_ADDRESS LINKED"),
];

fn records() -> Vec<Account> {
    vec![
        account("h1", "Ann@acme.example").named("Ann Archer").employee("1"),
        account("h2", "bob@acme.example").named("Bob Berg").employee("2").alias("robert@acme.example"),
        account("h3", "cem@acme.example").named("Cem Cole").employee("3").suspended(),
        account("h4", "dana@mail.test").named("Dana Duke").employee("4"),
        account("h5", "payroll@acme.example").named("Payroll").set("userType", "Service"),
    ]
}

fn directory() -> Vec<Account> {
    vec![
        account("i1", "ann.archer@acme.example").named("A. Archer").employee("1"),
        account("i2", "bob@acme.example").named("B. Berg"),
        account("i3", "cem.cole@acme.example").named("C. Cole").employee("3"),
        account("i4", "eve@acme.example").named("Eve Esser"),
        account("i5", "partner@partner.test").named("Partner").set("userType", "Guest"),
    ]
}

fn chat() -> Vec<Account> {
    vec![
        account("plain", "ann@ACME.example"),
        account("second", "ann.archer@acme.example"),
        account("alias", "robert@acme.example"),
        account("federated", "x@nowhere.test").set("externalId", "i2"),
        account("equivalent", "bob@acme.test"),
        account("tagged", "ann+news@acme.example"),
        account("ghost", "ghost@acme.example"),
        account("foreign", "partner@partner.test"),
        account("nameless", ""),
        account("bot", "bot@acme.example").set("userType", "Bot"),
        account("contractor", "dana@mail.test"),
        account("namesake", "annarcher@mail.test").named("Ann Archer"),
        account("left", "cem@acme.example"),
    ]
}

fn list(name: &str) -> Vec<Account> {
    match name {
        "HR" => records(),
        "Directory" => directory(),
        _ => chat(),
    }
}

/// Says what is known of domains and sources, in one of two orders.
async fn settle(company: &Company, sources_first: bool) {
    let domains = json!({ "owned": ["acme.example", "ACME.test"], "stripTags": true,
        "equivalents": [{ "domain": "acme.example", "sameAs": "acme.test" }] });
    let sources = json!({ "sources": [
        { "instanceId": company.id("HR"), "rank": 1 }, { "instanceId": company.id("Directory"), "rank": 2 } ] });
    if sources_first {
        company.server.done("setPeopleSources", sources.clone(), "").await;
    }
    company.server.done("setOwnedDomains", domains, "").await;
    if !sources_first {
        company.server.done("setPeopleSources", sources, "").await;
    }
}

#[tokio::test]
async fn every_account_is_whose_it_is_in_any_order_of_syncs_and_settings() {
    let orders = [
        ["HR", "Directory", "Chat"],
        ["Chat", "Directory", "HR"],
        ["Directory", "Chat", "HR"],
        ["Chat", "HR", "Directory"],
    ];
    for (number, order) in orders.into_iter().enumerate() {
        let mut company = Company::start().await;
        for name in order {
            company.connect(name, list(name)).await;
            // Settings may also come before the first account of the last application.
            if number % 2 == 0 && company.rosters.len() == 3 {
                settle(&company, number == 0).await;
            }
        }
        settle(&company, number % 2 == 0).await;
        assert_eq!(company.links("Chat").await, said(TRUTH), "{order:?}");
        assert_eq!(company.links("HR").await, said(OF_RECORDS), "{order:?}");
        assert_eq!(company.links("Directory").await, said(OF_DIRECTORY), "{order:?}");
        // Another sync changes nothing.
        for name in order {
            company.list(name, list(name)).await;
        }
        assert_eq!(company.links("Chat").await, said(TRUTH), "{order:?}");
        let known = company.server.ask("{ persons(first: 100) { nodes { displayName state isExternal } } }", json!({}));
        let known = known.await["persons"]["nodes"].clone();
        let mut known: Vec<String> = known.as_array().unwrap().iter().map(ToString::to_string).collect();
        known.sort();
        let person = |name: &str, state: &str, is_external: bool| {
            json!({ "displayName": name, "state": state, "isExternal": is_external }).to_string()
        };
        let mut expected = vec![
            person("Ann Archer", "CURRENT", false),
            person("Ann Archer", "UNKNOWN", true),
            person("Bob Berg", "CURRENT", false),
            // The personnel records have the last word.
            person("Cem Cole", "LEFT", false),
            person("Dana Duke", "CURRENT", false),
            person("Eve Esser", "CURRENT", false),
            person("Foreign", "UNKNOWN", true),
        ];
        expected.sort();
        assert_eq!(known, expected, "{order:?}");
        company.end().await;
    }
}

#[tokio::test]
async fn without_a_source_each_owned_address_is_somebody_of_whom_nothing_is_known() {
    let mut company = Company::start().await;
    company.connect("Chat", [account("ann", "ann@acme.example"), account("zoe", "zoe@else.test")]).await;
    company.connect("Mail", [account("ann1", "ANN@acme.example"), account("bob", "bob@acme.example")]).await;
    assert_eq!(company.links("Chat").await["ann"], "Ann FOREIGN_ADDRESS LINKED", "no domain is declared");
    let query = "{ persons(first: 9) { nodes { isExternal } } }";
    let found = company.server.ask(query, json!({})).await;
    assert!(
        found["persons"]["nodes"].as_array().unwrap().iter().all(|person| person["isExternal"].is_null()),
        "{found}"
    );
    company.own(&["acme.example"]).await;
    let chat = said([("ann", "Ann OWNED_ADDRESS LINKED"), ("zoe", "Zoe FOREIGN_ADDRESS LINKED")]);
    assert_eq!(company.links("Chat").await, chat);
    assert_eq!(company.links("Mail").await["ann1"], "Ann OWNED_ADDRESS LINKED", "one person with two accounts");
    assert_eq!(company.states().await, said([("Ann", "UNKNOWN"), ("Bob", "UNKNOWN"), ("Zoe", "UNKNOWN")]));
}
