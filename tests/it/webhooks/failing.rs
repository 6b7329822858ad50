//! Receivers that fail: messages that come again, waits, and the end.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};

use super::receiver::{Message, accepted};
use super::{Receiver, Reply, add, builder, deliveries, manual, until, webhook};
use crate::peers::Smtp;
use crate::peers::mail::set_recipients;
use crate::support::DEADLINE;

const DAY_MS: i64 = 86_400_000;

#[tokio::test]
async fn a_message_comes_again_with_its_id_and_later_ones_of_its_instance_wait() {
    let (server, receiver) = (builder().start().await, Receiver::start().await);
    let (id, secret) = add(&server, &receiver.url, json!({})).await;
    receiver.answer(|_, before| if before == 0 { Reply::Status(500) } else { Reply::Status(200) });
    let acme = server.rehearse("Acme", &[]).await;
    server.idle(&acme, "").await;
    let waiting =
        until(&server, &id, "failingSince retryAt lastError", |found| found["failingSince"].is_string()).await;
    assert_eq!(waiting["lastError"], "The receiver answered with status 500.");
    let messages = receiver.until(3).await;
    let types: Vec<_> = messages.iter().map(Message::kind).collect();
    assert_eq!(types, ["instance.created", "instance.created", "instance.sync_succeeded"]);
    assert_eq!((messages[0].id(), &messages[0].text), (messages[1].id(), &messages[1].text));
    let pause = messages[1].at - messages[0].at;
    assert!((Duration::from_secs(3)..Duration::from_secs(12)).contains(&pause), "{pause:?}");
    assert!(accepted(&messages, &[&secret]).iter().all(|row| row == &[true]), "each attempt is signed anew");
    let quiet =
        until(&server, &id, "failingSince retryAt lastError queuedDeliveries", |found| found["queuedDeliveries"] == 0);
    assert_eq!(quiet.await, json!({ "failingSince": null, "retryAt": null, "lastError": null, "queuedDeliveries": 0 }));
    let found = deliveries(&server, &id).await;
    let states: Vec<_> = found.iter().map(|it| (it["state"].clone(), it["attempts"].clone())).collect();
    assert_eq!(states, [(json!("DELIVERED"), json!(2)), (json!("DELIVERED"), json!(1))]);
}

