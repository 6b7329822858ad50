//! `muster connectors try --record`: a sample of a real application's answers, in which nobody can be recognised.

use std::fs;

use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::process::Home;

const MANIFEST: &str = r#"name: Acme
category: identity
description: Lists the users of Acme.
required_permissions: [users.read]
setup: Make a client.
config:
  - {key: team, label: Team, type: text}
  - {key: client_id, label: Client ID, type: text}
  - {key: client_secret, label: Client secret, type: secret, pattern: "acs_.*"}
base_url: https://api.acme.example
tenant: "{{config.team}}"
auth:
  oauth2_client_credentials:
    token_url: https://api.acme.example/oauth/token
    client_id: "{{config.client_id}}"
    client_secret: "{{config.client_secret}}"
users:
  path: /teams/{{config.team}}/users
  query: {include: disabled}
  pages:
    next_url: {at: $.paging.next, total: $.paging.total}
  records: $.users
  joins:
    admins:
      path: /teams/{{config.team}}/admins
      pages: none
      records: $
      key: $.user
      on: $.id
      provides: [is_admin]
      permission: admins.read
  details:
    factors:
      path: /users/{{record.id}}/factors
      provides: [mfa_enabled]
      permission: factors.read
  map:
    external_id: $.id
    email: $.mail
    display_name: {join: [$.first, $.last]}
    status: {of: $.state, values: {on: active, off: suspended}}
    is_admin: {present_in: admins}
    mfa_enabled: {any: "$[?@._details.factors.on == true]", known_when: "$[?@._details.factors]"}
    manager: $.manager
    last_active_at: {from: $.seen, format: iso}
"#;

const TOKEN: &str = "at-9f8e7d6c5b4a3210";
const SECRET: &str = "acs_5up3r-s3cret-0f-n0rthw1nd";
/// What must not be in the sample: secrets, people, their addresses and ids, and what tells which company it is.
const PRIVATE: [&str; 26] = [
    TOKEN,
    SECRET,
    "5up3r",
    "cid-77af31be",
    "rt-00aa11bb22cc",
    "$2b$12$K1q8vZ7pQw3xN5",
    "K1q8vZ7pQw3xN5",
    "JBSWY3DPEHPK3PXP",
    "ghs_0a1b2c3d4e5f",
    "0a1b2c3d4e5f",
    "s3ss10n-8842aa91",
    "req-0a9b8c7d6e5f",
    "151 23456789",
    "7391",
    "1984-05-06",
    "zuzanna",
    "kowalczyk",
    "benedikt",
    "oyelaran",
    "northwind",
    "00u5Kq7Zx",
    "4817263549",
    "Y3Vyc29yLXR3bw",
    "203.0.113.77",
    "harbour street",
    "lighthouse",
];

fn user(number: usize) -> Value {
    let users = [
        json!({
            "id": "zuzanna.kowalczyk@northwind-traders.com", "mail": "Zuzanna.Kowalczyk@northwind-traders.com",
            "first": "Zuzanna", "last": "Kowalczyk", "state": "on", "seen": "2026-01-02T03:04:05Z",
            "login": "zkowalczyk", "phone": "+49 151 23456789", "birthday": "1984-05-06", "pin": 7391,
            "password_hash": "$2b$12$K1q8vZ7pQw3xN5", "address": {"street": "7 Harbour Street"},
            "avatar": "https://cdn.lighthouse.example/u/zuzanna.kowalczyk.png?v=ghs_0a1b2c3d4e5f",
        }),
        json!({
            "id": "00u5Kq7Zx", "mail": "benedikt@northwind-traders.com", "first": "Benedikt", "last": "Oyelaran",
            "state": "off", "manager": "zuzanna.kowalczyk@northwind-traders.com", "otp": {"seed": "JBSWY3DPEHPK3PXP"},
            "note": format!("Zuzanna told Benedikt <benedikt@northwind-traders.com> about {TOKEN} and {SECRET}."),
            "last_ip": "203.0.113.77", "teams": {"00u5Kq7Zx": "Lighthouse"},
        }),
        json!({"id": 4_817_263_549_u64, "first": "Benedikt", "state": "on", "apiKey": "ghs_0a1b2c3d4e5f"}),
    ];
    users[number].clone()
}

