//! Samples: what is compared, and how differences are reported.

use std::path::PathBuf;
use std::sync::Arc;

use super::*;
use crate::manifest::{self, Manifest};

const MANIFEST: &str = r#"name: Acme
category: identity
description: Lists the users of Acme.
required_permissions: [users.read]
setup: Make a token.
config:
  - {key: domain, label: Domain, type: host}
  - {key: token, label: Token, type: secret}
base_url: https://{{config.domain}}/api
auth: {bearer: "{{config.token}}"}
users:
  path: /users
  query: {expand: [a, b]}
  page_size: {param: limit, count: 2}
  pages:
    cursor: {at: $.next, param: after}
  records: $.users
  skip_if: ["$[?@.bot == true]"]
  details:
    factors:
      path: /users/{{record.id}}/factors
      provides: [mfa_enabled]
      permission: factors.read
  map:
    external_id: $.id
    email: $.mail
    status: {of: $.state, values: {on: active, off: suspended}}
    mfa_enabled: {any: "$[?@._details.factors.on == true]", known_when: "$[?@._details.factors]"}
    last_active_at: {from: $.seen, format: iso}
"#;

const SAMPLES: &str = r#"config: {domain: acme.example, token: t-1}
cases:
  - name: Two pages
    exchanges:
      - call: GET https://acme.example/api/users?limit=2&expand=b&expand=a
        headers: {Authorization: Bearer t-1}
        answer: {body: {users: [{id: "1", mail: a@b.c, state: on, seen: 2026-01-02T03:04:05Z}, {id: "2", state: off}], next: x}}
      - call: GET https://acme.example/api/users/2/factors
        answer: {body: {on: false}}
      - call: GET https://acme.example/api/users/1/factors
        answer: {body: {on: true}}
      - call: GET https://acme.example/api/users?expand=a&expand=b&limit=2&after=x
        answer: {body: {users: [{id: "9", bot: true}]}}
    tenant: acme.example
    users:
      - {external_id: 1, email: a@b.c, status: active, mfa_enabled: true, last_active_at: 2026-01-02T03:04:05Z}
      - {external_id: "2", status: suspended, mfa_enabled: false}
  - name: Refused
    exchanges:
      - call: GET https://acme.example/api/users?expand=a&expand=b&limit=2
        answer: {status: 401, body: {error: token revoked}}
    error: {class: token, definite: true, message: revoked}
  - name: Too fast
    exchanges:
      - call: GET https://acme.example/api/users?expand=a&expand=b&limit=2
        answer: {status: 429, headers: {retry-after: "3"}}
      - call: GET https://acme.example/api/users?expand=a&expand=b&limit=2
        answer: {status: 429, headers: {retry-after: "9000"}, text: slow down}
    error: {class: rate_limit, retry_after_seconds: 9000}
  - name: A check
    check: true
    exchanges:
      - call: GET https://acme.example/api/users?expand=a&expand=b&limit=1
        answer: {body: {users: []}}
    tenant: acme.example
"#;

fn acme() -> Arc<Manifest> {
    Arc::new(manifest::parse(MANIFEST, "acme.yaml").unwrap_or_else(|faults| panic!("{faults:#?}")))
}