#[tokio::test]
async fn a_receiver_is_left_alone_for_as_long_as_it_asks() {
    let (server, receiver) = (builder().start().await, Receiver::start().await);
    let (id, _) = add(&server, &receiver.url, json!({})).await;
    receiver.answer(|_, before| match before {
        0 => Reply::With(429, "retry-after", "11".into()),
        _ => Reply::Status(204),
    });
    let acme = server.rehearse("Acme", &[]).await;
    server.idle(&acme, "").await;
    let messages = receiver.until(2).await;
    let pause = messages[1].at - messages[0].at;
    assert!(pause >= Duration::from_millis(10_900), "{pause:?}");
    until(&server, &id, "queuedDeliveries", |found| found["queuedDeliveries"] == 0).await;
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_switched_off_with_a_mail_and_gets_everything_when_it_is_back() {
    let smtp = Smtp::start();
    let url = smtp.url();
    let server = builder().settings(move |settings| settings.smtp_url = Some(url)).start().await;
    set_recipients(&server, &["bo@example.com"]).await;
    let receiver = Receiver::start().await;
    let (id, _) = add(&server, &receiver.url, json!({ "description": "Tickets" })).await;
    receiver.answer(|_, _| Reply::Status(410));
    let acme = server.rehearse("Acme", &[("outcomes", "success,garbage")]).await;
    server.idle(&acme, "").await;
    let gone = until(&server, &id, "state disabledReason queuedDeliveries", |found| found["state"] == "DISABLED").await;
    assert_eq!(gone, json!({ "state": "DISABLED", "disabledReason": "GONE", "queuedDeliveries": 0 }));
    let begun = receiver.all().len();
    assert_eq!(begun, 1, "the first answer ends it");

    let deadline = tokio::time::Instant::now() + DEADLINE;
    let told = loop {
        let all = smtp.messages().await;
        let own: Vec<Value> = all.into_iter().filter(|it| it["text"].as_str().unwrap().contains("Webhook")).collect();
        if own.len() == 2 {
            break own;
        }
        assert!(tokio::time::Instant::now() < deadline, "{own:#?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    for mail in &told {
        let text = mail["text"].as_str().unwrap();
        assert!(text.contains("Tickets") && text.contains("410"), "{text}");
        assert!(!text.contains("key=1"), "the rest of the address may be a secret: {text}");
    }

    // What happens while it is off is not recorded.
    server.sync(&acme, "outcome").await;
    assert_eq!(receiver.all().len(), begun);
    let refused =
        server.mutate("retryFailedDeliveries", json!({ "webhookId": id, "since": "2026-01-01T00:00:00Z" }), "").await;
    assert_eq!(refused["userErrors"][0]["code"], "WEBHOOK_DISABLED");

    receiver.answer(|_, _| Reply::Status(200));
    let tested = server.done("testWebhook", json!({ "id": id }), "delivery { state }").await;
    assert_eq!(tested["delivery"]["state"], "DELIVERED", "a test is sent also to one that is off");
    let on = server
        .done("updateWebhook", json!({ "id": id, "enabled": true }), "webhook { state disabledReason disabledAt }")
        .await;
    assert_eq!(on["webhook"], json!({ "state": "ENABLED", "disabledReason": null, "disabledAt": null }));
    let failed: Vec<_> = deliveries(&server, &id).await.into_iter().filter(|it| it["state"] == "FAILED").collect();
    let again = server
        .done("retryFailedDeliveries", json!({ "webhookId": id, "since": "2026-01-01T00:00:00Z" }), "count")
        .await;
    assert_eq!(again["count"], failed.len());
    let all = receiver.until(begun + 1 + failed.len()).await;
    let ids: Vec<_> = all[begun + 1..].iter().map(|it| json!(it.id())).collect();
    assert_eq!(
        ids,
        failed.iter().map(|it| it["messageId"].clone()).collect::<Vec<_>>(),
        "in their order, with their ids"
    );
    until(&server, &id, "queuedDeliveries", |found| found["queuedDeliveries"] == 0).await;

    let one = json!({ "id": failed[0]["id"] });
    let queued = server.done("retryWebhookDelivery", one, "delivery { state }").await;
    assert_eq!(queued["delivery"]["state"], "QUEUED");
    let last = receiver.until(all.len() + 1).await;
    assert_eq!(last.last().unwrap().id(), failed[0]["messageId"]);
}

#[tokio::test]
async fn three_days_without_success_switch_it_off() {
    let (time, clock) = manual();
    let (server, receiver) = (builder().clock(clock).start().await, Receiver::start().await);
    let (id, _) = add(&server, &receiver.url, json!({})).await;
    receiver.answer(|_, _| Reply::Status(503));
    let acme = server.rehearse("Acme", &[]).await;
    server.idle(&acme, "").await;
    let failing = until(&server, &id, "state failingSince", |found| found["failingSince"].is_string()).await;
    assert_eq!(failing["state"], "ENABLED");
    let before = receiver.all().len();
    time.fetch_add(2 * DAY_MS, Ordering::Relaxed);
    receiver.until(before + 1).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(webhook(&server, &id, "state").await["state"], "ENABLED", "two days are not three");
    time.fetch_add(DAY_MS + 5 * 3_600_000, Ordering::Relaxed);
    let off = until(&server, &id, "state disabledReason queuedDeliveries", |found| found["state"] == "DISABLED").await;
    assert_eq!(off, json!({ "state": "DISABLED", "disabledReason": "FAILING", "queuedDeliveries": 0 }));
    let found = deliveries(&server, &id).await;
    assert!(found.iter().all(|it| it["state"] == "FAILED" && it["lastError"].is_string()), "{found:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_hangs_delays_no_other() {
    let (server, slow, fast) = (builder().start().await, Receiver::start().await, Receiver::start().await);
    slow.answer(|_, _| Reply::Silence);
    let mut hanging = Vec::new();
    for _ in 0..20 {
        hanging.push(add(&server, &slow.url, json!({ "onlyChanges": false })).await.0);
    }
    let (id, _) = add(&server, &fast.url, json!({ "onlyChanges": false })).await;
    let begun = tokio::time::Instant::now();
    for name in ["One", "Two", "Three", "Four"] {
        let instance = server.rehearse(name, &[("users", "5")]).await;
        server.idle(&instance, "").await;
    }
    // Created, sync started, sync succeeded.
    fast.until(4 * 3).await;
    assert!(begun.elapsed() < Duration::from_secs(14), "{:?}: it waited for the others", begun.elapsed());
    until(&server, &id, "queuedDeliveries", |found| found["queuedDeliveries"] == 0).await;
    for webhook_id in &hanging {
        let found = until(&server, webhook_id, "lastError", |found| found["lastError"].is_string()).await;
        assert_eq!(found["lastError"], "The message was not accepted: the response did not arrive in time.");
    }
}

#[tokio::test]
async fn the_status_counts_whatever_follows_it() {
    let (server, receiver) = (builder().start().await, Receiver::start().await);
    let (id, _) = add(&server, &receiver.url, json!({})).await;
    let test = async || {
        let sent =
            server.done("testWebhook", json!({ "id": id }), "delivery { state httpStatus lastError answer }").await;
        sent["delivery"].clone()
    };
    for (reply, state, status) in [
        (Reply::Lie(200), "DELIVERED", 200),
        (Reply::Drip(202), "DELIVERED", 202),
        (Reply::Lie(500), "FAILED", 500),
        (Reply::Status(404), "FAILED", 404),
        (Reply::Status(299), "DELIVERED", 299),
    ] {
        let shown = format!("{reply:?}");
        receiver.answer(move |_, _| reply.clone());
        let sent = test().await;
        assert_eq!((&sent["state"], &sent["httpStatus"]), (&json!(state), &json!(status)), "{shown}: {sent}");
    }
    receiver.answer(|_, _| Reply::Status(404));
    assert_eq!(test().await["answer"], "It was looked at.");
}
