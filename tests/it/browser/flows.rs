//! What people do, word for word.

use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;
use thirtyfour::Key;

use super::{Browser, Role};
use crate::maintenance::NOBODY;
use crate::peers::{self, Scim};
use crate::support::{Server, change};

/// The names of the fields of SCIM.
const URL: &str = "SCIM base address";
const TOKEN: &str = "Token";
const UNDERSTOOD: &str = "I understand that this action cannot be undone";

#[tokio::test]
async fn an_application_is_connected_with_a_test_and_watched_through_its_first_sync() {
    let scim = Scim::start(25, &[]);
    let server = peers::server().start().await;
    let browser = Browser::open_with(&server, &server.admin, "/integrations").await;
    browser.sees("No application is connected yet").await;
    browser.press(Role::Link, "All").await;
    // Between two words, the space stays while it is searched.
    browser.enter("Search integrations", "scim ").await;
    browser.is_at("/integrations?show=all&search=scim").await;
    browser.sees("Is your application not here?").await;
    browser.find(Role::Entry, "Search integrations").await.send_keys("2").await.unwrap();
    browser.is_at("/integrations?show=all&search=scim+2").await;
    browser.press(Role::Link, "SCIM 2.0").await;
    browser.is_at("/integrations/scim").await;
    browser.press(Role::Link, "Integrate").await;
    browser.is_at("/integrations/scim/connect").await;
    browser.enter("Name", "Directory").await;
    browser.enter(URL, &scim.base_url).await;
    browser.enter(TOKEN, "wrong").await;
    browser.press(Role::Button, "Test…").await;
    browser.sees("does not work").await;
    browser.enter(TOKEN, &scim.token).await;
    browser.press(Role::Button, "Test…").await;
    browser.sees("The connection works.").await;
    browser.inspect("integrations-connect").await;
    browser.press(Role::Button, "Integrate").await;
    browser.sees("The first sync is done: 25 users.").await;
    browser.press(Role::Link, "See 25 users").await;
    browser.sees("user-1@example.com").await;
    browser.press(Role::Link, "Integrations").await;
    browser.sees("1 healthy").await;
    browser.close().await;
}

#[tokio::test]
async fn an_instance_is_edited_emptied_and_deleted() {
    let server = Server::start().await;
    let id = server.rehearse("Acme", &[("users", "5")]).await;
    server.idle(&id, "").await;
    let browser = Browser::open_with(&server, &server.admin, "/integrations/rehearsal").await;
    browser.press(Role::Button, "Manage").await;
    browser.find(Role::Window, "Edit Instance").await;
    browser.inspect("edit-instance").await;
    browser.enter("Name", "Acme Europe").await;
    browser.choose("Status", "Inactive").await;
    browser.press(Role::Button, "Update Instance").await;
    browser.sees("“Acme Europe” was updated. It is inactive now").await;
    let found = server.instance(&id, "name status").await;
    assert_eq!(found, json!({ "name": "Acme Europe", "status": "INACTIVE" }));

    browser.press(Role::Button, "Manage").await;
    browser.enter("Name", "Acme Asia").await;
    browser.key(Key::Escape).await;
    browser.find(Role::Window, "Discard your changes?").await;
    browser.press(Role::Button, "Cancel").await;
    assert_eq!(browser.value("Name").await, "Acme Asia");
    browser.press(Role::Button, "Cancel").await;
    browser.press(Role::Button, "Discard").await;
    browser.sees_no("Edit Instance").await;

    browser.press(Role::Button, "Manage").await;
    browser.press(Role::Button, "Delete All Users").await;
    browser.press(Role::Field, UNDERSTOOD).await;
    browser.press(Role::Button, "Delete All Users").await;
    browser.sees("It reports no users.").await;
    server.until(&id, "userCount", |found| found["userCount"] == 0).await;

    browser.press(Role::Button, "Delete Instance").await;
    let delete = browser.find(Role::Button, "Delete Integration Instance").await;
    assert!(!delete.is_enabled().await.unwrap(), "it has to be understood first");
    browser.press(Role::Field, UNDERSTOOD).await;
    browser.press(Role::Button, "Delete Integration Instance").await;
    browser.sees("“Acme Europe” has been deleted").await;
    browser.is_at("/integrations/rehearsal").await;
    browser.close().await;
}

