//! What is sent: which messages, in which order, and signed how.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

use futures_util::future::join_all;
use serde_json::json;

use super::receiver::{accepted, faults};
use super::{Receiver, add, builder, deliveries, log, manual, until, webhook};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_arrives_once_in_order_of_its_instance_and_its_signature_is_right() {
    let (server, receiver) = (builder().start().await, Receiver::start().await);
    let (id, secret) = add(&server, &receiver.url, json!({ "onlyChanges": false })).await;
    let made = ["One", "Two", "Three"].map(|name| server.rehearse(name, &[("outcomes", "success,garbage,partial")]));
    let instances = join_all(made).await;
    for _ in 0..4 {
        join_all(instances.iter().map(|it| server.sync(it, "outcome"))).await;
    }
    let events = log(&server).await;
    let messages = receiver.until(events.len()).await;
    until(&server, &id, "queuedDeliveries", |found| found["queuedDeliveries"] == 0).await;
    assert_eq!(receiver.all().len(), events.len(), "nothing comes twice");

    let ids: BTreeSet<_> = messages.iter().map(|message| message.id().to_owned()).collect();
    assert_eq!(ids.len(), messages.len());
    for instance in &instances {
        let own: Vec<_> = messages.iter().filter(|message| message.instance() == instance).collect();
        let types: Vec<_> = own.iter().map(|message| message.kind().to_owned()).collect();
        let wanted = events.iter().filter(|(_, of, _)| of == instance);
        let wanted: Vec<_> = wanted.map(|(.., cause)| format!("instance.{}", cause.to_lowercase())).collect();
        assert_eq!(types, wanted);
        assert!(own.is_sorted_by(|one, next| one.sequence() < next.sequence()));
    }
    assert!(accepted(&messages, &[&secret]).iter().all(|row| row == &[true]));
    assert!(faults(&messages).values().all(Vec::is_empty), "{:#?}", faults(&messages));
    let mut forged = messages[0].clone();
    forged.text = forged.text.replacen("instance.", "instanse.", 1);
    assert_eq!(accepted(&[forged], &[&secret]), [[false]], "the check finds a message that was changed");

    let first = &messages[0];
    assert_eq!(first.headers["content-type"], "application/json");
    assert!(first.headers["user-agent"].starts_with("muster/"), "{:?}", first.headers);
    assert_eq!(first.body["data"]["url"], format!("{}/instances/{}", server.url, first.instance()));
    for message in &messages {
        for hidden in ["person-", "@example.com", &secret] {
            assert!(!message.text.contains(hidden), "{hidden} in {}", message.text);
        }
    }
}

