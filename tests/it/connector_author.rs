//! `muster connectors new`, as the author of a manifest uses it without a terminal.

use std::fs;

use axum::extract::Query;
use axum::http::HeaderMap;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;

use crate::process::Home;

/// Answers to every question about a list.
const LIST: [&str; 14] = [
    "--path",
    "/orgs/{org}/members?include=disabled",
    "--next",
    "paging.next",
    "--param",
    "after",
    "--total",
    "paging.total",
    "--records",
    "members",
    "--email",
    "mail",
    "--status",
    "state",
];

/// Runs a command, and returns its exit code with all that it prints.
fn run(home: &Home, arguments: &[&str]) -> (Option<i32>, String) {
    let output = home.run(arguments);
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

fn new(home: &Home, key: &str, base_url: &str, auth: &str, pages: &str) -> (Option<i32>, String) {
    let about = ["connectors", "new", key, "--name", "Quillwork: Teams", "--base-url", base_url, "--auth", auth];
    let token = ["--token-url", "/oauth/token", "--pages", pages];
    run(home, &[&about[..], &token, &LIST].concat())
}

#[test]
fn a_new_manifest_passes_the_check_whatever_was_answered() {
    let home = Home::new();
    let auths = ["bearer", "basic", "header", "query", "oauth", "none"];
    let pages = ["none", "link", "next-url", "cursor", "page", "offset", "scim"];
    let bases = ["https://api.quillwork.example/v1", "setting", "http://quillwork.corp.example:8080/api/"];
    let one = |auth, pages, base| {
        let (code, out) = new(&home, "quillwork", base, auth, pages);
        assert_eq!(code, Some(0), "{auth} {pages} {base}: {out}");
        let file = home.dir.path().join("quillwork.yaml");
        let text = fs::read_to_string(&file).unwrap();
        let (code, out) = run(&home, &["connectors", "check", "quillwork.yaml"]);
        assert_eq!(code, Some(0), "{auth} {pages} {base}: {out}\n{text}");
        assert!(out.starts_with("quillwork.yaml: ok; no samples"), "{out}");
        assert!(text.contains("name: \"Quillwork: Teams\"") && text.contains("To do"), "{text}");
        fs::remove_file(file).unwrap();
    };
    for auth in auths {
        one(auth, "cursor", bases[0]);
        one(auth, "scim", bases[1]);
    }
    for pages in pages {
        one("bearer", pages, bases[0]);
    }
    for base in bases {
        one("oauth", "page", base);
    }
}

#[test]
fn nothing_is_overwritten_or_guessed() {
    let home = Home::new();
    let (code, out) = run(&home, &["connectors", "new", "quillwork", "--name", "Quillwork", "--auth", "oauth"]);
    assert_eq!(code, Some(1), "{out}");
    assert!(out.contains("needed as well: --base-url, --token-url, --pages, --path, --records\n"), "{out}");
    let file = home.dir.path().join("quillwork.yaml");
    assert!(!file.exists());

    fs::write(&file, "mine").unwrap();
    let (code, out) = new(&home, "quillwork", "setting", "bearer", "cursor");
    assert_eq!((code, fs::read_to_string(&file).unwrap().as_str()), (Some(1), "mine"), "{out}");
    assert!(out.contains("quillwork.yaml exists already, and is not overwritten"), "{out}");

    for (key, base, fault) in [
        ("Quill", "setting", "“Quill” is no key"),
        ("quill", "quillwork.example", "--base-url: write an address such as"),
        ("quill", "https://quillwork.example/?a=b", "--base-url: write an address such as"),
    ] {
        let (code, out) = new(&home, key, base, "bearer", "cursor");
        assert!(code == Some(1) && out.contains(fault), "{key} {base}: {out}");
    }
    let arguments = ["--base-url", "setting", "--auth", "bearer", "--pages", "none", "--path", "/m", "--records", "$"];
    let (code, out) = run(&home, &[&["connectors", "new", "quill", "--name", "Quill"][..], &arguments].concat());
    assert!(code == Some(1) && out.contains("map email or display_name"), "{out}");
    assert!(!home.dir.path().join("quill.yaml").exists());
}

/// Starts an application with two pages, and returns its origin.
async fn application() -> String {
    let members = |headers: HeaderMap, Query(query): Query<Vec<(String, String)>>| async move {
        assert_eq!(headers["x-api-key"], "t0p-s3cret");
        let has = |name: &str, value: &str| query.contains(&(name.to_owned(), value.to_owned()));
        assert!(has("include", "disabled"), "{query:?}");
        Json(if has("after", "two") {
            json!({"members": [{"id": 18, "mail": "ben@acme.example", "state": "DISABLED"}], "paging": {"next": null}})
        } else {
            json!({"members": [{"id": 17, "mail": "ann@acme.example", "state": "ACTIVE"}], "paging": {"next": "two"}})
        })
    };
    let app = Router::new().route("/api/orgs/acme/members", get(members));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    origin
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_manifest_lists_the_users_of_a_real_application() {
    let home = Home::new().set("ALLOWED_NETWORKS", "127.0.0.0/8");
    let origin = application().await;
    let (code, out) = new(&home, "quillwork", &format!("{origin}/api"), "header", "cursor");
    assert_eq!(code, Some(0), "{out}");
    let next = "muster connectors try ./quillwork.yaml --config address=… --config org=… --config token=@token.txt\n";
    assert!(out.ends_with(next), "{out}");
    fs::write(home.dir.path().join("token.txt"), "t0p-s3cret\n").unwrap();
    let address = format!("address={origin}");
    let attempt = ["connectors", "try", "quillwork.yaml", "--config", &address, "--config", "org=acme", "--config"];
    let (code, out) = tokio::task::block_in_place(|| run(&home, &[&attempt[..], &["token=@token.txt"]].concat()));
    assert_eq!(code, Some(0), "{out}");
    for row in ["17           ann@acme.example  active", "18           ben@acme.example  suspended"] {
        assert!(out.contains(row), "{out}");
    }
}
