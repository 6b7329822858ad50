//! Pages that are too large, positions that have expired, and errors beside data.

use super::*;
use crate::source::{Advice, Capability, ErrorClass};

/// A list of GraphQL with 100 people a page.
const GRAPHQL: &str = r#"
  json: {query: "query { users }", variables: {after: null}}
  page_size: {json: $.variables.count, count: 100}
  pages: {cursor: {at: $.data.next, json: $.variables.after}}
  records: $.data.users"#;

fn count(call: &Call) -> u64 {
    serde_json::from_str::<Value>(&call.body).unwrap()["variables"]["count"].as_u64().unwrap()
}

#[tokio::test]
async fn a_page_that_is_too_costly_is_asked_for_with_fewer_records() {
    let costly = [
        json!({"type": "RESOURCE_LIMITS_EXCEEDED", "message": "This query costs more than is allowed."}),
        json!({"extensions": {"code": "MAX_NODE_LIMIT_EXCEEDED"}, "message": "Too many nodes."}),
        json!({"extensions": {"type": "QueryComplexity"}, "message": "No."}),
        json!({"message": "Query cost of 2000 exceeds the maximum."}),
    ];
    for error in costly {
        let peer = Peer::answering(move |number, call| match (count(call), number) {
            (51.., _) => ok(&json!({"data": {"users": records(1..=1)}, "errors": [error]})),
            (26.., 3..) => respond(413, &[], "{}"),
            (_, 2) => ok(&json!({"data": {"users": records(1..=2), "next": "b"}})),
            _ => ok(&json!({"data": {"users": records(3..=3)}})),
        })
        .await;
        assert_eq!(ids(&source(manifest(GRAPHQL, ""), &peer.origin)).await.unwrap(), ["1", "2", "3"]);
        let asked: Vec<u64> = peer.calls().iter().map(count).collect();
        assert_eq!(asked, [100, 50, 50, 25], "the smaller size is remembered");
    }
}

#[tokio::test]
async fn a_page_of_one_that_is_too_costly_fails_and_says_why() {
    let errors = json!([{"type": "RESOURCE_LIMITS_EXCEEDED", "message": "It costs more than is allowed."}]);
    let peer = Peer::always(200, json!({"data": null, "errors": errors})).await;
    let error = ids(&source(manifest(GRAPHQL, ""), &peer.origin)).await.unwrap_err();
    assert_eq!((error.class, error.advice), (ErrorClass::Transient, Advice::SmallerPage));
    assert!(error.message.contains("“It costs more than is allowed.”"), "{error}");
    assert_eq!(peer.calls().iter().map(count).collect::<Vec<_>>(), [100, 50, 25, 12, 6, 3, 1]);
}

#[tokio::test]
async fn a_manifest_can_say_what_is_too_large_and_what_has_expired() {
    let rules =
        "errors: [{status: [400], text: narrow your search, is: too_large}, {status: [409], is: position_expired}]";
    let users =
        "  page_size: {param: limit, count: 8}\n  pages: {offset: {param: skip, total: $.total}}\n  records: $.users";
    let peer = Peer::answering(|_, call| {
        let (skip, limit) = (parameter(call, "skip").unwrap(), parameter(call, "limit").unwrap());
        if limit > 4 {
            return respond(400, &[("content-type", "text/html")], "<p>Please narrow your search</p>");
        }
        ok(&json!({"users": records(skip..(skip + limit).min(6)), "total": 6}))
    })
    .await;
    assert_eq!(ids(&source(manifest(users, rules), &peer.origin)).await.unwrap(), numbers(0..6));
    let peer = Peer::always(409, json!({})).await;
    let error = ids(&source(manifest(users, rules), &peer.origin)).await.unwrap_err();
    assert_eq!((error.advice, error.class), (Advice::ReadAgain, ErrorClass::Transient));
}

#[tokio::test]
async fn pages_by_number_begin_again_when_their_size_changes() {
    let users =
        "  page_size: {param: per_page, count: 4}\n  pages: {page: {param: page, last: $.last}}\n  records: $.users";
    let peer = Peer::answering(|_, call| {
        let (page, size) = (parameter(call, "page").unwrap(), parameter(call, "per_page").unwrap());
        if page == 2 && size > 2 {
            return respond(413, &[], "{}");
        }
        ok(&json!({"users": records((page - 1) * size..(page * size).min(6)), "last": 6_u64.div_ceil(size)}))
    })
    .await;
    let users = ids(&source(manifest(users, ""), &peer.origin)).await;
    if let Err(error) = users {
        assert_eq!(error.advice, Advice::ReadAgain, "{error}");
    }
}