async fn answer(request: Request) -> Response {
    let header = |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    let authorization = header("authorization").unwrap_or_default();
    let path = request.uri().path().replace("%40", "@");
    if path == "/oauth/token" {
        assert!(authorization.starts_with("Basic "), "{authorization}");
        let (refresh_token, token_type) = ("rt-00aa11bb22cc", "Bearer");
        let token = json!({"access_token": TOKEN, "refresh_token": refresh_token, "token_type": token_type});
        return Json(token).into_response();
    }
    if authorization != format!("Bearer {TOKEN}") {
        let refusal = json!({"error": "invalid_token", "message": format!("The token {TOKEN} of Zuzanna was revoked")});
        return (StatusCode::UNAUTHORIZED, Json(refusal)).into_response();
    }
    let team = "/teams/northwind-traders";
    let next = format!("https://api.acme.example{team}/users?include=disabled&cursor=Y3Vyc29yLXR3bw%3D%3D");
    let query = request.uri().query().unwrap_or_default();
    let body = if path == format!("{team}/admins") {
        json!([{"user": "00u5Kq7Zx"}, {"user": 4_817_263_549_u64}])
    } else if let Some(id) = path.strip_prefix("/users/").and_then(|rest| rest.strip_suffix("/factors")) {
        json!({"on": id == "zuzanna.kowalczyk@northwind-traders.com"})
    } else if path == format!("{team}/users") && query.contains("cursor=Y3Vyc29yLXR3bw%3D%3D") {
        json!({"users": [user(2)], "paging": {"next": null, "total": 3}})
    } else if path == format!("{team}/users") {
        json!({"users": [user(0), user(1)], "paging": {"next": next, "total": 3}})
    } else {
        return (StatusCode::NOT_FOUND, Json(json!({"error": path}))).into_response();
    };
    let mut headers = HeaderMap::new();
    headers.insert("set-cookie", "sid=s3ss10n-8842aa91; Path=/".parse().unwrap());
    headers.insert("x-request-id", "req-0a9b8c7d6e5f".parse().unwrap());
    (headers, Json(body)).into_response()
}

/// Starts the application, and returns its origin.
async fn application() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let app = Router::new().fallback(answer);
    tokio::spawn(async move { axum::serve(listener, app).await });
    origin
}

/// An author with a manifest and a secret.
fn author() -> Home {
    let home = Home::new().set("ALLOWED_NETWORKS", "127.0.0.0/8");
    fs::write(home.dir.path().join("acme.yaml"), MANIFEST).unwrap();
    fs::write(home.dir.path().join("secret.txt"), SECRET).unwrap();
    home
}

