//! A list counts as complete only if its ids prove it. Otherwise it is read again, and then reported as incomplete.

use std::collections::BTreeSet;

use futures_util::TryStreamExt as _;
use serde_json::json;

use super::*;
use crate::source::Capability;

/// What is wrong with the list, by the last page of a listing.
async fn doubt(source: &HttpSource) -> Option<String> {
    let last = all(source).await.unwrap().pop().unwrap();
    let users = last.lost.into_iter().find(|loss| loss.capability == Capability::Users);
    users.map(|loss| loss.reason.unwrap())
}

/// An application whose list is `list(reading, offset)`, where the reading is counted by requests for offset 0.
async fn offsets(list: impl Fn(usize, usize) -> Value + Clone + Send + Sync + 'static) -> Peer {
    let readings = Arc::new(Mutex::new(0));
    Peer::answering(move |_, call| {
        let offset = parameter(call, "offset").unwrap();
        let mut reading = readings.lock();
        *reading += usize::from(offset == 0);
        ok(&list(*reading, usize::try_from(offset).unwrap()))
    })
    .await
}

/// A page of at most 10 of these users.
fn part(users: &[u64], offset: usize) -> Vec<Value> {
    records(users.iter().copied().skip(offset).take(10))
}

const COUNTED: &str =
    "  page_size: {param: limit, count: 10}\n  pages: {offset: {param: offset, total: $.total}}\n  records: $.users";
const UNCOUNTED: &str =
    "  page_size: {param: limit, count: 10}\n  pages: {offset: {param: offset}}\n  records: $.users";

fn counted() -> Manifest {
    manifest(COUNTED, "")
}

fn uncounted(order: &str) -> Manifest {
    manifest(&format!("{UNCOUNTED}\n  order: {order}"), "")
}

#[tokio::test]
async fn a_list_that_shifts_is_read_again_and_then_doubted() {
    let shifted: Vec<u64> = (1..=20).chain(16..=25).collect();
    let peer = offsets(move |_, offset| json!({"users": part(&shifted, offset), "total": 30})).await;
    let source = source(counted(), &peer.origin);
    let doubt = doubt(&source).await.unwrap();
    assert_eq!(doubt, "The application counts 30 entries and lists 25 different ones.");
    assert_eq!(peer.calls().len(), 8, "two readings of three pages, and a look beyond the total at a full page");
}

#[tokio::test]
async fn a_second_reading_that_is_whole_is_believed() {
    let (shifted, whole): (Vec<u64>, Vec<u64>) = ((1..=20).chain(16..=25).collect(), (1..=30).collect());
    let list = move |reading, offset| json!({"users": part(if reading == 1 { &shifted } else { &whole }, offset), "total": 30});
    let peer = offsets(list).await;
    assert_eq!(doubt(&source(counted(), &peer.origin)).await, None);
    assert_eq!(peer.calls().len(), 8);
}

#[tokio::test]
async fn somebody_who_joins_at_the_head_is_everyday_life() {
    let (before, after): (Vec<u64>, Vec<u64>) = ((1..=12).collect(), [99].into_iter().chain(1..=12).collect());
    let list = move |_, offset| {
        let users = if offset == 0 { &before } else { &after };
        json!({"users": part(users, offset), "total": users.len()})
    };
    let peer = offsets(list).await;
    assert_eq!(doubt(&source(counted(), &peer.origin)).await, None);
    assert_eq!(peer.calls().len(), 2, "read once");
}

#[tokio::test]
async fn somebody_who_is_counted_and_never_shown_is_no_failure() {
    let users: Vec<u64> = (1..=7).collect();
    let peer = offsets(move |_, offset| json!({"users": part(&users, offset), "total": 8})).await;
    let source = source(counted(), &peer.origin);
    assert_eq!(ids(&source).await.unwrap().len(), 14, "both readings are passed on");
    assert_eq!(doubt(&source).await.unwrap(), "The application counts 8 entries and lists 7 different ones.");
}

