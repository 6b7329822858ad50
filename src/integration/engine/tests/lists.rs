//! Several lists of users, lists joined by id, and calls per user.

use super::*;
use crate::source::{Capability, Loss};
use crate::user::SourceUser;

pub(super) fn path(call: &Call) -> &str {
    call.uri.split('?').next().unwrap_or_default()
}

pub(super) async fn users(source: &HttpSource) -> Vec<SourceUser> {
    all(source).await.unwrap().into_iter().flat_map(|page| page.users).collect()
}

fn loss(capability: Capability, permission: &str) -> Loss {
    Loss::new(capability, Some(permission.to_owned()), None)
}

/// Users joined with a list `admins` that has pages of its own.
pub(super) const JOINED: &str = r"
  pages: none
  records: $
  joins:
    admins:
      path: /admins
      query: {role: admin}
      pages: {cursor: {at: $.next, param: after}}
      records: $.items
      key: $.user.id
      on: $.id
      keep: {seat: $.seat}
      provides: [is_admin, licenses]
      permission: admins.read
  map:
    external_id: $.id
    email: $.email
    status: active
    is_admin: {present_in: admins}
    licenses: $._joined.admins.seat
";

#[tokio::test]
async fn several_lists_are_read_in_order_and_pages_are_counted_over_all() {
    let answer = |_: usize, call: &Call| match (path(call), parameter(call, "status"), parameter(call, "page")) {
        ("/users", Some(1), Some(1)) => ok(&json!({"users": records(1..=2), "total": 3})),
        ("/users", Some(1), Some(2)) => ok(&json!({"users": records(3..=3), "total": 3})),
        ("/users", Some(2), Some(1)) => ok(&json!({"users": records(4..=4), "total": 1})),
        ("/guests", Some(0), Some(1)) => ok(&json!({"users": [], "total": 0})),
        _ => respond(500, &[], "unexpected"),
    };
    let peer = Peer::answering(answer).await;
    let keys = "  query: {status: '0'}\n  lists: [{query: {status: '1'}}, {query: {status: '2'}}, {path: /guests}]\n  pages: {page: {param: page, total: $.total}}\n  records: $.users";
    let source = source(manifest(keys, ""), &peer.origin);

    let pages = all(&source).await.unwrap();
    let found: Vec<Vec<&str>> =
        pages.iter().map(|page| page.users.iter().map(|user| user.external_id.as_str()).collect()).collect();
    assert_eq!(found, [vec!["1", "2"], vec!["3"], vec!["4"], vec![]]);
    assert_eq!(
        peer.uris(),
        ["/users?status=1&page=1", "/users?status=1&page=2", "/users?status=2&page=1", "/guests?status=0&page=1"]
    );

    // An interrupted run resumes in the same list.
    let rest: Vec<Page> = source.pages(pages[1].next.clone()).try_collect().await.unwrap();
    assert_eq!(rest.len(), 2);
    assert_eq!(peer.uris()[4..], ["/users?status=2&page=1", "/guests?status=0&page=1"]);
}

#[tokio::test]
async fn the_same_user_on_two_lists_is_no_circle() {
    let peer = Peer::always(200, json!({"users": records(1..=2)})).await;
    let keys = "  lists: [{query: {a: '1'}}, {query: {a: '2'}}]\n  pages: none\n  records: $.users";
    assert_eq!(ids(&source(manifest(keys, ""), &peer.origin)).await.unwrap(), ["1", "2", "1", "2"]);
}

#[tokio::test]
async fn a_joined_list_is_read_before_the_users_and_tells_what_they_do_not() {
    let answer = |_: usize, call: &Call| match call.uri.as_str() {
        "/admins?role=admin" => ok(&json!({"items": [{"user": {"id": 7}, "seat": "full"}], "next": "x"})),
        "/admins?role=admin&after=x" => ok(&json!({"items": [{"user": {"id": 2}, "seat": "view"}], "next": null})),
        "/users" => ok(&records(1..=2).into()),
        _ => respond(500, &[], "unexpected"),
    };
    let peer = Peer::answering(answer).await;
    let users = users(&source(manifest(JOINED, ""), &peer.origin)).await;
    assert_eq!(peer.uris(), ["/admins?role=admin", "/admins?role=admin&after=x", "/users"]);
    assert_eq!(users.iter().map(|user| user.is_admin).collect::<Vec<_>>(), [Some(false), Some(true)]);
    assert_eq!(users[0].licenses, Some(vec![]));
    assert_eq!(users[1].licenses, Some(vec!["view".to_owned()]));
}

