//! Alert managers: one alert for each instance that fails, from when it fails until it no longer does.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::receiver::Message;
use super::{Receiver, Reply, add_service, builder, deliveries, manual, until};
use crate::support::Client;

const KEY: &str = "0123456789abcdef0123456789abcdef";

/// What the messages of PagerDuty do, the oldest first.
fn actions(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|it| it.body["event_action"].as_str().unwrap()).collect()
}

async fn set(client: &Client, id: &str, status: &str) {
    client.done("updateInstance", json!({ "id": id, "status": status }), "").await;
}

async fn quiet(client: &Client, webhook: &str) {
    until(client, webhook, "queuedDeliveries", |found| found["queuedDeliveries"] == 0).await;
}

#[tokio::test]
async fn pagerduty_has_one_alert_while_an_instance_fails() {
    let (server, receiver) = (builder().start().await, Receiver::start().await);
    let id = add_service(&server, "PAGERDUTY", &receiver.at("/v2/enqueue"), json!({ "key": KEY })).await;
    let outcomes = "success,transient,transient,success,garbage,token_inactive";
    let acme = server.rehearse("Acme", &[("outcomes", outcomes)]).await;
    server.idle(&acme, "").await;
    for _ in 0..5 {
        server.sync(&acme, "outcome").await;
    }
    let all = receiver.until(4).await;
    // The second failure is the same, and the last one switches the instance off.
    assert_eq!(actions(&all), ["trigger", "resolve", "trigger", "trigger"]);
    let keys: Vec<_> = all.iter().map(|it| it.body["dedup_key"].as_str().unwrap()).collect();
    assert!(keys.iter().all(|key| *key == keys[0] && key.len() <= 255), "{keys:?}");
    assert!(all.iter().all(|it| it.body["routing_key"] == KEY && it.path == "/v2/enqueue"));
    let payload = &all[0].body["payload"];
    assert!(payload["summary"].as_str().unwrap().contains("Acme"), "{payload}");
    assert_eq!((&payload["severity"], &all[3].body["payload"]["severity"]), (&json!("error"), &json!("critical")));
    assert!(all[0].body["client_url"].as_str().unwrap().ends_with(&format!("/instances/{acme}")));
    quiet(&server, &id).await;
    let found = deliveries(&server, &id).await;
    let types: Vec<_> = found.iter().map(|it| it["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["alert.triggered", "alert.resolved", "alert.triggered", "alert.updated"]);

    let delete = json!({ "id": acme, "acknowledgeIrreversible": true });
    server.done("deleteInstance", delete, "").await;
    assert_eq!(actions(&receiver.until(5).await)[4], "resolve", "a deleted instance has no alert");
    let told = server.ask("{ webhookDeliveries(first: 100) { nodes { body } } }", json!({})).await.to_string();
    assert!(!told.contains(KEY), "the key is not stored with the messages");
}

#[tokio::test]
async fn whoever_switches_an_instance_off_ends_its_alert_and_it_comes_back() {
    let (server, receiver) = (builder().start().await, Receiver::start().await);
    let id = add_service(&server, "PAGERDUTY", &receiver.at("/v2/enqueue"), json!({ "key": KEY })).await;
    let acme = server.rehearse("Acme", &[("outcomes", "success,garbage")]).await;
    server.idle(&acme, "").await;
    server.sync(&acme, "outcome").await;
    receiver.until(1).await;
    set(&server, &acme, "INACTIVE").await;
    assert_eq!(actions(&receiver.until(2).await), ["trigger", "resolve"]);
    set(&server, &acme, "LIVE").await;
    assert_eq!(actions(&receiver.until(3).await)[2], "trigger", "it fails again");

    // The webhook is no longer for it.
    let other = json!({ "id": id, "scope": { "integrationKeys": ["okta"] } });
    server.done("updateWebhook", other, "").await;
    assert_eq!(actions(&receiver.until(4).await)[3], "resolve");
    server.idle(&acme, "").await;
    server.sync(&acme, "outcome").await;
    quiet(&server, &id).await;
    assert_eq!(receiver.all().len(), 4);
}

#[tokio::test]
async fn what_happened_while_it_was_off_is_put_right() {
    let (server, receiver) = (builder().start().await, Receiver::start().await);
    let id = add_service(&server, "PAGERDUTY", &receiver.at("/v2/enqueue"), json!({ "key": KEY })).await;
    let acme = server.rehearse("Acme", &[("outcomes", "success,garbage,success")]).await;
    server.idle(&acme, "").await;
    server.sync(&acme, "outcome").await;
    receiver.until(1).await;
    quiet(&server, &id).await;
    server.done("updateWebhook", json!({ "id": id, "enabled": false }), "").await;
    server.sync(&acme, "outcome").await;
    server.done("updateWebhook", json!({ "id": id, "enabled": true }), "").await;
    assert_eq!(actions(&receiver.until(2).await), ["trigger", "resolve"]);
}

#[tokio::test]
async fn each_instance_that_began_to_fail_while_it_was_off_gets_its_alert() {
    let (server, receiver) = (builder().start().await, Receiver::start().await);
    let id = add_service(&server, "PAGERDUTY", &receiver.at("/v2/enqueue"), json!({ "key": KEY })).await;
    let enable = async |enabled: bool| {
        server.done("updateWebhook", json!({ "id": id, "enabled": enabled }), "").await;
        quiet(&server, &id).await;
    };
    let mut instances = Vec::new();
    for (name, outcomes) in [
        ("Known", "success,garbage"),
        ("Revoked", "success,token_inactive"),
        ("Failing", "success,garbage,success"),
        ("Works", "success"),
        ("Stopped", "success,garbage"),
        ("Gone", "success,garbage"),
    ] {
        let instance = server.rehearse(name, &[("outcomes", outcomes)]).await;
        server.idle(&instance, "").await;
        instances.push(instance);
    }
    server.sync(&instances[0], "outcome").await;
    receiver.until(1).await;
    enable(false).await;
    for instance in &instances[1..] {
        server.sync(instance, "outcome").await;
    }
    set(&server, &instances[4], "INACTIVE").await;
    server.done("deleteInstance", json!({ "id": instances[5], "acknowledgeIrreversible": true }), "").await;
    enable(true).await;
    let all = receiver.until(3).await;
    assert_eq!(actions(&all), ["trigger"; 3]);
    let of = |name: &str| all.iter().filter(|it| it.body["payload"]["source"] == name).collect::<Vec<_>>();
    assert_eq!((of("Known").len(), of("Revoked").len(), of("Failing").len()), (1, 1, 1));
    assert_eq!(of("Revoked")[0].body["payload"]["severity"], "critical");
    assert!(of("Revoked")[0].body["payload"]["summary"].as_str().unwrap().contains("now Inactive"));

    // It knows them from now on, and tells nothing twice.
    enable(false).await;
    enable(true).await;
    server.sync(&instances[2], "outcome").await;
    let after = receiver.until(4).await;
    assert_eq!((actions(&after)[3], &after[3].body["dedup_key"]), ("resolve", &of("Failing")[0].body["dedup_key"]));
    // The webhook is no longer for them, and then it is again.
    let scope = async |scope: Value| server.done("updateWebhook", json!({ "id": id, "scope": scope }), "").await;
    scope(json!({ "instanceIds": [instances[3]] })).await;
    let resolved = receiver.until(6).await;
    assert_eq!(actions(&resolved)[4..], ["resolve"; 2]);
    enable(false).await;
    scope(Value::Null).await;
    server.sync(&instances[3], "outcome").await;
    enable(true).await;
    let again = receiver.until(8).await;
    assert_eq!(actions(&again)[6..], ["trigger"; 2]);
    let keys = |messages: &[Message]| {
        let mut keys: Vec<_> = messages.iter().map(|it| it.body["dedup_key"].to_string()).collect();
        keys.sort_unstable();
        keys
    };
    assert_eq!(keys(&again[6..]), keys(&resolved[4..]));
    quiet(&server, &id).await;
    assert_eq!(receiver.all().len(), 8);
}

#[tokio::test]
async fn every_alert_that_was_refused_since_a_time_is_sent_again() {
    let (server, receiver) = (builder().start().await, Receiver::start().await);
    let id = add_service(&server, "PAGERDUTY", &receiver.at("/v2/enqueue"), json!({ "key": KEY })).await;
    let mut instances = Vec::new();
    for name in ["One", "Two", "Three"] {
        let instance = server.rehearse(name, &[("outcomes", "success,garbage,success")]).await;
        server.idle(&instance, "").await;
        instances.push(instance);
    }
    // What PagerDuty refuses because of its content is given up at once.
    receiver.answer(|_, _| Reply::Says(400, r#"{"status":"invalid event"}"#));
    for instance in &instances {
        server.sync(instance, "outcome").await;
    }
    receiver.until(3).await;
    server.sync(&instances[0], "outcome").await;
    receiver.until(4).await;
    quiet(&server, &id).await;
    receiver.answer(|_, _| Reply::Status(202));
    let since = server.ask("{ webhookDeliveries(first: 9) { nodes { createdAt state } } }", json!({})).await;
    let nodes = since["webhookDeliveries"]["nodes"].as_array().unwrap();
    assert!(nodes.len() == 4 && nodes.iter().all(|it| it["state"] == "FAILED"), "{nodes:#?}");
    // The oldest one is about the first instance, which works by now, and the next one is about the second.
    let again = json!({ "webhookId": id, "since": nodes[2]["createdAt"] });
    assert_eq!(server.done("retryFailedDeliveries", again.clone(), "count").await["count"], 3);
    let sent = receiver.until(7).await.split_off(4);
    let mut told = actions(&sent);
    told.sort_unstable();
    assert_eq!(told, ["resolve", "trigger", "trigger"]);
    quiet(&server, &id).await;
    assert_eq!(server.done("retryFailedDeliveries", again, "count").await["count"], 0);
}

#[tokio::test]
async fn only_the_last_message_about_an_alert_is_sent_again() {
    let (server, receiver) = (builder().start().await, Receiver::start().await);
    let id = add_service(&server, "PAGERDUTY", &receiver.at("/v2/enqueue"), json!({ "key": KEY })).await;
    let acme = server.rehearse("Acme", &[("outcomes", "success,garbage,success,garbage,success")]).await;
    server.idle(&acme, "").await;
    let enable = async |enabled: bool| {
        server.done("updateWebhook", json!({ "id": id, "enabled": enabled }), "").await;
    };
    let told = async || {
        let found = deliveries(&server, &id).await;
        let one = |it: &Value| format!("{} {}", it["type"], it["state"]).replace('"', "");
        found.iter().map(one).collect::<Vec<_>>()
    };
    server.sync(&acme, "outcome").await;
    receiver.until(1).await;
    quiet(&server, &id).await;
    // That it is over is not accepted before the webhook is switched off.
    receiver.answer(|_, _| Reply::Status(503));
    server.sync(&acme, "outcome").await;
    receiver.until(2).await;
    enable(false).await;
    assert_eq!(told().await, ["alert.triggered DELIVERED", "alert.resolved FAILED"]);
    receiver.answer(|_, _| Reply::Status(202));
    enable(true).await;
    quiet(&server, &id).await;
    assert_eq!(told().await, ["alert.triggered DELIVERED", "alert.resolved DELIVERED"]);
    // Nor is a new alert, and the instance works before the webhook does.
    receiver.answer(|_, _| Reply::Status(503));
    let before = receiver.all().len();
    server.sync(&acme, "outcome").await;
    receiver.until(before + 1).await;
    enable(false).await;
    server.sync(&acme, "outcome").await;
    receiver.answer(|_, _| Reply::Status(202));
    enable(true).await;
    quiet(&server, &id).await;
    let both = ["alert.triggered FAILED", "alert.resolved DELIVERED"];
    assert_eq!(told().await[2..], both);
    let all = json!({ "webhookId": id, "since": "2026-01-01T00:00:00Z" });
    assert_eq!(server.done("retryFailedDeliveries", all, "count").await["count"], 0);
    let stale = json!({ "id": deliveries(&server, &id).await[2]["id"] });
    let refused = server.mutate("retryWebhookDelivery", stale, "").await;
    assert_eq!(refused["userErrors"][0]["field"], json!(["id"]), "{refused}");
    assert_eq!(told().await[2..], both);
}

#[tokio::test]
async fn opsgenie_opens_notes_and_closes() {
    let (server, receiver) = (builder().start().await, Receiver::start().await);
    let key = "eb243592-faa2-4ba2-a551-1afdf565c889";
    add_service(&server, "OPSGENIE", &receiver.at("/"), json!({ "key": key })).await;
    let name = "A very long name of an instance".repeat(2);
    let acme = server.rehearse(&name, &[("outcomes", "transient,garbage,success")]).await;
    server.idle(&acme, "").await;
    for _ in 0..2 {
        server.sync(&acme, "outcome").await;
    }
    let all = receiver.until(3).await;
    let alias = all[0].body["alias"].as_str().unwrap();
    let paths: Vec<_> = all.iter().map(|it| it.path.clone()).collect();
    let of = |action: &str| format!("/v2/alerts/{alias}/{action}?identifierType=alias");
    assert_eq!(paths, ["/v2/alerts".to_owned(), of("notes"), of("close")]);
    assert!(all.iter().all(|it| it.headers["authorization"] == format!("GenieKey {key}")));
    let length = |value: &Value| value.as_str().unwrap().chars().count();
    assert!(length(&all[0].body["message"]) <= 130 && length(&all[0].body["alias"]) <= 512, "{}", all[0].body);
    assert!(all[1].body["note"].as_str().unwrap().contains("not as expected"), "{}", all[1].body);
}

#[tokio::test]
async fn alertmanager_is_told_again_before_an_alert_expires() {
    let (time, clock) = manual();
    let (server, receiver) = (builder().clock(clock).start().await, Receiver::start().await);
    let id = add_service(&server, "ALERTMANAGER", &receiver.at("/am/"), json!({ "key": "ada:secret" })).await;
    let acme = server.rehearse("Acme", &[("outcomes", "success,garbage,token_inactive,success")]).await;
    server.idle(&acme, "").await;
    let ends = |message: &Message| message.body[0]["endsAt"].as_str().unwrap().to_owned();
    server.sync(&acme, "outcome").await;
    let first = receiver.until(1).await[0].clone();
    assert_eq!(
        (first.path.as_str(), first.headers["authorization"].as_str()),
        ("/am/api/v2/alerts", "Basic YWRhOnNlY3JldA==")
    );
    let alert = &first.body[0];
    assert_eq!(first.body.as_array().unwrap().len(), 1);
    assert_eq!(
        (&alert["labels"]["alertname"], &alert["labels"]["instance"]),
        (&json!("MusterSyncFailing"), &json!("Acme"))
    );
    assert!(ends(&first).as_str() > alert["startsAt"].as_str().unwrap());
    assert!(alert.get("lasts").is_none());

    for round in 1..=2 {
        time.fetch_add(4 * 60_000, Ordering::Relaxed);
        let again = receiver.until(1 + round).await[round].clone();
        assert_eq!((&again.body[0]["labels"], &again.body[0]["startsAt"]), (&alert["labels"], &alert["startsAt"]));
        assert!(ends(&again) > ends(&first), "it lasts longer");
    }
    let rename = json!({ "id": acme, "name": "Another" });
    server.done("updateInstance", rename, "").await;
    server.sync(&acme, "outcome").await;
    let updated = receiver.until(4).await[3].clone();
    assert_eq!(updated.body[0]["labels"], alert["labels"], "it is the same alert");
    assert!(updated.body[0]["annotations"]["summary"].as_str().unwrap().contains("now Inactive"), "{}", updated.body);
    set(&server, &acme, "LIVE").await;
    server.idle(&acme, "").await;
    let over = receiver.until(5).await[4].clone();
    assert_eq!(over.body[0]["labels"], alert["labels"]);
    let now =
        muster::clock::date_time(time.load(Ordering::Relaxed)).to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    assert_eq!(ends(&over), now, "it is over");
    quiet(&server, &id).await;
    time.fetch_add(10 * 60_000, Ordering::Relaxed);
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert_eq!(receiver.all().len(), 5, "nothing is told again");
}