#[tokio::test]
async fn an_answer_with_errors_beside_data_is_not_whole() {
    use ErrorClass::{Config, Permission, RateLimit, Token, Transient};
    let cases = [
        (json!({"type": "SOMETHING_NEW", "message": "A part is missing."}), Transient),
        (json!({"extensions": {"code": "INTERNAL_SERVER_ERROR"}, "message": "A part is missing."}), Transient),
        (json!({"extensions": {"code": "RATELIMITED"}, "message": "A part is missing."}), RateLimit),
        (json!({"extensions": {"code": "THROTTLED"}, "message": "A part is missing."}), RateLimit),
        (json!({"extensions": {"code": "UNAUTHENTICATED"}, "message": "A part is missing."}), Token),
        (json!({"extensions": {"code": "FORBIDDEN"}, "message": "A part is missing."}), Permission),
        (json!({"extensions": {"code": "GRAPHQL_VALIDATION_FAILED"}, "message": "A part is missing."}), Config),
    ];
    for (fault, class) in cases {
        let peer = Peer::always(200, json!({"data": {"users": records(1..=2)}, "errors": [fault]})).await;
        let error = ids(&source(manifest(GRAPHQL, ""), &peer.origin)).await.unwrap_err();
        assert_eq!(error.class, class, "{fault}: {error}");
        assert!(error.message.contains("“A part is missing.”"), "{error}");
    }
    let peer = Peer::always(200, json!({"errors": [{"message": "Field 'x' is unknown."}]})).await;
    let error = ids(&source(manifest(GRAPHQL, ""), &peer.origin)).await.unwrap_err();
    assert_eq!(error.class, Config, "{error}");

    let whole = json!({"data": {"users": records(1..=1)}, "errors": []});
    let peer = Peer::always(200, whole).await;
    assert_eq!(ids(&source(manifest(GRAPHQL, ""), &peer.origin)).await.unwrap(), ["1"]);
    let tolerant = "errors: [{when: \"$[?@.errors[?@.message == 'no']]\", is: config, message: As told.}]";
    let peer = Peer::always(200, json!({"data": {"users": []}, "errors": [{"message": "no"}]})).await;
    let error = ids(&source(manifest(GRAPHQL, tolerant), &peer.origin)).await.unwrap_err();
    assert!(error.message.starts_with("As told."), "{error}");
}

/// Users, and a list of administrators in pages.
const JOINED: &str = "
  pages: none
  records: $.users
  joins:
    admins:
      path: /admins
      pages: {cursor: {at: $.next, param: after}}
      records: $.items
      key: $.id
      provides: is_admin
      permission: admins.read
  map: {external_id: $.id, email: $.email, status: active, is_admin: {present_in: admins}}";

#[tokio::test]
async fn a_join_whose_position_expired_is_read_again_once() {
    let faults = [
        (400, json!({"error": {"code": "Directory_ExpiredPageToken", "message": "The page token is too old."}})),
        (400, json!({"error": "invalid_cursor"})),
        (404, json!({})),
        (410, json!({})),
    ];
    for (status, fault) in faults {
        for lasting in [false, true] {
            let body = fault.to_string();
            let peer = Peer::answering(move |number, call| match call.uri.as_str() {
                "/admins" => ok(&json!({"items": [{"id": "1"}], "next": "b"})),
                "/admins?after=b" if lasting || number == 2 => respond(status, &[], body.clone()),
                "/admins?after=b" => ok(&json!({"items": [{"id": "3"}]})),
                _ => ok(&json!({"users": records(1..=3)})),
            })
            .await;
            let pages = all(&source(manifest(JOINED, ""), &peer.origin)).await.unwrap();
            let users: Vec<_> = pages.iter().flat_map(|page| &page.users).map(|user| user.is_admin).collect();
            let lost: Vec<_> = pages.last().unwrap().lost.iter().map(|loss| loss.capability).collect();
            assert_eq!(peer.calls().len(), 5, "{fault}");
            if lasting {
                assert_eq!((users, lost), (vec![None; 3], vec![Capability::AdminRoles]), "{fault}");
            } else {
                assert_eq!((users, lost), (vec![Some(true), Some(false), Some(true)], vec![]), "{fault}");
            }
        }
    }
}
