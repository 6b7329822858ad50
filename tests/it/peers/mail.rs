//! Mails as they arrive at a real SMTP server.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use muster::auth::Role;
use muster::auth::tokens::NewToken;
use muster::clock::Clock;
use serde_json::{Value, json};

use super::{Smtp, header, recipient};
use crate::support::{Client, DEADLINE, Place, Server};

pub async fn server(smtp: &Smtp) -> Server {
    let url = smtp.url();
    Server::builder().settings(move |settings| settings.smtp_url = Some(url)).start().await
}

/// A server whose clock a test moves, at a place where another one was before it, if there was one.
pub async fn server_at(smtp: &Smtp, clock: &Arc<AtomicI64>, place: Option<Place>) -> Server {
    let (url, mut builder) = (smtp.url(), Server::builder().clock(Clock::Manual(clock.clone())));
    if let Some(place) = place {
        builder = builder.place(place);
    }
    builder.settings(move |settings| settings.smtp_url = Some(url)).start().await
}

/// The mails with these words that have arrived: address and text.
pub async fn arrived(smtp: &Smtp, words: &str) -> Vec<(String, String)> {
    let plain = |message: &Value| message["text"].as_str().unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
    let messages = smtp.messages().await;
    let all = messages.iter().map(|message| (recipient(message), plain(message)));
    all.filter(|(_, text)| text.contains(words)).collect()
}

/// Waits until so many mails with these words have arrived.
pub async fn until_arrived(smtp: &Smtp, words: &str, count: usize) -> Vec<(String, String)> {
    let deadline = tokio::time::Instant::now() + DEADLINE;
    loop {
        let found = arrived(smtp, words).await;
        if found.len() >= count {
            return found;
        }
        assert!(tokio::time::Instant::now() < deadline, "{count} mails wanted; there are {found:#?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

pub async fn set_recipients(client: &Client, emails: &[&str]) {
    let mutation =
        "mutation($emails: [String!]!) { setRecipients(input: { emails: $emails }) { userErrors { code message } } }";
    let answer = client.ask(mutation, json!({ "emails": emails })).await;
    assert_eq!(answer["setRecipients"]["userErrors"], json!([]));
}

/// The mails of an instance in the API, newest first.
pub async fn notifications(client: &Client, instance: &str) -> Vec<Value> {
    let query = "query($id: ID!) { notifications(first: 100, filter: { instanceId: $id }) { nodes {
        id kind state address attempts lastError sentAt subject run { id } } } }";
    client.ask(query, json!({ "id": instance })).await["notifications"]["nodes"].as_array().unwrap().clone()
}

/// The recipients of messages.
fn addressees(messages: &[Value]) -> BTreeSet<String> {
    messages.iter().map(recipient).collect()
}

#[tokio::test]
async fn the_edges_are_mailed_to_the_creator_and_every_recipient_once() {
    let smtp = Smtp::start();
    let server = server(&smtp).await;
    // The creator, ada@example.com, is also a recipient, in different case.
    set_recipients(&server, &["Ada@Example.com", "bo@example.com"]).await;
    let outcomes = "success,garbage,garbage,success,success";
    let id = server.rehearse("Acme", &[("users", "12"), ("outcomes", outcomes)]).await;
    server.idle(&id, "").await;
    let everybody = BTreeSet::from(["ada@example.com".to_owned(), "bo@example.com".to_owned()]);

    let first = smtp.until(2).await;
    assert_eq!(addressees(&first), everybody);
    server.sync(&id, "outcome").await;
    let failed = smtp.until(4).await.split_off(2);
    assert_eq!(addressees(&failed), everybody);
    server.sync(&id, "outcome").await;
    server.sync(&id, "outcome").await;
    let recovered = smtp.until(6).await.split_off(4);
    assert_eq!(addressees(&recovered), everybody);
    let last = server.sync(&id, "mailDecision { kind reason }").await;
    assert_eq!(last["mailDecision"], json!({ "kind": null, "reason": "NO_CHANGE" }));
    assert_eq!(smtp.messages().await.len(), 6, "a second failure and a second success are no news");

    for mail in &recovered {
        let failure = failed.iter().find(|failure| recipient(failure) == recipient(mail)).unwrap();
        assert_eq!(mail["in_reply_to"], failure["message_id"], "a recovery answers its failure");
    }
    assert!(first.iter().chain(&failed).all(|mail| mail["in_reply_to"].is_null()));
    let mails = notifications(&server, &id).await;
    let kinds: Vec<_> = mails.iter().map(|mail| mail["kind"].as_str().unwrap()).collect();
    let edges = ["SYNC_RECOVERED", "SYNC_FAILED", "INITIAL_SYNC_SUCCEEDED"];
    assert_eq!(kinds, edges.iter().flat_map(|kind| [*kind; 2]).collect::<Vec<_>>());
    assert!(mails.iter().all(|mail| mail["state"] == "SENT" && mail["attempts"] == 1), "{mails:#?}");
}

