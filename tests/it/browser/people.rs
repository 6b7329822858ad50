//! People: who is found, whose accounts are, and how people are recognised.

use muster::auth::Role as Allowed;
use muster::auth::tokens::NewToken;
use serde_json::json;
use thirtyfour::Key;

use super::{Browser, Role};
use crate::people::roster::{Account, Company, account};

fn records() -> Vec<Account> {
    vec![
        account("h1", "ann@acme.example").named("Ann Archer").employee("1"),
        account("h2", "bob@acme.example").named("Bob Berg").employee("2"),
        account("h3", "cem@acme.example").named("Cem Cole").employee("3").suspended(),
    ]
}

fn chat() -> Vec<Account> {
    vec![
        account("plain", "ann@acme.example"),
        account("ghost", "b.berg@acme.example").named("Bob Berg"),
        account("partner", "partner@partner.test"),
        account("bot", "bot@acme.example").set("userType", "Bot"),
    ]
}

pub async fn company() -> Company {
    let mut company = Company::start().await;
    company.connect("HR", records()).await;
    company.connect("Chat", chat()).await;
    company
}

#[tokio::test]
async fn a_person_is_found_and_an_account_is_unlinked_linked_and_reset() {
    let company = company().await;
    company.own(&["acme.example"]).await;
    company.trust(&["HR"]).await;
    let users = format!("/instances/{}?tab=users", company.id("Chat"));
    let browser = Browser::open_with(&company.server, &company.server.admin, "/").await;
    browser.press(Role::Link, "People").await;
    browser.sees("4 people").await;
    browser.choose("State", "Left").await;
    browser.is_at("/people?state=left").await;
    browser.sees("1 person").await;
    browser.sees("Cem Cole").await;
    browser.choose("State", "External").await;
    browser.sees("partner@partner.test").await;
    browser.choose("State", "Every state").await;
    browser.enter("Name or e-mail", "nobody of all these").await;
    browser.sees("Nobody is found by that.").await;
    browser.press(Role::Button, "Show all people").await;
    browser.sees("4 people").await;
    browser.enter("Name or e-mail", "arch").await;
    browser.sees("1 person").await;
    browser.inspect("people-found").await;
    browser.press(Role::Link, "Ann Archer").await;
    browser.find(Role::Heading, "Ann Archer").await;
    browser.sees("HR lists the account.").await;
    browser.sees("A people source gives the person this address").await;
    browser.inspect("person").await;

    browser.press(Role::Button, "Unlink Plain in Chat").await;
    browser.find(Role::Window, "Unlink this account?").await;
    browser.inspect("unlink-account").await;
    browser.enter("Reason", "It is a test account").await;
    browser.press(Role::Button, "Unlink").await;
    browser.sees("“Plain” is nobody's now.").await;
    browser.misses(Role::Button, "Unlink Plain in Chat").await;
    assert_eq!(company.links("Chat").await["plain"], "- PIN NOBODY");

    browser.go(&users).await;
    browser.press(Role::Button, "Link Plain").await;
    browser.sees("It is a test account").await;
    browser.press(Role::Button, "Link").await;
    browser.sees("Choose a person.").await;
    browser.pick("Person", "cem", "cem@acme.example, Left").await;
    browser.find(Role::Button, "Remove Cem Cole").await;
    browser.press(Role::Button, "Link").await;
    browser.sees("“Plain” is Cem Cole's now.").await;
    browser.press(Role::Link, "Cem Cole").await;
    browser.sees("HR has suspended the account.").await;
    browser.sees("A member has decided it").await;
    browser.press(Role::Button, "Reset Plain in Chat").await;
    browser.press(Role::Button, "Reset").await;
    browser.sees("“Plain” is Ann Archer's.").await;
    assert_eq!(company.links("Chat").await["plain"], "Ann Archer ADDRESS LINKED");
    browser.close().await;
}

#[tokio::test]
async fn an_account_of_nobody_is_given_to_whom_is_suggested_and_a_program_gets_an_owner() {
    let company = company().await;
    company.own(&["acme.example"]).await;
    company.trust(&["HR"]).await;
    let users = format!("/instances/{}?tab=users", company.id("Chat"));
    let browser = Browser::open_with(&company.server, &company.server.admin, &users).await;
    browser.sees("Unmatched").await;
    browser.sees("Not personal").await;
    browser.inspect("users-with-people").await;
    browser.press(Role::Button, "Link Bob Berg").await;
    browser.sees("Suggestions").await;
    browser.inspect("link-account").await;
    browser.press(Role::Button, "Choose Bob Berg").await;
    browser.press(Role::Button, "Link").await;
    browser.sees("“Bob Berg” is Bob Berg's now.").await;
    browser.misses(Role::Button, "Link Bob Berg").await;
    browser.press(Role::Button, "Owner of Bot").await;
    browser.find(Role::Window, "Use and owner").await;
    browser.pick("Owner", "ann", "ann@acme.example, Current").await;
    browser.press(Role::Button, "Save").await;
    browser.sees("“Bot” is saved.").await;
    browser.sees("Owner Ann Archer").await;
    assert_eq!(company.links("Chat").await["ghost"], "Bob Berg PIN LINKED");
    browser.close().await;
}

