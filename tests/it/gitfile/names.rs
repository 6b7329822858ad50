//! Names are keys: what is renamed, what is deleted, and what is left alone.

use serde_json::json;

use super::{Desk, assert_says};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_earlier_name_renames() {
    let desk = Desk::start().await;
    let id = desk.client().rehearse("Acme", &[]).await;
    let price = json!({ "currency": "EUR", "unitPrice": "1.00" });
    desk.client().done("setPrice", json!({ "instanceId": id, "license": "Pro", "price": price }), "").await;
    let hook = json!({ "url": "https://receiver.example.com", "description": "Old" });
    desk.client().done("createWebhook", hook, "").await;
    desk.export();
    desk.edit("name: Acme", "name: Acme Europe\n    was: Acme");
    desk.edit("instance: Acme", "instance: Acme Europe");
    desk.edit("name: Old", "name: New\n    was: Old");
    let planned = desk.plan(1);
    assert_says(&planned, &["name: “Acme” → “Acme Europe”", "description: “Old” → “New”", "0 to create, 2 to change"]);
    desk.apply(0);
    assert_eq!(desk.client().instance(&id, "name").await["name"], "Acme Europe");
    // The earlier name may stay in the file.
    desk.plan(0);
    desk.edit("\n    was: Acme", "");
    desk.edit("\n    was: Old", "");
    desk.plan(0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_prune_deletes() {
    let desk = Desk::start().await;
    desk.client().rehearse("Acme", &[]).await;
    let globex = desk.client().rehearse("Globex", &[]).await;
    let price = json!({ "currency": "EUR", "unitPrice": "1.00" });
    desk.client().done("setPrice", json!({ "instanceId": globex, "license": "Pro", "price": price }), "").await;
    desk.client().done("createWebhook", json!({ "url": "https://a.example.com", "description": "Hook" }), "").await;
    desk.export();
    desk.write("instances:\n  - {name: Acme, application: rehearsal}\nprices: []\n");
    let planned = desk.plan(0);
    assert_says(&planned, &["instance “Globex” is not in the file; --prune deletes it", "price of “Pro” in “Globex”"]);
    assert!(!planned.contains("Hook"), "a section that is left out is not looked at: {planned}");
    desk.apply(0);
    assert_eq!(desk.instances().await.len(), 2);

    // What somebody made meanwhile is kept.
    desk.client().rehearse("Initech", &[]).await;
    let planned = desk.run(&["plan", "muster.yaml", "--prune"]).with(1);
    assert_says(&planned, &["- instance “Globex”", "instance “Initech” is not in the file; it was made in the server"]);
    desk.run(&["apply", "muster.yaml", "--prune"]).with(0);
    let names: Vec<_> = desk.instances().await.into_iter().map(|(name, _)| name).collect();
    assert!(
        !names.contains(&"Globex".to_owned()) || desk.client().instance(&globex, "status").await["status"] != "LIVE"
    );
    assert!(names.contains(&"Initech".to_owned()), "{names:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prune_deletes_what_others_name_first_and_can_be_told_to_spare_nothing() {
    let desk = Desk::start().await;
    let full = "instances:
  - {name: Acme, application: rehearsal}
webhooks:
  - {name: Hook, url: \"https://a.example.com\", instances: [Acme]}
prices:
  - {instance: Acme, license: Pro, unit_price: 1.00, currency: EUR}
contracts:
  - {name: Frame, instance: Acme, starts_on: 2026-01-01, ends_on: 2030-12-31, currency: EUR, lines: [{license: Pro, seats: 1}]}
";
    desk.write(full);
    desk.apply(0);
    desk.client().rehearse("Globex", &[]).await;
    desk.write("instances: []\nwebhooks: []\nprices: []\ncontracts: []\n");
    let spared = desk.run(&["apply", "muster.yaml", "--prune"]).with(0);
    let places: Vec<_> = ["contract “Frame”", "price of “Pro”", "webhook “Hook”", "instance “Acme”"]
        .into_iter()
        .map(|what| spared.find(what).unwrap_or_else(|| panic!("{what}: {spared}")))
        .collect();
    assert!(places.is_sorted(), "{spared}");
    assert_says(
        &desk.plan(0),
        &["instance “Globex” is not in the file; it was made in the server since the last export"],
    );
    desk.run(&["apply", "muster.yaml", "--prune", "--overwrite"]).with(0);
    assert_eq!(desk.run(&["plan", "muster.yaml", "--prune"]).with(0).lines().count(), 1);

    // What was deleted on purpose can be made again.
    let acme = async || desk.instances().await.iter().any(|(name, _)| name == "Acme");
    let deadline = tokio::time::Instant::now() + crate::support::DEADLINE;
    while acme().await {
        assert!(tokio::time::Instant::now() < deadline, "it is not deleted");
    }
    desk.write(full);
    desk.apply(0);
    desk.plan(0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contracts_and_webhooks_are_changed_by_their_names() {
    let desk = Desk::start().await;
    desk.client().rehearse("Acme", &[]).await;
    desk.write(
        "webhooks:
  - {name: Tickets, url: \"https://a.example.com\", instances: [acme]}
contracts:
  - name: Frame
    instance: ACME
    starts_on: 2026-01-01
    ends_on: 2030-12-31
    currency: EUR
    lines: [{license: Pro, seats: 10, unit_price: 12.50}]
",
    );
    desk.apply(0);
    desk.plan(0);
    desk.edit("seats: 10", "seats: 12");
    desk.edit("instances: [acme]", "causes: [sync_failed], enabled: false");
    assert_says(&desk.plan(1), &["0 to create, 2 to change", "enabled: true → false", "lines:"]);
    desk.apply(0);
    desk.plan(0);
    let found = desk.client().ask("{ webhooks { causes scope { instanceIds } state } }", json!({})).await;
    assert_eq!(found["webhooks"], json!([{ "causes": ["SYNC_FAILED"], "scope": null, "state": "DISABLED" }]));
}