/// What a replay of the samples reports after a change to them.
async fn replay(find: &str, put: &str) -> Vec<String> {
    assert!(SAMPLES.contains(find), "{find}");
    let text = SAMPLES.replacen(find, put, 1);
    let faults = match parse(&text, "samples/acme.yaml") {
        Ok(samples) => samples.replay(&acme()).await.faults,
        Err(faults) => faults,
    };
    faults.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn samples_that_say_what_happens_play_without_a_fault_and_without_a_gap() {
    let samples = parse(SAMPLES, "samples/acme.yaml").unwrap_or_else(|faults| panic!("{faults:#?}"));
    let replay = samples.replay(&acme()).await;
    assert_eq!((replay.cases, replay.faults, replay.gaps), (4, vec![], vec![]));
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
async fn whatever_differs_is_told_with_its_line_and_case() {
    let cases = [
        // Calls.
        ("after=x\n", "after=y\n", "12:15: case “Two pages”: another request was sent"),
        ("after=x\n", "after=y\n", "missing   after=y\n    extra     after=x"),
        ("Bearer t-1", "Bearer t-2", "header Authorization: expected “Bearer t-2”, got “Bearer t-1”"),
        ("        headers: {Auth", "        json: {}\n        headers: {Auth", "expected a body, got none"),
        (
            "      - call: GET https://acme.example/api/users/1/factors\n        answer: {body: {on: true}}\n",
            "",
            "another request was sent",
        ),
        (
            "    tenant: acme.example\n    users:",
            "      - {call: GET https://acme.example/api/more, answer: {body: {}}}\n    users:",
            "14:16: case “Two pages”: this request was not sent: GET https://acme.example/api/more",
        ),
        // Users.
        (
            "email: a@b.c, status",
            "email: b@b.c, status",
            "16:9: case “Two pages”: user 1, email: expected \"b@b.c\", got \"a@b.c\"",
        ),
        ("status: suspended", "status: active", "user 2, status: expected \"active\", got \"suspended\""),
        (", mfa_enabled: true", "", "user 1, mfa_enabled: expected nothing, got true"),
        (
            "2026-01-02T03:04:05Z}\n",
            "2026-01-02T03:04:06Z}\n",
            "last_active_at: expected \"2026-01-02T03:04:06Z\", got \"2026-01-02T03:04:05Z\"",
        ),
        ("external_id: \"2\"", "external_id: \"3\"", "user 3: expected, but not listed"),
        (
            "external_id: \"2\"",
            "external_id: \"3\"",
            "user 2: not expected, but listed: {external_id: \"2\", status: suspended, mfa_enabled: false}",
        ),
        ("external_id: \"2\"", "external_id: \"1\"", "“1” is among the users twice"),
        // The rest.
        (
            "tenant: acme.example\n    users",
            "tenant: other.example\n    users",
            "14:13: case “Two pages”: tenant: expected other.example, got acme.example",
        ),
        ("    users:", "    lost: [mfa]\n    users:", "lost: expected [mfa], got []"),
        (
            "    users:",
            "    credential_expires_at: 2026-04-01T00:00:00Z\n    users:",
            "credential_expires_at: expected 2026-04-01T00:00:00Z, got nothing",
        ),
        ("    users:", "    error: {class: config}\n    users:", "error: expected one of class config, got none"),
        ("error: {class: token", "error: {class: permission", "error class: expected permission, got token (“"),
        ("definite: true", "definite: false", "error definite: expected false, got true"),
        ("definite: true", "permissions: [a]", "error permissions: expected [a], got []"),
        ("message: revoked", "message: lapsed", "error message: expected a part “lapsed”, got “"),
        ("seconds: 9000", "seconds: 3", "error retry_after_seconds: expected 3, got 9000"),
        (
            "    error: {class: token, definite: true, message: revoked}",
            "    users: []",
            "18:5: case “Refused”: error: expected none, got class token: ",
        ),
        // The file itself.
        ("name: Refused", "nam: Refused", "18:5: unknown key “nam”; did you mean “name”?"),
        ("name: Refused", "name: Two pages", "18:5: the case of line 3 has the same name"),
        (
            "call: GET https://acme.example/api/users/1",
            "call: https://acme.example/api/users/1",
            "10:15: a call is the method and the whole address",
        ),
        ("    error: {class: token, definite: true, message: revoked}\n", "", "18:5: say what the result must be"),
        ("class: token", "class: tokens", "“tokens” is not known here; did you mean “token”?"),
        ("status: 401", "status: 4010", "status codes are from 100 to 599"),
        ("{body: {on: true}}", "{body: {on: true}, text: a}", "an answer has either body (JSON) or text"),
        ("05Z}\n", "05}\n", "a time is written as 2026-01-02T03:04:05Z"),
    ];
    for (find, put, expected) in cases {
        let found = replay(find, put).await;
        assert!(found.iter().any(|fault| fault.contains(expected)), "{put}\n expected {expected}\n found {found:#?}");
        assert!(found.iter().all(|fault| fault.starts_with("samples/acme.yaml:")), "{found:#?}");
    }
}

#[tokio::test]
async fn what_samples_do_not_show_is_told() {
    let cases = [
        ("state: off", "state: on", "no user is suspended"),
        ("class: token, definite: true, message: revoked", "class: config", "the credential is refused in no case"),
        ("{id: \"9\", bot: true}", "{id: \"9\", state: on}", "no record is skipped"),
    ];
    for (find, put, expected) in cases {
        let text = SAMPLES.replacen(find, put, 1).replace("status: suspended", "status: active");
        let samples = parse(&text, "samples/acme.yaml").unwrap_or_else(|faults| panic!("{faults:#?}"));
        let gaps = samples.replay(&acme()).await.gaps;
        assert!(gaps.iter().any(|gap| gap.contains(expected)), "{put}: {gaps:?}");
    }
}

fn connectors() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("connectors")
}

/// The keys of a folder's files.
fn keys(folder: &std::path::Path) -> Vec<String> {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let yaml = files.filter(|path| path.extension().is_some_and(|ending| ending == "yaml"));
    let mut keys: Vec<String> = yaml.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    keys.sort();
    keys
}

#[tokio::test]
async fn every_built_in_manifest_does_what_its_samples_say_and_they_leave_nothing_out() {
    let keys = keys(&connectors());
    assert!(keys.len() >= 30, "{}", keys.len());
    let mut wrong = Vec::new();
    for key in keys {
        let (file, beside) = (format!("{key}.yaml"), format!("samples/{key}.yaml"));
        let manifest = match manifest::parse(&std::fs::read_to_string(connectors().join(&file)).unwrap(), &file) {
            Ok(manifest) => Arc::new(manifest),
            Err(faults) => {
                wrong.extend(faults.iter().map(ToString::to_string));
                continue;
            }
        };
        let Ok(text) = std::fs::read_to_string(connectors().join(&beside)) else {
            wrong.push(format!("{beside} is missing"));
            continue;
        };
        wrong.extend(manifest::advice(&manifest, &file).iter().map(ToString::to_string));
        match parse(&text, &beside) {
            Ok(samples) => {
                let replay = samples.replay(&manifest).await;
                wrong.extend(replay.faults.iter().map(ToString::to_string));
                wrong.extend(replay.gaps.iter().map(|gap| format!("{beside}: {gap}")));
            }
            Err(faults) => wrong.extend(faults.iter().map(ToString::to_string)),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_samples_are_without_their_manifest() {
    assert_eq!(keys(&connectors().join("samples")), keys(&connectors()));
}
