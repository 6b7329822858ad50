//! What is typed and not saved is asked about, wherever it is typed. Back leaves what is open above the page, and not the
//! page.

use muster::auth::Role as Allowed;
use serde_json::json;
use thirtyfour::Key;

use super::pages::{PASSWORD, invitation};
use super::people::company;
use super::{Browser, Role};
use crate::findings::application::evaluated;
use crate::spend::instance;
use crate::support::{Server, change};

const QUESTION: &str = "Discard your changes?";

/// A window, and something that is typed or chosen in it.
struct Opened<'a> {
    button: &'a str,
    title: &'a str,
    field: &'a str,
    kind: Role,
    value: &'a str,
    /// Whether Escape discards without a question.
    escape_discards: bool,
}

impl<'a> Opened<'a> {
    fn with(button: &'a str, title: &'a str, field: &'a str, value: &'a str) -> Self {
        Self { button, title, field, kind: Role::Entry, value, escape_discards: false }
    }

    async fn edit(&self, browser: &Browser) {
        browser.press(Role::Button, self.button).await;
        browser.find(Role::Window, self.title).await;
        match self.kind {
            Role::Entry => browser.enter(self.field, self.value).await,
            _ => browser.choose(self.field, self.value).await,
        }
    }

    /// What was typed is still there.
    async fn keeps(&self, browser: &Browser) {
        browser.misses(Role::Window, QUESTION).await;
        let field = browser.find(self.kind, self.field).await;
        let value = match self.kind {
            Role::Entry => field.prop("value").await.unwrap(),
            _ => Some(
                browser
                    .script("return arguments[0].selectedOptions[0].text", vec![field.to_json().unwrap()])
                    .await
                    .as_str()
                    .unwrap()
                    .to_owned(),
            ),
        };
        assert_eq!(value.as_deref(), Some(self.value), "{}", self.title);
    }

    /// It is left by each way there is, at a page that was reached from another one.
    async fn is_asked_about(&self, browser: &Browser) {
        let page = browser.address().await;
        browser.press(Role::Button, self.button).await;
        browser.find(Role::Window, self.title).await;
        browser.back().await;
        browser.misses(Role::Window, self.title).await;
        browser.is_at(&page).await;

        self.edit(browser).await;
        for round in 0..2 {
            browser.back().await;
            browser.find(Role::Window, QUESTION).await;
            browser.is_at(&page).await;
            // Back answers the question, too.
            if round == 0 {
                browser.press(Role::Button, "Cancel").await;
            } else {
                browser.back().await;
            }
            self.keeps(browser).await;
        }
        if !self.escape_discards {
            browser.key(Key::Escape).await;
            browser.find(Role::Window, QUESTION).await;
            browser.key(Key::Escape).await;
            self.keeps(browser).await;
        }
        browser.press(Role::Button, "Close").await;
        browser.find(Role::Window, QUESTION).await;
        browser.press(Role::Button, "Discard").await;
        browser.misses(Role::Window, self.title).await;
        browser.is_at(&page).await;

        if self.escape_discards {
            self.edit(browser).await;
            browser.key(Key::Escape).await;
            browser.misses(Role::Window, self.title).await;
            browser.misses(Role::Window, QUESTION).await;
        }
    }
}