fn run(home: &Home, arguments: &[&str]) -> (Option<i32>, String) {
    let output = tokio::task::block_in_place(|| home.run(arguments));
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

fn record(home: &Home, origin: &str, more: &[&str]) -> (Option<i32>, String) {
    let origin = format!("https://api.acme.example={origin}");
    let settings = ["team=northwind-traders", "client_id=cid-77af31be", "client_secret=@secret.txt"];
    let mut arguments = vec!["connectors", "try", "acme.yaml", "--origin", &origin];
    for setting in settings {
        arguments.extend(["--config", setting]);
    }
    arguments.extend(more);
    run(home, &arguments)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_tells_nothing_about_anybody_and_is_replayed() {
    let (home, origin) = (author(), application().await);
    let (code, out) = record(&home, &origin, &["--record", "samples/acme.yaml"]);
    assert_eq!(code, Some(0), "{out}");
    assert!(out.contains("3 users on 2 pages") && out.contains("samples/acme.yaml is written"), "{out}");
    let file = home.dir.path().join("samples/acme.yaml");
    let text = fs::read_to_string(&file).unwrap();
    for private in PRIVATE {
        assert!(!text.to_lowercase().contains(&private.to_lowercase()), "{private} is in the sample:\n{text}");
    }

    // What belonged together still does, and what is no secret is still there.
    let users: Vec<&str> = text.lines().filter(|line| line.trim_start().starts_with("- {external_id: ")).collect();
    assert_eq!(users.len(), 3, "{text}");
    let count = |part: &str| users.iter().filter(|line| line.contains(part)).count();
    assert_eq!((count("is_admin: true"), count("mfa_enabled: true"), count("status: suspended")), (2, 1, 1), "{text}");
    assert_eq!((count("@example.com"), count("last_active_at: 2026-01-02T03:04:05Z")), (2, 1), "{text}");
    let mut managers = users.iter().filter_map(|line| line.split_once("manager: \"")).map(|(_, rest)| rest);
    let manager = managers.next().and_then(|rest| rest.split('"').next()).unwrap();
    assert!(users.iter().any(|line| line.contains(&format!("external_id: \"{manager}\""))), "{manager}: {text}");
    assert!(text.contains("client_secret: \"acs_"), "{text}");
    assert!(!text.contains("set-cookie") && !text.contains("x-request-id"), "{text}");

    let (code, out) = run(&home, &["connectors", "check", "acme.yaml"]);
    assert_eq!(code, Some(0), "{out}\n{text}");
    assert!(out.contains("acme.yaml: ok; 1 samples played"), "{out}");

    // The sample is compared: another status in it is a difference.
    fs::write(&file, text.replace("status: suspended", "status: active")).unwrap();
    let (code, out) = run(&home, &["connectors", "check", "acme.yaml"]);
    assert!(code == Some(1) && out.contains("status: expected \"active\", got \"suspended\""), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_of_a_refusal_is_a_sample_as_well() {
    let (home, origin) = (author(), application().await);
    let manifest =
        MANIFEST.replace("users:\n  path", "    header: {Authorization: \"Other {{token}}\"}\nusers:\n  path");
    fs::write(home.dir.path().join("acme.yaml"), manifest).unwrap();
    let (code, out) = record(&home, &origin, &["--record", "refused.yaml"]);
    assert_eq!(code, Some(1), "{out}");
    let text = fs::read_to_string(home.dir.path().join("refused.yaml")).unwrap();
    assert!(text.contains("error: {class: token"), "{text}");
    for private in PRIVATE {
        assert!(!text.to_lowercase().contains(&private.to_lowercase()), "{private} is in the sample:\n{text}");
    }
    fs::create_dir(home.dir.path().join("samples")).unwrap();
    fs::rename(home.dir.path().join("refused.yaml"), home.dir.path().join("samples/acme.yaml")).unwrap();
    let (code, out) = run(&home, &["connectors", "check", "acme.yaml"]);
    assert_eq!(code, Some(0), "{out}\n{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_overwrites_nothing_and_is_of_the_whole_list() {
    let home = author();
    fs::write(home.dir.path().join("mine.yaml"), "mine").unwrap();
    // Nobody answers there; the file is looked at first.
    let nowhere = "http://127.0.0.1:9";
    let (code, out) = record(&home, nowhere, &["--record", "mine.yaml"]);
    assert!(code == Some(1) && out.contains("mine.yaml exists already, and is not overwritten"), "{out}");
    assert_eq!(fs::read_to_string(home.dir.path().join("mine.yaml")).unwrap(), "mine");
    for more in [["--pages", "1"], ["--limit", "x"]] {
        let (code, out) = record(&home, nowhere, &[&["--record", "other.yaml"][..], &more].concat());
        assert!(code == Some(2) && out.contains(more[0]), "{out}");
    }
    let (code, out) = run(&home, &["connectors", "try", "okta", "--record", "other.yaml"]);
    assert!(code == Some(1) && out.contains("okta is no file"), "{out}");
    assert!(!home.dir.path().join("other.yaml").exists());
}