#[tokio::test]
async fn a_webhook_gets_only_what_it_asks_for_and_nothing_old() {
    let (server, by_default, accounts, scoped) =
        (builder().start().await, Receiver::start().await, Receiver::start().await, Receiver::start().await);
    let old = server.rehearse("Old", &[]).await;
    server.idle(&old, "").await;
    let (usual, _) = add(&server, &by_default.url, json!({})).await;
    let (counted, _) =
        add(&server, &accounts.url, json!({ "causes": [], "accountChanges": ["ADDED", "REMOVED"] })).await;
    let scope = json!({ "instanceIds": [old] });
    add(&server, &scoped.url, json!({ "causes": ["UPDATED"], "onlyChanges": false, "scope": scope })).await;

    let config = [("users", "40"), ("churn_percent", "10"), ("outcomes", "success,success,success,garbage,success")];
    let acme = server.rehearse("Acme", &config).await;
    server.idle(&acme, "").await;
    for _ in 0..4 {
        server.sync(&acme, "outcome").await;
    }
    for (id, name) in [(&acme, "Acme HQ"), (&old, "Older")] {
        server.done("updateInstance", json!({ "id": id, "name": name }), "").await;
    }
    server.done("updateInstance", json!({ "id": acme, "status": "INACTIVE" }), "").await;

    let changes = by_default.until(5).await;
    let types: Vec<_> = changes.iter().map(|it| it.kind().trim_start_matches("instance.").to_owned()).collect();
    assert_eq!(types, ["created", "sync_succeeded", "sync_failed", "sync_succeeded", "deactivated"]);
    let state = |at: usize| {
        let data = &changes[at].body["data"];
        (data["before"]["health"].clone(), data["instance"]["health"].clone(), data["run"]["failureClass"].clone())
    };
    assert_eq!(state(2), (json!("OK"), json!("FAILING"), json!("CONFIG")));
    assert_eq!(state(3), (json!("FAILING"), json!("OK"), json!(null)));
    assert_eq!(changes[4].body["data"]["instance"]["inactiveReason"], "USER_DEACTIVATED");

    let numbers: Vec<_> = accounts
        .until(7)
        .await
        .into_iter()
        .map(|it| (it.kind().to_owned(), it.body["data"]["count"].clone()))
        .collect();
    assert_eq!(numbers[0], ("accounts.joined".into(), json!(40)));
    let later: BTreeMap<_, _> = numbers[1..3].iter().cloned().collect();
    assert_eq!(later, BTreeMap::from([("accounts.joined".into(), json!(4)), ("accounts.left".into(), json!(4))]));
    assert!(faults(&accounts.all()).values().all(Vec::is_empty));

    let only = scoped.until(1).await;
    assert_eq!(
        (only.len(), only[0].instance(), &only[0].body["data"]["instance"]["name"]),
        (1, old.as_str(), &json!("Older"))
    );
    for id in [usual, counted] {
        until(&server, &id, "queuedDeliveries", |found| found["queuedDeliveries"] == 0).await;
    }
}

#[tokio::test]
async fn after_a_change_of_the_secret_both_are_valid_for_a_day() {
    let (time, clock) = manual();
    let (server, receiver) = (builder().clock(clock).start().await, Receiver::start().await);
    let (id, first) = add(&server, &receiver.url, json!({})).await;
    let test = async || {
        let sent = server.done("testWebhook", json!({ "id": id }), "delivery { state type httpStatus }").await;
        let expected = json!({ "state": "DELIVERED", "type": "webhook.test", "httpStatus": 204 });
        assert_eq!(sent["delivery"], expected);
        receiver.all().split_off(receiver.all().len() - 1)
    };
    assert_eq!(accepted(&test().await, &[&first]), [[true]]);
    let rotate = async || {
        let made = server.done("rotateWebhookSecret", json!({ "id": id }), "secret").await;
        made["secret"].as_str().unwrap().to_owned()
    };
    let second = rotate().await;
    assert_eq!(accepted(&test().await, &[&first, &second]), [[true, true]]);
    let third = rotate().await;
    assert_eq!(accepted(&test().await, &[&first, &second, &third]), [[false, true, true]]);
    // The secrets are bound to the address.
    let moved = Receiver::start().await;
    server.done("updateWebhook", json!({ "id": id, "url": moved.url }), "").await;
    server.done("testWebhook", json!({ "id": id }), "").await;
    assert_eq!(accepted(&moved.until(1).await, &[&second, &third]), [[true, true]]);
    server.done("updateWebhook", json!({ "id": id, "url": receiver.url }), "").await;

    assert!(webhook(&server, &id, "previousSecretUntil").await["previousSecretUntil"].is_string());
    time.fetch_add(25 * 3_600_000, Ordering::Relaxed);
    let late = test().await;
    assert_eq!(late[0].headers["webhook-signature"].split(' ').count(), 1);
    // The library refuses a time that is not now, so the time is that of the server.
    let sent: i64 = late[0].headers["webhook-timestamp"].parse().unwrap();
    assert_eq!(sent, time.load(Ordering::Relaxed) / 1_000);
    assert!(deliveries(&server, &id).await.iter().all(|it| it["state"] == "DELIVERED"));
}
