//! `muster connectors check` and `try`, as the author of a manifest uses them.

use std::fs;
use std::process::{Output, Stdio};

use axum::extract::Query;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::process::Home;

const MANIFEST: &str = r#"name: Acme
category: identity
description: Lists the users of Acme.
required_permissions: [users.read]
setup: Make a token.
config:
  - {key: team, label: Team, type: text}
  - {key: token, label: Token, type: secret}
base_url: https://api.acme.example
tenant: "{{config.team}}"
auth: {bearer: "{{config.token}}"}
users:
  path: /{{config.team}}/users
  pages:
    page: {param: page, total: $.total}
  records: $.users
  skip_if: ["$[?@.bot == true]"]
  order: default
  map:
    external_id: $.id
    email: $.mail
    display_name: $.name
    status: {of: $.state, values: {on: active, off: suspended}}
    is_admin: $.admin
"#;

/// Starts an application with two pages, and returns its origin.
async fn application() -> String {
    let users = |headers: HeaderMap, Query(query): Query<Vec<(String, String)>>| async move {
        let token = headers["authorization"].to_str().unwrap().to_owned();
        if token != "Bearer t0p-s3cret" {
            return (StatusCode::UNAUTHORIZED, Json(json!({"message": format!("{token} was revoked")})));
        }
        let users = if query.contains(&("page".to_owned(), "1".to_owned())) {
            json!([
                {"id": 1, "mail": "ann@example.com", "name": "Ann", "state": "on", "admin": true, "note": token},
                {"id": 2, "bot": true},
            ])
        } else {
            json!([{"id": 3, "mail": "cleo@example.com", "state": "gone"}, {"id": 4, "name": "Dan", "state": "off"}])
        };
        (StatusCode::OK, Json(json!({"total": 4, "users": users})))
    };
    let app = Router::new().route("/%40team/users", get(users)).route("/@team/users", get(users));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    origin
}

