//! Chats: what arrives in each, how many instances become one message, and what a wrong address says.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};

use super::receiver::{Message, peer};
use super::{Receiver, Reply, add_service, builder, deliveries, manual, until, webhook};
use crate::support::{Builder, Server};

/// The chats, each with the path of an address and a key.
const CHATS: [(&str, &str, Option<&str>); 7] = [
    ("SLACK", "/services/T0/B0/hush", None),
    ("MATTERMOST", "/hooks/hush", None),
    ("ROCKET_CHAT", "/hooks/hush/more", None),
    ("TEAMS", "/workflows/0/triggers/manual/paths/invoke?sig=hush", None),
    ("GOOGLE_CHAT", "/v1/spaces/A/messages?key=k&token=hush", None),
    ("DISCORD", "/api/webhooks/1/hush", None),
    ("NTFY", "/hush", Some("tk_hush")),
];

/// Where messages wait for others so long.
fn holding(hold: Duration) -> Builder {
    builder().limits(move |limits| limits.hold.storm = hold)
}

fn quick() -> Builder {
    holding(Duration::from_millis(200))
}

/// All texts of a body.
fn texts(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{text}\n"),
        Value::Array(all) => all.iter().map(texts).collect(),
        Value::Object(all) => all.values().map(texts).collect(),
        _ => String::new(),
    }
}

/// The same without the marks that keep chats from reading markup.
fn shown(message: &Message) -> String {
    texts(&message.body).replace('\\', "").replace("&amp;", "&").replace("&quot;", "\"")
}

fn of<'a>(messages: &'a [Message], path: &str) -> Vec<&'a Message> {
    messages.iter().filter(|message| message.path == path).collect()
}

#[tokio::test]
async fn every_chat_is_told_what_is_mailed() {
    let (server, receiver) = (quick().start().await, Receiver::start().await);
    for (kind, path, key) in CHATS {
        add_service(&server, kind, &receiver.at(path), json!({ "key": key })).await;
    }
    let acme = server.rehearse("Acme & *Co* @here", &[("outcomes", "success,garbage,success,token_inactive")]).await;
    server.idle(&acme, "").await;
    for _ in 0..3 {
        server.sync(&acme, "outcome").await;
    }
    let all = receiver.until(4 * CHATS.len()).await;
    for (kind, path, _) in CHATS {
        // The topic of ntfy is in the body.
        let path = if kind == "NTFY" { "/" } else { path };
        let own = of(&all, path);
        for (message, parts) in own.iter().zip([
            &["first sync succeeded", "Open in Muster"][..],
            &["sync failed", "Since 2", "What to do", "Open in Muster"],
            &["sync works again", "failing since 2"],
            &["now Inactive", "Since 2", "make a new token"],
        ]) {
            let said = shown(message);
            for part in parts.iter().filter(|part| kind != "NTFY" || **part != "Open in Muster") {
                let is_link_title =
                    matches!(kind, "MATTERMOST" | "ROCKET_CHAT" | "DISCORD") && *part == "Open in Muster";
                assert!(is_link_title || said.contains(part), "{kind}: {part}: {said}");
            }
            assert!(said.contains(&format!("/instances/{acme}")), "{kind}: a link: {said}");
            assert!(said.contains("Acme & *Co*"), "{kind}: the name: {said}");
            assert!(!said.contains("ada@example.com"), "{kind}: nobody is named: {said}");
        }
        assert_eq!(own.len(), 4, "{kind}");
        let raw = texts(&own[1].body);
        if matches!(kind, "MATTERMOST" | "ROCKET_CHAT" | "DISCORD") {
            assert!(!raw.contains("@here") && !raw.contains(" *Co*"), "{kind}: {raw}");
        }
    }
    let cards: Vec<_> = of(&all, CHATS[3].1).iter().map(|message| message.body.clone()).collect();
    let read = peer("cards.mjs", &json!(cards));
    for card in read.as_array().unwrap() {
        assert_eq!(card["faults"], json!([]), "{card}");
        assert!(card["texts"][0].as_str().unwrap().contains("Acme & *Co* @here"), "{card}");
        assert!(card["links"][0].as_str().unwrap().contains("/instances/"), "{card}");
    }
    let ntfy = of(&all, "/")[0];
    assert_eq!((&ntfy.body["topic"], ntfy.headers["authorization"].as_str()), (&json!("hush"), "Bearer tk_hush"));
    assert_eq!(of(&all, CHATS[5].1)[0].body["allowed_mentions"], json!({ "parse": [] }));
}

