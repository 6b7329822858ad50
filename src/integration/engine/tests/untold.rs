//! Lists and parts that are not told: lists that may be refused, and a status that a part decides.

use super::*;
use crate::source::{Capability, ErrorClass};
use crate::user::UserField;
use crate::user::UserStatus::{Active, Invited, Suspended, Unknown};

fn path(call: &Call) -> &str {
    call.uri.split('?').next().unwrap_or_default()
}

const LISTS: &str = r"
  lists:
    - {path: /invited, map: {status: invited}}
    - {name: seats, path: /seats, permission: seats.read}
    - {}
  pages: none
  records: $
  map: {external_id: $.id, email: $.email, status: active}
";

#[tokio::test]
async fn a_list_says_the_status_and_may_be_refused() {
    for (status, is_whole) in [(200, true), (400, false), (403, false), (404, false), (503, false)] {
        let answer = move |_: usize, call: &Call| match path(call) {
            "/invited" => ok(&json!(records(1..=1))),
            "/seats" => respond(status, &[], json!(records(2..=2)).to_string()),
            _ => ok(&json!(records(3..=3))),
        };
        let peer = Peer::answering(answer).await;
        let pages = all(&source(manifest(LISTS, ""), &peer.origin)).await.unwrap();
        let lost = pages.last().unwrap().lost.clone();
        let users: Vec<_> = pages.into_iter().flat_map(|page| page.users).map(|user| user.status).collect();
        if is_whole {
            assert_eq!((users, lost.len()), (vec![Invited, Active, Active], 0));
        } else {
            assert_eq!(users, [Invited, Active], "{status}");
            let [loss] = lost.try_into().unwrap();
            let permission = (status != 503).then_some("seats.read");
            assert_eq!((loss.capability, loss.missing_permission.as_deref()), (Capability::Users, permission));
            assert!(loss.reason.unwrap().contains("This was at the list “seats”."), "{status}");
        }
    }
}

#[tokio::test]
async fn a_list_fails_the_run_if_it_is_refused_without_a_permission() {
    let answer = move |_: usize, call: &Call| match path(call) {
        "/invited" => respond(403, &[], "{}"),
        _ => ok(&json!(records(1..=1))),
    };
    let peer = Peer::answering(answer).await;
    let error = all(&source(manifest(LISTS, ""), &peer.origin)).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Permission);
}

const FROZEN: &str = r"
  pages: none
  records: $
  joins:
    frozen:
      path: /frozen
      pages: none
      records: $
      key: $.user
      on: $.id
      provides: [status]
      permission: frozen.read
  map:
    external_id: $.id
    email: $.email
    status:
      - {when: '$[?@.active == false]', then: suspended}
      - {when: '$[?@._joined.frozen]', then: suspended}
      - {when: '$[?@.active == true]', then: active}
";

#[tokio::test]
async fn a_status_that_a_refused_part_decides_is_not_told_and_what_the_record_says_is() {
    for status in [200, 403] {
        let answer = move |_: usize, call: &Call| match path(call) {
            "/frozen" => respond(status, &[], json!([{"user": "3"}]).to_string()),
            _ => ok(&json!([
                {"id": "1", "email": "a@x", "active": false},
                {"id": "2", "email": "b@x", "active": true},
                {"id": "3", "email": "c@x", "active": true},
            ])),
        };
        let peer = Peer::answering(answer).await;
        let pages = all(&source(manifest(FROZEN, ""), &peer.origin)).await.unwrap();
        let is_partial = pages.last().unwrap().lost.iter().any(|loss| loss.capability == Capability::Users);
        let found: Vec<_> = pages
            .into_iter()
            .flat_map(|page| page.users)
            .map(|user| (user.status, user.refused.contains(&UserField::Status)))
            .collect();
        let expected = match status {
            200 => [(Suspended, false), (Active, false), (Suspended, false)],
            _ => [(Suspended, false), (Unknown, true), (Unknown, true)],
        };
        assert_eq!((found, is_partial), (expected.to_vec(), status == 403));
    }
}