#[tokio::test]
async fn recipients_are_typed_pasted_and_removed() {
    let server = Server::builder().settings(|settings| settings.smtp_url = Some(NOBODY.into())).start().await;
    let browser = Browser::open_with(&server, &server.admin, "/integrations").await;
    browser.press(Role::Button, "Manage Recipients").await;
    browser.sees("The recipient will receive email notifications for each instance of every integration.").await;
    let note = "Leave this field empty if you want to only send notifications to the creators of instances.";
    browser.sees(note).await;
    browser.enter("Recipients", "ada@example.com").await;
    browser.key(Key::Enter).await;
    browser.find(Role::Button, "Remove ada@example.com").await;
    browser.inspect("recipients").await;
    // What was typed without Enter counts.
    browser.enter("Recipients", "bob@example.com").await;
    browser.press(Role::Button, "Save").await;
    browser.sees("Saved: 2 recipients of all notifications.").await;
    let stored = async || server.ask("{ recipients { emails } }", json!({})).await["recipients"]["emails"].take();
    assert_eq!(stored().await, json!(["ada@example.com", "bob@example.com"]));

    browser.press(Role::Button, "Manage Recipients").await;
    browser.press(Role::Button, "Remove ada@example.com").await;
    browser.key(Key::Escape).await;
    browser.sees_no(note).await;
    assert_eq!(stored().await.as_array().map(Vec::len), Some(2), "Escape discards");

    // Another person's change meanwhile is kept, too.
    browser.press(Role::Button, "Manage Recipients").await;
    browser.press(Role::Button, "Remove ada@example.com").await;
    let by_another = json!({ "emails": ["ada@example.com", "bob@example.com", "eve@example.com"] });
    server.done("setRecipients", by_another, "").await;
    browser.press(Role::Button, "Save").await;
    browser.sees("Somebody else changed the list meanwhile, and those changes are kept.").await;
    assert_eq!(stored().await, json!(["bob@example.com", "eve@example.com"]));

    // No event tells what becomes of a mail.
    server.done("setRecipients", json!({ "emails": [] }), "").await;
    server.rehearse("Acme", &[("users", "1")]).await;
    browser.go("/notifications").await;
    browser.sees("1 attempt, the last:").await;
    change(&server.db, "UPDATE notification SET state = 'sent', sent_at = created_at").await;
    browser.sees_no("1 attempt, the last:").await;
    browser.close().await;
}

#[tokio::test]
async fn of_two_people_the_second_is_told_and_keeps_what_was_typed() {
    let server = Server::start().await;
    let id = server.rehearse("Acme", &[("users", "5")]).await;
    server.idle(&id, "").await;
    let one = Browser::open_with(&server, &server.admin, &format!("/instances/{id}")).await;
    one.press(Role::Button, "Manage").await;
    one.enter("Name", "Acme of one").await;
    let other = Browser::open_with(&server, &server.admin, &format!("/instances/{id}")).await;
    other.press(Role::Button, "Manage").await;
    other.enter("Name", "Acme of the other").await;
    other.press(Role::Button, "Update Instance").await;
    other.sees("“Acme of the other” was updated.").await;
    one.sees("ada@example.com changed this instance").await;
    one.press(Role::Button, "Update Instance").await;
    one.press(Role::Button, "See the changes").await;
    one.sees("Acme of the other").await;
    assert_eq!(one.value("Name").await, "Acme of one");
    one.press(Role::Button, "Apply mine on top").await;
    one.sees("“Acme of one” was updated.").await;
    // The other window follows by itself.
    other.find(Role::Heading, "Acme of one").await;
    one.close().await;
    other.close().await;
}