#[tokio::test]
async fn nothing_of_an_address_is_shown_again_but_its_host() {
    let (server, receiver) = (quick().start().await, Receiver::start().await);
    receiver.answer(|_, before| Reply::Says([200, 500][before % 2], r#"{"topic":"hush"}"#));
    for (kind, path, key) in CHATS {
        let id = add_service(&server, kind, &receiver.at(path), json!({ "key": key, "description": "IT" })).await;
        server.done("testWebhook", json!({ "id": id }), "delivery { state }").await;
        let found = webhook(&server, &id, "kind url state").await;
        assert_eq!(found, json!({ "kind": kind, "url": receiver.at(""), "state": "ENABLED" }));
        let elsewhere = json!({ "id": id, "url": receiver.at(path).replace("127.0.0.1", "127.0.0.2") });
        let moved = server.mutate("updateWebhook", elsewhere, "").await;
        let refused: &[&str] = if key.is_some() { &["key"] } else { &[] };
        let paths: Vec<_> = moved["userErrors"].as_array().unwrap().iter().map(|error| &error["field"][0]).collect();
        assert_eq!(paths, refused, "{kind}: a key stays with its host");
    }
    let everything = "{ webhooks { id kind url description lastError }
        webhookDeliveries(first: 100) { nodes { body answer lastError } }
        auditLog(first: 100) { nodes { action subjectName } } }";
    let told = server.ask(everything, json!({})).await.to_string();
    assert!(!told.contains("hush"), "{told}");
    assert_eq!(receiver.all().len(), CHATS.len());
}

#[tokio::test]
async fn many_instances_make_one_message() {
    let (server, receiver) = (holding(Duration::from_secs(5)).start().await, Receiver::start().await);
    let names = ["One", "Two", "Three", "Four"];
    let mut instances = Vec::new();
    for name in names {
        let id = server.rehearse(name, &[("users", "3"), ("outcomes", "success,transient,success")]).await;
        server.idle(&id, "").await;
        instances.push(id);
    }
    let slack = add_service(&server, "SLACK", &receiver.at(CHATS[0].1), json!({})).await;
    let alone = json!({ "scope": { "instanceIds": [instances[0]] } });
    add_service(&server, "DISCORD", &receiver.at(CHATS[5].1), alone).await;
    for round in 1..=2 {
        for id in &instances {
            server.sync(id, "outcome").await;
        }
        let all = receiver.until(2 * round).await;
        let (many, one) = (of(&all, CHATS[0].1)[round - 1], of(&all, CHATS[5].1)[round - 1]);
        let said = shown(many);
        assert!(said.contains("4 instances: sync"), "{said}");
        assert!(names.iter().all(|name| said.contains(name)), "{said}");
        assert!(shown(one).contains("One") && !shown(one).contains("Two"), "{}", shown(one));
    }
    until(&server, &slack, "queuedDeliveries", |found| found["queuedDeliveries"] == 0).await;
    let found = deliveries(&server, &slack).await;
    let states: Vec<_> = found.iter().map(|it| it["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["DELIVERED", "INCLUDED", "INCLUDED", "INCLUDED"].repeat(2));
    let included = json!({ "id": found[1]["id"] });
    let refused = server.mutate("retryWebhookDelivery", included, "").await;
    assert!(refused["userErrors"][0]["message"].as_str().unwrap().contains("reports it with others"), "{refused}");
}

#[tokio::test]
async fn what_waits_for_others_outlives_the_server() {
    let (time, clock) = manual();
    let receiver = Receiver::start().await;
    let server = holding(Duration::from_mins(10)).clock(clock.clone()).start().await;
    let id = add_service(&server, "SLACK", &receiver.at(CHATS[0].1), json!({})).await;
    for name in ["One", "Two", "Three"] {
        let instance = server.rehearse(name, &[("users", "3")]).await;
        server.idle(&instance, "").await;
    }
    let gone = server.rehearse("Gone", &[("users", "3")]).await;
    server.idle(&gone, "").await;
    until(&server, &id, "queuedDeliveries", |found| found["queuedDeliveries"] == 4).await;
    let delete = json!({ "id": gone, "acknowledgeIrreversible": true });
    server.done("deleteInstance", delete, "").await;
    let place = server.stop().await;
    time.fetch_add(601_000, Ordering::Relaxed);
    let server = quick().clock(clock).place(place).start().await;
    let all = receiver.until(1).await;
    assert!(shown(&all[0]).contains("3 instances: first sync succeeded"), "{}", shown(&all[0]));
    until(&server, &id, "queuedDeliveries", |found| found["queuedDeliveries"] == 0).await;
    let found = deliveries(&server, &id).await;
    let count = |state: &str| found.iter().filter(|it| it["state"] == state).count();
    assert_eq!((count("DELIVERED"), count("INCLUDED"), count("DROPPED")), (1, 2, 1), "{found:#?}");
    assert_eq!(receiver.all().len(), 1);
    // Nobody waits for it.
    let all = json!({ "webhookId": id, "since": "2026-01-01T00:00:00Z" });
    assert_eq!(server.done("retryFailedDeliveries", all, "count").await["count"], 0);
    let dropped = found.iter().find(|it| it["state"] == "DROPPED").unwrap();
    assert!(dropped["lastError"].as_str().unwrap().contains("was deleted"), "{dropped}");
    let refused = server.mutate("retryWebhookDelivery", json!({ "id": dropped["id"] }), "").await;
    assert!(refused["userErrors"][0]["message"].as_str().unwrap().contains("was deleted"), "{refused}");
}

#[tokio::test]
async fn everything_that_a_chat_refused_since_a_time_is_sent_again_in_its_order() {
    let (server, receiver) = (quick().start().await, Receiver::start().await);
    let id = add_service(&server, "SLACK", &receiver.at(CHATS[0].1), json!({})).await;
    receiver.answer(|_, _| Reply::Says(400, "invalid_blocks"));
    let mut sent = 0;
    for name in ["One", "Two", "Three"] {
        let instance = server.rehearse(name, &[]).await;
        server.idle(&instance, "").await;
        // So that no two become one message.
        sent += 1;
        receiver.until(sent).await;
    }
    until(&server, &id, "queuedDeliveries", |found| found["queuedDeliveries"] == 0).await;
    receiver.answer(|_, _| Reply::Status(200));
    let found = server.ask("{ webhookDeliveries(first: 9) { nodes { createdAt state } } }", json!({})).await;
    let nodes = found["webhookDeliveries"]["nodes"].as_array().unwrap();
    assert!(nodes.len() == 3 && nodes.iter().all(|it| it["state"] == "FAILED"), "{nodes:#?}");
    let since = json!({ "webhookId": id, "since": nodes[1]["createdAt"] });
    assert_eq!(server.done("retryFailedDeliveries", since, "count").await["count"], 2);
    let again = receiver.until(5).await;
    assert!(shown(&again[3]).contains("Two") && shown(&again[4]).contains("Three"), "{:?}", &again[3..]);
    until(&server, &id, "queuedDeliveries", |found| found["queuedDeliveries"] == 0).await;
    let states: Vec<_> = deliveries(&server, &id).await.iter().map(|it| it["state"].clone()).collect();
    assert_eq!(states, ["FAILED", "DELIVERED", "DELIVERED"]);
}

#[tokio::test]
async fn a_test_says_what_is_wrong_with_an_address() {
    let (server, receiver) = (builder().start().await, Receiver::start().await);
    for (kind, number, status, answer, said) in [
        ("SLACK", 0, 403, "invalid_token", "does not accept the last part of the address"),
        ("SLACK", 0, 404, "no_service", "was removed or switched off"),
        ("DISCORD", 5, 404, r#"{"message": "Unknown Webhook", "code": 10015}"#, "was deleted in Discord"),
        ("TEAMS", 3, 401, "{}", "let anyone trigger the workflow"),
        ("NTFY", 6, 403, r#"{"code":40301,"http":403,"error":"forbidden"}"#, "access token"),
    ] {
        let (_, path, key) = CHATS[number];
        let id = add_service(&server, kind, &receiver.at(path), json!({ "key": key })).await;
        receiver.answer(move |_, _| Reply::Says(status, answer));
        let sent = server.done("testWebhook", json!({ "id": id }), "delivery { state lastError answer }").await;
        let error = sent["delivery"]["lastError"].as_str().unwrap();
        assert!(error.contains(said) && error.contains(&format!("Status {status}")), "{kind}: {error}");
        assert_eq!(webhook(&server, &id, "state").await["state"], "ENABLED", "a test changes nothing");
    }
}

#[tokio::test]
async fn a_channel_that_is_archived_ends_it_and_a_message_that_is_refused_does_not() {
    let (server, receiver) = (quick().start().await, Receiver::start().await);
    let id = add_service(&server, "SLACK", &receiver.at(CHATS[0].1), json!({})).await;
    receiver.answer(|_, before| match before {
        0 => Reply::Says(400, "invalid_blocks"),
        _ => Reply::Says(410, "channel_is_archived"),
    });
    let acme = server.rehearse("Acme", &[("outcomes", "success,garbage")]).await;
    server.idle(&acme, "").await;
    receiver.until(1).await;
    let refused = until(&server, &id, "state queuedDeliveries lastError", |found| found["lastError"].is_string()).await;
    assert_eq!((&refused["state"], &refused["queuedDeliveries"]), (&json!("ENABLED"), &json!(0)), "it is not repeated");
    server.sync(&acme, "outcome").await;
    let gone = until(&server, &id, "state disabledReason lastError", |found| found["state"] == "DISABLED").await;
    assert_eq!(gone["disabledReason"], "GONE");
    assert!(gone["lastError"].as_str().unwrap().contains("archived"), "{gone}");
}

#[tokio::test]
async fn what_fits_no_service_is_refused_with_its_field() {
    let server = Server::start().await;
    let retired = "https://acme.webhook.office.com/webhookb2/a@b/IncomingWebhook/c/d";
    for (input, field, said) in [
        (json!({ "kind": "SLACK", "url": "https://example.com/x" }), "url", "hooks.slack.com/services/"),
        (json!({ "kind": "SLACK" }), "url", "no address of Slack"),
        (json!({ "kind": "TEAMS", "url": retired }), "url", "Microsoft has retired them"),
        (json!({ "kind": "PAGERDUTY" }), "key", "32 letters and digits"),
        (json!({ "kind": "NTFY", "url": "http://ntfy.sh/topic" }), "url", "https://"),
        (json!({ "url": "https://example.com/x", "key": "k" }), "key", "signed"),
        (
            json!({ "kind": "DISCORD", "url": "https://discord.com/api/webhooks/1/a", "causes": ["SYNC_FAILED"] }),
            "causes",
            "written by mail",
        ),
    ] {
        let refused = server.mutate("createWebhook", input.clone(), "").await;
        let error = &refused["userErrors"][0];
        assert_eq!(error["field"], json!([field]), "{input}: {refused}");
        assert!(error["message"].as_str().unwrap().contains(said), "{input}: {refused}");
    }
}

#[tokio::test]
async fn an_address_is_changed_and_the_rest_is_kept() {
    let (server, receiver) = (quick().start().await, Receiver::start().await);
    let id = add_service(&server, "NTFY", &receiver.at("/first"), json!({ "key": "tk_one" })).await;
    let test = async || server.done("testWebhook", json!({ "id": id }), "delivery { state }").await;
    for (change, topic, token) in [
        (json!({ "description": "IT" }), "first", Some("Bearer tk_one")),
        (json!({ "url": receiver.at("/second") }), "second", Some("Bearer tk_one")),
        (json!({ "key": "tk_two" }), "second", Some("Bearer tk_two")),
        (json!({ "key": "" }), "second", None),
    ] {
        let mut input = json!({ "id": id });
        input.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        server.done("updateWebhook", input, "webhook { url }").await;
        test().await;
        let all = receiver.all();
        let last = all.last().unwrap();
        assert_eq!(last.body["topic"], topic, "{change}");
        assert_eq!(last.headers.get("authorization").map(String::as_str), token, "{change}");
    }
    let wrong = server.mutate("updateWebhook", json!({ "id": id, "url": "https://ntfy.sh/" }), "").await;
    assert_eq!(wrong["userErrors"][0]["field"], json!(["url"]));
    let rotated = server.mutate("rotateWebhookSecret", json!({ "id": id }), "").await;
    assert!(rotated["userErrors"][0]["message"].as_str().unwrap().contains("not signed"), "{rotated}");
}
