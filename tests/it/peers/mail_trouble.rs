//! Mail while the mail server fails: no mail is lost or duplicated, and other mails do not wait.

use std::collections::BTreeSet;
use std::time::Duration;

use muster::config::Settings;
use serde_json::{Value, json};

use super::mail::{notifications, server, set_recipients};
use super::{Smtp, recipient};
use crate::support::authority::Authority;
use crate::support::{Client, DEADLINE, Server};

/// Waits until the mails of an instance fulfil a condition.
async fn until_notifications(client: &Client, instance: &str, wanted: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let deadline = tokio::time::Instant::now() + DEADLINE;
    loop {
        let mails = notifications(client, instance).await;
        if wanted(&mails) {
            return mails;
        }
        assert!(tokio::time::Instant::now() < deadline, "waited too long; there are {mails:#?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn send_test_mail(client: &Client, address: &str) -> Value {
    let mutation = "mutation($address: String!) { sendTestMail(input: { address: $address }) {
        notification { kind state address attempts lastError } userErrors { code message field } } }";
    client.ask(mutation, json!({ "address": address })).await["sendTestMail"].clone()
}

async fn delete(server: &Server, id: &str) {
    let mutation = "mutation($id: ID!) { deleteInstance(input: { id: $id, acknowledgeIrreversible: true }) { userErrors { code } } }";
    server.ask(mutation, json!({ "id": id })).await;
}

#[tokio::test]
async fn while_the_mail_server_is_down_mails_wait_and_arrive_when_it_is_back() {
    let smtp = Smtp::start();
    let port = smtp.port();
    let server = server(&smtp).await;
    drop(smtp);
    set_recipients(&server, &["bo@example.com", "cy@example.com"]).await;
    let id = server.rehearse("Acme", &[]).await;
    let instance = server.idle(&id, "status health").await;
    assert_eq!(
        (&instance["status"], &instance["health"]),
        (&json!("LIVE"), &json!("OK")),
        "mail trouble is no sync trouble"
    );
    let waiting = until_notifications(&server, &id, |mails| mails.iter().all(|mail| mail["attempts"] == 1)).await;
    assert!(waiting.len() == 3 && waiting.iter().all(|mail| mail["state"] == "QUEUED"), "{waiting:#?}");
    assert!(waiting[0]["lastError"].as_str().unwrap().contains("cannot be reached"), "{waiting:#?}");

    let smtp = Smtp::start_at(port);
    let messages = smtp.until(3).await;
    let mails = until_notifications(&server, &id, |mails| mails.iter().all(|mail| mail["state"] == "SENT")).await;
    assert!(mails.iter().all(|mail| mail["lastError"].is_null() && mail["sentAt"].is_string()), "{mails:#?}");
    assert_eq!(messages.iter().map(recipient).collect::<BTreeSet<_>>().len(), 3);
    assert_eq!(smtp.messages().await.len(), 3, "each once");
}

#[tokio::test]
async fn a_mail_server_with_the_companys_own_certificate_is_trusted_by_a_setting() {
    let authority = Authority::new();
    let smtp = Smtp::start_with_tls(&authority.sign("DNS:localhost"));
    for (trusted, attempted) in [(false, "QUEUED"), (true, "SENT")] {
        let url = format!("smtp://localhost:{}?tls=required", smtp.port());
        let file = trusted.then(|| authority.certificate().into());
        let change = move |settings: &mut Settings| (settings.smtp_url, settings.ca_file) = (Some(url), file);
        let server = Server::builder().settings(change).start().await;
        let id = server.rehearse("Acme", &[]).await;
        let mails = until_notifications(&server, &id, |mails| mails.iter().any(|mail| mail["attempts"] == 1)).await;
        assert_eq!(mails[0]["state"], attempted, "{mails:#?}");
        let advised = mails[0]["lastError"].as_str().is_some_and(|error| error.contains("MUSTER_CA_FILE"));
        assert!(advised != trusted, "{mails:#?}");
    }
}

#[tokio::test]
async fn a_recipient_who_is_refused_for_now_is_tried_again() {
    let smtp = Smtp::start();
    let server = server(&smtp).await;
    smtp.mode("tempfail").await;
    let id = server.rehearse("Acme", &[]).await;
    let waiting = until_notifications(&server, &id, |mails| mails.iter().any(|mail| mail["attempts"] == 1)).await;
    assert_eq!(waiting[0]["state"], "QUEUED");
    assert!(waiting[0]["lastError"].as_str().unwrap().contains("450 4.2.1 mailbox busy"), "{waiting:#?}");
    smtp.mode("ok").await;
    smtp.until(1).await;
    let sent = until_notifications(&server, &id, |mails| mails[0]["state"] == "SENT").await;
    assert_eq!(sent[0]["attempts"], 2);
}

