//! Which requests are retried, and after which wait.

use std::time::Duration;

use reqwest::header::HeaderName;
use serde_json::json;

use super::*;
use crate::engine::retry::{Attempts, retry_after};
use crate::manifest::errors::RateLimit;
use crate::source::ErrorClass;

fn asked(headers: &[(&str, &str)]) -> Option<Duration> {
    let headers =
        headers.iter().map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap())).collect();
    retry_after(ErrorClass::RateLimit, &RateLimit::default(), &headers, None, NOW)
}

#[test]
fn the_wait_that_is_asked_for_is_understood_in_every_form() {
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    assert_eq!(asked(&[("retry-after", "7")]), seconds(7));
    assert_eq!(asked(&[("retry-after", "Sun, 01 Mar 2026 12:00:09 GMT")]), seconds(9));
    assert_eq!(asked(&[("x-ratelimit-reset", "1772366430")]), seconds(30));
    assert_eq!(asked(&[("x-rate-limit-reset", "1772366430500")]), Some(Duration::from_millis(30_500)));
    assert_eq!(asked(&[("ratelimit-reset", "12")]), seconds(12));
    assert_eq!(asked(&[("x-ratelimit-reset", "2026-03-01T12:01:00Z")]), seconds(60));
    assert_eq!(asked(&[("x-ratelimit-reset", "1772366300")]), seconds(0), "a moment that has passed");
    assert_eq!(asked(&[("retry-after", "soon")]), None);
    assert_eq!(asked(&[]), None);
    let own_clock = [("date", "Sun, 01 Mar 2026 11:00:00 GMT"), ("x-ratelimit-reset", "1772362805")];
    assert_eq!(asked(&own_clock), seconds(5), "against the application's clock");
}

#[test]
fn waits_grow_are_jittered_and_bounded() {
    let policy = RetryPolicy::default();
    let mut attempts = Attempts::new(policy);
    let waits: Vec<_> = (0..5).map(|_| attempts.next_wait(ErrorClass::Transient, None, 1.0)).collect();
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    assert_eq!(waits, [seconds(1), seconds(2), seconds(4), seconds(8), None]);
    assert_eq!(Attempts::new(policy).next_wait(ErrorClass::Transient, None, 0.0), Some(Duration::from_millis(500)));
    assert_eq!(Attempts::new(policy).next_wait(ErrorClass::Transient, seconds(9), 0.0), seconds(9));

    let mut attempts = Attempts::new(policy);
    let waits: Vec<_> = (0..3).map(|_| attempts.next_wait(ErrorClass::RateLimit, None, 0.0)).collect();
    assert_eq!(waits, [seconds(60), seconds(60), None]);
    assert_eq!(Attempts::new(policy).next_wait(ErrorClass::RateLimit, seconds(121), 0.0), None);
    assert_eq!(Attempts::new(policy).next_wait(ErrorClass::RateLimit, seconds(0), 0.0), seconds(1), "never in a rush");
    for class in [ErrorClass::Token, ErrorClass::Permission, ErrorClass::Config] {
        assert_eq!(Attempts::new(policy).next_wait(class, seconds(1), 0.0), None);
    }
}

#[tokio::test]
async fn trouble_that_passes_is_not_seen_and_progress_starts_the_count_afresh() {
    let peer = Peer::answering(|number, _| match number {
        1 | 2 | 4 | 5 => respond(503, &[], "{}"),
        3 => ok(&json!({"users": records([1]), "next": "b"})),
        _ => ok(&json!({"users": records([2])})),
    })
    .await;
    let users = "  pages: {cursor: {at: $.next, param: cursor}}\n  records: $.users";
    assert_eq!(ids(&source(manifest(users, ""), &peer.origin)).await.unwrap(), ["1", "2"]);
}

#[tokio::test]
async fn a_request_to_slow_down_is_heeded_and_past_the_limit_handed_on() {
    let wait = "rate_limit: {in_body: {at: $.retry_after_ms, unit: ms}}";
    let manifest = || manifest("  pages: none\n  records: $.users", wait);
    let peer = Peer::answering(|number, _| match number {
        1..=4 => respond(429, &[], json!({"retry_after_ms": 3}).to_string()),
        _ => ok(&json!({"users": records([1])})),
    })
    .await;
    assert_eq!(ids(&source(manifest(), &peer.origin)).await.unwrap(), ["1"]);

    let peer = Peer::always(429, json!({"retry_after_ms": 3_600_000})).await;
    let error = ids(&source(manifest(), &peer.origin)).await.unwrap_err();
    assert_eq!((error.class, error.retry_after_ms), (ErrorClass::RateLimit, Some(3_600_000)));
    assert_eq!(peer.calls().len(), 1);
}

#[tokio::test]
async fn when_no_calls_are_left_the_next_one_waits_for_the_reset() {
    let headers = |left: &str| [("x-ratelimit-remaining", left.to_owned()), ("retry-after", "0.05".to_owned())];
    let peer = Peer::answering(move |number, _| {
        let named = headers(if number == 1 { "0" } else { "5" });
        let named: Vec<_> = named.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let number = u64::try_from(number).unwrap();
        let body = json!({"users": records(number..=number), "total": 3});
        respond(200, &named, body.to_string())
    })
    .await;
    let manifest = manifest("  pages: {page: {param: page, total: $.total}}\n  records: $.users", "");
    let started = tokio::time::Instant::now();
    assert_eq!(ids(&source(manifest, &peer.origin)).await.unwrap(), ["1", "2", "3"]);
    let took = started.elapsed();
    assert!(took >= Duration::from_millis(50), "{took:?}");
}