#[tokio::test]
async fn without_a_web_socket_the_page_asks_again_and_says_why() {
    let server = Server::start().await;
    let browser = Browser::open_with(&server, &server.admin, "/healthz").await;
    browser.refuse_web_sockets().await;
    browser.go("/integrations").await;
    browser.find(Role::Heading, "Integrations").await;
    browser.sees("Every 10 s").await;
    server.rehearse("Acme", &[("users", "1")]).await;
    browser.find(Role::Link, "Rehearsal").await;
    browser.close_after(&["/refused"]).await;
}

#[tokio::test]
async fn the_explorer_runs_queries_and_subscriptions() {
    let server = Server::start().await;
    let browser = Browser::open_with(&server, &server.admin, "/explorer").await;
    browser.find(Role::Button, "Execute query").await;
    let subscription = "subscription { instanceStateChanged { cause instance { name } } }";
    let query = utf8_percent_encode(subscription, NON_ALPHANUMERIC);
    browser.go(&format!("/explorer?query={query}")).await;
    browser.press(Role::Button, "Execute query").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    server.rehearse("Acme of the explorer", &[("users", "1")]).await;
    browser.sees("Acme of the explorer").await;

    // A new tab gets the token of the tab that opens it. Others have none.
    browser.go("/settings").await;
    browser.press(Role::Link, "Explorer").await;
    browser.follow().await;
    browser.sees("admin, admin").await;
    browser.script("sessionStorage.clear()", vec![]).await;
    browser.reload().await;
    browser.find(Role::Heading, "This tab is not signed in").await;
    browser.enter("API token", "mst_wrong").await;
    browser.press(Role::Button, "Use the token").await;
    browser.sees("is not accepted").await;
    browser.enter("API token", &server.viewer).await;
    browser.press(Role::Button, "Use the token").await;
    browser.find(Role::Button, "Execute query").await;
    browser.close_after(&["status of 401"]).await;
}

#[tokio::test]
async fn a_remedy_acts_and_a_held_sync_asks_with_the_names() {
    let server = Server::start().await;
    let revoked = server.rehearse("Acme", &[("users", "5"), ("outcomes", "success,token_inactive,success")]).await;
    server.idle(&revoked, "").await;
    server.sync(&revoked, "outcome").await;
    let held = server.rehearse("Bolt", &[("users", "40"), ("outcomes", "success,empty,success,empty")]).await;
    server.idle(&held, "").await;
    server.sync(&held, "outcome").await;
    let browser = Browser::open_with(&server, &server.admin, "/").await;
    browser.sees("Needs you now").await;
    browser.press(Role::Link, "Acme").await;
    browser.sees("Rehearsal refused the token, so the server switched the instance off.").await;
    browser.press(Role::Button, "Set the instance live").await;
    browser.sees("“Acme” is live again. A sync has been started.").await;
    browser.sees("Healthy").await;
    server.until(&revoked, "status", |found| found["status"] == "LIVE").await;

    browser.go(&format!("/instances/{held}")).await;
    browser.sees("no longer lists 40 of 40 users").await;
    browser.press(Role::Button, "Accept the removals").await;
    browser.sees("40 users of 40 are no longer listed by Rehearsal").await;
    browser.sees("@rehearsal.example").await;
    browser.inspect("held").await;
    // After another sync, nobody sees whom it would remove.
    server.sync(&held, "outcome").await;
    browser.sees("Another sync has ended since.").await;
    let accept = browser.find(Role::Button, "Accept the removals").await;
    assert!(!accept.is_enabled().await.unwrap(), "nobody is shown");
    browser.key(Key::Escape).await;
    browser.sees_no("Another sync has ended since.").await;
    server.sync(&held, "outcome").await;
    assert_eq!(server.instance(&held, "userCount").await["userCount"], 40);
    browser.press(Role::Button, "Accept the removals").await;
    browser.sees("40 users of 40").await;
    browser.press(Role::Button, "Accept the removals").await;
    browser.sees_no("A sync would remove many users").await;
    server.until(&held, "userCount", |found| found["userCount"] == 0).await;
    browser.close().await;
}

