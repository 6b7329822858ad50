//! `muster list push`.

use std::fs;
use std::process::Output;

use serde_json::json;

use super::csv_of;
use crate::process::Home;

fn push(home: &Home, url: &str, file: &str, more: &[&str]) -> Output {
    let path = home.dir.path().join(file);
    let token = home.dir.path().join("token");
    let arguments = ["list", "push", path.to_str().unwrap(), "--server", url, "--token-file", token.to_str().unwrap()];
    home.run(&[&arguments[..], more].concat())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_waits_for_the_run_and_says_how_it_ended() {
    let home = Home::on_sqlite();
    let token = home.token();
    fs::write(home.dir.path().join("token"), format!("{token}\n")).unwrap();
    let program = home.serve(&token).await;
    let url = program.client.url.clone();
    program.client.integrate("list", "Payroll", &[]).await;
    program.client.rehearse("Acme", &[]).await;

    fs::write(home.dir.path().join("people.csv"), csv_of(40)).unwrap();
    let first = push(&home, &url, "people.csv", &["--instance", "payroll"]);
    assert_eq!(
        (first.status.code(), text(&first.stdout)),
        (Some(0), "40 users: 40 added, 0 changed, 0 removed\n".to_owned()),
        "{}",
        text(&first.stderr)
    );
    assert!(
        text(&first.stderr).contains("40 rows were delivered (utf-8, separator \",\", ")
            && text(&first.stderr).contains("email=mail"),
        "{}",
        text(&first.stderr)
    );

    fs::write(home.dir.path().join("wide.csv"), b"Post;Vor;Nach\r\nzo\xeb@acme.example;Zo\xeb;M\r\n").unwrap();
    let columns = [
        "--instance",
        "Payroll",
        "--column",
        "email=Post",
        "--column",
        "displayName=Vor",
        "--column",
        "displayName=Nach",
    ];
    let held = push(&home, &url, "wide.csv", &columns);
    assert_eq!((held.status.code(), text(&held.stdout)), (Some(1), String::new()));
    assert!(
        text(&held.stderr).contains("windows-1252") && text(&held.stderr).contains("40 of 40"),
        "{}",
        text(&held.stderr)
    );

    fs::write(home.dir.path().join("bad.jsonl"), "{\"email\": \"ada@acme.example\"}\n{\"mail\": 1}\n").unwrap();
    let bad = push(&home, &url, "bad.jsonl", &["--instance", "Payroll"]);
    assert_eq!(bad.status.code(), Some(1));
    assert!(text(&bad.stderr).contains("Line 2, column “mail”: There is no such field."), "{}", text(&bad.stderr));

    for (instance, part) in [("Acme", "not delivered"), ("Nobody", "no instance named")] {
        let wrong = push(&home, &url, "people.csv", &["--instance", instance]);
        assert_eq!(wrong.status.code(), Some(2));
        assert!(text(&wrong.stderr).contains(part), "{}", text(&wrong.stderr));
    }
    fs::write(home.dir.path().join("token"), "wrong").unwrap();
    let stranger = push(&home, &url, "people.csv", &["--instance", "Payroll"]);
    assert_eq!(stranger.status.code(), Some(2), "{}", text(&stranger.stderr));
    let id = program.client.ask("{ instances(filter: { search: \"Payroll\" }) { nodes { id } } }", json!({})).await;
    // The list that is held has added one user, and removed nobody.
    assert_eq!(program.client.people(id["instances"]["nodes"][0]["id"].as_str().unwrap()).await.len(), 41);
}
