//! Optional parts that are refused or broken, and lists with several rows for a user.

use std::collections::BTreeSet;

use super::lists::{DETAILED, JOINED, path, users};
use super::*;
use crate::source::{Capability, ErrorClass, Loss};
use crate::user::{SourceUser, UserField};

#[tokio::test]
async fn trouble_with_a_joined_list_costs_its_columns_and_not_the_run() {
    let page = json!({"items": [{"user": {"id": 2}}], "next": "x"}).to_string();
    let cases = [
        (500, "{}".to_owned(), "reports an error of its own"),
        (400, r#"{"message": "No such filter"}"#.to_owned(), "“No such filter”"),
        (404, "{}".to_owned(), "(HTTP 404)"),
        (401, "{}".to_owned(), "does not accept the credential"),
        (429, "{}".to_owned(), "slow down"),
        (200, "{".to_owned(), "breaks off"),
        (200, "<html></html>".to_owned(), "HTML"),
        (200, r#"{"items": [{"user": {}}]}"#.to_owned(), "a record has no id"),
        (200, page, "same users"),
    ];
    for (status, body, part) in cases {
        let answer = {
            let body = body.clone();
            move |_: usize, call: &Call| match path(call) {
                "/admins" => respond(status, &[], body.clone()),
                _ => ok(&records(1..=2).into()),
            }
        };
        let peer = Peer::answering(answer).await;
        let pages = all(&source(manifest(JOINED, ""), &peer.origin)).await.unwrap();
        let lost = &pages.last().unwrap().lost;
        let capabilities: Vec<_> = lost.iter().map(|loss| loss.capability).collect();
        assert_eq!(capabilities, [Capability::AdminRoles, Capability::Licenses], "{body}");
        assert!(lost.iter().all(|loss| loss.missing_permission.is_none()), "{body}: {lost:?}");
        let reason = lost[0].reason.as_deref().unwrap_or_default();
        assert!(reason.contains(part) && reason.contains("the list “admins”"), "{body}: {reason}");
        let users: Vec<_> = pages.into_iter().flat_map(|page| page.users).collect();
        assert_eq!(users.len(), 2, "{body}");
        let kept = BTreeSet::from([UserField::IsAdmin, UserField::Licenses]);
        assert!(users.iter().all(|user| user.is_admin.is_none() && user.refused == kept), "{body}: {users:?}");
    }
}

#[tokio::test]
async fn a_joined_list_that_everything_depends_on_fails_the_run() {
    let keys = "
  pages: none
  records: $
  joins:
    people: {path: /people, pages: none, records: $, key: $.id, keep: {email: $.email}, permission: people.read}
  map: {external_id: $.id, email: $._joined.people.email, status: active}";
    for (status, class) in [(500, ErrorClass::Transient), (404, ErrorClass::Config), (403, ErrorClass::Permission)] {
        let answer = move |_: usize, call: &Call| match path(call) {
            "/people" => respond(status, &[], "{}"),
            _ => ok(&records(1..=2).into()),
        };
        let peer = Peer::answering(answer).await;
        let error = all(&source(manifest(keys, ""), &peer.origin)).await.unwrap_err();
        assert_eq!(error.class, class);
        assert!(error.message.contains("the list “people”"), "{error}");
        if class == ErrorClass::Permission {
            assert_eq!(error.missing_permissions, ["people.read"]);
        }
    }
}

#[tokio::test]
async fn an_outage_of_a_joined_list_is_waited_for() {
    let answer = |number: usize, call: &Call| match path(call) {
        "/admins" if number < 5 => respond(503, &[], "{}"),
        "/admins" => ok(&json!({"items": [{"user": {"id": 2}}]})),
        _ => ok(&records(1..=2).into()),
    };
    let peer = Peer::answering(answer).await;
    let pages = all(&source(manifest(JOINED, ""), &peer.origin)).await.unwrap();
    assert_eq!(pages.last().unwrap().lost, [], "more attempts than the user list gets in one go");
}

/// Members of groups: a user has several rows, a row several users, and a user several ids.
const ROWS: &str = r#"
  pages: none
  records: $
  joins:
    groups:
      path: /groups
      pages: none
      records: $
      key: $.members[*]
      on: $.ids[*]
      keep: {role: $.role, admin: $.admin, seat: $.seat, seen: $.seen, rank: $.rank}
      provides: [is_admin, mfa_enabled, licenses, last_active_at]
      permission: groups.read
  map:
    external_id: $.id
    display_name: $._joined.groups.seat
    status: active
    is_admin: {any: "$[?@._joined.groups.role == 'admin' && @._joined.groups.rank > 1]"}
    mfa_enabled: $._joined.groups.admin
    licenses: $._joined.groups.seat
    last_active_at: {from: $._joined.groups.seen, format: iso}
"#;

#[tokio::test]
async fn all_rows_and_all_ids_of_a_user_are_joined() {
    let groups = json!([
        {"members": ["a", "b"], "role": "view", "admin": false, "seat": "Basic", "seen": "2026-01-01"},
        {"members": ["b"], "role": "admin", "admin": true, "seat": "Full", "seen": "2026-02-01", "rank": 2},
        {"members": ["b"], "role": "admin", "admin": false, "seat": "Extra", "seen": "2026-01-02", "rank": 1},
        {"members": ["c", "b"], "role": "view", "seat": "Basic"},
        {"members": []},
    ]);
    let people = json!([
        {"id": "1", "ids": ["a"]},
        {"id": "2", "ids": ["b", "b"]},
        {"id": "3", "ids": ["c", "a"]},
        {"id": "4", "ids": []},
    ]);
    let answer = move |_: usize, call: &Call| match path(call) {
        "/groups" => ok(&groups),
        _ => ok(&people),
    };
    let peer = Peer::answering(answer).await;
    let users = users(&source(manifest(ROWS, ""), &peer.origin)).await;
    let admins: Vec<_> = users.iter().map(|user| user.is_admin).collect();
    assert_eq!(admins, [Some(false), Some(true), Some(false), Some(false)], "one row says both");
    let flags: Vec<_> = users.iter().map(|user| user.mfa_enabled).collect();
    assert_eq!(flags, [Some(false), Some(true), Some(false), None], "one row says so");
    let licenses: Vec<_> = users.iter().map(|user| user.licenses.clone().unwrap_or_default().join(" ")).collect();
    assert_eq!(licenses, ["Basic", "Basic Full Extra", "Basic", ""], "all of them");
    let seen: Vec<_> = users.iter().map(|user| user.last_active_at.map(|time| time.to_string())).collect();
    assert!(seen[1].as_ref().is_some_and(|time| time.starts_with("2026-02-01")), "the latest: {seen:?}");
    assert_eq!(users[1].display_name.as_deref(), Some("Basic"), "the first");
}

/// The users and losses of a list of `count` users, whose factors are answered like this, by the id of the user.
async fn detailed(
    count: u64,
    answer: impl Fn(&str) -> Response<Body> + Clone + Send + Sync + 'static,
) -> (Vec<SourceUser>, Vec<Loss>, usize) {
    let peer = Peer::answering(move |_, call| match path(call) {
        "/users" => ok(&records(1..=count).into()),
        one => answer(one.trim_start_matches("/users/").trim_end_matches("/factors")),
    })
    .await;
    let pages = all(&source(manifest(DETAILED, "rate_limit: {concurrency: 1}"), &peer.origin)).await.unwrap();
    let lost = pages.last().unwrap().lost.clone();
    (pages.into_iter().flat_map(|page| page.users).collect(), lost, peer.calls().len())
}

#[tokio::test]
async fn a_call_per_user_that_breaks_lastingly_is_not_made_any_more() {
    let answer = |user: &str| match user {
        "1" | "2" => ok(&json!([{"on": true}])),
        _ => respond(500, &[], r#"{"message": "Out of order"}"#),
    };
    let (users, lost, calls) = detailed(60, answer).await;
    assert_eq!(users.iter().filter(|user| user.mfa_enabled == Some(true)).count(), 2);
    let refused = users.iter().filter(|user| user.refused.contains(&UserField::MfaEnabled)).count();
    assert_eq!((users.len(), refused), (60, 57), "all but the two, and the one about whom nobody is asked");
    assert!(calls < 30, "{calls}");
    assert_eq!((lost.len(), lost[0].capability), (1, Capability::Mfa));
    assert!(lost[0].reason.as_ref().is_some_and(|reason| reason.contains("“Out of order”")), "{lost:?}");
}

#[tokio::test]
async fn a_call_per_user_that_is_broken_for_everybody_costs_its_columns() {
    for (status, body) in [(400, "{}"), (404, "{}"), (410, "{}"), (200, "<html></html>"), (200, "[")] {
        let (users, lost, calls) = detailed(60, move |_| respond(status, &[], body)).await;
        assert_eq!((users.len(), lost.len(), lost[0].capability), (60, 1, Capability::Mfa), "{status} {body}");
        assert!(users.iter().filter(|user| user.external_id != "4").all(|user| !user.refused.is_empty()));
        assert!(calls <= 26, "{status} {body}: {calls}");
    }
}

#[tokio::test]
async fn one_user_whose_answer_is_broken_costs_that_user_alone() {
    for (status, body) in [(400, "{}"), (200, "<html></html>"), (200, "x")] {
        let answer = move |user: &str| match user {
            "2" => respond(status, &[], body),
            _ => ok(&json!([{"on": true}])),
        };
        let (users, lost, _) = detailed(3, answer).await;
        let known: Vec<_> = users.iter().map(|user| user.mfa_enabled).collect();
        assert_eq!(known, [Some(true), None, Some(true)], "{status} {body}");
        assert_eq!(lost.len(), 1, "{status} {body}");
    }
}

#[tokio::test]
async fn users_about_whom_nobody_is_asked_are_told_nothing() {
    let (users, lost, _) = detailed(4, |_| ok(&json!([]))).await;
    let (excluded, asked) = (&users[3], &users[2]);
    assert_eq!((asked.mfa_enabled, excluded.mfa_enabled), (Some(false), None));
    assert!(excluded.refused.is_empty(), "the register forgets what it knew");
    assert_eq!(lost, []);
}

#[tokio::test]
async fn a_joined_list_that_ends_before_its_total_costs_its_columns() {
    let keys = "
  pages: none
  records: $
  joins:
    admins:
      path: /admins
      pages: {offset: {param: offset, total: $.total}}
      records: $.items
      key: $.id
      provides: [is_admin]
      permission: admins.read
  map: {external_id: $.id, email: $.email, status: active, is_admin: {present_in: admins}}";
    for (total, is_whole) in [(1, true), (2, false)] {
        let answer = move |_: usize, call: &Call| match (path(call), parameter(call, "offset")) {
            ("/admins", Some(0)) => ok(&json!({"items": [{"id": 1}], "total": total})),
            ("/admins", _) => ok(&json!({"items": [], "total": total})),
            _ => ok(&records(1..=2).into()),
        };
        let peer = Peer::answering(answer).await;
        let pages = all(&source(manifest(keys, ""), &peer.origin)).await.unwrap();
        let last = pages.last().unwrap();
        let admins: Vec<_> = last.users.iter().map(|user| user.is_admin).collect();
        let reasons: Vec<_> = last.lost.iter().filter_map(|loss| loss.reason.as_deref()).collect();
        if is_whole {
            assert_eq!((admins, reasons.len()), (vec![Some(true), Some(false)], 0));
        } else {
            assert_eq!(admins, [None, None], "nobody is said to be no administrator");
            assert!(reasons[0].contains("although only 1 of 2 entries have come"), "{reasons:?}");
        }
    }
}

/// What ties users to people, from a list of its own.
const PROFILES: &str = r"
  pages: none
  records: $
  joins:
    profiles:
      path: /profiles
      pages: none
      records: $
      key: $.id
      keep: {department: $.department, manager: $.manager, number: $.number, address: $.address}
      provides: [aliases, department, manager, employee_id]
      permission: profiles.read
  map:
    external_id: $.id
    email: $.email
    status: active
    source_id: $.external
    aliases: $._joined.profiles.address
    department: $._joined.profiles.department
    manager: $._joined.profiles.manager
    employee_id: $._joined.profiles.number
";

#[tokio::test]
async fn profiles_that_are_refused_cost_the_profiles_only() {
    let profile = json!([{"id": "1", "department": "Sales", "manager": "2", "number": 7, "address": "b@x.example"}]);
    for status in [200, 403] {
        let profile = profile.clone();
        let answer = move |_: usize, call: &Call| match path(call) {
            "/profiles" => respond(status, &[], profile.to_string()),
            _ => ok(&json!([{"id": "1", "email": "a@x.example", "external": "s-1"}])),
        };
        let peer = Peer::answering(answer).await;
        let pages = all(&source(manifest(PROFILES, ""), &peer.origin)).await.unwrap();
        let lost: Vec<_> = pages.last().unwrap().lost.iter().map(|loss| loss.capability).collect();
        let user = &pages[0].users[0];
        assert_eq!(user.source_id.as_deref(), Some("s-1"));
        if status == 200 {
            assert_eq!((lost, &user.refused), (vec![], &BTreeSet::new()));
            assert_eq!((user.department.as_deref(), user.manager.as_deref()), (Some("Sales"), Some("2")));
            let aliases = Some(vec!["b@x.example".to_owned()]);
            assert_eq!((user.employee_id.as_deref(), &user.aliases), (Some("7"), &aliases));
        } else {
            assert_eq!(lost, [Capability::Profile]);
            let kept = [UserField::Aliases, UserField::EmployeeId, UserField::Department, UserField::Manager];
            assert_eq!(user.refused, BTreeSet::from(kept));
        }
    }
}
