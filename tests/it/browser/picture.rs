//! The picture at the head of the README: the overview of a company with a few applications.

use std::fs;
use std::path::Path;

use muster::auth::Role;
use muster::auth::tokens::NewToken;
use serde_json::json;

use super::Browser;
use crate::peers;
use crate::support::peer::Application;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const PICTURE: &str = "docs/console.png";
/// In bytes.
const LARGEST: u64 = 200_000;
/// The manifest that the applications of the picture use, under their own names.
const SCIM: &str = include_str!("../../../src/integration/connectors/scim.yaml");

/// The key, name and category of the integration, the name of the instance, and how many users it lists.
const APPLICATIONS: [(&str, &str, &str, &str, usize); 8] = [
    ("okta", "Okta", "identity", "Acme Okta", 412),
    ("google-workspace", "Google Workspace", "productivity", "acme.com", 398),
    ("slack", "Slack", "communication", "Acme Slack", 377),
    ("github", "GitHub", "development", "acme-engineering", 126),
    ("salesforce", "Salesforce", "sales", "Sales EMEA", 84),
    ("atlassian", "Atlassian", "development", "Jira and Confluence", 240),
    ("zoom", "Zoom", "communication", "Zoom", 301),
    ("dropbox", "Dropbox", "storage", "Dropbox Business", 58),
];

fn manifest(name: &str, category: &str) -> String {
    let replaced = |line: &str| match line.split_once(": ") {
        Some(("name", _)) => format!("name: {name}"),
        Some(("category", _)) => format!("category: {category}"),
        _ => line.to_owned(),
    };
    SCIM.lines().map(replaced).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn the_picture_of_the_readme_shows_the_overview() {
    let manifests = tempfile::tempdir().unwrap();
    for (key, name, category, ..) in APPLICATIONS {
        fs::write(manifests.path().join(format!("{key}.yaml")), manifest(name, category)).unwrap();
    }
    let dir = manifests.path().to_owned();
    let server = peers::server().settings(|settings| settings.connectors_dir = Some(dir)).start().await;
    let (mut applications, mut ids) = (Vec::new(), Vec::new());
    for (key, .., name, users) in APPLICATIONS {
        let application = Application::start("token", users).await;
        let id = server.integrate(key, name, &[("base_url", &application.url), ("token", "token")]).await;
        server.idle(&id, "").await;
        applications.push(application);
        ids.push(id);
    }
    // One token is revoked, one application answers with errors, and one instance is switched off.
    applications[3].accept("another");
    applications[4].refuse(400, 1);
    for (index, id) in ids.iter().enumerate().filter(|(index, _)| [3, 4, 1].contains(index)) {
        assert_ne!(server.sync(id, "outcome").await["outcome"], "CANCELLED", "{}", APPLICATIONS[index].3);
    }
    server.done("updateInstance", json!({ "id": ids[7], "status": "INACTIVE" }), "instance { id }").await;

    let person = server.tokens.create(NewToken::new("Ada Lovelace", Role::Admin)).await.unwrap();
    let browser = Browser::open_with(&server, &person.text, "/").await;
    browser.sees("Live").await;
    browser.sees("Needs you now").await;
    browser.sees("Dropbox Business").await;
    browser.resize(1280, 860).await;
    let made = browser.screenshot("readme").await;
    browser.close().await;

    let picture = Path::new(ROOT).join(PICTURE);
    if std::env::var_os("UPDATE_PICTURE").is_some() {
        fs::copy(made, &picture).unwrap();
    }
    let size = fs::metadata(&picture).expect("UPDATE_PICTURE=1 makes it").len();
    assert!(size < LARGEST, "{size} bytes");
    let readme = fs::read_to_string(Path::new(ROOT).join("README.md")).unwrap();
    let first = readme.lines().find(|line| line.starts_with("![")).expect("the README opens with a picture");
    assert!(first.contains(PICTURE), "{first}");
}
