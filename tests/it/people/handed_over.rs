//! Addresses that change hands.

use serde_json::json;

use super::roster::{Account, Company, account, said};

fn ann() -> Account {
    account("h1", "first@acme.example").named("Ann Archer")
}

fn bob(address: &str) -> Account {
    account("h2", address).named("Bob Berg")
}

/// A company whose first employee has the address `first@acme.example`.
async fn company() -> Company {
    let mut company = Company::start().await;
    company.connect("HR", [ann()]).await;
    company.own(&["acme.example"]).await;
    company.trust(&["HR"]).await;
    company
}

#[tokio::test]
async fn whoever_has_the_address_when_an_account_is_first_seen_keeps_it() {
    let mut company = company().await;
    company.connect("Chat", [account("old", "first@acme.example")]).await;
    assert_eq!(company.links("Chat").await, said([("old", "Ann Archer ADDRESS LINKED")]));
    // She leaves, and is still known by her address.
    company.list("HR", [ann().suspended()]).await;
    assert_eq!(company.links("Chat").await, said([("old", "Ann Archer ADDRESS LINKED")]));
    // Somebody else gets it while her account is still there.
    company.list("HR", [ann().suspended(), bob("first@acme.example")]).await;
    assert_eq!(company.links("Chat").await, said([("old", "Ann Archer ADDRESS CONFLICT")]));
    company.list("Chat", [account("old", "first@acme.example"), account("new", "first@acme.example")]).await;
    let both = said([("new", "Bob Berg ADDRESS LINKED"), ("old", "Ann Archer ADDRESS CONFLICT")]);
    assert_eq!(company.links("Chat").await, both);
    company.connect("Mail", [account("later", "first@acme.example")]).await;
    assert_eq!(company.links("Mail").await, said([("later", "Bob Berg ADDRESS LINKED")]));
    // Only a member's decision ends the conflict.
    company.list("Chat", [account("old", "first@acme.example"), account("new", "first@acme.example")]).await;
    assert_eq!(company.links("Chat").await, both);
    let input = json!({ "userId": company.user("Chat", "old").await, "personId": company.person("Bob Berg").await });
    company.server.done("linkAccount", input, "").await;
    assert_eq!(company.links("Chat").await["old"], "Bob Berg PIN LINKED");
    company.end().await;
}

#[tokio::test]
async fn who_had_lost_it_before_the_source_was_known_never_had_it() {
    for order in [["HR", "Chat"], ["Chat", "HR"]] {
        let mut company = Company::start().await;
        for name in order {
            if name == "HR" {
                company.connect("HR", [ann().suspended(), bob("first@acme.example")]).await;
            } else {
                company.connect("Chat", [account("old", "first@acme.example")]).await;
            }
        }
        company.own(&["acme.example"]).await;
        company.trust(&["HR"]).await;
        assert_eq!(company.links("Chat").await, said([("old", "Bob Berg ADDRESS LINKED")]), "{order:?}");
        company.end().await;
    }
}

#[tokio::test]
async fn an_address_of_two_people_at_once_is_nobodys() {
    let mut company = company().await;
    company.connect("Chat", [account("old", "first@acme.example"), account("team", "team@acme.example")]).await;
    let both = [ann().alias("team@acme.example"), bob("bob@acme.example").alias("team@acme.example")];
    company.list("HR", both).await;
    let links = company.links("Chat").await;
    assert_eq!(links["team"], "- ADDRESS CONFLICT");
    assert_eq!(links["old"], "Ann Archer ADDRESS LINKED");
    // One of them gives it up.
    company.list("HR", [ann(), bob("bob@acme.example").alias("team@acme.example")]).await;
    assert_eq!(company.links("Chat").await["team"], "Bob Berg ADDRESS LINKED");
    company.end().await;
}

#[tokio::test]
async fn an_account_that_gets_another_address_is_whose_that_is_now() {
    let mut company = company().await;
    company.connect("Chat", [account("one", "first@acme.example"), account("two", "else@acme.example")]).await;
    company.list("HR", [account("h1", "ann@acme.example").named("Ann Archer"), bob("first@acme.example")]).await;
    let links = said([("one", "Ann Archer ADDRESS CONFLICT"), ("two", "- - UNMATCHED")]);
    assert_eq!(company.links("Chat").await, links);
    // The first account follows its owner, and the other one gets an address that was another's when it was first seen.
    company.list("Chat", [account("one", "ann@acme.example"), account("two", "first@acme.example")]).await;
    let links = said([("one", "Ann Archer ADDRESS LINKED"), ("two", "Bob Berg ADDRESS LINKED")]);
    assert_eq!(company.links("Chat").await, links);
    company.end().await;
}
