//! The demo command starts a server with sample data.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Duration;

use serde_json::json;

use super::{Home, Program};
use crate::members::Browser;
use crate::support::Client;

#[tokio::test]
async fn the_demo_prints_a_console_and_a_token_and_has_live_data() {
    let home = Home::new();
    let log = std::fs::File::create(home.dir.path().join("stderr.log")).unwrap();
    let mut child = home.command(&["demo"]).stdout(Stdio::piped()).stderr(log).spawn().unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let mut program = Program { client: Client::new(format!("http://127.0.0.1:{}", home.port), String::new()), child };
    let value = |line: &str, name: &str| line.trim().strip_prefix(name).map(|rest| rest.trim().to_owned());
    let (mut console, mut link, mut mails) = (String::new(), String::new(), String::new());
    for line in output.lines().map(Result::unwrap) {
        console = value(&line, "console").unwrap_or(console);
        link = value(&line, "sign in").unwrap_or(link);
        program.client.admin = value(&line, "token").unwrap_or(program.client.admin.clone());
        mails = value(&line, "mails").unwrap_or(mails);
        if !mails.is_empty() {
            break;
        }
    }
    assert_eq!(console, format!("{}/", program.client.url));
    let secret = link.strip_prefix(&format!("{}/#/enter/", program.client.url)).unwrap().to_owned();
    let mut browser = Browser::new(&program.client);
    assert_eq!(browser.follow(&json!({ "link": secret })).await.0, 204);
    let me = browser.ask("{ me { name role member { email } } }", json!({})).await["data"]["me"].take();
    assert_eq!(me, json!({ "name": "Ada", "role": "ADMIN", "member": { "email": "ada@example.com" } }));
    assert!(std::path::Path::new(&mails).is_absolute(), "{mails}");

    let client = &program.client;
    let nodes = client.ask("{ instances { nodes { id name } } }", json!({})).await["instances"]["nodes"].clone();
    let id = |name: &str| {
        nodes.as_array().unwrap().iter().find(|node| node["name"] == name).unwrap()["id"].as_str().unwrap()
    };
    assert_eq!(client.until(id("Chat"), "health userCount", |found| found["health"] == "OK").await["userCount"], 240);
    let refused =
        client.until(id("Data warehouse"), "status inactiveReason", |found| found["status"] == "INACTIVE").await;
    assert_eq!(refused["inactiveReason"], "INSUFFICIENT_PERMISSIONS");

    program.terminate();
    assert_eq!(program.ended(Duration::from_secs(10)).await.code(), Some(0), "{}", home.log());
    assert!(!std::path::Path::new(&mails).exists(), "the scratch folder is gone");
    assert!(!home.data_dir().exists(), "the real data folder was not touched");
}
