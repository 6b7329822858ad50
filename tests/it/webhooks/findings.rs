//! What evaluations of findings have opened and closed.

use serde_json::{Value, json};

use super::receiver::{Message, faults};
use super::{Receiver, Reply, add, log, until};
use crate::findings::application::{Office, ago, tool};
use crate::people::roster::account;

/// Two people, each with an account. The second one has no second factor.
async fn office() -> Office {
    let records = [1, 2].map(|number| account(&format!("h{number}"), &format!("p{number}@acme.example")));
    Office::start(records.into(), accounts(true, false)).await
}

/// Whether each of the two has a second factor.
fn accounts(one: bool, two: bool) -> Vec<Value> {
    vec![tool("one", "p1@acme.example", json!({ "mfa": one })), tool("two", "p2@acme.example", json!({ "mfa": two }))]
}

fn counts(message: &Message) -> (Value, Value) {
    (message.body["data"]["opened"].clone(), message.body["data"]["closed"].clone())
}

#[tokio::test]
async fn an_evaluation_that_opens_or_closes_something_is_told_once() {
    let (office, receiver, other, scoped) =
        (office().await, Receiver::start().await, Receiver::start().await, Receiver::start().await);
    let server = &office.server;
    let wanted = json!({ "causes": [], "findingChanges": true });
    let (id, _) = add(server, &receiver.url, wanted.clone()).await;
    add(server, &other.url, json!({ "causes": ["UPDATED"], "accountChanges": ["ADDED"] })).await;
    let scope = json!({ "instanceIds": [office.hr] });
    let (not_for_it, _) =
        add(server, &scoped.url, json!({ "causes": [], "findingChanges": true, "scope": scope })).await;

    office.list(accounts(false, true)).await;
    let first = receiver.until(1).await;
    assert_eq!(first[0].kind(), "findings.changed");
    assert_eq!(counts(&first[0]), (json!({ "NO_MFA": 1 }), json!({ "NO_MFA": 1 })));
    assert_eq!(first[0].instance(), office.tool);
    let posture = server.instance(&office.tool, "name posture { mfa { basis { evaluatedAt } } }").await;
    let at = |text: &Value| chrono::DateTime::parse_from_rfc3339(text.as_str().unwrap()).unwrap();
    let data = &first[0].body["data"];
    assert_eq!(at(&data["evaluatedAt"]), at(&posture["posture"]["mfa"]["basis"]["evaluatedAt"]));
    assert_eq!(data["instance"]["name"], posture["name"]);
    for hidden in ["acme.example", "\"one\"", "\"two\""] {
        assert!(!first[0].text.contains(hidden), "{}", first[0].text);
    }

    // The same list again, a finding that is accepted, and one that is closed and opened while it is.
    office.list(accounts(false, true)).await;
    let finding = office.finding("one", "NO_MFA").await["id"].clone();
    let accepted = json!({ "findingId": finding, "reason": "A kiosk.", "until": ago(-9) });
    server.done("exceptFinding", accepted, "").await;
    office.list(accounts(true, true)).await;
    office.list(accounts(false, true)).await;
    assert_eq!(office.finding("one", "NO_MFA").await["state"], "EXCEPTED");
    // Something that is told, so that it is known what was not.
    office.list(accounts(false, false)).await;
    assert_eq!(counts(&receiver.until(2).await[1]), (json!({ "NO_MFA": 1 }), json!({})));

    server.done("deleteInstance", json!({ "id": office.tool, "acknowledgeIrreversible": true }), "").await;
    let last = receiver.until(3).await;
    assert_eq!(counts(&last[2]), (json!({}), json!({ "NO_MFA": 1 })), "the accepted one is not told");
    for id in [&id, &not_for_it] {
        until(server, id, "queuedDeliveries", |found| found["queuedDeliveries"] == 0).await;
    }
    let all = receiver.all();
    assert_eq!(all.len(), 3);
    assert!(all.is_sorted_by_key(Message::sequence));
    assert!(faults(&all).values().all(Vec::is_empty), "{:#?}", faults(&all));
    assert!(other.all().iter().all(|message| !message.kind().starts_with("findings.")));
    assert!(scoped.all().is_empty(), "it is for another instance");
}

#[tokio::test]
async fn what_is_told_of_findings_stands_in_the_order_of_events() {
    let (office, receiver) = (office().await, Receiver::start().await);
    let before = log(&office.server).await.len();
    // Everything waits behind the first message for some seconds.
    receiver.answer(|_, before| Reply::Status(if before == 0 { 503 } else { 200 }));
    let wanted = json!({ "onlyChanges": false, "findingChanges": true });
    let (id, _) = add(&office.server, &receiver.url, wanted).await;
    for is_safe in [false, true, false] {
        office.list(accounts(is_safe, false)).await;
    }
    let events = log(&office.server).await.split_off(before);
    let messages = receiver.until(1 + events.len() + 3).await.split_off(1);
    until(&office.server, &id, "queuedDeliveries", |found| found["queuedDeliveries"] == 0).await;
    let own = messages.iter().filter(|message| message.instance() == office.tool);
    let types: Vec<&str> = own.clone().map(Message::kind).collect();
    let mut wanted = Vec::new();
    for (.., cause) in events.iter().filter(|(_, instance, _)| *instance == office.tool) {
        wanted.push(format!("instance.{}", cause.to_lowercase()));
        if cause == "SYNC_SUCCEEDED" {
            wanted.push("findings.changed".to_owned());
        }
    }
    assert_eq!(types, wanted);
    assert!(own.map(Message::sequence).is_sorted());
    assert!(faults(&messages).values().all(Vec::is_empty), "{:#?}", faults(&messages));
    office.end().await;
}

#[tokio::test]
async fn who_asks_for_them_later_gets_nothing_old() {
    let (office, receiver) = (office().await, Receiver::start().await);
    let (id, _) = add(&office.server, &receiver.url, json!({ "causes": ["UPDATED"] })).await;
    office.list(accounts(false, false)).await;
    let change = async |change: Value| {
        let mut input = json!({ "id": id });
        input.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        office.server.done("updateWebhook", input, "webhook { findingChanges }").await["webhook"].take()
    };
    assert_eq!(change(json!({ "findingChanges": true })).await["findingChanges"], true);
    office.list(accounts(true, false)).await;
    assert_eq!(counts(&receiver.until(1).await[0]), (json!({}), json!({ "NO_MFA": 1 })));
    // Nothing is recorded for it while it is off.
    change(json!({ "enabled": false })).await;
    office.list(accounts(true, true)).await;
    change(json!({ "enabled": true })).await;
    office.list(accounts(false, true)).await;
    assert_eq!(counts(&receiver.until(2).await[1]), (json!({ "NO_MFA": 1 }), json!({})));
    until(&office.server, &id, "queuedDeliveries", |found| found["queuedDeliveries"] == 0).await;
    assert_eq!(receiver.all().len(), 2);
    office.end().await;
}
