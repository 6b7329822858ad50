//! What those see who may not do everything, and whom an administrator finds.

use muster::auth::tokens::NewToken;
use muster::auth::{Role as Allowed, Scope};
use serde_json::json;
use thirtyfour::Key;

use super::pages::invitation;
use super::{Browser, Role};
use crate::access::scope::only;
use crate::support::Server;

#[tokio::test]
async fn a_viewer_sees_no_button_that_would_be_refused() {
    let server = Server::start().await;
    let id = server.rehearse("Acme", &[("users", "1")]).await;
    let browser = Browser::open_with(&server, &server.viewer, "/integrations").await;
    browser.sees("1 healthy").await;
    for path in ["/integrations".to_owned(), "/integrations/rehearsal".to_owned(), format!("/instances/{id}")] {
        browser.go(&path).await;
        browser.sees("Live").await;
        for name in ["Manage Recipients", "Manage", "Integrate", "Sync now", "Delete Instance"] {
            assert!(browser.all(Role::Button, name).await.is_empty(), "{path}: {name}");
        }
    }
    browser.close().await;
}

#[tokio::test]
async fn a_token_that_is_limited_to_some_instances_sees_no_button_that_would_be_refused() {
    let server = Server::start().await;
    let (inside, outside) = (server.rehearse("In", &[]).await, server.rehearse("Out", &[]).await);
    server.idle(&inside, "").await;
    let whole = Scope { integrations: ["rehearsal".to_owned()].into(), ..Scope::default() };
    let new = async |role, scope: &Scope| {
        let new = NewToken { scope: Some(scope.clone()), ..NewToken::new("limited", role) };
        server.tokens.create(new).await.unwrap().text
    };
    let some = new(Allowed::Admin, &only(&inside)).await;
    let browser = Browser::open_with(&server, &some, "/").await;
    browser.sees("admin, limited").await;
    let own = ["summary", "users", "history", "events", "mail"].map(|tab| format!("/instances/{inside}?tab={tab}"));
    let reports = ["posture", "findings", "licences", "spend", "renewals"].map(|report| format!("/reports/{report}"));
    let pages = ["/", "/integrations", "/integrations/rehearsal", "/people", "/notifications", "/settings"];
    for path in pages.map(str::to_owned).iter().chain(&reports).chain(&own) {
        browser.go(path).await;
        browser.sees("Live").await;
        browser.misses_all(".loading").await;
        for name in
            ["Manage Recipients", "Integrate", "Members", "Tokens", "Audit log", "Report settings", "Link…", "Owner…"]
        {
            for role in [Role::Button, Role::Link] {
                assert!(!browser.has(role, name).await, "{path}: {name}");
            }
        }
    }
    browser.go("/settings").await;
    browser.sees("Limited to In").await;
    browser.go("/integrations/rehearsal").await;
    browser.sees("1 instance").await;
    browser.press(Role::Button, "Manage").await;
    browser.find(Role::Window, "Edit Instance").await;
    browser.go("/integrations/rehearsal/connect").await;
    browser.sees("This token is limited to some instances").await;
    for path in ["/settings/members", "/settings/reports"] {
        browser.go(path).await;
        browser.sees("This page is about the whole installation, and you are limited to some instances.").await;
    }
    browser.go(&format!("/instances/{outside}")).await;
    browser.sees("There is no such instance").await;
    browser.close().await;

    let browser = Browser::open_with(&server, &new(Allowed::Operator, &whole).await, "/integrations/rehearsal").await;
    browser.find(Role::Link, "Integrate").await;
    browser.go("/integrations/scim").await;
    browser.find(Role::Heading, "SCIM 2.0").await;
    assert!(!browser.has(Role::Link, "Integrate").await, "instances of SCIM are outside");
    browser.close().await;
    // The server has refused nothing of all this.
    let refused = server.ask("{ auditLog(filter: { outcomes: [REFUSED] }) { totalCount } }", json!({})).await;
    assert_eq!(refused["auditLog"]["totalCount"], 0);
}

#[tokio::test]
async fn the_audit_log_finds_everybody_by_name() {
    let server = Server::start().await;
    server.rehearse("Acme", &[("users", "1")]).await;
    invitation(&server, "ada@example.com", Allowed::Viewer).await;
    // The newest come first.
    for number in 0..120 {
        server.tokens.create(NewToken::new(format!("program {number}"), Allowed::Viewer)).await.unwrap();
    }
    let browser = Browser::open_with(&server, &server.admin, "/settings/audit").await;
    browser.enter("Who", "ADMI").await;
    browser.sees("admin token").await;
    browser.key(Key::Enter).await;
    browser.sees("by ada@example.com").await;
    browser.sees("Instance created").await;
    assert!(browser.address().await.starts_with("/settings/audit?actor="), "{}", browser.address().await);
    browser.enter("Who", "lovelace").await;
    browser.sees("Ada Lovelace ada@example.com").await;
    browser.enter("Who", "nobody of all these").await;
    browser.sees("Nothing has that name.").await;
    browser.close().await;
}