#[tokio::test]
async fn a_total_that_counts_the_page_or_the_rest_does_not_end_the_list() {
    let users: Vec<u64> = (1..=25).collect();
    let everybody: BTreeSet<String> = numbers(1..=25).into_iter().collect();
    for of_page in [true, false] {
        let users = users.clone();
        let list = move |_, offset: usize| {
            let page = part(&users, offset);
            let total = if of_page { page.len() } else { users.len().saturating_sub(offset) };
            json!({"users": page, "total": total})
        };
        let peer = offsets(list).await;
        let source = source(counted(), &peer.origin);
        let found: BTreeSet<String> = ids(&source).await.unwrap().into_iter().collect();
        assert_eq!(found, everybody, "of the page: {of_page}");
        assert_eq!(doubt(&source).await, None);
    }
}

#[tokio::test]
async fn a_total_as_large_as_the_first_page_costs_one_request() {
    let users: Vec<u64> = (1..=10).collect();
    let peer = offsets(move |_, offset| json!({"users": part(&users, offset), "total": 10})).await;
    assert_eq!(ids(&source(counted(), &peer.origin)).await.unwrap().len(), 10);
    assert_eq!(peer.calls().len(), 2);
}

#[tokio::test]
async fn an_empty_page_in_the_middle_is_not_the_end() {
    let list = |_, offset| match offset {
        0 => json!({"users": records(1..=10)}),
        20 => json!({"users": records(11..=15)}),
        _ => json!({"users": []}),
    };
    let peer = offsets(list).await;
    let source = source(uncounted("default"), &peer.origin);
    let found: BTreeSet<String> = ids(&source).await.unwrap().into_iter().collect();
    assert_eq!(found, numbers(1..=15).into_iter().collect());
    assert_eq!(doubt(&source).await, None);
}

#[tokio::test]
async fn a_count_endpoint_proves_or_refutes_a_list() {
    for (count, listed, is_whole) in [(3, 3, true), (4, 3, false), (0, 0, true)] {
        let answer = move |_: usize, call: &Call| {
            if call.uri.starts_with("/users/count") {
                return ok(&json!(count));
            }
            let users = if parameter(call, "offset") == Some(0) { records(1..=listed) } else { Vec::new() };
            ok(&json!({"users": users}))
        };
        let peer = Peer::answering(answer).await;
        let keys = format!("{UNCOUNTED}\n  count: {{path: /users/count, at: $}}\n  order: none");
        assert_eq!(doubt(&source(manifest(&keys, ""), &peer.origin)).await.is_none(), is_whole, "{listed} of {count}");
    }
    for status in [403, 404, 500, 503, 429] {
        let refused = move |_: usize, call: &Call| {
            if call.uri.starts_with("/users/count") {
                return respond(status, &[], "{}");
            }
            let users = if parameter(call, "offset") == Some(0) { records(1..=2) } else { Vec::new() };
            ok(&json!({"users": users}))
        };
        let peer = Peer::answering(refused).await;
        let keys = format!("{UNCOUNTED}\n  count: {{path: /users/count, at: $}}\n  order: default");
        assert_eq!(
            doubt(&source(manifest(&keys, ""), &peer.origin)).await,
            None,
            "nobody counts, and nothing is repeated"
        );
    }
}

#[tokio::test]
async fn a_list_without_order_needs_two_readings_that_agree() {
    let same = |reading: usize, offset| {
        let mut users: Vec<u64> = (1..=15).collect();
        users.rotate_left(reading);
        json!({"users": part(&users, offset)})
    };
    let peer = offsets(same).await;
    assert_eq!(doubt(&source(uncounted("none"), &peer.origin)).await, None);
    assert_eq!(peer.calls().len(), 8, "two readings of two pages and two empty ones");

    let different = |reading: usize, offset| {
        let users: Vec<u64> = (1..=15).map(|number| number + reading as u64).collect();
        json!({"users": part(&users, offset)})
    };
    let peer = offsets(different).await;
    let doubt = doubt(&source(uncounted("none"), &peer.origin)).await.unwrap();
    assert!(doubt.contains("two readings differ"), "{doubt}");
}

