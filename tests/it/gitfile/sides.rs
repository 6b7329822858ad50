//! Two people's edits: one in the file, one in the console.

use serde_json::json;

use super::{Desk, assert_says};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_changed_in_the_server_is_shown_and_kept() {
    let desk = Desk::start().await;
    let id = desk.client().rehearse("Acme", &[("users", "5")]).await;
    let interval = async || desk.client().instance(&id, "syncIntervalMinutes").await["syncIntervalMinutes"].clone();
    desk.export();
    desk.client().done("updateInstance", json!({ "id": id, "syncIntervalMinutes": 15 }), "").await;
    let planned = desk.plan(1);
    let told =
        ["was changed in the server since the export", "sync_interval_minutes: 15 in the server, 60 in the file"];
    assert_says(&planned, &told);

    // Another field of the same instance can be changed.
    desk.edit("application: rehearsal", "application: rehearsal\n    active: false");
    assert_says(&desk.apply(1), &["instance “Acme” was changed", told[0]]);
    assert_eq!(desk.client().instance(&id, "status").await["status"], "INACTIVE");
    assert_eq!(interval().await, 15);
    assert_says(&desk.plan(1), &told);

    // Both have changed it.
    desk.edit("active: false", "active: false\n    sync_interval_minutes: 20");
    assert_says(&desk.apply(1), &["was changed in the server and in the file", "15 in the server, 20 in the file"]);
    assert_eq!(interval().await, 15);

    // Somebody decides.
    desk.run(&["apply", "muster.yaml", "--overwrite"]).with(0);
    assert_eq!(interval().await, 20);
    desk.plan(0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn taking_a_change_over_into_the_file_settles_it() {
    let desk = Desk::start().await;
    let id = desk.client().rehearse("Acme", &[]).await;
    desk.export();
    desk.client()
        .done("updateInstance", json!({ "id": id, "name": "Acme Europe", "syncIntervalMinutes": 15 }), "")
        .await;
    assert_says(&desk.plan(1), &["name: “Acme Europe” in the server, “Acme” in the file", "0 to create"]);
    desk.edit("name: Acme", "name: Acme Europe\n    sync_interval_minutes: 15");
    desk.plan(0);
    desk.apply(0);
    desk.edit("minutes: 15", "minutes: 30");
    desk.apply(0);
    assert_eq!(desk.client().instance(&id, "syncIntervalMinutes").await["syncIntervalMinutes"], 30);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_deleted_in_the_server_is_not_made_again() {
    let desk = Desk::start().await;
    let id = desk.client().rehearse("Acme", &[]).await;
    desk.export();
    desk.client().done("deleteInstance", json!({ "id": id, "acknowledgeIrreversible": true }), "").await;
    desk.client().until(&id, "status", |found| found["status"] == "DELETED").await;
    assert_says(&desk.plan(1), &["? instance “Acme” was deleted in the server since the export"]);
    assert_says(&desk.apply(1), &["instance “Acme” was deleted in the server since the export, and is not created"]);
    assert!(desk.instances().await.is_empty());
    desk.run(&["apply", "muster.yaml", "--overwrite"]).with(0);
    assert_eq!(desk.instances().await.len(), 1);
    desk.plan(0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_an_agreement_the_file_counts() {
    let desk = Desk::start().await;
    desk.client().rehearse("Acme", &[]).await;
    desk.write(
        "instances: [{name: acme, application: rehearsal, settings: {users: \"7\"}}]\nrecipients: [ada@example.com]\n",
    );
    assert_says(&desk.plan(1), &["name: “Acme” → “acme”", "settings.users: “100” → “7”", "2 to change"]);
    desk.apply(0);
    desk.plan(0);
    desk.client().done("setRecipients", json!({ "emails": ["eve@example.com"] }), "").await;
    assert_says(&desk.plan(1), &["recipients: was changed in the server since the export", "eve@example.com"]);
}

const PRICED: &str = "instances: [{name: Acme, application: rehearsal}]
prices: [{instance: Acme, license: Full, total_price: \"0.1\", seats: 3, currency: eur}]
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_price_that_was_changed_in_the_server_is_kept_when_its_instance_is_renamed() {
    let desk = Desk::start().await;
    desk.write(PRICED);
    desk.apply(0);
    desk.plan(0);
    let id = desk.client().ask("{ instances(first: 1) { nodes { id } } }", json!({})).await;
    let price = json!({ "totalPrice": "0.2", "currency": "EUR", "seats": 3 });
    let input = json!({ "instanceId": id["instances"]["nodes"][0]["id"], "license": "Full", "price": price });
    desk.client().done("setPrice", input, "").await;
    desk.edit("name: Acme", "name: Acme Europe, was: Acme");
    desk.edit("instance: Acme", "instance: Acme Europe");
    let told = ["was changed in the server since the export", "total_price: “0.2” in the server, “0.1” in the file"];
    assert_says(&desk.apply(1), &told);
    assert_says(&desk.plan(1), &told);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prune_keeps_what_was_made_again_what_others_name_and_what_the_file_never_named() {
    let desk = Desk::start().await;
    let delete = async |id: &str| {
        desk.client().done("deleteInstance", json!({ "id": id, "acknowledgeIrreversible": true }), "").await;
        desk.client().until(id, "status", |found| found["status"] == "DELETED").await;
    };
    let again = desk.client().rehearse("Again", &[]).await;
    let other = desk.client().rehearse("Other", &[]).await;
    desk.write("instances: [{name: Again, application: rehearsal}, {name: Acme, application: rehearsal}]\n");
    desk.apply(0);
    delete(&again).await;
    desk.client().rehearse("Again", &[]).await;
    desk.client().done("updateInstance", json!({ "id": other, "syncIntervalMinutes": 15 }), "").await;
    desk.write("instances: []\nreports: {sign_in_enforced_by: [{instance: Acme, provider: Acme}]}\n");
    let planned = desk.run(&["plan", "muster.yaml", "--prune"]).with(1);
    let kept = [
        "instance “Again” is not in the file; it was made in the server since",
        "instance “Other” is not in the file; it was changed in the server since",
        "instance “Acme” is not in the file; another section of the file names it",
        "0 to delete",
    ];
    assert_says(&planned, &kept);
}
