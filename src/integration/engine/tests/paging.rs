//! Each kind of paging reads the complete list, with the expected number of requests, and never ends early.

use futures_util::TryStreamExt as _;
use serde_json::json;

use super::*;
use crate::source::ErrorClass;

/// A page of a list of `total` users. It has at most `cap` users, even if more are requested.
fn slice(start: u64, asked: Option<u64>, cap: u64, total: u64) -> Vec<Value> {
    let size = asked.unwrap_or(cap).min(cap);
    records((start..start + size).take_while(|number| *number < total))
}

/// What two readings pass on.
fn twice(mut ids: Vec<String>) -> Vec<String> {
    ids.extend_from_within(..);
    ids
}

#[tokio::test]
async fn an_offset_goes_on_by_the_records_that_came_and_ends_at_the_total() {
    let peer = Peer::answering(|_, call| {
        let start = parameter(call, "skip").unwrap();
        ok(&json!({"users": slice(start, parameter(call, "limit"), 4, 10), "total": "10"}))
    })
    .await;
    let users =
        "  page_size: {param: limit, count: 5}\n  pages: {offset: {param: skip, total: $.total}}\n  records: $.users";
    let source = source(manifest(users, ""), &peer.origin);
    assert_eq!(ids(&source).await.unwrap(), numbers(0..10));
    assert_eq!(peer.uris(), ["/users?limit=5&skip=0", "/users?limit=5&skip=4", "/users?limit=5&skip=8"]);
}

#[tokio::test]
async fn an_offset_without_a_total_ends_at_an_empty_page() {
    let peer = Peer::answering(|_, call| ok(&json!(slice(parameter(call, "startAt").unwrap(), None, 4, 8)))).await;
    let source = source(manifest("  pages: {offset: {param: startAt}}\n  records: $", ""), &peer.origin);
    assert_eq!(ids(&source).await.unwrap(), twice(numbers(0..8)));
    let uris = ["/users?startAt=0", "/users?startAt=4", "/users?startAt=8", "/users?startAt=12"];
    assert_eq!(peer.uris()[..4], uris, "one page more is asked for, because a page may be empty in the middle");
    assert_eq!(peer.uris()[4..], uris, "without a total, several pages are read twice");
}

#[tokio::test]
async fn an_offset_ends_when_there_is_no_more() {
    let peer = Peer::answering(|_, call| {
        let start = parameter(call, "offset").unwrap();
        ok(&json!({"users": slice(start, None, 4, 7), "more": start < 4}))
    })
    .await;
    let users = "  pages: {offset: {param: offset, more: '$[?@.more == true]'}}\n  records: $.users";
    assert_eq!(ids(&source(manifest(users, ""), &peer.origin)).await.unwrap(), twice(numbers(0..7)));
    assert_eq!(peer.calls().len(), 4, "two readings");
}

#[tokio::test]
async fn a_total_may_be_missing_where_a_flag_says_what_follows() {
    for kind in ["offset: {param: offset, ", "page: {param: page, "] {
        let peer = Peer::always(200, json!({"users": records([1, 2]), "total": null, "more": false})).await;
        let users = format!("  pages: {{{kind}total: $.total, more: '$[?@.more == true]'}}}}\n  records: $.users");
        assert_eq!(ids(&source(manifest(&users, ""), &peer.origin)).await.unwrap(), ["1", "2"]);
    }
}

#[tokio::test]
async fn numbered_pages_end_at_the_last_one() {
    let peer = Peer::answering(|_, call| {
        let page = parameter(call, "page[number]").unwrap();
        ok(&json!({"users": slice(page * 3, None, 3, 8), "pages": {"last": 2}}))
    })
    .await;
    let users = "  pages: {page: {param: 'page[number]', start: 0, last: $.pages.last}}\n  records: $.users";
    assert_eq!(ids(&source(manifest(users, ""), &peer.origin)).await.unwrap(), twice(numbers(0..8)));
    assert_eq!(peer.calls().len(), 6, "two readings");
}