#[tokio::test]
async fn every_window_asks_before_what_was_typed_is_lost_and_back_leaves_the_page_as_it_is() {
    let server = Server::start().await;
    let id = server.rehearse("Acme", &[("users", "5"), ("outcomes", "success,garbage")]).await;
    server.idle(&id, "").await;
    server.sync(&id, "outcome").await;
    invitation(&server, "ada@example.com", Allowed::Viewer).await;
    let browser = Browser::open_with(&server, &server.admin, "/integrations/rehearsal").await;
    // Also where nothing of the console was shown before.
    browser.press(Role::Button, "Manage").await;
    browser.find(Role::Window, "Edit Instance").await;
    browser.back().await;
    browser.misses(Role::Window, "Edit Instance").await;
    browser.is_at("/integrations/rehearsal").await;

    browser.press(Role::Link, "Integrations").await;
    let recipients = Opened::with("Manage Recipients", "Manage Recipients", "Recipients", "ada@example.com");
    Opened { escape_discards: true, ..recipients }.is_asked_about(&browser).await;
    browser.press(Role::Link, "Rehearsal").await;
    Opened::with("Manage", "Edit Instance", "Name", "Bolt").is_asked_about(&browser).await;
    browser.press(Role::Link, "Acme").await;
    let remedy = "Correct the configuration";
    Opened::with(remedy, remedy, "Users", "6").is_asked_about(&browser).await;
    change(&server.db, "UPDATE instance SET failure_class = 'rate_limit'").await;
    browser.reload().await;
    let less = Opened::with("Sync less often", "Sync less often", "Sync interval", "Every day");
    Opened { kind: Role::Field, ..less }.is_asked_about(&browser).await;
    browser.back().await;
    browser.is_at("/integrations/rehearsal").await;

    browser.press(Role::Link, "Settings").await;
    browser.press(Role::Link, "Members").await;
    Opened::with("Invite", "Invite a member", "Name", "Grace").is_asked_about(&browser).await;
    Opened::with("Edit Ada Lovelace", "Edit member", "Name", "Ada").is_asked_about(&browser).await;
    browser.press(Role::Link, "Tokens").await;
    Opened::with("Create token", "Create an API token", "Name", "Nightly export").is_asked_about(&browser).await;
    browser.back().await;
    browser.is_at("/settings/members").await;
    let stored = server.ask("{ recipients { emails } members { totalCount } }", json!({})).await;
    assert_eq!(stored, json!({ "recipients": { "emails": [] }, "members": { "totalCount": 1 } }));
    browser.close().await;
}

#[tokio::test]
async fn windows_about_accounts_and_reports_ask_as_well() {
    let company = company().await;
    company.own(&["acme.example"]).await;
    company.trust(&["HR"]).await;
    instance(&company.server, "Acme", &[("users", "30")]).await;
    evaluated(&company.server).await;
    let browser = Browser::open_with(&company.server, &company.server.admin, "/reports").await;
    browser.press(Role::Link, "Licences").await;
    Opened::with("Price of Full in Acme", "Price", "Amount", "250").is_asked_about(&browser).await;
    browser.press(Role::Link, "Renewals").await;
    Opened::with("Enter a contract", "New contract", "Name", "Order 1").is_asked_about(&browser).await;
    browser.press(Role::Link, "Findings").await;
    Opened::with("Accept: ", "Accept the finding", "Reason", "A kiosk").is_asked_about(&browser).await;
    browser.go(&format!("/instances/{}?tab=users", company.id("Chat"))).await;
    Opened::with("Link Bob Berg", "Link to a person", "Reason", "The same person").is_asked_about(&browser).await;
    let owner = Opened::with("Owner of Bot", "Use and owner", "Used by", "Several people");
    Opened { kind: Role::Field, ..owner }.is_asked_about(&browser).await;
    browser.press(Role::Link, "Ann Archer").await;
    Opened::with("Unlink Plain in Chat", "Unlink this account?", "Reason", "A test").is_asked_about(&browser).await;

    // Questions have nothing that is unsaved, and Back is no answer to them.
    browser.press(Role::Link, "Reports").await;
    browser.press(Role::Link, "Report settings").await;
    let page = browser.address().await;
    browser.find(Role::Field, "From outside").await.click().await.unwrap();
    browser.press(Role::Button, "Save types").await;
    browser.find(Role::Window, "Switch off “From outside”?").await;
    browser.back().await;
    browser.misses(Role::Window, "Switch off “From outside”?").await;
    browser.is_at(&page).await;
    browser.sees("Once you save, its findings are closed").await;
    browser.press(Role::Button, "Discard").await;
    browser.press(Role::Link, "People").await;
    browser.close().await;
    let query = "{ reportSettings { disabledTypes } renewals { totalCount } findings(filter: { states: [EXCEPTED] }) { totalCount } }";
    let expected = json!({ "reportSettings": { "disabledTypes": [] }, "renewals": { "totalCount": 0 },
        "findings": { "totalCount": 0 } });
    assert_eq!(company.server.ask(query, json!({})).await, expected);
}