#[tokio::test]
async fn numbered_pages_without_a_total_need_two_readings_that_agree() {
    // User 3 leaves after the first page was read, and user 11 moves up to it.
    let shrinks = |reading: usize, offset: usize| {
        let gone = if reading == 1 && offset == 0 { None } else { Some(3) };
        let users: Vec<u64> = (1..=15).filter(|user| Some(*user) != gone).collect();
        json!({"users": part(&users, offset)})
    };
    let peer = offsets(shrinks).await;
    let doubt_of_shift = doubt(&source(uncounted("default"), &peer.origin)).await.unwrap();
    assert!(doubt_of_shift.contains("two readings differ"), "{doubt_of_shift}");

    let page: Vec<u64> = (1..=7).collect();
    let peer = offsets(move |_, offset| json!({"users": part(&page, offset)})).await;
    assert_eq!(doubt(&source(uncounted("none"), &peer.origin)).await, None);
    assert_eq!(peer.uris().iter().filter(|uri| uri.ends_with("offset=0")).count(), 1, "one page does not shift");
}

#[tokio::test]
async fn a_total_beside_a_cursor_a_link_or_an_address_must_be_reached() {
    let cursor = "  pages: {cursor: {at: $.next, param: after, total: $.total}}\n  records: $.users";
    let next_url = "  pages: {next_url: {at: $.url, total: $.total}}\n  records: $.users";
    let link = "  pages: {link_header: {total: $.total}}\n  records: $.users";
    for keys in [cursor, next_url, link] {
        // The totals of the pages, by reading.
        for (totals, doubted) in [([[5, 5], [5, 5]], true), ([[4, 4], [4, 4]], false), ([[5, 4], [4, 4]], false)] {
            let peer = Peer::answering(move |number, call| {
                let reading = usize::from(number > 2);
                if parameter(call, "after").is_none() {
                    let total = totals[reading][0];
                    let body = json!({"users": records([1, 2]), "next": 7, "url": "/users?after=7", "total": total});
                    return respond(200, &[("link", "</users?after=7>; rel=next")], body.to_string());
                }
                ok(&json!({"users": records([3, 4]), "total": totals[reading][1]}))
            })
            .await;
            let doubt = doubt(&source(manifest(keys, ""), &peer.origin)).await;
            assert_eq!(doubt.is_some(), doubted, "{keys}: {doubt:?}");
            assert_eq!(
                peer.calls().len(),
                if totals[0] == [4, 4] { 2 } else { 4 },
                "a total that shrinks needs a second look"
            );
        }
    }
}

#[tokio::test]
async fn a_total_that_stops_at_a_limit_does_not_end_the_list() {
    let users: Vec<u64> = (1..=25).collect();
    let peer = offsets(move |_, offset| json!({"users": part(&users, offset), "total": 20})).await;
    let source_of_more = source(counted(), &peer.origin);
    assert_eq!(ids(&source_of_more).await.unwrap(), numbers(1..=25));
    assert_eq!(doubt(&source_of_more).await, None);

    // Nobody comes after the total: whatever the application says about that page, the list is complete.
    for (status, body) in [(400, json!({"message": "out of range"})), (500, json!({})), (200, json!({"users": []}))] {
        let answer = move |_: usize, call: &Call| match parameter(call, "offset").unwrap() {
            20 => respond(status, &[], body.to_string()),
            offset => ok(&json!({"users": records(offset + 1..=offset + 10), "total": 20})),
        };
        let peer = Peer::answering(answer).await;
        let source = source(counted(), &peer.origin);
        assert_eq!(ids(&source).await.unwrap(), numbers(1..=20), "{status}");
        assert_eq!(doubt(&source).await, None, "{status}");
    }
}

#[tokio::test]
async fn an_application_that_knows_no_pages_is_read_once() {
    for (listed, is_whole) in [(20, true), (100, false), (120, false)] {
        let peer = Peer::answering(move |number, _| {
            let mut users: Vec<u64> = (1..=listed).collect();
            users.rotate_left(number);
            ok(&json!({"users": records(users), "total": listed}))
        })
        .await;
        let keys = "  page_size: {param: limit, count: 100}\n  pages: {offset: {param: offset, total: $.total}}\n  records: $.users";
        let doubt = doubt(&source(manifest(keys, ""), &peer.origin)).await;
        assert_eq!(doubt.is_none(), is_whole, "{listed}: {doubt:?}");
    }
}

