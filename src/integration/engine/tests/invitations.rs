//! A list of invitations besides the members: another path, body, paging and map.

use super::lists::path;
use super::*;
use crate::source::{Capability, ErrorClass, Loss};
use crate::user::UserStatus::{self, Active, Invited};

/// Members come from a GET with numbered pages, and invitations from a POST with cursors and records of another shape.
const INVITATIONS: &str = r#"
  page_size: {param: limit, count: 2}
  require_some: {mfa_enabled: an owner's token}
  absent: {last_active_at: never}
  joins:
    strong:
      path: /strong
      pages: none
      records: $
      key: $.id
      provides: mfa_enabled
      permission: strong.read
  details:
    seen:
      path: /members/{{record.id}}/seen
      provides: last_active_at
      permission: seen.read
  lists:
    - name: invitations
      path: /invitations
      json: {search: {state: open}}
      page_size: {json: $.size, count: 3}
      pages: {cursor: {at: $.next, json: $.after}}
      records: $.invitations
      skip_if: ["$[?@.state != 'open']"]
      permission: invitations.read
      errors: [{status: [422], is: permission}]
      map:
        external_id: {join: [{const: invitation}, $.number], with: ":"}
        email: $.address
        status: invited
    - path: /members
      pages: {page: {param: page, total: $.total}}
      records: $.members
      skip_if: ["$[?!@.email]"]
      map:
        external_id: $.id
        email: $.email
        status: active
        mfa_enabled: {present_in: strong}
        last_active_at: {from: $._details.seen.at, format: iso, known_when: "$[?@._details.seen]"}
"#;

fn invitation(number: u64, state: &str) -> Value {
    json!({"number": number, "address": format!("i{number}@example.com"), "state": state})
}

/// Three members on two pages, and what the list of invitations answers.
async fn peer(invitations: impl Fn(&Call) -> Response<Body> + Clone + Send + Sync + 'static) -> Peer {
    Peer::answering(move |_, call| match (path(call), parameter(call, "page")) {
        ("/strong", _) => ok(&json!([{"id": "1"}])),
        ("/invitations", _) => invitations(call),
        ("/members", Some(1)) => ok(&json!({"members": records(1..=2), "total": 3})),
        ("/members", Some(2)) => ok(&json!({"members": records(3..=3), "total": 3})),
        (at, _) if at.ends_with("/seen") => ok(&json!({"at": "2026-02-01T00:00:00Z"})),
        _ => respond(500, &[], "unexpected"),
    })
    .await
}

/// Two pages of invitations; the second has one that was accepted.
fn pages(call: &Call) -> Response<Body> {
    match serde_json::from_str::<Value>(&call.body).unwrap()["after"].as_str() {
        None => ok(&json!({"invitations": [invitation(1, "open"), invitation(2, "open")], "next": "x"})),
        _ => ok(&json!({"invitations": [invitation(3, "accepted")], "next": null})),
    }
}

fn found(pages: &[Page]) -> Vec<(&str, UserStatus, Option<bool>)> {
    let users = pages.iter().flat_map(|page| &page.users);
    users.map(|user| (user.external_id.as_str(), user.status, user.mfa_enabled)).collect()
}

#[tokio::test]
async fn invitations_have_a_request_records_and_a_map_of_their_own() {
    let peer = peer(pages).await;
    let listed = all(&source(manifest(INVITATIONS, ""), &peer.origin)).await.unwrap();
    let members = [("1", Active, Some(true)), ("2", Active, Some(false)), ("3", Active, Some(false))];
    let invited = [("invitation:1", Invited, None), ("invitation:2", Invited, None)];
    assert_eq!(found(&listed), [&invited[..], &members[..]].concat());
    assert_eq!(listed.last().unwrap().lost, []);
    let calls = peer.calls();
    let bodies: Vec<Value> = calls.iter().filter_map(|call| serde_json::from_str(&call.body).ok()).collect();
    let search = json!({"state": "open"});
    assert_eq!(bodies, [json!({"search": search, "size": 3}), json!({"search": search, "size": 3, "after": "x"})]);
    let lists: Vec<String> = peer.uris().into_iter().filter(|uri| !uri.ends_with("/seen")).collect();
    let members = ["/members?limit=2&page=1", "/members?limit=2&page=2"];
    assert_eq!(lists, [&["/strong", "/invitations", "/invitations"][..], &members[..]].concat());
    let seen = peer.uris().len() - lists.len();
    assert_eq!(seen, 3, "nobody asks for the details of an invitation");
    let manifest = manifest(INVITATIONS, "");
    let parts = manifest.capabilities();
    assert_eq!(parts, [Capability::Users, Capability::Invitations, Capability::LastActivity, Capability::Mfa]);
}

#[tokio::test]
async fn invitations_that_cannot_be_read_are_a_loss_with_a_name_and_the_members_are_still_whole() {
    let answers =
        [(403, true, false), (404, true, true), (422, false, false), (401, false, false), (503, false, false)];
    for (status, permission, absent) in answers {
        let peer = peer(move |_| respond(status, &[], r#"{"message": "no"}"#)).await;
        let source = source(manifest(INVITATIONS, ""), &peer.origin);
        let listed = all(&source).await.unwrap();
        let ids: Vec<_> = found(&listed).into_iter().map(|(id, ..)| id).collect();
        assert_eq!(ids, ["1", "2", "3"], "{status}");
        let [loss] = listed.last().unwrap().lost.clone().try_into().unwrap();
        let Loss { capability, missing_permission, reason, is_absent } = loss;
        assert_eq!((capability, is_absent), (Capability::Invitations, absent), "{status}");
        assert_eq!(missing_permission.is_some(), permission, "{status}");
        let reason = reason.unwrap();
        assert!(reason.contains("This was at the list “invitations”."), "{reason}");
        let checked = source.check().await.unwrap();
        assert_eq!(checked.lost.iter().map(|loss| loss.capability).collect::<Vec<_>>(), [Capability::Invitations]);
    }
}

#[tokio::test]
async fn a_list_of_invitations_that_breaks_off_keeps_what_it_had_and_resumes_where_it_was() {
    let answer = |call: &Call| match serde_json::from_str::<Value>(&call.body).unwrap()["after"].as_str() {
        None => pages(call),
        _ => respond(403, &[], "{}"),
    };
    let peer = peer(answer).await;
    let listed = all(&source(manifest(INVITATIONS, ""), &peer.origin)).await.unwrap();
    let ids: Vec<_> = found(&listed).into_iter().map(|(id, ..)| id).collect();
    assert_eq!(ids, ["invitation:1", "invitation:2", "1", "2", "3"]);
    assert_eq!(listed.last().unwrap().lost[0].capability, Capability::Invitations);

    // Another process continues behind the first page of invitations, with the cursor.
    let first = listed.iter().find(|page| !page.users.is_empty()).unwrap().next.clone();
    let peer = self::peer(pages).await;
    let rest: Vec<Page> = source(manifest(INVITATIONS, ""), &peer.origin).pages(first).try_collect().await.unwrap();
    let bodies: Vec<Value> = peer.calls().iter().filter_map(|call| serde_json::from_str(&call.body).ok()).collect();
    assert_eq!(bodies[0]["after"], "x");
    let ids: Vec<_> = found(&rest).into_iter().map(|(id, ..)| id).collect();
    assert_eq!(ids[..3], ["1", "2", "3"]);
    // The pages before are not known any more, so everything is read once more, and that is proof enough.
    assert_eq!(ids[3..], ["invitation:1", "invitation:2", "1", "2", "3"]);
    assert_eq!(rest.last().unwrap().lost, []);
}

#[tokio::test]
async fn invitations_prove_themselves_apart_from_the_members() {
    let keys = INVITATIONS.replace(
        "pages: {cursor: {at: $.next, json: $.after}}",
        "pages: {cursor: {at: $.next, json: $.after, total: $.total}}",
    );
    let peer = peer(|_| ok(&json!({"invitations": [invitation(1, "open")], "next": null, "total": 2}))).await;
    let listed = all(&source(manifest(&keys, ""), &peer.origin)).await.unwrap();
    let lost = &listed.last().unwrap().lost;
    assert_eq!(lost.iter().map(|loss| loss.capability).collect::<Vec<_>>(), [Capability::Invitations], "{lost:?}");
    assert_eq!(lost[0].reason.as_deref(), Some("The application counts 2 entries and lists 1 different ones."));
    let read = peer.uris().iter().filter(|uri| *uri == "/invitations").count();
    assert_eq!(read, 2, "it was read once more before it counted as incomplete");
}

#[tokio::test]
async fn what_an_invitation_has_proves_no_permission_for_members() {
    let keys = INVITATIONS.replace("mfa_enabled: an owner's token", "mfa_enabled: an owner's token, email: email.read");
    let keys = keys.replace("skip_if: [\"$[?!@.email]\"]", "skip_if: []");
    let peer = Peer::answering(move |_, call| match path(call) {
        "/invitations" => pages(call),
        "/strong" => ok(&json!([])),
        "/members" if parameter(call, "page") == Some(1) => ok(&json!({"members": [{"id": "1"}], "total": 1})),
        _ => ok(&json!({})),
    })
    .await;
    let error = all(&source(manifest(&keys, ""), &peer.origin)).await.unwrap_err();
    assert_eq!((error.class, error.missing_permissions), (ErrorClass::Permission, vec!["email.read".to_owned()]));
}

#[tokio::test]
async fn of_somebody_who_is_invited_and_a_member_the_member_comes_last() {
    let keys = r"
  lists:
    - {name: invitations, path: /invited, permission: p, map: {status: invited}}
    - {}
  pages: none
  records: $
  map: {external_id: $.id, email: $.email, status: active}
";
    let peer = Peer::always(200, json!(records(7..=7))).await;
    let listed = all(&source(manifest(keys, ""), &peer.origin)).await.unwrap();
    assert_eq!(found(&listed), [("7", Invited, None), ("7", Active, None)], "what is listed later counts");
}
