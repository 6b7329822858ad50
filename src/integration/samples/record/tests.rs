//! Disguises: what is replaced, and by what.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::disguise::Disguise;
use super::literals::Literals;
use super::words::{Words, words};
use crate::manifest::{self, Manifest};

const MANIFEST: &str = r#"name: Acme
category: identity
description: Lists the users of Acme.
required_permissions: [users.read]
setup: Make a token.
config:
  - {key: site, label: Site, type: host}
  - {key: token, label: Token, type: secret}
base_url: https://{{config.site}}/api
auth: {header: {X-Key: "{{config.token}}"}}
users:
  path: /people
  pages:
    next_url: {at: $.next_token}
  records: {map: $.people, key: login}
  skip_if: ["$[?@.type == 'robot']"]
  map:
    external_id: $.login
    display_name: $.name
    status: {of: $.state, values: {Working: active, Resting: suspended}}
rate_limit: {reset_header: X-Wait}
"#;

fn acme() -> Manifest {
    manifest::parse(MANIFEST, "acme.yaml").unwrap_or_else(|faults| panic!("{faults:#?}"))
}

/// A disguise for a recording of `text`.
fn disguise(text: &str) -> Disguise {
    let literals = Literals::of(MANIFEST, &acme());
    let of_manifest = Words::new(literals.words.clone(), &HashSet::new(), words(text).collect());
    let mut disguise = Disguise::new(of_manifest, literals, HashSet::new());
    disguise.hosts.insert("acme.internal.example:8443".to_owned(), "site.example.com".to_owned());
    disguise
}

#[test]
fn what_the_manifest_names_is_known() {
    let literals = Literals::of(MANIFEST, &acme());
    for value in ["robot", "working", "resting"] {
        assert!(literals.values.contains(value), "{value}");
    }
    assert!(literals.members.contains("next_token") && literals.members.contains("state"));
    assert!(literals.words.contains("people") && !literals.words.contains("acme"));
    assert_eq!(literals.maps, HashSet::from(["people".to_owned()]));
    assert_eq!(literals.headers, HashSet::from(["x-wait".to_owned()]));
}

#[test]
fn a_response_keeps_its_form_and_what_the_manifest_compares() {
    let body = json!({
        "people": {
            "hannah.berg": {"name": "Hannah Berg", "state": "Working", "type": "robot", "age": 41, "ok": true,
                "birth_date": "1980-01-02", "changed_at": 1_767_323_045, "phone": 4_915_123},
        },
        "next_token": "https://acme.internal.example:8443/api/people?after=hannah.berg&size=2",
    });
    let text = body.to_string();
    let replaced = disguise(&text).value("$", body, false);
    let shown = replaced.to_string().to_lowercase();
    for private in ["hannah", "berg", "internal", "1980-01-02", "4915123"] {
        assert!(!shown.contains(private), "{private}: {shown}");
    }
    let (login, person) = replaced["people"].as_object().unwrap().iter().next().unwrap();
    assert_eq!(login, &person["name"].as_str().unwrap().to_lowercase().replace(' ', "."));
    let kept = ["state", "type", "age", "ok", "changed_at"].map(|member| person[member].clone());
    assert_eq!(kept, [json!("Working"), json!("robot"), json!(41), json!(true), json!(1_767_323_045)]);
    let next = format!("https://site.example.com/api/people?after={login}&size=2");
    assert_eq!(replaced["next_token"], Value::from(next));
}

#[test]
fn a_path_of_the_manifest_stays_even_if_somebody_has_its_name() {
    let literals = Literals::of(MANIFEST, &acme());
    let of_people = HashSet::from(["people".to_owned()]);
    let words = Words::new(literals.words.clone(), &of_people, HashSet::new());
    let mut disguise = Disguise::new(words, literals, HashSet::new());
    assert_eq!(disguise.text("/api/people?page=2", false), "/api/people?page=2");
    assert!(!disguise.text("Many People", false).contains("People"));
}

#[test]
fn addresses_stay_addresses_and_no_two_become_one() {
    let text = "Kim@one.example, kim@two.example, KIM@ONE.example, kim lee";
    let replaced = disguise(text).text(text, false);
    let parts: Vec<&str> = replaced.split(", ").collect();
    assert!(parts[..3].iter().all(|part| part.ends_with("@example.com")), "{replaced}");
    assert_eq!(parts[0].to_lowercase(), parts[2].to_lowercase());
    assert_ne!(parts[0].to_lowercase(), parts[1]);
    let (name, _) = parts[3].split_once(' ').unwrap();
    assert_eq!(parts[0].to_lowercase(), format!("{name}@example.com"));
}

#[test]
fn secrets_are_replaced_within_texts_and_under_names_of_secrets() {
    let body = json!({
        "note": "Key tops-1234, for ?key=tops-1234&x",
        "password": "member",
        "tokens": [{"id": 7, "value": "1234"}],
        "link": "</people?page=2>; rel=\"next\"",
    });
    let text = body.to_string();
    let mut disguise = disguise(&text);
    disguise.hide("tops-1234", "kept-0000");
    let replaced = disguise.value("$", body, false);
    assert!(replaced["note"].as_str().unwrap().contains("kept-0000, "), "{replaced}");
    let shown = replaced.to_string();
    assert!(!shown.contains("1234") && !shown.contains("member"), "{shown}");
    assert_eq!(replaced["link"], json!("</people?page=2>; rel=\"next\""));
    assert!(disguise.seen_secrets.contains("member"));
}
