//! What members decide: pins, kinds and owners.

use serde_json::{Value, json};

use super::roster::{Account, Company, account, said, settled};
use crate::support::one;

fn staff() -> Vec<Account> {
    vec![account("h1", "ann@acme.example").named("Ann Archer"), account("h2", "bob@acme.example").named("Bob Berg")]
}

fn chat() -> Vec<Account> {
    vec![account("ann", "ann@acme.example"), account("nick", "nick@else.test"), account("robot", "robot@acme.example")]
}

async fn company() -> Company {
    let mut company = Company::start().await;
    company.connect("HR", staff()).await;
    company.connect("Chat", chat()).await;
    company.own(&["acme.example"]).await;
    company.trust(&["HR"]).await;
    company
}

const PLAIN: [(&str, &str); 3] =
    [("ann", "Ann Archer ADDRESS LINKED"), ("nick", "Nick FOREIGN_ADDRESS LINKED"), ("robot", "- - UNMATCHED")];

async fn link(company: &Company, account: &str, person: &str) -> Value {
    let (user, person) = (company.user("Chat", account).await, company.person(person).await);
    let input = json!({ "userId": user, "personId": person, "reason": "She said so." });
    company.server.done("linkAccount", input, "user { person { displayName } link { rule state evidence } }").await
}

async fn decide(company: &Company, mutation: &str, account: &str) {
    let user = company.user("Chat", account).await;
    company.server.done(mutation, json!({ "userId": user }), "user { id }").await;
}

#[tokio::test]
async fn a_members_decision_holds_in_every_sync_and_is_taken_back_without_a_trace() {
    let company = company().await;
    assert_eq!(company.links("Chat").await, said(PLAIN));
    let nick = company.person("Nick").await;
    let linked = link(&company, "nick", "Bob Berg").await;
    assert_eq!(linked["user"]["person"]["displayName"], "Bob Berg");
    let evidence = json!({ "rule": "PIN", "state": "LINKED", "evidence": "ada@example.com: She said so." });
    assert_eq!(linked["user"]["link"], evidence);
    assert!(!company.states().await.contains_key("Nick"), "nobody else has an account");
    company.list("HR", staff()).await;
    company.list("Chat", chat().into_iter().map(|it| it.set("externalId", "h1")).collect::<Vec<_>>()).await;
    assert_eq!(company.links("Chat").await["nick"], "Bob Berg PIN LINKED");
    assert_eq!(company.links("Chat").await["ann"], "Ann Archer SOURCE_ID LINKED");
    company.list("Chat", chat()).await;
    // Taken back: everything is as it was, and the person as well.
    decide(&company, "unlinkAccount", "nick").await;
    assert_eq!(company.links("Chat").await, said(PLAIN));
    assert_eq!(company.person("Nick").await, nick);
    // Of an account that nobody has linked, it is decided that it is nobody's.
    decide(&company, "unlinkAccount", "ann").await;
    company.list("Chat", chat()).await;
    assert_eq!(company.links("Chat").await["ann"], "- PIN NOBODY");
    decide(&company, "resetLink", "ann").await;
    assert_eq!(company.links("Chat").await, said(PLAIN));
    let pins = "SELECT CAST(count(*) AS VARCHAR(9)) FROM person_pin";
    assert_eq!(one(&company.server.place.location(), pins).await, "0", "no sync makes a pin");
    company.end().await;
}

#[tokio::test]
async fn decisions_survive_the_deletion_of_all_users_and_go_with_the_instance() {
    let company = company().await;
    link(&company, "robot", "Ann Archer").await;
    let owner = json!({ "userId": company.user("Chat", "nick").await, "personId": company.person("Bob Berg").await });
    company.server.done("setOwner", owner, "user { owner { displayName } }").await;
    let id = company.id("Chat");
    company.server.done("deleteAllUsers", json!({ "instanceId": id, "acknowledgeIrreversible": true }), "").await;
    company
        .server
        .until(id, "events(first: 9) { nodes { cause } }", |found| found.to_string().contains("USERS_DELETED"))
        .await;
    assert_eq!(company.states().await, said([("Ann Archer", "CURRENT"), ("Bob Berg", "CURRENT")]));
    company.list("Chat", chat()).await;
    let links = company.links("Chat").await;
    assert_eq!(
        (links["robot"].as_str(), links["ann"].as_str()),
        ("Ann Archer PIN LINKED", "Ann Archer ADDRESS LINKED")
    );
    let owned = company.server.instance(id, "users(filter: { search: \"nick\" }) { nodes { owner { displayName } } }");
    company.server.searchable().await;
    assert_eq!(owned.await["users"]["nodes"][0]["owner"]["displayName"], "Bob Berg");

    company.server.done("deleteInstance", json!({ "id": id, "acknowledgeIrreversible": true }), "").await;
    company.server.until(id, "status", |found| found["status"] == "DELETED").await;
    settled(&company.server).await;
    for table in ["person_pin", "account_owner", "account_link WHERE person_id IS NULL"] {
        let count = format!("SELECT CAST(count(*) AS VARCHAR(9)) FROM {table}");
        assert_eq!(one(&company.server.place.location(), &count).await, "0", "{table}");
    }
    company.end().await;
}

