//! Connecting an application that asks a person for their consent, at a real authorization server.

use thirtyfour::Key;

use super::{Browser, Role};
use crate::oauth::provider::{CLIENT, Provider, SECRET};
use crate::oauth::{self, KEY};

#[tokio::test]
async fn a_consent_that_is_declined_leads_back_to_what_was_typed_and_one_that_is_given_to_the_first_sync() {
    let (server, provider) = (oauth::server().start().await, Provider::start().await);
    let form = format!("/integrations/{KEY}/connect");
    let browser = Browser::open_with(&server, &server.admin, &form).await;
    browser.enter("Name", "Acme").await;
    browser.enter("Address", &provider.url).await;
    browser.enter("Client ID", CLIENT).await;
    browser.enter("Client secret", SECRET).await;
    provider.world().error = Some("access_denied".to_owned());
    browser.press(Role::Button, "Integrate").await;
    browser.sees("Consenting says that the consent was declined. Nothing was created.").await;
    browser.is_at(&form).await;
    let typed = [browser.value("Name").await, browser.value("Address").await, browser.value("Client ID").await];
    assert_eq!(typed, ["Acme", &provider.url, CLIENT]);
    assert_eq!(browser.value("Client secret").await, "", "secrets are not kept in the browser");
    browser.reload().await;
    browser.sees("the consent was declined").await;

    provider.world().error = None;
    browser.enter("Client secret", SECRET).await;
    browser.press(Role::Button, "Integrate").await;
    browser.sees("The first sync is done: 3 users.").await;
    browser.press(Role::Link, "Open the instance").await;

    provider.world().error = Some("invalid_scope".to_owned());
    browser.press(Role::Button, "Manage").await;
    browser.press(Role::Button, "Reconnect…").await;
    browser.enter("Client ID", "another").await;
    browser.enter("Client secret", "another").await;
    browser.press(Role::Button, "Consent at Consenting").await;
    browser.sees("no such client").await;
    browser.back().await;
    assert_eq!(browser.value("Client ID").await, "another");
    browser.enter("Client ID", CLIENT).await;
    browser.enter("Client secret", SECRET).await;
    browser.press(Role::Button, "Consent at Consenting").await;
    browser.sees("the instance is as it was before").await;
    browser.find(Role::Window, "Reconnect").await;
    browser.key(Key::Escape).await;
    browser.sees_no("as it was before").await;
    // The provider answers what it does not know with 400.
    browser.close_after(&["/authorize"]).await;
}

#[tokio::test]
async fn at_another_address_the_console_is_live_and_says_where_a_consent_ends() {
    let server = oauth::server().start().await;
    let elsewhere = server.url.replace("127.0.0.1", "localhost");
    let browser = Browser::open_at(&elsewhere, &server.admin, &format!("/integrations/{KEY}/connect")).await;
    browser.sees("Live").await;
    let link = browser.find(Role::Link, &format!("Go on at {}", server.url)).await;
    let wanted = format!("{}/integrations/{KEY}/connect", server.url);
    assert_eq!(link.prop("href").await.unwrap(), Some(wanted));
    browser.close().await;
}