#[tokio::test]
async fn a_joined_list_that_is_refused_costs_its_columns_and_not_the_run() {
    let answer = |_: usize, call: &Call| match path(call) {
        "/admins" => respond(403, &[], r#"{"message": "no"}"#),
        _ => ok(&records(1..=2).into()),
    };
    let peer = Peer::answering(answer).await;
    let source = source(manifest(JOINED, ""), &peer.origin);
    let pages = all(&source).await.unwrap();
    let reason = "The credential may not list users (HTTP 403). It needs: admins.read. It said: “no”. This was at \
                  the list “admins”.";
    let lost = [loss(Capability::AdminRoles, "admins.read"), loss(Capability::Licenses, "admins.read")];
    let lost = lost.map(|loss| Loss { reason: Some(reason.to_owned()), ..loss });
    assert_eq!(pages.last().unwrap().lost, lost);
    let users: Vec<_> = pages.into_iter().flat_map(|page| page.users).collect();
    assert!(users.iter().all(|user| user.is_admin.is_none() && user.licenses.is_none()), "{users:?}");
    assert_eq!(source.check().await.unwrap().lost, lost, "the check tells it beforehand");
}

/// One call per user returns the second factors.
pub(super) const DETAILED: &str = r"
  pages: none
  records: $
  skip_if: ['$[?@.bot == true]']
  details:
    factors:
      path: /users/{{record.id}}/factors
      query: {of: '{{record.email}}'}
      when: $[?@.id != '4']
      provides: mfa_enabled
      permission: factors.read
  map:
    external_id: $.id
    email: $.email
    status: active
    mfa_enabled: {any: '$[?@._details.factors[?@.on == true]]'}
";

#[tokio::test]
async fn calls_per_user_survive_a_user_of_whom_the_application_knows_nothing() {
    let answer = |_: usize, call: &Call| match path(call) {
        "/users" => {
            let mut list = records(1..=4);
            list.push(json!({"id": "b/../1", "email": null, "bot": false}));
            list.push(json!({"id": "9", "bot": true}));
            ok(&list.into())
        }
        "/users/1/factors" => ok(&json!([{"on": true}])),
        "/users/2/factors" => ok(&json!([])),
        "/users/3/factors" => respond(404, &[], "{}"),
        "/users/b%2F..%2F1/factors" => ok(&json!([{"on": false}])),
        _ => respond(500, &[], "unexpected"),
    };
    let peer = Peer::answering(answer).await;
    let users = users(&source(manifest(DETAILED, ""), &peer.origin)).await;
    let known: Vec<Option<bool>> = users.iter().map(|user| user.mfa_enabled).collect();
    assert_eq!(known, [Some(true), Some(false), None, None, Some(false)]);
    let mut uris = peer.uris();
    uris.sort();
    assert_eq!(uris.len(), 5, "nobody asks about bots, and about those for whom it is not worth it: {uris:?}");
    assert!(uris.contains(&"/users/1/factors?of=1%40example.com".to_owned()), "{uris:?}");
}

#[tokio::test]
async fn calls_per_user_that_are_refused_end_for_the_run() {
    let answer = |_: usize, call: &Call| match path(call) {
        "/users" if parameter(call, "page") == Some(1) => ok(&json!(records(1..=1))),
        "/users" if parameter(call, "page") == Some(2) => ok(&json!(records(2..=3))),
        "/users" => ok(&json!([])),
        _ => respond(403, &[], "{}"),
    };
    let peer = Peer::answering(answer).await;
    let keys = DETAILED.replace("pages: none", "pages: {page: {param: page}}");
    let pages = all(&source(manifest(&keys, ""), &peer.origin)).await.unwrap();
    let lost = &pages.last().unwrap().lost;
    assert_eq!((lost.len(), lost[0].missing_permission.as_deref()), (1, Some("factors.read")), "{lost:?}");
    assert!(pages.iter().flat_map(|page| &page.users).all(|user| user.mfa_enabled.is_none()));
    assert_eq!(peer.uris().iter().filter(|uri| uri.contains("factors")).count(), 1, "{:?}", peer.uris());
}

#[tokio::test]
async fn one_user_about_whom_nothing_is_said_is_no_missing_permission() {
    let answer = |_: usize, call: &Call| match path(call) {
        "/users" => ok(&records(1..=3).into()),
        "/users/2/factors" => respond(403, &[], "{}"),
        _ => ok(&json!([{"on": true}])),
    };
    let peer = Peer::answering(answer).await;
    let pages = all(&source(manifest(DETAILED, ""), &peer.origin)).await.unwrap();
    assert_eq!(pages.last().unwrap().lost, []);
    let known: Vec<_> = pages.iter().flat_map(|page| &page.users).map(|user| user.mfa_enabled).collect();
    assert_eq!(known, [Some(true), None, Some(true)]);
}

#[tokio::test]
async fn a_large_page_shows_signs_of_life_while_its_users_are_completed() {
    let answer = |_: usize, call: &Call| match path(call) {
        "/users" => ok(&records(1..=60).into()),
        _ => ok(&json!([])),
    };
    let peer = Peer::answering(answer).await;
    let pages = all(&source(manifest(DETAILED, ""), &peer.origin)).await.unwrap();
    let sizes: Vec<usize> = pages.iter().map(|page| page.users.len()).collect();
    assert_eq!(sizes, [0, 0, 0, 60]);
    assert!(pages[..3].iter().all(|page| page.next.is_some()));
}

#[tokio::test]
async fn a_further_call_may_have_error_rules_of_its_own() {
    let answer = |_: usize, call: &Call| match path(call) {
        "/admins" => respond(422, &[], "{}"),
        _ => ok(&records(1..=2).into()),
    };
    let peer = Peer::answering(answer).await;
    let keys = JOINED
        .replace("permission: admins.read", "permission: admins.read\n      errors: [{status: [422], is: permission}]");
    let pages = all(&source(manifest(&keys, ""), &peer.origin)).await.unwrap();
    assert_eq!(pages.last().unwrap().lost.len(), 2);
}

#[tokio::test]
async fn calls_per_user_keep_to_the_number_that_may_be_under_way() {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (inside, peak) = (Arc::clone(&now), Arc::clone(&most));
    let app = Router::new().fallback(move |request: Request| {
        let (inside, peak) = (Arc::clone(&inside), Arc::clone(&peak));
        async move {
            if request.uri().path() == "/users" {
                return ok(&records(1..=30).into());
            }
            peak.fetch_max(inside.fetch_add(1, SeqCst) + 1, SeqCst);
            tokio::time::sleep(Duration::from_millis(5)).await;
            inside.fetch_sub(1, SeqCst);
            ok(&json!([]))
        }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    let found = users(&source(manifest(DETAILED, "rate_limit: {concurrency: 3}"), &origin)).await;
    assert_eq!(found.len(), 30);
    assert_eq!(most.load(SeqCst), 3);
}