#[tokio::test]
async fn a_cursor_ends_only_when_none_is_given_not_at_an_empty_page() {
    let peer = Peer::answering(|_, call| match call.uri.as_str() {
        "/users?limit=2" => ok(&json!({"users": records([1, 2]), "meta": {"next": "a/b=="}})),
        "/users?limit=2&cursor=a%2Fb%3D%3D" => ok(&json!({"users": [], "meta": {"next": "c"}})),
        "/users?limit=2&cursor=c" => ok(&json!({"users": records([3]), "meta": {"next": ""}})),
        other => panic!("{other}"),
    })
    .await;
    let users = "  page_size: {param: limit, count: 2}\n  pages: {cursor: {at: $.meta.next, param: cursor}}\n  records: $.users";
    assert_eq!(ids(&source(manifest(users, ""), &peer.origin)).await.unwrap(), ["1", "2", "3"]);
}

#[tokio::test]
async fn a_next_address_may_be_relative_and_is_guarded_by_a_flag() {
    let peer = Peer::answering(|_, call| match call.uri.as_str() {
        "/api/users?kind=all" => ok(&json!({"users": records([1]), "next": "more?after=1", "has_more": true})),
        "/api/more?after=1" => ok(&json!({"users": records([2]), "next": "/api/more?after=2", "has_more": false})),
        other => panic!("{other}"),
    })
    .await;
    let users =
        "  query: {kind: all}\n  pages: {next_url: {at: $.next, more: '$[?@.has_more == true]'}}\n  records: $.users";
    assert_eq!(ids(&source(manifest(users, ""), &format!("{}/api//", peer.origin))).await.unwrap(), ["1", "2"]);
}

#[tokio::test]
async fn a_link_header_is_followed_until_its_parameter_stops_it() {
    let peer = Peer::answering(|_, call| {
        let (ids, link) = match parameter(call, "cursor") {
            None => (
                records([1, 2]),
                r#"</users?cursor=0>; rel="previous"; results="false", </users?cursor=1>; rel="next"; results="true""#,
            ),
            Some(1) => (records([3]), r#"</users?cursor=2>; results="false"; rel="next""#),
            other => panic!("{other:?}"),
        };
        respond(200, &[("link", link)], json!(ids).to_string())
    })
    .await;
    let users = "  pages: {link_header: {stop_param: {results: 'false'}}}\n  records: $";
    assert_eq!(ids(&source(manifest(users, ""), &peer.origin)).await.unwrap(), ["1", "2", "3"]);
}

#[tokio::test]
async fn an_address_on_another_origin_is_not_called() {
    let elsewhere = Peer::always(200, json!([])).await;
    let link = format!("<{}/users?page=2>; rel=next", elsewhere.origin);
    let peer = Peer::answering(move |_, _| respond(200, &[("link", &link)], json!(records([1])).to_string())).await;
    let error = ids(&source(manifest("  pages: {link_header: {}}\n  records: $", ""), &peer.origin)).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Config);
    assert_eq!(peer.uris(), ["/users", "/users?page=2"], "it is looked for on the own host");
    assert!(elsewhere.calls().is_empty());
}

#[tokio::test]
async fn lists_that_run_in_a_circle_fail() {
    let users = "  pages: {cursor: {at: $.next, param: cursor}}\n  records: $.users";
    let same_cursor = Peer::always(200, json!({"users": records([1]), "next": "again"})).await;
    let error = ids(&source(manifest(users, ""), &same_cursor.origin)).await.unwrap_err();
    assert_eq!((error.class, same_cursor.calls().len()), (ErrorClass::Config, 2), "{}", error.message);

    let long_circle =
        Peer::answering(|number, _| ok(&json!({"users": [], "next": format!("cursor-{}", number % 100)}))).await;
    let error = ids(&source(manifest(users, ""), &long_circle.origin)).await.unwrap_err();
    assert!(error.message.contains("read before"), "{}", error.message);
    assert!(long_circle.calls().len() < 400, "{}", long_circle.calls().len());

    let constant = Peer::always(200, json!(records([1, 2]))).await;
    let users = "  pages: {offset: {param: startAt}}\n  records: $";
    let error = ids(&source(manifest(users, ""), &constant.origin)).await.unwrap_err();
    assert!(error.message.starts_with("Page 2 of") && error.message.contains("same users"), "{}", error.message);
}

