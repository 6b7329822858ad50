//! An application that misbehaves: the run fails with a reason, no user is removed, and the
//! instance is revoked only because of its token.

use std::io::Write;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::Response;
use futures_util::StreamExt;
use futures_util::stream;
use serde_json::{Value, json};

use super::faulty::{Faulty, json_answer, page, status, user, with_type};
use super::scim::{server, users};
use crate::support::Server;

const RUN: &str = "outcome seen added removed failure { class message httpStatus }";

/// A server with 250 users of a healthy application.
async fn connected() -> (Faulty, Server, String) {
    let faulty = Faulty::start(250).await;
    let server = server().limits(|limits| limits.page = Duration::from_secs(20)).start().await;
    let id = server.integrate("scim", "Directory", &faulty.config()).await;
    assert_eq!(server.idle(&id, "userCount").await["userCount"], 250);
    (faulty, server, id)
}

/// Syncs with the fault and checks that no user is removed.
async fn failure(server: &Server, id: &str, class: &str) -> String {
    let run = server.sync(id, RUN).await;
    assert_eq!((&run["outcome"], &run["removed"]), (&json!("FAILED"), &json!(0)), "{run:#}");
    assert_eq!(run["failure"]["class"], class, "{run:#}");
    let instance = server.instance(id, "status health userCount notice { severity }").await;
    let expected =
        json!({ "status": "LIVE", "health": "FAILING", "userCount": 250, "notice": { "severity": "WARNING" } });
    assert_eq!(instance, expected, "{run:#}");
    let message = run["failure"]["message"].as_str().unwrap().to_owned();
    assert!(!message.contains("faulty-secret-1b9c"), "{message}");
    message
}

async fn assert_recovers(faulty: &Faulty, server: &Server, id: &str) {
    faulty.recover();
    let run = server.sync(id, RUN).await;
    assert_eq!(["seen", "added", "removed"].map(|count| run[count].as_i64()), [Some(250), Some(0), Some(0)], "{run:#}");
    assert_eq!(server.instance(id, "health notice { title }").await, json!({ "health": "OK", "notice": null }));
}