#[tokio::test]
async fn a_person_who_is_named_stays_known_when_the_source_forgets_the_account() {
    let company = company().await;
    link(&company, "nick", "Bob Berg").await;
    let bob = company.person("Bob Berg").await;
    let id = company.id("HR");
    company.server.done("deleteInstance", json!({ "id": id, "acknowledgeIrreversible": true }), "").await;
    company.server.until(id, "status", |found| found["status"] == "DELETED").await;
    assert_eq!(company.links("Chat").await["nick"], "Nick PIN LINKED");
    assert_eq!(company.person("Nick").await, bob, "the same person, by another name");
    company.end().await;
}

#[tokio::test]
async fn a_member_says_what_uses_an_account() {
    let company = company().await;
    let user = company.user("Chat", "nick").await;
    for (kind, link) in [("SERVICE", "- - NOT_PERSONAL"), ("HUMAN", "Nick FOREIGN_ADDRESS LINKED")] {
        let input = json!({ "userId": user, "kind": kind });
        let set = company.server.done("setAccountKind", input, "user { kind }").await;
        assert_eq!(set["user"]["kind"], kind);
        company.list("Chat", chat()).await;
        assert_eq!(company.links("Chat").await["nick"], link);
    }
    let set = company.server.done("setAccountKind", json!({ "userId": user }), "user { kind }").await;
    assert_eq!(set["user"]["kind"], json!(null));
    // An account of a source that is a program's is no person.
    let payroll = company.user("HR", "h2").await;
    company.server.done("setAccountKind", json!({ "userId": payroll, "kind": "SHARED" }), "").await;
    assert_eq!(company.links("HR").await["h2"], "- - NOT_PERSONAL");
    assert!(!company.states().await.contains_key("Bob Berg"));
    company.server.done("setAccountKind", json!({ "userId": payroll, "kind": null }), "").await;
    assert_eq!(company.states().await["Bob Berg"], "CURRENT");
    company.end().await;
}

#[tokio::test]
async fn an_account_of_a_source_may_be_given_to_a_person_and_takes_its_addresses_along() {
    let mut company = company().await;
    company.connect("Directory", [account("d1", "a.archer@acme.example").named("Archer, A.")]).await;
    company.trust(&["HR", "Directory"]).await;
    company.list("Chat", [account("other", "a.archer@acme.example")]).await;
    assert_eq!(company.links("Chat").await["other"], "Archer, A. ADDRESS LINKED");
    let user = company.user("Directory", "d1").await;
    let input = json!({ "userId": user, "personId": company.person("Ann Archer").await });
    company.server.done("linkAccount", input, "").await;
    assert_eq!(company.links("Chat").await["other"], "Ann Archer ADDRESS LINKED");
    let states = company.states().await;
    assert!(states["Ann Archer"] == "CURRENT" && !states.contains_key("Archer, A."), "{states:?}");
    company.list("Directory", [account("d1", "a.archer@acme.example").named("Archer, A.").suspended()]).await;
    assert_eq!(company.states().await["Ann Archer"], "CURRENT", "the personnel records have the last word");
    company.server.done("resetLink", json!({ "userId": user }), "").await;
    assert_eq!(company.links("Chat").await["other"], "Archer, A. ADDRESS LINKED");
    assert_eq!(company.states().await["Archer, A."], "LEFT");
    company.end().await;
}

#[tokio::test]
async fn wrong_decisions_are_refused_and_right_ones_are_in_the_audit_log() {
    let company = company().await;
    let (user, person) = (company.user("Chat", "ann").await, company.person("Bob Berg").await);
    let (server, long) = (&company.server, "x".repeat(501));
    for (mutation, input, code, field) in [
        ("linkAccount", json!({ "userId": person, "personId": person }), "INVALID_INPUT", "userId"),
        ("linkAccount", json!({ "userId": user, "personId": user }), "INVALID_INPUT", "personId"),
        ("linkAccount", json!({ "userId": user, "personId": person, "reason": long }), "INVALID_INPUT", "reason"),
        ("unlinkAccount", json!({ "userId": user, "reason": long }), "INVALID_INPUT", "reason"),
        ("setOwner", json!({ "userId": user, "personId": user }), "INVALID_INPUT", "personId"),
    ] {
        assert_eq!(server.refused(mutation, input).await, [(code.into(), json!([field]))], "{mutation}");
    }
    let nobody = {
        use base64::Engine as _;
        let encode = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
        [encode("User:00000000000000000000000000000001"), encode("Person:00000000000000000000000000000001")]
    };
    for mutation in ["unlinkAccount", "resetLink", "setAccountKind", "setOwner"] {
        let refused = server.refused(mutation, json!({ "userId": nobody[0] })).await;
        assert_eq!(refused, [("NOT_FOUND".into(), json!(["userId"]))], "{mutation}");
    }
    let refused = server.refused("linkAccount", json!({ "userId": user, "personId": nobody[1] })).await;
    assert_eq!(refused, [("NOT_FOUND".into(), json!(["personId"]))]);
    link(&company, "ann", "Bob Berg").await;
    let query = "{ auditLog(first: 1) { nodes { action subjectKind subjectId detail outcome } } }";
    let entry = server.ask(query, json!({})).await["auditLog"]["nodes"][0].take();
    assert_eq!((&entry["action"], &entry["subjectKind"]), (&json!("ACCOUNT_LINKED"), &json!("USER")));
    assert!(!entry.to_string().contains("She said so"), "{entry}");
    company.server.ask("query($id: ID!) { person(id: $id) { displayName } }", json!({ "id": person })).await;
    let entry = server.ask(query, json!({})).await["auditLog"]["nodes"][0].take();
    assert_eq!((&entry["action"], &entry["subjectKind"]), (&json!("PERSON_READ"), &json!("PERSON")));
}