#[tokio::test]
async fn a_mail_says_what_happened_in_text_and_html_and_that_a_machine_wrote_it() {
    let smtp = Smtp::start();
    let server = server(&smtp).await;
    let id = server.rehearse("Acme", &[("users", "12"), ("outcomes", "success,garbage")]).await;
    server.idle(&id, "").await;
    server.sync(&id, "outcome").await;
    let messages = smtp.until(2).await;
    for message in &messages {
        assert_eq!(header(message, "Auto-Submitted"), "auto-generated");
        assert!(header(message, "Content-Type").starts_with("multipart/alternative"));
        for name in ["From", "To", "Date", "Message-ID", "Subject"] {
            header(message, name);
        }
        let link = format!("{}/instances/{id}", server.url);
        for part in ["text", "html"] {
            let part = message[part].as_str().unwrap().replace("&#x2f;", "/");
            for words in ["Acme", "Rehearsal", &link] {
                assert!(part.contains(words), "{words} in {part}");
            }
            assert!(!part.contains("person-") && !part.contains("@rehearsal.example"), "no list of people: {part}");
        }
    }
    assert!(messages[0]["text"].as_str().unwrap().contains("12"), "the counts: {messages:#?}");
    let reason = messages[1]["text"].as_str().unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(reason.contains("is not JSON"), "the reason: {reason}");
}

#[tokio::test]
async fn a_revoked_start_and_a_revocation_while_failing_are_mailed_with_the_remedy() {
    let smtp = Smtp::start();
    let server = server(&smtp).await;
    let revoked = server.rehearse("Revoked at once", &[("outcomes", "token_inactive")]).await;
    server.idle(&revoked, "").await;
    let initial = smtp.until(1).await;
    assert_eq!(notifications(&server, &revoked).await[0]["kind"], "INITIAL_SYNC_FAILED");
    assert!(initial[0]["text"].as_str().unwrap().contains("token"), "{initial:#?}");

    let later = server.rehearse("Failing, then revoked", &[("outcomes", "garbage,insufficient_permissions")]).await;
    server.idle(&later, "").await;
    smtp.until(2).await;
    server.sync(&later, "outcome").await;
    let messages = smtp.until(3).await;
    assert_eq!(notifications(&server, &later).await[0]["kind"], "AUTO_REVOKED");
    let text = messages[2]["text"].as_str().unwrap();
    assert!(text.contains("rehearsal.users.read"), "it names the missing permission: {text}");
}

#[tokio::test]
async fn without_recipients_the_creator_alone_gets_mail_and_nobody_when_there_is_no_address() {
    let smtp = Smtp::start();
    let server = server(&smtp).await;
    let id = server.rehearse("Acme", &[]).await;
    server.idle(&id, "").await;
    assert_eq!(addressees(&smtp.until(1).await), BTreeSet::from(["ada@example.com".to_owned()]));

    let nobody = server.tokens.create(NewToken::new("no address", Role::Admin)).await.unwrap().text;
    let nobody = Client::new(server.url.clone(), nobody);
    let id = nobody.rehearse("Quiet", &[]).await;
    let run = nobody.idle(&id, "lastSync { mailDecision { kind reason } }").await;
    assert_eq!(run["lastSync"]["mailDecision"], json!({ "kind": "INITIAL_SYNC_SUCCEEDED", "reason": "NO_RECIPIENT" }));
    assert_eq!(smtp.messages().await.len(), 1);
}

