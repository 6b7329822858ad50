//! Secrets by reference, and what needs a person.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;

use super::{Desk, assert_says};
use crate::oauth::provider::{Provider, TOKEN};

fn file(provider: &Provider, name: &str, token: &str) -> String {
    let url = &provider.url;
    format!(
        "instances:
  - name: {name}
    application: consenting
    settings: {{authentication: token, base_url: \"{url}\"}}
    secrets: {{token: \"{token}\"}}
"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_come_from_the_environment_and_from_files() {
    let mut desk = Desk::start().await;
    let provider = Provider::start().await;
    desk.write(&file(&provider, "First", "file:secret/token"));
    assert_says(&desk.apply(2), &["nothing was changed, because secrets are missing", "secret/token"]);
    assert!(desk.instances().await.is_empty());
    fs::create_dir(desk.path("secret")).unwrap();
    fs::write(desk.path("secret/token"), format!("{TOKEN}\n")).unwrap();
    assert_says(&desk.plan(1), &["+ instance “First” will be created, with its secrets"]);
    desk.apply(0);
    desk.plan(0);
    assert!(!desk.read("muster.base.json").contains(TOKEN));
    assert_says(&desk.export(), &["token: env:MUSTER_CONSENTING_FIRST_TOKEN", "authentication: token"]);

    // The file names a variable now, but nothing is sent until somebody says so.
    desk.plan(0);
    assert_says(&desk.run(&["plan", "muster.yaml", "--send-secrets", "first"]).with(1), &["changed, with its secrets"]);
    desk.variables.push(("MUSTER_CONSENTING_FIRST_TOKEN", "another-token".to_owned()));
    let refused = desk.run(&["apply", "muster.yaml", "--send-secrets", "first"]).with(1);
    assert_says(&refused, &["instance “First” was refused"]);
    desk.variables[0].1 = TOKEN.to_owned();
    desk.run(&["apply", "muster.yaml", "--send-secrets", "First"]).with(0);
    assert_says(&desk.run(&["plan", "muster.yaml", "--send-secrets", "Nobody"]).with(2), &["nothing with secrets"]);

    // An application that moves needs its secret again.
    let moved = Provider::start().await;
    desk.edit(&provider.url, &moved.url);
    assert_says(&desk.plan(1), &["will be changed, with its secrets"]);
    desk.apply(0);
    desk.plan(0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_needs_a_consent_is_left_to_a_person() {
    let desk = Desk::start().await;
    desk.write(
        "instances:
  - name: Tasks
    application: consenting
    settings: {base_url: \"https://tasks.example.com\", client_id: me}
    secrets: {client_secret: \"env:NOBODY_NEEDS_IT\"}
  - {name: Acme, application: rehearsal}
prices:
  - {instance: Tasks, license: Pro, unit_price: 1.00, currency: EUR}
  - {instance: Acme, license: Pro, unit_price: 1.00, currency: EUR}
",
    );
    let planned = desk.plan(1);
    let url = format!("{}/integrations/consenting/connect", desk.client().url);
    assert_says(
        &planned,
        &[
            &format!("? instance “Tasks” needs a person's consent: open {url}"),
            "? price of “Pro” in “Tasks” waits for the instance “Tasks”",
            "2 to create",
        ],
    );
    let applied = desk.apply(1);
    assert_says(&applied, &["instance “Acme” was created", "price of “Pro” in “Acme” was created", &url]);
    assert_eq!(desk.instances().await.len(), 1);
    assert_says(&desk.plan(1), &["0 to create"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_secret_of_a_webhook_goes_into_its_file() {
    let desk = Desk::start().await;
    desk.write("webhooks:\n  - {name: Tickets, url: \"https://a.example.com\", secret_to: \"file:hook.secret\"}\n");
    fs::write(desk.path("hook.secret"), "of another").unwrap();
    assert_says(&desk.apply(2), &["nothing was changed", "hook.secret: it exists"]);
    // Of a command that was cut before it made the webhook.
    fs::write(desk.path("hook.secret"), "").unwrap();
    let applied = desk.apply(0);
    assert!(!applied.contains("whsec_"), "{applied}");
    assert!(desk.read("hook.secret").starts_with("whsec_"));
    assert_eq!(fs::metadata(desk.path("hook.secret")).unwrap().permissions().mode() & 0o777, 0o600);
    desk.plan(0);
    // Of one that was cut after it.
    fs::write(desk.path("hook.secret"), "").unwrap();
    assert_says(&desk.apply(2), &["the secret of webhook “Tickets” was lost: rotate it"]);

    // A refused one leaves no file.
    desk.write("webhooks:\n  - {name: Bad, url: \"ftp://a.example.com\", secret_to: \"file:bad.secret\"}\n");
    assert_says(&desk.apply(1), &["webhook “Bad” was refused", "url"]);
    assert!(!desk.path("bad.secret").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_may_not_change_anything_is_told_so() {
    let desk = Desk::start().await;
    for (name, role) in [("viewer", "viewer"), ("operator", "operator")] {
        let made = desk.home.run(&["token", "create", "--name", name, "--role", role]);
        fs::write(desk.path(name), made.stdout).unwrap();
    }
    desk.write("instances: [{name: Acme, application: rehearsal}]\n");
    desk.run_as("viewer", &["plan", "muster.yaml"]).with(1);
    let refused = desk.run_as("viewer", &["apply", "muster.yaml"]).with(2);
    assert_says(&refused, &["nothing was changed: the token has the role VIEWER", "needs an operator"]);
    desk.write("instances: [{name: Acme, application: rehearsal}]\nreports: {inactive_days: 30}\n");
    assert_says(
        &desk.run_as("operator", &["apply", "muster.yaml"]).with(2),
        &["role OPERATOR", "needs an administrator"],
    );
    assert!(desk.instances().await.is_empty());
    desk.write("webhooks: []\n");
    assert_says(
        &desk.run_as("operator", &["plan", "muster.yaml"]).with(2),
        &["the section webhooks of the server: Only administrators"],
    );
    desk.write("instances: [{name: Acme, application: rehearsal}]\n");
    desk.run_as("operator", &["apply", "muster.yaml"]).with(0);
    let found = desk.client().ask("{ reportSettings { inactiveDays } }", json!({})).await;
    assert_eq!(found["reportSettings"]["inactiveDays"], 90);
}
