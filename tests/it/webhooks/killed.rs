//! A server that is killed while it sends: each event arrives, in the order of its instance, and again only with its id.

use std::collections::BTreeMap;

use serde_json::json;

use super::receiver::accepted;
use super::{Receiver, Reply, add, log, until};
use crate::process::kill::accident;
use crate::process::{Home, rounds};

const WEBHOOKS: usize = 4;

#[tokio::test]
async fn the_secret_outlives_a_rotation_of_the_keys() {
    let home = Home::on_sqlite().set("ALLOWED_NETWORKS", "127.0.0.0/8");
    let token = home.token();
    let program = home.serve(&token).await;
    let receiver = Receiver::start().await;
    let (id, secret) = add(&program.client, &receiver.url, json!({})).await;
    let rotated = home.run(&["keys", "rotate"]);
    assert!(rotated.status.success(), "{rotated:?}");
    let sent = program.client.done("testWebhook", json!({ "id": id }), "delivery { state }").await;
    assert_eq!(sent["delivery"]["state"], "DELIVERED");
    assert_eq!(accepted(&receiver.all(), &[&secret]), [[true]]);
    let doctor = home.run(&["doctor"]);
    assert!(doctor.status.success(), "{}", String::from_utf8_lossy(&doctor.stdout));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_event_is_lost_and_none_overtakes_another_however_often_the_server_is_killed() {
    let (rounds, mut random) = rounds("webhooks");
    let home = Home::new().set("ALLOWED_NETWORKS", "127.0.0.0/8");
    let token = home.token();
    let mut program = home.serve(&token).await;
    let mut receivers = Vec::new();
    for number in 0..WEBHOOKS {
        let receiver = Receiver::start().await;
        // Some refuse a message now and then.
        receiver.answer(
            move |_, before| if number > 1 && before % 61 == 60 { Reply::Status(503) } else { Reply::Status(200) },
        );
        let (id, secret) = add(&program.client, &receiver.url, json!({ "onlyChanges": false })).await;
        receivers.push((receiver, id, secret));
    }
    let mut instances = Vec::new();
    for name in ["One", "Two", "Three"] {
        instances.push(program.client.rehearse(name, &[("users", "5"), ("outcomes", "success,garbage")]).await);
    }
    for _ in 0..rounds {
        for id in &instances {
            let sync = json!({ "id": id });
            program.client.mutate("syncInstance", sync, "run { id }").await;
        }
        accident(&mut random, 0..300).await;
        program.kill();
        home.leases_run_out().await;
        program = home.serve(&token).await;
    }
    for id in &instances {
        program.client.idle(id, "").await;
    }
    let events = log(&program.client).await;
    for (receiver, id, secret) in &receivers {
        receiver.until(events.len()).await;
        until(&program.client, id, "queuedDeliveries retryAt", |found| found["queuedDeliveries"] == 0).await;
        let all = receiver.all();
        let mut firsts = BTreeMap::new();
        let mut unique = Vec::new();
        for message in &all {
            let first = firsts.entry(message.id().to_owned()).or_insert_with(|| {
                unique.push(message.clone());
                message.text.clone()
            });
            assert_eq!(first, &message.text, "what comes again is the same");
        }
        println!("{} events, {} messages, {} came again", events.len(), all.len(), all.len() - unique.len());
        assert_eq!(unique.len(), events.len());
        for instance in &instances {
            let own = unique.iter().filter(|it| it.instance() == instance);
            let types: Vec<_> = own.map(|it| it.kind().to_owned()).collect();
            let wanted = events.iter().filter(|(_, of, _)| of == instance);
            let wanted: Vec<_> = wanted.map(|(.., cause)| format!("instance.{}", cause.to_lowercase())).collect();
            assert_eq!(types, wanted);
        }
        // The library refuses messages that are older than five minutes.
        let last = &all[all.len().saturating_sub(50)..];
        assert!(accepted(last, &[secret]).iter().all(|row| row == &[true]));
    }
    let doctor = home.run(&["doctor"]);
    assert!(doctor.status.success(), "{}", String::from_utf8_lossy(&doctor.stdout));
    program.kill();
    home.assert_intact().await;
}
