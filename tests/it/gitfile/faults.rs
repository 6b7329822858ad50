//! What is wrong with a file is said with its line, before anything is changed.

use super::{Desk, assert_says};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_are_told_with_file_and_line() {
    let desk = Desk::start().await;
    let one = "instances:\n  - name: Acme\n    application: rehearsal\n";
    for (text, parts) in [
        (format!("{one}    colour: red\n"), vec!["muster.yaml:4:", "unknown key “colour”"]),
        (format!("{one}  - name: ACME\n    application: list\n"), vec!["muster.yaml:4: ", "line 2 has the same name"]),
        ("instances:\n  - name: Acme\n".to_owned(), vec!["muster.yaml:2:", "“application” is missing"]),
        (format!("{one}    active: perhaps\n"), vec!["muster.yaml:4:", "boolean"]),
        (format!("{one}    settings: {{colour: red}}\n"), vec!["muster.yaml:2: ", "no setting “colour”"]),
        (format!("{one}    secrets: {{token: hush}}\n"), vec!["muster.yaml:4:", "env:NAME or file:PATH"]),
        (one.replace("rehearsal", "nothing"), vec!["muster.yaml:2: ", "no application “nothing”"]),
        (
            "instances:\n  - name: Tasks\n    application: consenting\n    settings: {token: hush}\n".to_owned(),
            vec!["muster.yaml:2: ", "“token” is a secret: write it under secrets"],
        ),
        (
            "webhooks:\n  - {name: Chat, kind: slack, url: \"https://hooks.example.com/hush\"}\n".to_owned(),
            vec!["muster.yaml:2: ", "the address of slack is a secret"],
        ),
        ("webhooks:\n  - {name: Chat, kind: slak}\n".to_owned(), vec!["muster.yaml:2:", "did you mean “slack”"]),
        (
            "\nprices:\n  - {instance: Nobody, license: Pro, currency: EUR}\n".to_owned(),
            vec!["muster.yaml:3: ", "there is no instance “Nobody”"],
        ),
        (
            format!("{one}  - name: Globex\n    was: Acme\n    application: rehearsal\n"),
            vec!["muster.yaml:4: ", "“Acme” is the name of another one in this file"],
        ),
    ] {
        desk.write(&text);
        for command in ["plan", "apply"] {
            let told = desk.run(&[command, "muster.yaml"]).with(2);
            assert_says(&told, &parts);
            assert!(!told.contains("hush"), "a secret is repeated: {told}");
        }
    }
    assert!(desk.instances().await.is_empty());
    let absent = desk.run(&["plan", "absent.yaml"]).with(2);
    assert_says(&absent, &["absent.yaml: "]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_server_refuses_is_said_and_the_rest_is_done() {
    let desk = Desk::start().await;
    desk.write(
        "instances:
  - {name: Acme, application: rehearsal, settings: {users: many}}
  - {name: Globex, application: rehearsal}
webhooks:
  - {name: Hook, url: \"https://a.example.com\", causes: [nonsense]}
prices:
  - {instance: Acme, license: Pro, unit_price: 1.00, currency: EUR}
",
    );
    let applied = desk.apply(1);
    assert_says(
        &applied,
        &[
            "instance “Acme” was refused",
            "config.users: ",
            "instance “Globex” was created",
            "webhook “Hook” was refused",
            "price of “Pro” in “Acme” was refused",
            "waits for the instance “Acme”",
        ],
    );
    desk.edit("many", "\"9\"");
    desk.edit(", causes: [nonsense]", "");
    desk.apply(0);
    desk.plan(0);
    desk.edit("application: rehearsal, settings: {users: \"9\"}", "application: list");
    assert_says(&desk.apply(1), &["instance “Acme” stays as it is", "cannot be changed"]);
}

/// The example of the documentation is a file that can be planned.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_documented_file_can_be_planned() {
    let desk = Desk::start().await;
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/a-file-in-git.md")).unwrap();
    let (_, rest) = page.split_once("```yaml\n").unwrap();
    let (example, _) = rest.split_once("```").unwrap();
    desk.write(example);
    let planned = desk.plan(1);
    assert_says(&planned, &["+ instance “Okta” will be created, with its secrets", "+ webhook “IT channel”", "people"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_server_would_refuse_or_write_in_another_way_is_said_before_a_change() {
    let desk = Desk::start().await;
    for (text, fault) in [
        ("instances: [{name: \" Acme\", application: rehearsal}]", "a name begins or ends with a space"),
        ("instances: [{name: \"A\\nB\", application: rehearsal}]", "a name has a character that is not printed"),
        (
            "instances: [{name: A, was: X, application: rehearsal}, {name: B, was: x, application: rehearsal}]",
            "was: “x” is written twice",
        ),
        ("webhooks: [{name: A, kind: slack, url: env:A, secret_to: file:a}]", "leave out secret_to"),
        (
            "prices: [{instance: A, license: B, unit_price: 1e2, currency: EUR}]",
            "“1e2” is no amount: write it as 1250.50",
        ),
    ] {
        desk.write(text);
        assert_says(&desk.plan(2), &["muster.yaml:1", fault]);
    }
    let at = desk.client().url.replace("http://", "http://me:secret@");
    let output =
        desk.home.command(&["plan", "muster.yaml", "--server", &at, "--token-file", "token"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_says(&told, &["give the address alone"]);
    assert!(!told.contains("secret@"), "{told}");
    desk.write(
        "people: {owned_domains: [Müller.Example, ACME.example]}\nreports: {disabled_findings: [NO_MFA]}\nrecipients: [\" ann@acme.example\"]\n",
    );
    desk.apply(0);
    desk.plan(0);
}
