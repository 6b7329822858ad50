//! Records that are texts, members of a map, or rows; and a first cursor that is sent.

use super::lists::path;
use super::*;
use crate::source::ErrorClass;

/// Every user with its address and its name.
async fn found(records: &str, more: &str, body: Value) -> Result<Vec<String>, SourceError> {
    let map = "external_id: $.id, email: $.mail, status: active";
    let map = if more.contains("map:") { more.to_owned() } else { format!("  map: {{{map}}}\n{more}") };
    let peer = Peer::always(200, body).await;
    let pages =
        all(&source(manifest(&format!("  pages: none\n  records: {records}\n{map}"), ""), &peer.origin)).await?;
    let shown =
        |user: &crate::user::SourceUser| format!("{} {}", user.external_id, user.email.as_deref().unwrap_or("-"));
    Ok(pages.iter().flat_map(|page| &page.users).map(shown).collect())
}

#[tokio::test]
async fn records_are_entries_of_a_list_members_of_a_map_or_rows_with_columns() {
    let texts =
        "  map: {external_id: $.value, email: {join: [$.value, {const: acme.example}], with: '@'}, status: active}";
    let list = found("$.users", texts, json!({"users": ["ann", "ben", 7]})).await.unwrap();
    assert_eq!(list, ["ann ann@acme.example", "ben ben@acme.example", "7 7@acme.example"]);

    let users = json!({"users": {"a1": {"mail": "ann@acme.example", "id": "own"}, "7": {}}});
    let mut members = found("{map: $.users, key: id}", "", users).await.unwrap();
    members.sort();
    assert_eq!(members, ["7 -", "a1 ann@acme.example"], "the member's name counts");
    let members = found("{map: $.users, key: id}", "", json!({"users": []})).await.unwrap();
    assert!(members.is_empty(), "an empty map of PHP");
    let values = "  map: {external_id: $.id, email: $.value, status: active}";
    let members = found("{map: $, key: id}", values, json!({"a1": "ann@acme.example"})).await.unwrap();
    assert_eq!(members, ["a1 ann@acme.example"]);

    let rows =
        json!({"columns": [{"name": "id"}, {"name": "mail"}], "data": [["a1", "ann@acme.example"], ["b2", null]]});
    let named = found("{rows: $.data, columns: '$.columns[*].name'}", "", rows.clone()).await.unwrap();
    assert_eq!(named, ["a1 ann@acme.example", "b2 -"]);
    assert_eq!(found("{rows: $.data, columns: [id, mail]}", "", rows).await.unwrap(), named);
}

#[tokio::test]
async fn what_is_no_map_and_no_row_fails_the_page() {
    for (records, body, expected) in [
        ("{map: $.users, key: id}", json!({"users": [{"id": 1}]}), "the list “$.users” is missing"),
        ("{map: $.users, key: id}", json!({"users": {"a": null}}), "entry 1 of the list is not an object"),
        ("$.users", json!({"users": {"a": {"id": 1}}}), "the list “$.users” is missing"),
        ("$.users", json!({"users": ["ann"]}), "entry 1 of the list has no id"),
        (
            "{rows: $.data, columns: [id, mail]}",
            json!({"data": [["a1"]]}),
            "row 1 of the list has 1 values, and there are 2 columns",
        ),
        ("{rows: $.data, columns: [id, mail]}", json!({"data": [{"id": 1}]}), "row 1 of the list is no list"),
    ] {
        let error = found(records, "", body).await.unwrap_err();
        assert_eq!(error.class, ErrorClass::Config, "{records}");
        assert!(error.message.contains(expected), "{records}: {}", error.message);
    }
}

#[tokio::test]
async fn a_text_can_be_asked_about_and_joined() {
    let keys = r"
  pages: none
  records: $.users
  joins:
    admins: {path: /admins, pages: none, records: $.names, key: $.value, provides: is_admin, permission: p}
  details:
    account: {path: '/users/{{record.value}}', provides: display_name, permission: p}
  map:
    external_id: $.value
    display_name: $._details.account.name
    is_admin: {present_in: admins}
    status: active
";
    let peer = Peer::answering(|_, call| match path(call) {
        "/users" => ok(&json!({"users": ["ann", "ben"]})),
        "/admins" => ok(&json!({"names": ["ben"]})),
        other => ok(&json!({"name": other.to_uppercase()})),
    })
    .await;
    let users = super::lists::users(&source(manifest(keys, ""), &peer.origin)).await;
    let told: Vec<_> =
        users.iter().map(|user| (user.display_name.as_deref().unwrap(), user.is_admin.unwrap())).collect();
    assert_eq!(told, [("/USERS/ANN", false), ("/USERS/BEN", true)]);
}

#[tokio::test]
async fn the_first_page_sends_a_cursor_if_the_manifest_says_so() {
    for (cursor, first, body) in [
        ("param: cursor, first: ''", "/users?cursor=", ""),
        ("param: cursor, first: '*'", "/users?cursor=*", ""),
        ("param: cursor", "/users", ""),
        ("json: $.cursor, first: 0", "/users", r#"{"cursor":"0"}"#),
    ] {
        let json = if cursor.contains("json") { "  json: {}\n" } else { "" };
        let keys = format!("{json}  pages: {{cursor: {{at: $.next, {cursor}}}}}\n  records: $.users");
        let peer = Peer::answering(|number, _| match number {
            1 => ok(&json!({"users": records(1..=1), "next": "x"})),
            _ => ok(&json!({"users": records(2..=2)})),
        })
        .await;
        assert_eq!(ids(&source(manifest(&keys, ""), &peer.origin)).await.unwrap(), ["1", "2"]);
        assert_eq!((peer.uris()[0].as_str(), peer.calls()[0].body.as_str()), (first, body), "{cursor}");
        let second = &peer.calls()[1];
        assert!(second.uri.contains("cursor=x") || second.body.contains(r#""x""#), "{second:?}");
    }
}