/// Runs `connectors try` with a token from a file.
async fn attempt(token: &str, more: &[&str]) -> (Output, String, String) {
    let home = Home::new().set("ALLOWED_NETWORKS", "127.0.0.0/8");
    let at = |name: &str| home.dir.path().join(name).display().to_string();
    fs::write(at("acme.yaml"), MANIFEST).unwrap();
    fs::write(at("token"), format!("{token}\n")).unwrap();
    let origin = format!("https://api.acme.example={}", application().await);
    let (manifest, token) = (at("acme.yaml"), format!("token=@{}", at("token")));
    let mut arguments =
        vec!["connectors", "try", &manifest, "--config", "team=@@team", "--config", &token, "--origin", &origin];
    arguments.extend(more);
    let output = tokio::task::block_in_place(|| home.run(&arguments));
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(!format!("{out}{err}").contains("t0p-s3cret"), "{out}{err}");
    (output, out, err)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_prints_what_was_mapped_page_by_page() {
    let (output, out, err) = attempt("t0p-s3cret", &[]).await;
    assert!(output.status.success(), "{out}{err}");
    let expected = "\
Page 1: 1 user, 1 record skipped (skip_if)
  external_id  e-mail           name  status  admin
  1            ann@example.com  Ann   active  yes

Page 2: 2 users, 1 status that the manifest does not know
  external_id  e-mail            name  status     admin
  3            cleo@example.com  ?     unknown    ?
  4            ?                 Dan   suspended  ?

3 users on 2 pages in ";
    assert!(out.starts_with(expected), "{out}");
    assert!(out.contains(" s: 1 active, 1 suspended, 1 unknown\n1 record skipped (skip_if)\n"), "{out}");
    assert!(out.ends_with("Tenant: @team\nCredential expires: not reported\n"), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_shows_records_with_secrets_masked_and_stops_where_it_is_told_to() {
    let (output, out, err) = attempt("t0p-s3cret", &["--raw", "--pages", "1"]).await;
    assert!(output.status.success(), "{out}{err}");
    assert!(out.contains("\"note\": \"Bearer •••\""), "{out}");
    assert!(!out.contains("cleo@example.com") && out.contains("There are more pages"), "{out}");
}

#[test]
fn a_reader_that_goes_away_ends_a_command_quietly() {
    let home = Home::new();
    for arguments in [&["connectors", "list"][..], &["connectors", "schema"]] {
        let mut command = home.command(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "", "{arguments:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_whose_reader_goes_away_ends_quietly() {
    let home = Home::new().set("ALLOWED_NETWORKS", "127.0.0.0/8");
    let at = |name: &str| home.dir.path().join(name).display().to_string();
    fs::write(at("acme.yaml"), MANIFEST).unwrap();
    let origin = format!("https://api.acme.example={}", application().await);
    let manifest = at("acme.yaml");
    let settings = ["--config", "team=@@team", "--config", "token=t0p-s3cret", "--origin", &origin];
    for more in [&[][..], &["--json"], &["--raw"]] {
        let mut command = home.command(&[&["connectors", "try", &manifest], &settings[..], more].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = tokio::task::block_in_place(|| child.wait_with_output()).unwrap();
        assert!(output.status.success(), "{more:?}: {output:?}");
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "", "{more:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_answers_as_one_document() {
    let (output, out, err) = attempt("t0p-s3cret", &["--json", "--limit", "2"]).await;
    assert!(output.status.success(), "{out}{err}");
    let found: Value = serde_json::from_str(&out).unwrap();
    let ids: Vec<_> = found["users"].as_array().unwrap().iter().map(|user| user["external_id"].clone()).collect();
    assert_eq!(ids, ["1", "3"]);
    assert_eq!(
        (&found["pages"], &found["tenant"], &found["error"], &found["skipped"], &found["unknownStatuses"]),
        (&json!(2), &json!("@team"), &Value::Null, &json!(1), &json!(1))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_that_is_refused_says_why_and_what_to_do() {
    let (output, out, err) = attempt("wr0ng", &[]).await;
    assert_eq!(output.status.code(), Some(1), "{out}{err}");
    assert!(err.starts_with("muster: token: ") && err.contains("Bearer ••• was revoked"), "{err}");
    assert!(err.contains("Make a new credential"), "{err}");

    let (output, out, err) = attempt("wr0ng", &["--json"]).await;
    assert_eq!(output.status.code(), Some(1), "{out}{err}");
    let found: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&found["error"]["class"], &found["error"]["definite"]), (&json!("token"), &json!(true)));
}

fn run(arguments: &[&str]) -> (bool, String) {
    let output = Home::new().run(arguments);
    (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

#[test]
fn a_trial_that_cannot_begin_says_what_is_missing() {
    let (ok, text) = run(&["connectors", "try", "okta", "--config", "domain=a b", "--config", "size=1"]);
    assert!(!ok);
    for line in ["--config domain=…  ", "--config token=…  ", "--config size=…  "] {
        assert!(text.contains(line), "{text}");
    }
    let (ok, text) = run(&["connectors", "try", "nobody"]);
    assert!(!ok && text.contains("no such file, and no such integration"), "{text}");
    let (ok, text) = run(&["connectors", "try", "slack", "--config", "authentication=oauth"]);
    assert!(!ok && text.contains("--config access_token=@FILE"), "{text}");
    let (ok, text) = run(&["connectors", "try", "slack", "--config", "nowhere.toml"]);
    assert!(!ok && text.contains("there is no file nowhere.toml"), "{text}");
}

#[test]
fn check_names_faults_plays_samples_and_tells_what_they_do_not_show() {
    let home = Home::new();
    let check = || {
        let folder = home.dir.path().display().to_string();
        let output = home.run(&["connectors", "check", &folder]);
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let manifest = home.dir.path().join("acme.yaml");
    fs::write(&manifest, MANIFEST.replace("  order: default\n", "")).unwrap();
    let (code, out) = check();
    assert_eq!(code, Some(1));
    assert!(out.contains("say in which order the list comes"), "{out}");
    fs::write(&manifest, MANIFEST.replace("records:", "record:")).unwrap();
    let (code, out) = check();
    assert_eq!(code, Some(1));
    assert!(out.contains("acme.yaml:16:3: unknown key “record”; did you mean “records”?"), "{out}");

    fs::write(&manifest, MANIFEST).unwrap();
    let (code, out) = check();
    assert_eq!(code, Some(0), "{out}");
    assert!(out.ends_with("acme.yaml: ok; no samples (write samples/acme.yaml beside it)\n"), "{out}");

    let samples = "config: {team: a, token: t}\ncases:\n  - name: One\n    exchanges:\n      - call: GET https://api.acme.example/a/users?page=1\n        answer: {body: {total: 1, users: [{id: 1, state: on}]}}\n    users:\n      - {external_id: \"1\", status: active}\n";
    fs::create_dir(home.dir.path().join("samples")).unwrap();
    let beside = home.dir.path().join("samples/acme.yaml");
    fs::write(&beside, samples).unwrap();
    let (code, out) = check();
    assert_eq!(code, Some(0), "{out}");
    assert!(out.contains("acme.yaml: ok; 1 samples played"), "{out}");
    for gap in ["no user is suspended", "no case has a first and a last page", "no record is skipped"] {
        assert!(out.contains(&format!("warning: {gap}")), "{out}");
    }

    fs::write(&beside, samples.replace("status: active", "status: suspended")).unwrap();
    let (code, out) = check();
    assert_eq!(code, Some(1), "{out}");
    let expected = "acme.yaml:8:9: case “One”: user 1, status: expected \"suspended\", got \"active\"";
    assert!(out.contains(expected), "{out}");
}