#[tokio::test]
async fn a_people_source_and_domains_are_declared_after_a_look_at_what_that_changes() {
    let company = company().await;
    let browser = Browser::open_with(&company.server, &company.server.admin, "/people").await;
    browser.sees("No instance is a people source").await;
    browser.press(Role::Link, "Mark a people source").await;
    browser.is_at("/settings/people").await;
    browser.sees("There is no people source yet.").await;
    browser.pick("Add a people source", "HR", "HR").await;
    browser.enter("Rank of HR", "0").await;
    browser.press(Role::Button, "Save sources…").await;
    browser.sees("A rank is a number from 1 to 100.").await;
    browser.inspect("settings-people-edited").await;
    browser.enter("Rank of HR", "1").await;
    browser.press(Role::Button, "Save sources…").await;
    browser.find(Role::Window, "Save the people sources?").await;
    browser.sees("This would").await;
    browser.sees("2 people as current and 1 person as left").await;
    browser.key(Key::Escape).await;
    let sources = async || {
        let query = "{ peopleSettings { sources { rank instance { name } } ownedDomains } }";
        company.server.ask(query, json!({})).await["peopleSettings"].take()
    };
    assert_eq!(sources().await["sources"], json!([]), "a look changes nothing");
    browser.press(Role::Button, "Save sources…").await;
    browser.find(Role::Window, "Save the people sources?").await;
    browser.press(Role::Button, "Save").await;
    browser.sees("Saved: 1 people source.").await;

    browser.enter("Owned domains", "acme.example, nonsense").await;
    browser.key(Key::Enter).await;
    browser.press(Role::Button, "Save domains…").await;
    browser.sees("\"nonsense\" is not a domain, such as example.com.").await;
    browser.press(Role::Button, "Remove nonsense").await;
    browser.press(Role::Button, "Save domains…").await;
    browser.find(Role::Window, "Save the domains?").await;
    browser.inspect("look-at-domains").await;
    browser.press(Role::Button, "Save").await;
    browser.sees("Saved: 1 owned domain.").await;
    let expected =
        json!({ "sources": [{ "rank": 1, "instance": { "name": "HR" } }], "ownedDomains": ["acme.example"] });
    assert_eq!(sources().await, expected);
    browser.close().await;
}

#[tokio::test]
async fn an_administrator_who_has_understood_it_erases_a_person() {
    let company = company().await;
    company.own(&["acme.example"]).await;
    company.trust(&["HR"]).await;
    let person = format!("/people/{}", company.person("Ann Archer").await);
    let browser = Browser::open_with(&company.server, &company.server.admin, &person).await;
    browser.press(Role::Button, "Erase…").await;
    browser.find(Role::Window, "Erase this person?").await;
    browser.inspect("erase-person").await;
    browser.enter("Reason", "Ann Archer asked for it").await;
    let erase = browser.find(Role::Button, "Erase Person").await;
    browser.press(Role::Field, "I understand that this action cannot be undone").await;
    assert!(!erase.is_enabled().await.unwrap(), "a people source lists her");
    browser.press(Role::Field, "Erase the person although a people source lists the person").await;
    browser.press(Role::Button, "Erase Person").await;
    browser.sees("it must not name the person").await;
    browser.enter("Reason", "Request 7").await;
    browser.press(Role::Button, "Erase Person").await;
    browser.sees("The person has been erased. 2 accounts are nobody's now.").await;
    browser.is_at("/people").await;
    assert!(!company.states().await.contains_key("Ann Archer"));
    browser.close().await;
}

#[tokio::test]
async fn who_may_not_see_people_is_shown_none_and_who_may_not_decide_no_button() {
    let company = company().await;
    company.trust(&["HR"]).await;
    let person = format!("/people/{}", company.person("Ann Archer").await);
    let browser = Browser::open_with(&company.server, &company.server.viewer, &person).await;
    browser.find(Role::Heading, "Ann Archer").await;
    browser.sees("Live").await;
    for name in ["Unlink", "Link", "Reset", "Erase…"] {
        assert!(browser.all(Role::Button, name).await.is_empty(), "{name}");
    }
    browser.go("/settings/people").await;
    browser.sees("Only administrators see this page.").await;
    browser.go("/people/nothing").await;
    browser.sees("There is no such person").await;
    browser.close().await;

    let figures = company.server.tokens.create(NewToken::new("figures", Allowed::Reports)).await.unwrap();
    let browser = Browser::open_with(&company.server, &figures.text, "/").await;
    browser.find(Role::Heading, "Overview").await;
    assert!(browser.all(Role::Link, "People").await.is_empty());
    browser.go("/people").await;
    browser.sees("You do not see people").await;
    browser.go(&person).await;
    browser.sees("There is no such person").await;
    browser.close().await;
    // The server has refused nothing of all this.
    let refused = company.server.ask("{ auditLog(filter: { outcomes: [REFUSED] }) { totalCount } }", json!({})).await;
    assert_eq!(refused["auditLog"]["totalCount"], 0);
}