#[tokio::test]
async fn a_form_of_a_page_asks_before_the_page_is_left() {
    let server = Server::start().await;
    let browser = Browser::open(&server.url).await;
    browser.go(&invitation(&server, "ada@example.com", Allowed::Admin).await).await;
    browser.enter("New password", PASSWORD).await;
    browser.press(Role::Button, "Save and sign in").await;
    browser.find(Role::Heading, "Overview").await;

    for (path, link, form, field) in [
        ("/integrations/rehearsal", "Integrate", "/integrations/rehearsal/connect", "Name"),
        ("/integrations", "Settings", "/settings", "Current password"),
    ] {
        browser.go(path).await;
        browser.press(Role::Link, link).await;
        browser.is_at(form).await;
        browser.enter(field, "typed").await;
        for leave in ["Back", "Overview"] {
            match leave {
                "Back" => browser.back().await,
                link => browser.press(Role::Link, link).await,
            }
            browser.find(Role::Window, QUESTION).await;
            browser.press(Role::Button, "Cancel").await;
            browser.misses(Role::Window, QUESTION).await;
            browser.is_at(form).await;
            assert_eq!(browser.value(field).await, "typed");
        }
        browser.back().await;
        browser.press(Role::Button, "Discard").await;
        browser.is_at(path).await;
    }
    browser.press(Role::Link, "Settings").await;
    browser.enter("Current password", "typed").await;
    browser.press(Role::Button, "Sign out").await;
    browser.press(Role::Button, "Discard").await;
    browser.find(Role::Heading, "Sign in").await;
    browser.close().await;
}

#[tokio::test]
async fn nobody_overwrites_a_change_that_they_have_not_seen() {
    let server = Server::start().await;
    let id = server.rehearse("Acme", &[("users", "5"), ("outcomes", "success,garbage")]).await;
    server.idle(&id, "").await;
    server.sync(&id, "outcome").await;
    let rename = async |name: &str| drop(server.done("updateInstance", json!({ "id": id, "name": name }), "").await);
    // Without events, the refusal says who it was.
    let browser = Browser::open_with(&server, &server.admin, "/healthz").await;
    browser.refuse_web_sockets().await;
    browser.go(&format!("/instances/{id}")).await;
    browser.press(Role::Button, "Manage").await;
    browser.enter("Name", "Acme here").await;
    rename("Acme there").await;
    browser.press(Role::Button, "Update Instance").await;
    browser.sees("ada@example.com changed this instance").await;
    assert_eq!(server.instance(&id, "name").await["name"], "Acme there");
    browser.press(Role::Button, "Apply mine on top").await;
    browser.sees("“Acme here” was updated.").await;

    browser.press(Role::Button, "Correct the configuration").await;
    browser.enter("Users", "6").await;
    rename("Acme elsewhere").await;
    browser.press(Role::Button, "Check and save").await;
    browser.sees("ada@example.com changed this instance while this window was open.").await;
    browser.press(Role::Button, "Check and save").await;
    browser.misses(Role::Window, "Correct the configuration").await;

    browser.sees("has been started").await;
    server.idle(&id, "").await;
    change(&server.db, "UPDATE instance SET health = 'failing', failure_class = 'rate_limit'").await;
    browser.reload().await;
    browser.press(Role::Button, "Sync less often").await;
    browser.choose("Sync interval", "Every day").await;
    let minutes = json!({ "id": id, "syncIntervalMinutes": 360 });
    server.done("updateInstance", minutes, "").await;
    browser.press(Role::Button, "Save").await;
    browser.sees("ada@example.com changed this instance while this window was open.").await;
    assert_eq!(server.instance(&id, "syncIntervalMinutes").await["syncIntervalMinutes"], 360);
    browser.press(Role::Button, "Save").await;
    browser.sees("is synced every day now.").await;
    browser.close_after(&["/refused"]).await;
}