#[tokio::test]
async fn a_refusal_that_a_setting_would_change_keeps_the_mail_and_names_the_setting() {
    let smtp = Smtp::start();
    let server = server(&smtp).await;
    for (mode, named) in [("norelay", "does not relay"), ("badhelo", "MUSTER_SMTP_HELO_NAME")] {
        smtp.mode(mode).await;
        let id = server.rehearse(mode, &[]).await;
        let waiting = until_notifications(&server, &id, |mails| mails.iter().any(|mail| mail["attempts"] == 1)).await;
        assert_eq!(waiting[0]["state"], "QUEUED");
        assert!(waiting[0]["lastError"].as_str().unwrap().contains(named), "{waiting:#?}");
        smtp.mode("ok").await;
        until_notifications(&server, &id, |mails| mails[0]["state"] == "SENT" && mails[0]["attempts"] == 2).await;
    }
}

#[tokio::test]
async fn a_recipient_who_is_refused_for_good_is_given_up_at_once() {
    let smtp = Smtp::start();
    let server = server(&smtp).await;
    smtp.mode("permfail").await;
    let id = server.rehearse("Acme", &[]).await;
    let failed = until_notifications(&server, &id, |mails| mails.iter().any(|mail| mail["state"] == "FAILED")).await;
    assert_eq!((failed.len(), &failed[0]["attempts"]), (1, &json!(1)));
    assert!(failed[0]["lastError"].as_str().unwrap().contains("550 5.1.1 no such user"), "{failed:#?}");
    assert_eq!(server.instance(&id, "status health").await, json!({ "status": "LIVE", "health": "OK" }));
    assert_eq!(smtp.messages().await.len(), 0);
}

#[tokio::test]
async fn a_copy_that_a_lost_answer_causes_carries_the_same_message_id() {
    let smtp = Smtp::start();
    let server = server(&smtp).await;
    smtp.mode("drop_after").await;
    let id = server.rehearse("Acme", &[]).await;
    smtp.until(1).await;
    until_notifications(&server, &id, |mails| mails.iter().any(|mail| mail["attempts"] == 1)).await;
    smtp.mode("ok").await;
    until_notifications(&server, &id, |mails| mails[0]["state"] == "SENT").await;
    let messages = smtp.messages().await;
    assert_eq!(messages.len(), 2);
    for part in ["message_id", "subject", "text", "html", "to"] {
        assert_eq!(messages[0][part], messages[1][part], "{part}");
    }
}

#[tokio::test]
async fn a_mail_server_that_hangs_holds_up_neither_syncs_nor_requests() {
    let smtp = Smtp::start();
    let server = server(&smtp).await;
    smtp.mode("hang").await;
    for name in ["One", "Two", "Three", "Four", "Five", "Six"] {
        let id = server.rehearse(name, &[("users", "5")]).await;
        let instance = server.idle(&id, "health").await;
        assert_eq!(instance["health"], "OK");
        assert_eq!(notifications(&server, &id).await[0]["state"], "QUEUED");
    }
    assert_eq!(smtp.messages().await.len(), 0);
}

#[tokio::test]
async fn mail_that_waits_for_an_instance_that_is_deleted_is_dropped_and_recorded() {
    let smtp = Smtp::start();
    let server = server(&smtp).await;
    smtp.mode("tempfail").await;
    let id = server.rehearse("Acme", &[]).await;
    until_notifications(&server, &id, |mails| mails.iter().any(|mail| mail["attempts"] == 1)).await;
    delete(&server, &id).await;
    server.until(&id, "status", |found| found["status"] == "DELETED").await;
    let dropped = notifications(&server, &id).await;
    assert_eq!((dropped.len(), &dropped[0]["state"]), (1, &json!("DROPPED")));
    assert!(dropped[0]["lastError"].as_str().unwrap().contains("deleted"), "{dropped:#?}");
    smtp.mode("ok").await;
    // A later mail arrives, and the dropped one has not arrived before it.
    assert_eq!(send_test_mail(&server, "bo@example.com").await["userErrors"], json!([]));
    assert_eq!(smtp.messages().await.iter().map(recipient).collect::<Vec<_>>(), ["bo@example.com"]);
}

#[tokio::test]
async fn a_test_mail_is_answered_with_what_the_mail_server_said() {
    let smtp = Smtp::start();
    let server = server(&smtp).await;
    let sent = send_test_mail(&server, "bo@example.com").await;
    let notification =
        json!({ "kind": "TEST", "state": "SENT", "address": "bo@example.com", "attempts": 1, "lastError": null });
    assert_eq!(sent, json!({ "notification": notification, "userErrors": [] }));
    assert_eq!(recipient(&smtp.until(1).await[0]), "bo@example.com");

    smtp.mode("permfail").await;
    let refused = send_test_mail(&server, "bo@example.com").await;
    assert_eq!(refused["userErrors"][0]["code"], "MAIL_NOT_ACCEPTED");
    assert!(refused["userErrors"][0]["message"].as_str().unwrap().contains("550"), "{refused:#}");

    for address in ["", "bo", "bo@", "bo@example.com\r\nBcc: eve@evil.example", "bo@example.com, eve@evil.example"] {
        let bad = send_test_mail(&server, address).await;
        assert_eq!(bad["userErrors"][0]["code"], "INVALID_INPUT", "{address:?}: {bad:#}");
        assert_eq!(bad["userErrors"][0]["field"][0], "address");
    }
    assert_eq!(smtp.messages().await.len(), 1);
}