#[tokio::test]
async fn what_is_typed_wrong_is_said_beside_its_field_and_a_first_sync_is_cancelled() {
    let server = Server::start().await;
    let browser = Browser::open_with(&server, &server.admin, "/integrations/rehearsal/connect").await;
    browser.enter("Name", " ").await;
    browser.enter("Users", "many").await;
    browser.choose("Sync interval", "Another interval…").await;
    browser.enter("Minutes between syncs", "0").await;
    browser.press(Role::Button, "Integrate").await;
    browser.sees("The name is required.").await;
    browser.sees("must be a whole number from 1 to 43200").await;
    let focus = "return document.activeElement.labels[0].textContent";
    assert_eq!(browser.script(focus, vec![]).await, "Name");
    browser.press(Role::Link, "Overview").await;
    browser.find(Role::Window, "Discard your changes?").await;
    browser.press(Role::Button, "Cancel").await;

    browser.enter("Name", "Acme").await;
    browser.sees_no("The name is required.").await;
    browser.choose("Sync interval", "Every day").await;
    browser.enter("Users", "100000").await;
    browser.enter("Latency", "300").await;
    browser.press(Role::Button, "Integrate").await;
    browser.find(Role::Heading, "Acme is connected").await;
    browser.sees("of 100,000 users").await;
    browser.sees("per second, about").await;
    browser.press(Role::Button, "Cancel…").await;
    browser.press(Role::Button, "Cancel the sync").await;
    browser.sees("The first sync was cancelled.").await;
    let found = server.ask("{ instances { nodes { syncIntervalMinutes lastSync { outcome } } } }", json!({})).await;
    let wanted = json!([{ "syncIntervalMinutes": 1440, "lastSync": { "outcome": "CANCELLED" } }]);
    assert_eq!(found["instances"]["nodes"], wanted);
    browser.close().await;
}

#[tokio::test]
async fn a_page_is_loaded_although_something_happens_all_the_time() {
    let server = Server::start().await;
    let id = server.rehearse("Acme", &[("users", "1")]).await;
    server.idle(&id, "").await;
    let browser = Browser::open_with(&server, &server.admin, &format!("/instances/{id}")).await;
    browser.sees("Live").await;
    browser.throttle(1_000, 500_000).await;
    let happens = async {
        for number in 0.. {
            server.done("updateInstance", json!({ "id": id, "name": format!("Acme {number}") }), "").await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let loaded = async {
        browser.press(Role::Link, "Events").await;
        browser.sees(" shown").await;
    };
    tokio::select! { () = happens => {}, () = loaded => {} }
    browser.close().await;
}

#[tokio::test]
async fn a_page_heals_when_the_server_is_back() {
    let server = Server::start().await;
    let address = server.url.trim_start_matches("http://").parse().unwrap();
    server.rehearse("Acme", &[("users", "1")]).await;
    let browser = Browser::open_with(&server, &server.admin, "/integrations").await;
    browser.sees("Live").await;
    browser.block(&["*/graphql"]).await;
    browser.press(Role::Link, "Rehearsal").await;
    browser.sees("This could not be loaded. The server cannot be reached. It is tried again by itself.").await;
    browser.reload().await;
    browser.sees("It is tried again every few seconds; you stay signed in.").await;
    browser.block(&[]).await;
    browser.find(Role::Heading, "Rehearsal").await;
    browser.sees("Live").await;
    browser.overload(true).await;
    browser.press(Role::Link, "Notifications").await;
    browser.sees("This could not be loaded. Too many requests. It is tried again by itself.").await;
    browser.overload(false).await;
    browser.sees_no("This could not be loaded.").await;

    let place = server.stop().await;
    browser.sees("Connection lost").await;
    let server = Server::builder().place(place).address(address).start().await;
    browser.sees_no("Connection lost").await;
    server.rehearse("Acme again", &[("users", "1")]).await;
    browser.find(Role::Link, "Acme again").await;
    browser.close_after(&["net::ERR_"]).await;
}