/// The fault occurs on the second page, after the first has been read.
fn late(answer: impl Fn() -> Response + Send + 'static) -> impl Fn(usize) -> Option<Response> + Send + 'static {
    move |start| (start > 1).then(&answer)
}

#[tokio::test]
async fn an_answer_that_is_no_page_fails_the_run_and_removes_nobody() {
    let (faulty, server, id) = connected().await;
    let html = "<html><body>Please sign in</body></html>";
    let bodies: Vec<(&str, &'static str, Vec<u8>)> = vec![
        ("HTML", "text/html", html.into()),
        ("HTML that says it is JSON", "application/json", html.into()),
        ("no JSON", "application/json", b"\x00\xff\xfe garbage".to_vec()),
        ("nothing", "application/json", Vec::new()),
        ("an empty object", "application/json", b"{}".to_vec()),
        ("null", "application/json", b"null".to_vec()),
        (
            "a list of nulls",
            "application/json",
            br#"{"totalResults": 250, "startIndex": 101, "Resources": [null, null]}"#.to_vec(),
        ),
        (
            "users without an id",
            "application/json",
            br#"{"totalResults": 250, "startIndex": 101, "Resources": [{"userName": "x"}]}"#.to_vec(),
        ),
        ("Latin-1", "application/json", b"{\"totalResults\": 250, \"Resources\": [{\"id\": \"J\xf6rg\"}]}".to_vec()),
        ("nesting without end", "application/json", "[".repeat(100_000).into_bytes()),
    ];
    for (name, content_type, body) in bodies {
        println!("{name}");
        faulty.answer(late(move || with_type(content_type, body.clone())));
        let message = failure(&server, &id, "CONFIG").await;
        assert!(message.contains("age 2"), "{name}: the page is named: {message}");
        assert!(message.chars().count() < 600 && !message.contains(char::is_control), "{name}: {message}");
    }
    assert_recovers(&faulty, &server, &id).await;
}

#[tokio::test]
async fn a_list_that_goes_round_in_circles_is_noticed() {
    let (faulty, server, id) = connected().await;
    let before = faulty.calls();
    faulty.answer(|_| Some(page(250, 1, 100)));
    failure(&server, &id, "CONFIG").await;
    assert!(faulty.calls() - before <= 5, "within a few pages");
    assert_recovers(&faulty, &server, &id).await;
}

#[tokio::test]
async fn a_user_who_is_listed_twice_is_counted_once() {
    let (faulty, server, id) = connected().await;
    faulty.answer(|start| {
        let last = (start + 100).min(251);
        let mut resources: Vec<Value> = (start..last).map(user).collect();
        let place = resources.len() - 1;
        // A user of the previous page is repeated, in addition to the others.
        resources.insert(place, user(start.saturating_sub(1).max(1)));
        Some(json_answer(
            &json!({ "totalResults": 250, "startIndex": start, "itemsPerPage": last - start, "Resources": resources }),
        ))
    });
    let run = server.sync(&id, RUN).await;
    assert_eq!(
        (&run["outcome"], &run["seen"], &run["removed"]),
        (&json!("SUCCEEDED"), &json!(250), &json!(0)),
        "{run:#}"
    );
    assert_eq!(users(&server, &id).await.len(), 250);
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off_where_a_page_would_be_too_large() {
    let (faulty, server, id) = connected().await;
    faulty.answer(late(|| {
        let spaces = stream::repeat(Ok::<_, std::convert::Infallible>(Bytes::from(vec![b' '; 1 << 20])));
        with_type("application/json", Body::from_stream(spaces))
    }));
    let message = failure(&server, &id, "CONFIG").await;
    assert!(message.contains("larger than a page"), "{message}");

    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..64 {
        bomb.write_all(&vec![b' '; 1 << 20]).unwrap();
    }
    let bomb = bomb.finish().unwrap();
    faulty.answer(late(move || {
        let mut answer = with_type("application/json", bomb.clone());
        answer.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
        answer
    }));
    let message = failure(&server, &id, "CONFIG").await;
    assert!(message.contains("larger than a page"), "{message}");
    assert_recovers(&faulty, &server, &id).await;
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_the_credential_stays() {
    let (faulty, server, id) = connected().await;
    let elsewhere = Faulty::start(250).await;
    for code in [301, 302, 307, 308] {
        let target = format!("{}/Users?startIndex=101", elsewhere.base_url);
        faulty.answer(late(move || {
            let mut answer = status(code, &[]);
            answer.headers_mut().insert("location", target.parse().unwrap());
            answer
        }));
        let message = failure(&server, &id, "CONFIG").await;
        assert!(message.contains("points to another address"), "{message}");
    }
    assert_eq!((elsewhere.calls(), elsewhere.authorized()), (0, 0));
    assert!(faulty.authorized() > 0);
}

#[tokio::test]
async fn an_application_that_asks_to_slow_down_is_waited_for() {
    let (faulty, server, id) = connected().await;
    let refusals = std::sync::atomic::AtomicUsize::new(2);
    let next = move || {
        refusals
            .fetch_update(std::sync::atomic::Ordering::SeqCst, std::sync::atomic::Ordering::SeqCst, |left| {
                left.checked_sub(1)
            })
            .is_ok()
    };
    faulty.answer(move |start| (start > 1 && next()).then(|| status(429, &[("retry-after", "1")])));
    let before = faulty.calls();
    let run = server.sync(&id, RUN).await;
    assert_eq!((&run["outcome"], &run["seen"]), (&json!("SUCCEEDED"), &json!(250)), "{run:#}");
    assert_eq!(faulty.calls() - before, 5, "three pages, and one call for each time it asked");
}

#[tokio::test]
async fn an_application_that_asks_to_wait_for_an_hour_is_left_alone_for_an_hour() {
    let (faulty, server, id) = connected().await;
    for answer in [
        (429, [("retry-after", "3600"), ("x-a", "b")]),
        (403, [("x-ratelimit-remaining", "0"), ("retry-after", "3600")]),
    ] {
        faulty.answer(late(move || status(answer.0, &answer.1)));
        let before = faulty.calls();
        failure(&server, &id, "RATE_LIMIT").await;
        assert_eq!(faulty.calls() - before, 2, "it does not knock again");
    }
    let due = server.instance(&id, "nextSyncAt lastSync { finishedAt }").await;
    let moment = |value: &Value| chrono::DateTime::parse_from_rfc3339(value.as_str().unwrap()).unwrap().timestamp();
    assert!(moment(&due["nextSyncAt"]) - moment(&due["lastSync"]["finishedAt"]) >= 3599, "{due:#}");
}

#[tokio::test]
async fn trouble_that_passes_within_the_run_is_not_noticed() {
    let (faulty, server, id) = connected().await;
    let first = std::sync::atomic::AtomicBool::new(true);
    faulty.answer(move |start| {
        (start > 1 && first.swap(false, std::sync::atomic::Ordering::SeqCst)).then(|| status(503, &[]))
    });
    let run = server.sync(&id, RUN).await;
    assert_eq!(
        (&run["outcome"], &run["seen"], &run["failure"]),
        (&json!("SUCCEEDED"), &json!(250), &Value::Null),
        "{run:#}"
    );
}

#[tokio::test]
async fn trouble_that_stays_fails_the_run_after_a_few_tries() {
    let (faulty, server, id) = connected().await;
    let before = faulty.calls();
    faulty.answer(late(|| status(500, &[])));
    failure(&server, &id, "TRANSIENT").await;
    let tries = faulty.calls() - before - 1;
    assert!((3..=30).contains(&tries), "{tries} tries at the second page");
    assert_recovers(&faulty, &server, &id).await;
}

#[tokio::test]
async fn an_answer_that_breaks_off_fails_the_run() {
    let (faulty, server, id) = connected().await;
    let half = "{\"totalResults\": 250, \"Resources\": [{\"id\": \"u1\"";
    // A cut connection, and a response with a truncated list, as some proxies produce it.
    faulty.answer(late(move || {
        let half = stream::iter([Ok(Bytes::from(half)), Err(std::io::Error::other("cut"))]);
        with_type("application/json", Body::from_stream(half))
    }));
    failure(&server, &id, "TRANSIENT").await;
    faulty.answer(late(move || with_type("application/json", half)));
    failure(&server, &id, "TRANSIENT").await;
    assert_recovers(&faulty, &server, &id).await;
}

#[tokio::test]
async fn an_application_that_stops_answering_is_given_up_and_others_are_not_held_up() {
    let faulty = Faulty::start(250).await;
    let server = server().limits(|limits| limits.page = Duration::from_secs(2)).start().await;
    let id = server.integrate("scim", "Directory", &faulty.config()).await;
    server.idle(&id, "").await;
    faulty.answer(late(|| {
        let begun = stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"{"))]).chain(stream::pending());
        with_type("application/json", Body::from_stream(begun))
    }));
    let other = server.rehearse("Other", &[("users", "5")]).await;
    server.idle(&other, "").await;
    let run = server.sync(&other, RUN).await;
    assert_eq!(run["outcome"], "SUCCEEDED");
    failure(&server, &id, "TIMEOUT").await;
    assert_recovers(&faulty, &server, &id).await;
}

