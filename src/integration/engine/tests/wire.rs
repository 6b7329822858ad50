//! What applications really send: broken texts, other spellings, and links to inner names.

use super::*;
use crate::engine::rules::tidy;
use crate::user::UserStatus;

fn named() -> Manifest {
    manifest("  pages: none\n  records: $.users\n  map: {external_id: $.id, display_name: $.name, status: active}", "")
}

async fn name_of(name: &str) -> Option<String> {
    let body = format!(r#"{{"users": [{{"id": "1", "name": "{name}"}}]}}"#);
    let peer = Peer::answering(move |_, _| respond(200, &[], body.clone())).await;
    let mut pages = all(&source(named(), &peer.origin)).await.unwrap();
    pages.remove(0).users.remove(0).display_name
}

#[tokio::test]
async fn half_of_a_surrogate_pair_costs_one_letter() {
    let cases = [
        (r"Ann \ud83d", "Ann \u{fffd}"),
        (r"Ann \ud83d\ude00 \ude00", "Ann 😀 \u{fffd}"),
        (r"\uD83Dx\ud83d\ud83d\ude00", "\u{fffd}x\u{fffd}😀"),
        (r"C:\\ud83d \ud83d", "C:\\ud83d \u{fffd}"),
        (r#"\"\ud83d\" q"#, "\"\u{fffd}\" q"),
        (r"\ud83d\n", "\u{fffd}"),
        ("a\tb\r\nc", "a b  c"),
    ];
    for (name, expected) in cases {
        assert_eq!(name_of(name).await.as_deref(), Some(expected), "{name}");
    }
}

#[test]
fn line_breaks_and_tabs_in_a_name_separate_its_words() {
    let cases = [
        ("Ann\tLee", "Ann Lee"),
        ("Ann\r\nLee", "Ann Lee"),
        ("\n Ann\u{b} \u{c}Lee \u{85}", "Ann Lee"),
        ("Ann\u{2028}Lee", "Ann Lee"),
        ("A\u{0}n\u{7}n", "Ann"),
        ("Ann  Lee", "Ann  Lee"),
    ];
    for (name, expected) in cases {
        assert_eq!(tidy(name, 100), expected, "{name:?}");
    }
    assert_eq!(tidy("Ann\tLee", 4), "Ann");
}

#[tokio::test]
async fn json_that_is_called_a_web_page_is_read() {
    let html: &[(&str, &str)] = &[("content-type", "text/html; charset=UTF-8")];
    for (body, part) in [
        ("{\"users\": [{\"id\": \"1\"}]}", None),
        ("\u{feff}\n {\"users\": [{\"id\": \"1\"}]}", None),
        ("\n<!DOCTYPE html>", Some("web page")),
        ("Please sign in", Some("web page")),
        ("{\"users\": [", Some("breaks off")),
    ] {
        let peer = Peer::answering(move |_, _| respond(200, html, body)).await;
        let outcome = ids(&source(one_page(), &peer.origin)).await;
        match part {
            None => assert_eq!(outcome.unwrap(), ["1"], "{body}"),
            Some(part) => assert!(outcome.as_ref().is_err_and(|error| error.message.contains(part)), "{outcome:?}"),
        }
    }
}

#[tokio::test]
async fn names_of_scim_attributes_come_in_any_case() {
    let text = include_str!("../../connectors/scim.yaml");
    let manifest = manifest::parse(text, "scim.yaml").unwrap();
    let page = json!({"TOTALRESULTS": 2, "resources": [
        {"ID": "ann", "username": "ann@example.com", "Active": true, "Name": {"formatted": "Ann"},
         "Emails": [{"Value": "a@example.com", "PRIMARY": true}]},
        {"Id": "bob", "UserName": "bob@example.com", "ACTIVE": false, "DisplayName": "Bob", "displayName": "Bobby"},
    ]});
    let peer = Peer::always(200, page).await;
    let users = all(&source(manifest, &peer.origin)).await.unwrap().remove(0).users;
    assert_eq!((users[0].external_id.as_str(), users[0].status), ("ann", UserStatus::Active));
    assert_eq!(users[0].email.as_deref(), Some("a@example.com"));
    assert_eq!((users[1].external_id.as_str(), users[1].status), ("bob", UserStatus::Suspended));
    assert_eq!(users[1].display_name.as_deref(), Some("Bobby"), "the standard's spelling comes first");
}

#[tokio::test]
async fn values_of_scim_come_in_any_form() {
    let text = include_str!("../../connectors/scim.yaml");
    let user = |number: u64, active: Value, emails: Value| json!({"id": number.to_string(), "userName": format!("u{number}"), "active": active, "emails": emails});
    let one = json!({"value": "1@example.com", "primary": "true"});
    let two = json!([{"value": "x@example.com", "primary": "false"}, {"value": "2@example.com", "primary": "True"}]);
    let users = [
        user(1, json!(false), one),
        user(2, json!("False"), two),
        user(3, json!(" FALSE"), json!(["3@example.com"])),
        user(4, json!(0), json!("4@example.com")),
        user(5, json!("True"), json!([{"value": "Doe, D <5@example.com>"}])),
        user(6, json!(null), json!([{"value": "MailTo:6@example.com?subject=x"}])),
    ];
    for total in [json!(6), json!("6"), json!(6.0)] {
        let peer = Peer::always(200, json!({"totalResults": total, "Resources": users})).await;
        let manifest = manifest::parse(text, "scim.yaml").unwrap();
        let found = all(&source(manifest, &peer.origin)).await.unwrap().remove(0).users;
        let suspended: Vec<bool> = found.iter().map(|user| user.status == UserStatus::Suspended).collect();
        assert_eq!(suspended, [true, true, true, true, false, false]);
        for user in &found {
            assert_eq!(user.email.as_deref(), Some(format!("{}@example.com", user.external_id).as_str()));
        }
    }
    for (total, answer) in [
        (0, json!({"totalResults": "0"})),
        (1, json!({"totalResults": 1, "Resources": user(1, json!(true), json!([]))})),
    ] {
        let peer = Peer::always(200, answer).await;
        let manifest = manifest::parse(text, "scim.yaml").unwrap();
        assert_eq!(ids(&source(manifest, &peer.origin)).await.unwrap().len(), total);
    }
}

#[tokio::test]
async fn an_id_keeps_all_its_digits() {
    let numbers = [
        "9007199254740993",
        "18446744073709551616",
        "123456789012345678901234567890",
        "123456789012345678901234567891",
    ];
    let list: Vec<String> = numbers
        .iter()
        .map(|number| {
            format!(r#"{{"id": {number}, "name": "\"{number}, ", "share": 0.33333333333333333333333, "far": -1e30}}"#)
        })
        .collect();
    let peer = Peer::answering(move |_, _| respond(200, &[], format!("[{}]", list.join(",")))).await;
    let manifest = manifest("  pages: none\n  records: $", "");
    let found = all(&source(manifest, &peer.origin)).await.unwrap().remove(0).users;
    for (user, number) in found.iter().zip(numbers) {
        assert_eq!(user.external_id, number);
    }
    assert_eq!(found.len(), numbers.len());
}

#[tokio::test]
async fn a_link_to_an_inner_name_is_followed_on_the_own_host() {
    let list = |path: &'static str, link: &'static str| async move {
        let other = Peer::always(200, json!([])).await;
        let link = link.replace("OTHER", &other.origin);
        let peer = Peer::answering(move |_, call| match parameter(call, "page") {
            Some(2) => ok(&records(3..=4).into()),
            _ => respond(200, &[("link", &format!("<{link}>; rel=\"next\""))], Value::from(records(1..=2)).to_string()),
        })
        .await;
        let manifest = manifest("  pages: {link_header: {}}\n  records: $", "");
        let found = ids(&source(manifest, &format!("{}{path}", peer.origin))).await;
        assert!(other.calls().is_empty(), "the credential stays where it belongs");
        assert!(peer.calls().iter().all(|call| call.headers.contains_key("authorization")));
        (found, peer.uris())
    };
    for link in ["OTHER/users?page=2&a=%20b#x", "http://inner.example/users?page=2&a=%20b", "/users?page=2&a=%20b"] {
        let (found, uris) = list("", link).await;
        assert_eq!(found.unwrap(), ["1", "2", "3", "4"], "{link}");
        assert_eq!(uris, ["/users", "/users?page=2&a=%20b"], "{link}");
    }
    // The last ones do not know the path below which a proxy has put the application.
    for link in ["https://inner.example/git/users?page=2", "https://inner.example/users?page=2", "/users?page=2"] {
        let (found, uris) = list("/git", link).await;
        assert_eq!(found.unwrap().len(), 4, "{link}");
        assert_eq!(uris, ["/git/users", "/git/users?page=2"], "{link}");
    }
    for link in [
        "https://inner.example/members?page=2",
        "https://inner.example/gitlab/users?page=2",
        "https://me@inner.example/git/users?page=2",
        "ftp://inner.example/git/users?page=2",
    ] {
        let (found, uris) = list("/git", link).await;
        let error = found.unwrap_err();
        assert!(error.message.contains("leads to another host"), "{link}: {error}");
        assert_eq!(uris.len(), 1, "{link}");
    }
}

#[tokio::test]
async fn what_an_author_sees_holds_no_secret_of_the_application_either() {
    let record = json!({
        "id": "1", "email": "a@example.com", "passwordHash": "$2b$10$abc", "api_key": "k-1", "apiKeys": [{"value": "k-2"}],
        "profile": {"client_secret": "s", "Private Key": "-----BEGIN", "has_password": true, "token": 7, "hash": null},
    });
    let peer = Peer::always(200, json!({"users": [record]})).await;
    let seen: Arc<Mutex<Vec<Value>>> = Arc::default();
    let kept = Arc::clone(&seen);
    let observer = move |page: crate::engine::RawPage| kept.lock().extend(page.records.into_iter().map(|(_, one)| one));
    all(&source(one_page(), &peer.origin).observed_by(Arc::new(observer))).await.unwrap();
    let expected = json!({
        "id": "1", "email": "a@example.com", "passwordHash": "•••", "api_key": "•••", "apiKeys": [{"value": "•••"}],
        "profile": {"client_secret": "•••", "Private Key": "•••", "has_password": true, "token": "•••", "hash": null},
    });
    assert_eq!(*seen.lock(), [expected]);
}
