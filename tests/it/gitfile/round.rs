//! From one server into a file, and from the file into another server.

use std::fmt::Write as _;
use std::fs;

use serde_json::{Value, json};

use super::{Desk, assert_says};
use crate::support::Client;

/// Something in every section.
async fn fill(client: &Client) {
    let acme = client.rehearse("Acme: EU", &[("users", "5")]).await;
    let globex = client.rehearse("Globex", &[]).await;
    client.integrate("list", "Payroll", &[]).await;
    client.done("updateInstance", json!({ "id": globex, "status": "INACTIVE", "syncIntervalMinutes": 30 }), "").await;
    client.done("setRecipients", json!({ "emails": ["ada@example.com", "it@example.com"] }), "").await;
    let scope = json!({ "instanceIds": [acme], "integrationKeys": ["list"] });
    let program = json!({ "url": "https://receiver.example.com/hook?a=b", "description": "Tickets", "scope": scope,
        "causes": ["SYNC_FAILED", "REVOKED"], "accountChanges": ["ADDED"], "onlyChanges": false });
    client.done("createWebhook", program, "").await;
    for _ in 0..2 {
        let chat = json!({ "kind": "MATTERMOST", "url": "https://chat.example.com/hooks/hush" });
        client.done("createWebhook", chat, "").await;
    }
    let price = json!({ "currency": "EUR", "unitPrice": "12.5", "billingMonths": 1 });
    client.done("setPrice", json!({ "instanceId": acme, "license": "Pro", "price": price }), "").await;
    let price = json!({ "currency": "JPY", "totalPrice": "5000", "seats": 20 });
    client.done("setPrice", json!({ "instanceId": globex, "license": "Team: large", "price": price }), "").await;
    let lines = json!([{ "license": "Pro", "seats": 10, "unitPrice": "100.00" }, { "license": "Free", "seats": 0 }]);
    let contract = json!({ "instanceId": acme, "name": "Frame", "currency": "EUR", "startsOn": "2026-01-01",
        "endsOn": "2030-12-31", "noticeDays": 90, "lines": lines });
    client.done("upsertContract", contract, "").await;
    let domains = json!({ "owned": ["example.com", "example.org"], "stripTags": true,
        "equivalents": [{ "domain": "example.com", "sameAs": "example.org" }] });
    client.done("setOwnedDomains", domains, "").await;
    client.done("setPeopleSources", json!({ "sources": [{ "instanceId": acme, "rank": 1 }] }), "").await;
    let reports = json!({ "inactiveDays": 60, "weeklyDigest": true, "disabledTypes": ["NO_MFA"],
        "signInEnforcedBy": [{ "instanceId": globex, "providerId": acme }] });
    client.done("setReportSettings", reports, "").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_exported_makes_an_equal_server() {
    let first = Desk::start().await;
    fill(first.client()).await;
    let text = first.export();
    assert!(!text.contains("hush"), "{text}");
    assert_says(&text, &["url: env:MUSTER_MATTERMOST_MATTERMOST_1_URL", "causes:", "sync_failed", "unit_price:"]);
    assert_says(&first.plan(0), &["There is nothing to do"]);

    let mut second = Desk::start().await;
    fs::copy(first.path("muster.yaml"), second.path("muster.yaml")).unwrap();
    // What was agreed on with another server says nothing.
    fs::copy(first.path("muster.base.json"), second.path("muster.base.json")).unwrap();
    let missing = second.apply(2);
    assert_says(&missing, &["nothing was changed", "the environment has no MUSTER_MATTERMOST_MATTERMOST_1_URL"]);
    assert!(second.instances().await.is_empty());
    for name in ["MUSTER_MATTERMOST_MATTERMOST_1_URL", "MUSTER_MATTERMOST_MATTERMOST_2_URL"] {
        second.variables.push((name, "https://chat.example.com/hooks/hush".to_owned()));
    }
    let planned = second.plan(1);
    assert_says(&planned, &["+ instance “Acme: EU” will be created", "9 to create, 3 to change, 0 to delete"]);
    assert!(second.instances().await.is_empty(), "a plan changes nothing");
    assert_says(&second.apply(0), &["instance “Acme: EU” was created", "its secret, which is shown only now: whsec_"]);
    assert_says(&second.plan(0), &["There is nothing to do"]);
    let before = second.instances().await;
    assert_says(&second.apply(0), &["There is nothing to do"]);
    assert_eq!(second.instances().await, before, "what is applied twice is changed once");
    assert_eq!(second.export(), text);
    let base = |desk: &Desk| -> Value {
        let mut base: Value = serde_json::from_str(&desk.read("muster.base.json")).unwrap();
        for object in base["objects"].as_array_mut().unwrap() {
            object.as_object_mut().unwrap().remove("id");
        }
        base["objects"].take()
    };
    assert_eq!(base(&second), base(&first));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_cut_in_the_middle_is_completed() {
    let desk = Desk::start().await;
    let mut text = "instances:\n".to_owned();
    for number in 0..40 {
        writeln!(text, "  - {{name: Instance {number}, application: list}}").unwrap();
    }
    desk.write(&text);
    let at = ["apply", "muster.yaml", "--server", &desk.client().url, "--token-file", "token"];
    let mut cut = desk.home.command(&at).stdout(std::process::Stdio::null()).spawn().unwrap();
    let deadline = tokio::time::Instant::now() + crate::support::DEADLINE;
    while desk.instances().await.len() < 3 {
        assert!(tokio::time::Instant::now() < deadline, "nothing was created");
    }
    cut.kill().unwrap();
    cut.wait().unwrap();
    assert!(!desk.path("muster.base.json").exists());
    desk.apply(0);
    assert_eq!(desk.instances().await.len(), 40);
    desk.plan(0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_instances_than_a_page_has_are_exported() {
    let desk = Desk::start().await;
    for number in 0..105 {
        desk.client().integrate("list", &format!("Instance {number:03}"), &[]).await;
    }
    let text = desk.export();
    assert_eq!(text.matches("- name: Instance").count(), 105, "{text}");
    desk.plan(0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_can_be_limited_and_replaces_nothing_by_itself() {
    let desk = Desk::start().await;
    desk.client().rehearse("Acme", &[]).await;
    let some = desk.run(&["export", "--sections", "recipients,reports"]).with(0);
    assert_says(&some, &["recipients: []", "inactive_days: 90"]);
    assert!(!some.contains("Acme") && !some.contains("people"), "{some}");
    desk.write("# a comment\n");
    assert_says(&desk.run(&["export", "--output", "muster.yaml"]).with(2), &["it exists; --replace replaces it"]);
    assert_eq!(desk.read("muster.yaml"), "# a comment\n");
    // A section that is left out is not looked at.
    desk.plan(0);
}

#[test]
fn the_committed_schema_is_the_one_of_the_types() {
    let output = crate::process::Home::new().run(&["export", "--schema"]);
    let committed = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/file.schema.json")).unwrap();
    // As values, because a library of the tests lets objects keep the order of their insertion.
    let committed: Value = serde_json::from_str(&committed).unwrap();
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(printed == committed, "run: muster export --schema > docs/file.schema.json");
}