#[tokio::test]
async fn an_administrator_gets_the_mail_of_a_creator_whose_tokens_were_revoked() {
    let smtp = Smtp::start();
    let server = server(&smtp).await;
    let of = |name: &str, role| NewToken { email: Some(format!("{name}@example.com")), ..NewToken::new(name, role) };
    let ben = Client::new(server.url.clone(), server.tokens.create(of("ben", Role::Operator)).await.unwrap().text);
    server.tokens.create(of("viewer with an address", Role::Viewer)).await.unwrap();
    let id = ben.rehearse("Acme", &[("outcomes", "success,garbage,success")]).await;
    server.idle(&id, "").await;
    assert_eq!(addressees(&smtp.until(1).await), BTreeSet::from(["ben@example.com".to_owned()]));

    let again = server.tokens.create(NewToken { name: "another".into(), ..of("ben", Role::Operator) }).await.unwrap();
    server.tokens.revoke("ben").await.unwrap();
    server.sync(&id, "outcome").await;
    assert_eq!(addressees(&smtp.until(2).await[1..]), BTreeSet::from(["ben@example.com".to_owned()]), "another token");

    server.tokens.revoke_one(again.row.id).await.unwrap();
    server.sync(&id, "outcome").await;
    assert_eq!(addressees(&smtp.until(3).await[2..]), BTreeSet::from(["ada@example.com".to_owned()]));
}

#[tokio::test]
async fn names_from_outside_add_no_header_no_recipient_and_no_markup() {
    let smtp = Smtp::start();
    let server = server(&smtp).await;
    let names = [
        "{{ 7 * 7 }} {% include \"x\" %}",
        "<script>alert(1)</script><img src=x>",
        "=?utf-8?q?=0d=0aBcc:_eve@evil.example?=",
        "Zoë & the \u{130}\u{df}\u{1f9d1}",
        "%0d%0aBcc: eve@evil.example",
    ];
    for (number, name) in names.iter().enumerate() {
        let id = server.rehearse(name, &[("users", "1")]).await;
        server.idle(&id, "").await;
        let message = smtp.until(number + 1).await.pop().unwrap();
        assert_eq!(recipient(&message), "ada@example.com");
        let headers = message["headers"].as_array().unwrap();
        let distinct: BTreeSet<_> = headers.iter().map(|pair| pair[0].as_str().unwrap().to_lowercase()).collect();
        assert_eq!(distinct.len(), headers.len(), "{name}: a header comes twice: {headers:#?}");
        assert!(!distinct.contains("bcc") && !distinct.contains("cc"), "{name}: {headers:#?}");
        let html = message["html"].as_str().unwrap();
        assert!(!html.contains("<script") && !html.contains("<img"), "{name}: {html}");
        assert!(!message["subject"].as_str().unwrap().contains("49"), "{name}");
    }
    let first = &smtp.messages().await[0];
    let text = first["text"].as_str().unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains(names[0]), "printed as it is: {text}");
}

#[tokio::test]
async fn a_name_with_control_characters_is_refused_and_mails_nobody() {
    let smtp = Smtp::start();
    let server = server(&smtp).await;
    let mutation = "mutation($name: String!) { createInstance(input: { integrationKey: \"rehearsal\", name: $name, config: [] }) { instance { name } userErrors { code field } } }";
    for name in ["Eve\r\nBcc: eve@evil.example", "Eve\nX: y", "nul\0", "Zo\u{eb} \u{202e}gnp.exe"] {
        let answer = server.ask(mutation, json!({ "name": name })).await["createInstance"].clone();
        assert_eq!(answer["userErrors"][0]["code"], "INVALID_INPUT", "{name:?}: {answer:#}");
    }
    assert_eq!(smtp.messages().await.len(), 0);
}