#[tokio::test]
async fn empty_pages_are_as_large_as_the_others() {
    // The application has places for 45 users, shows 10 a page whatever is asked for, and hides those in the middle.
    let list = |_, offset: usize| {
        let places = (offset + 1..=offset + 10).filter(|place| *place <= 10 || (41..=45).contains(place));
        json!({"users": records(places.map(|place| place as u64))})
    };
    let peer = offsets(list).await;
    let keys = "  page_size: {param: limit, count: 1000}\n  pages: {offset: {param: offset}}\n  records: $.users";
    let found: BTreeSet<String> = ids(&source(manifest(keys, ""), &peer.origin)).await.unwrap().into_iter().collect();
    assert_eq!(found, numbers((1..=10).chain(41..=45)).into_iter().collect());
    let looks = peer.uris().iter().filter(|uri| uri.ends_with("offset=135")).count();
    assert_eq!((looks, peer.calls().len()), (2, 2 * 15), "ten looks after the last page, in each reading");
}

#[tokio::test]
async fn a_list_that_begins_again_beyond_its_end_is_whole() {
    let list = |_, offset| match offset {
        2 => json!({"users": []}),
        _ => json!({"users": records([1, 2])}),
    };
    let peer = offsets(list).await;
    let source = source(uncounted("default"), &peer.origin);
    assert_eq!(ids(&source).await.unwrap().into_iter().collect::<BTreeSet<_>>(), numbers([1, 2]).into_iter().collect());
    assert_eq!(doubt(&source).await, None);
}

#[tokio::test]
async fn repetitions_across_pages_need_a_second_reading() {
    let cursor = "  pages: {cursor: {at: $.next, param: offset}}\n  records: $.users";
    let list = |second: [u64; 2]| {
        move |number: usize, call: &Call| match (number, parameter(call, "offset")) {
            (_, None) => ok(&json!({"users": records([1, 2]), "next": 5})),
            (1..=2, _) => ok(&json!({"users": records([2, 3])})),
            _ => ok(&json!({"users": records(second)})),
        }
    };
    for (second, is_whole) in [([3, 4], true), ([2, 3], true), ([2, 4], false)] {
        let peer = Peer::answering(list(second)).await;
        let doubt = doubt(&source(manifest(cursor, ""), &peer.origin)).await;
        assert_eq!((doubt.is_none(), peer.calls().len()), (is_whole, 4), "{second:?}");
    }
}

#[tokio::test]
async fn a_resumed_listing_says_how_many_different_users_must_have_come() {
    let users: Vec<u64> = (1..=25).collect();
    let peer = offsets(move |_, offset| json!({"users": part(&users, offset), "total": 25})).await;
    let source = source(counted(), &peer.origin);
    let first = source.pages(None).try_next().await.unwrap().unwrap();
    let rest: Vec<Page> = source.pages(first.next).try_collect().await.unwrap();
    let expected: Vec<_> = rest.iter().map(|page| page.expect_distinct).collect();
    assert_eq!(expected, [None, Some(25)]);
    assert!(rest[1].lost.is_empty());
}

#[tokio::test]
async fn a_position_that_expires_in_the_middle_begins_the_list_anew_once() {
    let forgets = |times: usize| {
        let forgotten = Arc::new(Mutex::new(0));
        move |_: usize, call: &Call| match parameter(call, "after") {
            None => ok(&json!({"users": records([1]), "next": 7})),
            Some(_) if *forgotten.lock() < times => {
                *forgotten.lock() += 1;
                respond(400, &[], json!({"message": "expired"}).to_string())
            }
            Some(_) => ok(&json!({"users": records([2])})),
        }
    };
    let cursor = "  pages: {cursor: {at: $.next, param: after}}\n  records: $.users";
    let peer = Peer::answering(forgets(1)).await;
    assert_eq!(ids(&source(manifest(cursor, ""), &peer.origin)).await.unwrap(), ["1", "1", "2"]);
    let peer = Peer::answering(forgets(9)).await;
    let error = ids(&source(manifest(cursor, ""), &peer.origin)).await.unwrap_err();
    assert_eq!((error.http_status, peer.calls().len()), (Some(400), 4));
}