#[tokio::test]
async fn repetitions_within_a_page_are_dropped_and_move_the_list_on_once() {
    let peer = Peer::answering(|_, call| {
        let page = slice(parameter(call, "offset").unwrap(), None, 4, 10);
        let doubled: Vec<_> = page.iter().chain(&page).cloned().collect();
        ok(&json!({"users": doubled, "total": 10}))
    })
    .await;
    let users = "  pages: {offset: {param: offset, total: $.total}}\n  records: $.users";
    assert_eq!(ids(&source(manifest(users, ""), &peer.origin)).await.unwrap(), numbers(0..10));
}

#[tokio::test]
async fn a_checkpoint_resumes_in_another_process_with_counts_and_loop_guard() {
    let peer = Peer::answering(|_, call| {
        ok(&json!({"users": slice(parameter(call, "offset").unwrap(), None, 4, 10), "total": 10}))
    })
    .await;
    let users = "  pages: {offset: {param: offset, total: $.total}}\n  records: $.users";
    let first = source(manifest(users, ""), &peer.origin);
    let page = first.pages(None).try_next().await.unwrap().unwrap();
    assert_eq!(page.expected, Some(10));
    let checkpoint = serde_json::from_str(&page.next.unwrap().to_string()).unwrap();

    let second = source(manifest(users, ""), &peer.origin);
    let rest: Vec<Page> = second.pages(Some(checkpoint)).try_collect().await.unwrap();
    let ids: Vec<_> = rest.into_iter().flat_map(|page| page.users).map(|user| user.external_id).collect();
    assert_eq!(ids, numbers(4..10));
}

#[tokio::test]
async fn a_checkpoint_that_the_application_forgot_begins_the_list_anew() {
    let peer = Peer::answering(|number, call| match (number, parameter(call, "cursor")) {
        (1, _) | (_, None) => ok(&json!({"users": records([1]), "next": "7"})),
        (2, Some(7)) => respond(410, &[], json!({"message": "cursor expired"}).to_string()),
        (_, Some(_)) => ok(&json!({"users": records([2])})),
    })
    .await;
    let users = "  pages: {cursor: {at: $.next, param: cursor}}\n  records: $.users";
    let source = source(manifest(users, ""), &peer.origin);
    let first = source.pages(None).try_next().await.unwrap().unwrap();
    let rest: Vec<Page> = source.pages(first.next).try_collect().await.unwrap();
    assert_eq!(rest.iter().map(|page| page.users.len()).sum::<usize>(), 2);
    let foreign: Vec<Page> = source.pages(Some(json!({"page": 3}))).try_collect().await.unwrap();
    assert_eq!(foreign.len(), 2, "a checkpoint of another kind counts as none");
}

#[tokio::test]
async fn a_check_asks_for_one_record() {
    let peer = Peer::always(200, json!({"users": records([1]), "total": 10})).await;
    let users =
        "  page_size: {param: limit, count: 50}\n  pages: {offset: {param: skip, total: $.total}}\n  records: $.users";
    let verified = source(manifest(users, ""), &peer.origin).check().await.unwrap();
    assert_eq!(verified.tenant.as_deref(), peer.origin.strip_prefix("http://"));
    assert_eq!(peer.uris(), ["/users?limit=1&skip=0"]);
}

