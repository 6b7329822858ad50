//! Adding, changing and deleting webhooks.

use serde_json::{Value, json};

use super::{Receiver, add, builder, deliveries, until, webhook};
use crate::support::Server;

const ALL: &str =
    "url description causes onlyChanges accountChanges findingChanges scope { integrationKeys instanceIds } state
    disabledReason revision createdBy queuedDeliveries";

#[tokio::test]
async fn a_webhook_is_added_changed_and_deleted_and_the_audit_log_tells() {
    let server = Server::start().await;
    let acme = server.rehearse("Acme", &[]).await;
    let url = "https://receiver.example.com/hook?key=hush";
    let (id, secret) = add(&server, url, json!({ "description": " Tickets " })).await;
    assert!(secret.starts_with("whsec_") && secret.len() == 50, "{secret}");
    let first = json!({ "url": url, "description": "Tickets", "causes": null, "onlyChanges": true, "accountChanges": [],
        "findingChanges": false, "scope": null, "state": "ENABLED", "disabledReason": null, "revision": 1, "createdBy": "admin", "queuedDeliveries": 0 });
    let mut found = webhook(&server, &id, ALL).await;
    assert_eq!(found.as_object_mut().unwrap().remove("createdBy").map(|it| it.is_string()), Some(true));
    let mut expected = first.clone();
    expected.as_object_mut().unwrap().remove("createdBy");
    assert_eq!(found, expected);

    let change = json!({ "id": id, "causes": ["SYNC_FAILED", "SYNC_FAILED"], "accountChanges": ["CHANGED"],
        "scope": { "integrationKeys": ["rehearsal"], "instanceIds": [acme] }, "expectedRevision": 1 });
    let changed = server.done("updateWebhook", change.clone(), &format!("webhook {{ {ALL} }}")).await["webhook"].take();
    assert_eq!(changed["causes"], json!(["SYNC_FAILED"]));
    assert_eq!(changed["scope"], json!({ "integrationKeys": ["rehearsal"], "instanceIds": [acme] }));
    assert_eq!((&changed["revision"], &changed["url"]), (&json!(2), &json!(url)));
    let late = server.mutate("updateWebhook", change, "").await;
    assert_eq!(
        (&late["userErrors"][0]["code"], &late["userErrors"][0]["field"]),
        (&json!("REVISION_CONFLICT"), &json!(["expectedRevision"]))
    );
    let wide = json!({ "id": id, "causes": null, "scope": null, "accountChanges": [], "enabled": false });
    let off = server.done("updateWebhook", wide, &format!("webhook {{ {ALL} }}")).await["webhook"].take();
    assert_eq!((&off["causes"], &off["scope"], &off["disabledReason"]), (&json!(null), &json!(null), &json!("MEMBER")));
    server.done("deleteWebhook", json!({ "id": id }), "id").await;
    assert_eq!(webhook(&server, &id, "id").await, Value::Null);
    assert_eq!(server.mutate("deleteWebhook", json!({ "id": id }), "").await["userErrors"][0]["code"], "NOT_FOUND");

    let entries =
        server.ask("{ auditLog(first: 20) { nodes { action subjectKind subjectName outcome } } }", json!({})).await;
    let own: Vec<_> = entries["auditLog"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|it| it["subjectKind"] == "WEBHOOK" && it["outcome"] == "OK")
        .collect();
    let actions: Vec<_> = own.iter().map(|it| it["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["WEBHOOK_DELETED", "WEBHOOK_UPDATED", "WEBHOOK_UPDATED", "WEBHOOK_CREATED"]);
    assert!(!entries.to_string().contains("hush"), "the rest of the address may be a secret: {entries:#}");
}

#[tokio::test]
async fn what_cannot_work_is_refused_with_its_field() {
    let server = Server::start().await;
    let nobody = "SW5zdGFuY2U6MDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDE";
    for (more, field) in [
        (json!({ "url": "nonsense" }), json!(["url"])),
        (json!({ "url": "ftp://a.example" }), json!(["url"])),
        (json!({ "url": "https://a:b@a.example" }), json!(["url"])),
        (json!({ "url": "https://a.example#x" }), json!(["url"])),
        (json!({ "description": "x".repeat(201) }), json!(["description"])),
        (json!({ "causes": [] }), json!(["causes"])),
        (json!({ "causes": ["SNAPSHOT"] }), json!(["causes"])),
        (json!({ "scope": {} }), json!(["scope"])),
        (json!({ "scope": { "integrationKeys": ["nope"] } }), json!(["scope", "integrationKeys"])),
        (json!({ "scope": { "instanceIds": [nobody] } }), json!(["scope", "instanceIds"])),
        (json!({ "scope": { "instanceIds": ["x"] } }), json!(["scope", "instanceIds"])),
    ] {
        let mut input = json!({ "url": "https://a.example/hook" });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let refused = server.mutate("createWebhook", input, "secret webhook { id }").await;
        assert_eq!((&refused["secret"], &refused["webhook"]), (&Value::Null, &Value::Null));
        assert_eq!(refused["userErrors"][0]["field"], field, "{more}: {refused}");
    }
    for number in 0..50 {
        add(&server, &format!("https://a.example/{number}"), json!({})).await;
    }
    let refused = server.mutate("createWebhook", json!({ "url": "https://a.example/50" }), "").await;
    assert_eq!(refused["userErrors"][0]["code"], "INVALID_INPUT", "{refused}");
    let all = server.ask("{ webhooks { url } }", json!({})).await;
    assert_eq!(all["webhooks"].as_array().unwrap().len(), 50);
}

#[tokio::test]
async fn what_waits_fails_when_it_is_switched_off_and_goes_when_it_is_deleted() {
    let (server, receiver) = (builder().start().await, Receiver::start().await);
    receiver.answer(|_, _| super::Reply::Status(500));
    let (id, _) = add(&server, &receiver.url, json!({})).await;
    let acme = server.rehearse("Acme", &[]).await;
    server.idle(&acme, "").await;
    until(&server, &id, "queuedDeliveries", |found| found["queuedDeliveries"] == 2).await;
    server.done("updateWebhook", json!({ "id": id, "enabled": false }), "").await;
    let found = deliveries(&server, &id).await;
    assert_eq!(found.len(), 2);
    assert!(found.iter().all(|it| it["state"] == "FAILED" && it["nextTryAt"].is_null()), "{found:#?}");
    server.done("deleteWebhook", json!({ "id": id }), "").await;
    assert!(deliveries(&server, &id).await.is_empty());
}
