//! Webhooks in the console: added, tested, changed, and their messages looked at.

use serde_json::json;

use super::{Browser, Role};
use crate::support::Server;
use crate::webhooks::{Receiver, Reply};

#[tokio::test]
async fn an_administrator_adds_a_webhook_tests_it_and_sends_a_message_again() {
    let builder =
        Server::builder().settings(|settings| settings.allowed_networks = vec!["127.0.0.0/8".parse().unwrap()]);
    let (server, receiver) = (builder.start().await, Receiver::start().await);
    let browser = Browser::open_with(&server, &server.admin, "/settings/webhooks").await;
    browser.sees("No webhooks yet").await;
    browser.press(Role::Button, "Add webhook").await;
    browser.find(Role::Window, "Add a webhook").await;
    browser.enter("Address", "nonsense").await;
    browser.press(Role::Button, "Add the webhook").await;
    browser.sees("This is no address.").await;
    browser.enter("Address", &receiver.url).await;
    browser.enter("Description", "Tickets").await;
    browser.inspect("webhook-form").await;
    browser.press(Role::Button, "Add the webhook").await;
    browser.find(Role::Window, "The webhook is added").await;
    assert!(browser.value("Secret").await.starts_with("whsec_"));
    browser.press(Role::Button, "Copy").await;
    browser.press(Role::Button, "Done").await;

    browser.press(Role::Button, "Send a test to Tickets").await;
    browser.sees("“Tickets” accepted the test with status 204.").await;
    assert_eq!(receiver.until(1).await[0].kind(), "webhook.test");
    receiver.answer(|_, _| Reply::Status(410));
    let acme = server.rehearse("Acme", &[("users", "3")]).await;
    server.idle(&acme, "").await;
    receiver.until(2).await;
    browser.go("/settings/webhooks").await;
    browser.sees("Its receiver is gone").await;
    browser.sees("instance.created").await;
    browser.inspect("webhooks").await;

    receiver.answer(|_, _| Reply::Status(200));
    browser.press(Role::Button, "Switch on Tickets").await;
    browser.sees("“Tickets” is switched on.").await;
    browser.press(Role::Button, &format!("Look at {}", receiver.all()[1].id())).await;
    browser.press(Role::Button, "Send all again that failed since then").await;
    browser.sees("will be sent again.").await;
    let again = receiver.until(3).await;
    assert_eq!(again[1].id(), again[2].id());
    browser.press(Role::Button, "Send failed messages again of Tickets").await;
    browser.sees("No message has failed.").await;
    let all = server.ask("{ webhooks { state } }", json!({})).await;
    assert_eq!(all["webhooks"][0]["state"], "ENABLED");
    browser.close().await;
}

#[tokio::test]
async fn an_administrator_adds_a_chat_and_sees_what_is_wrong_with_its_address() {
    let builder =
        Server::builder().settings(|settings| settings.allowed_networks = vec!["127.0.0.0/8".parse().unwrap()]);
    let (server, receiver) = (builder.start().await, Receiver::start().await);
    let browser = Browser::open_with(&server, &server.admin, "/settings/webhooks").await;
    browser.press(Role::Button, "Add webhook").await;
    browser.choose("Send to", "Microsoft Teams").await;
    browser.enter("Address", "https://acme.webhook.office.com/webhookb2/a").await;
    browser.press(Role::Button, "Add the webhook").await;
    browser.sees("Microsoft has retired them.").await;
    browser.choose("Send to", "Slack").await;
    browser.sees_no("Microsoft has retired them.").await;
    browser.enter("Address", &receiver.at("/services/T0/B0/hush")).await;
    browser.enter("Description", "it-alerts").await;
    browser.inspect("webhook-form-chat").await;
    browser.press(Role::Button, "Add the webhook").await;
    browser.sees("It is added.").await;
    browser.sees("What is also written by mail").await;
    browser.sees_no("hush").await;

    receiver.answer(|_, _| Reply::Says(403, "invalid_token"));
    browser.press(Role::Button, "Send a test to it-alerts").await;
    browser.sees("Slack does not accept the last part of the address.").await;
    receiver.answer(|_, _| Reply::Status(200));
    browser.press(Role::Button, "Edit it-alerts").await;
    browser.sees("the rest is not shown again").await;
    browser.enter("Address", &receiver.at("/services/T0/B0/whole")).await;
    browser.press(Role::Button, "Save").await;
    browser.press(Role::Button, "Send a test to it-alerts").await;
    browser.sees("“it-alerts” accepted the test with status 200.").await;
    let paths: Vec<_> = receiver.all().into_iter().map(|message| message.path).collect();
    assert_eq!(paths, ["/services/T0/B0/hush", "/services/T0/B0/whole"]);
    browser.close().await;
}