#[tokio::test]
async fn a_token_that_may_not_list_users_any_more_is_revoked_for_its_permissions() {
    let (faulty, server, id) = connected().await;
    faulty.answer(|_| Some(status(403, &[])));
    let run = server.sync(&id, RUN).await;
    assert_eq!(run["failure"]["class"], "PERMISSION", "{run:#}");
    let revoked = server.instance(&id, "status inactiveReason userCount").await;
    assert_eq!(
        revoked,
        json!({ "status": "INACTIVE", "inactiveReason": "INSUFFICIENT_PERMISSIONS", "userCount": 250 })
    );

    let activate = "mutation($id: ID!) { updateInstance(input: { id: $id, status: LIVE }) { instance { status } userErrors { code } } }";
    let refused = server.ask(activate, json!({ "id": id })).await["updateInstance"].clone();
    assert_eq!(refused["userErrors"][0]["code"], "INSUFFICIENT_PERMISSIONS", "{refused:#}");
    faulty.recover();
    let live = server.ask(activate, json!({ "id": id })).await["updateInstance"].clone();
    assert_eq!(live, json!({ "instance": { "status": "LIVE" }, "userErrors": [] }));
    assert_eq!(server.idle(&id, "health").await["health"], "OK");
}

#[tokio::test]
async fn a_401_that_was_a_mistake_revokes_nothing() {
    let (faulty, server, id) = connected().await;
    let first = std::sync::atomic::AtomicBool::new(true);
    faulty.answer(move |start| {
        (start > 1 && first.swap(false, std::sync::atomic::Ordering::SeqCst)).then(|| status(401, &[]))
    });
    let run = server.sync(&id, RUN).await;
    assert_eq!((&run["outcome"], &run["seen"]), (&json!("SUCCEEDED"), &json!(250)), "looked at again: {run:#}");
    assert_eq!(server.instance(&id, "status health").await, json!({ "status": "LIVE", "health": "OK" }));
}