#[tokio::test]
async fn a_list_that_gets_shorter_while_it_is_read_skips_nobody() {
    // After the first page, users 1 and 2 are deleted, and all others move up.
    let shrinking = |number: usize, from: u64, size: u64| {
        let gone = if number == 1 { 0 } else { 2 };
        let first = gone + from + 1;
        json!({"users": records(first..=(first + size - 1).min(10)), "total": 10 - gone})
    };
    let everybody: std::collections::BTreeSet<String> = numbers(1..=10).into_iter().collect();

    let answer = move |number: usize, call: &Call| ok(&shrinking(number, parameter(call, "from").unwrap(), 4));
    let peer = Peer::answering(answer).await;
    let offset = manifest("  pages: {offset: {param: from, total: $.total}}\n  records: $.users", "");
    let found = ids(&source(offset, &peer.origin)).await.unwrap();
    assert_eq!(found.into_iter().collect::<std::collections::BTreeSet<_>>(), everybody);
    assert_eq!(peer.uris(), ["/users?from=0", "/users?from=4", "/users?from=2", "/users?from=6"]);

    let answer = move |number: usize, call: &Call| ok(&shrinking(number, (parameter(call, "p").unwrap() - 1) * 4, 4));
    let peer = Peer::answering(answer).await;
    let paged = manifest("  pages: {page: {param: p, total: $.total}}\n  records: $.users", "");
    let found = ids(&source(paged, &peer.origin)).await.unwrap();
    assert_eq!(found.into_iter().collect::<std::collections::BTreeSet<_>>(), everybody);
    assert_eq!(peer.uris(), ["/users?p=1", "/users?p=2", "/users?p=1", "/users?p=2"]);
}

#[tokio::test]
async fn a_numbered_list_that_gets_shorter_before_a_short_or_an_empty_page_skips_nobody() {
    // 10 users on pages of 4. Before the last page is read, the first 2 or 4 users are deleted.
    for gone in [2, 4] {
        let answer = move |number: usize, call: &Call| {
            let gone = if number < 3 { 0 } else { gone };
            let first = gone + (parameter(call, "p").unwrap() - 1) * 4 + 1;
            ok(&json!({"users": records(first..=(first + 3).min(10)), "total": 10 - gone}))
        };
        let peer = Peer::answering(answer).await;
        let paged = manifest("  pages: {page: {param: p, total: $.total}}\n  records: $.users", "");
        let found = ids(&source(paged, &peer.origin)).await.unwrap();
        let found: std::collections::BTreeSet<_> = found.into_iter().collect();
        assert_eq!(found, numbers(1..=10).into_iter().collect());
        assert_eq!(peer.uris()[2..], ["/users?p=3", "/users?p=1", "/users?p=2"]);
    }
}

#[tokio::test]
async fn a_list_whose_end_is_not_proven_is_not_complete() {
    let cursor = "  pages: {cursor: {at: $.next, param: after, more: '$[?@.more == true]'}}\n  records: $.users";
    let cases = [
        (cursor, json!({"users": records(1..=2), "more": true, "next": null}), "more users, but not where"),
        (cursor, json!({"users": records(1..=2), "next": "x"}), "the field that `more` tests is missing"),
        (cursor, json!({"users": records(1..=2), "more": true, "next": {"id": 1}}), "neither a text nor a number"),
        (
            "  pages: {next_url: {at: $.next}}\n  records: $.users",
            json!({"users": records(1..=2), "next": ["/users?page=2"]}),
            "neither a text nor a number",
        ),
    ];
    for (keys, answer, clause) in cases {
        let peer = Peer::always(200, answer).await;
        let error = ids(&source(manifest(keys, ""), &peer.origin)).await.unwrap_err();
        assert!(error.message.contains(clause), "{}", error.message);
    }
    let linked = Peer::answering(|number, _| {
        let link = [("link", "</users?page=2>; title=\"é\"; rel=\"next\"")];
        let number = u64::try_from(number).unwrap();
        respond(200, if number == 1 { &link } else { &[] }, json!(records(number..=number)).to_string())
    })
    .await;
    let keys = "  pages: {link_header: {}}\n  records: $";
    assert_eq!(ids(&source(manifest(keys, ""), &linked.origin)).await.unwrap(), ["1", "2"]);
}

#[tokio::test]
async fn an_endless_cursor_ends_with_an_error() {
    let answer = |number: usize, _: &Call| ok(&json!({"users": [], "next": format!("c{number}")}));
    let peer = Peer::answering(answer).await;
    let endless = manifest("  pages: {cursor: {at: $.next, param: after}}\n  records: $.users", "");
    let error = ids(&source(endless, &peer.origin)).await.unwrap_err();
    assert!(error.message.contains("1000 empty pages in a row"), "{}", error.message);
    assert_eq!(peer.calls().len(), 1001);
}
