//! How long a token is used, and when it is replaced.

use futures_util::future::join_all;

use super::*;

#[tokio::test]
async fn a_token_is_replaced_a_minute_before_it_ends() {
    for lifetime in [json!(3600), json!("3600"), json!(3600.0), json!(NOW / 1000 + 3600), json!(NOW + 3_600_000)] {
        let answer = |token| (200, json!({"access_token": token, "expires_in": lifetime}));
        let peer = application(vec![answer("t1"), answer("t2")], &["t1", "t2"]).await;
        let (clock, settings) = with_clock();
        let source = signed_in(&client_credentials(""), config(&peer, &[]), settings);
        for (second, calls) in [(0, 1), (3539, 1), (3540, 2), (3541, 2)] {
            clock.store(NOW + second * 1000, Ordering::SeqCst);
            ids(&source).await.unwrap();
            let asked = peer.uris().iter().filter(|uri| *uri == "/token").count();
            assert_eq!(asked, calls, "{lifetime} after {second} s");
        }
    }
}

#[tokio::test]
async fn a_token_without_an_end_is_kept_and_a_short_one_for_half_its_life() {
    for (lifetime, kept, replaced) in [(json!(null), 1 << 20, 0), (json!(0), 1 << 20, 0), (json!(30), 14, 16)] {
        let peer = application(vec![(200, json!({"access_token": "t1", "expires_in": lifetime}))], &["t1"]).await;
        let (clock, settings) = with_clock();
        let tokens = tokens(&client_credentials(""), config(&peer, &[]), settings);
        let policy = RetryPolicy::default();
        tokens.current(&policy).await.unwrap();
        clock.store(NOW + kept * 1000, Ordering::SeqCst);
        tokens.current(&policy).await.unwrap();
        assert_eq!(peer.calls().len(), 1, "{lifetime}");
        if replaced > 0 {
            clock.store(NOW + replaced * 1000, Ordering::SeqCst);
            tokens.current(&policy).await.unwrap();
            assert_eq!(peer.calls().len(), 2, "{lifetime}");
        }
    }
}

#[tokio::test]
async fn a_refused_token_is_replaced_and_the_call_made_again() {
    let peer = application(vec![given("t1"), given("t2")], &["t2"]).await;
    assert_eq!(ids(&signed_in(&client_credentials(""), config(&peer, &[]), settings())).await.unwrap(), ["1"]);
    assert_eq!(peer.uris(), ["/token", "/users", "/token", "/users"]);
}

#[tokio::test]
async fn a_second_refusal_stands() {
    let peer = application(vec![given("t1"), given("t2"), given("t3")], &["t3"]).await;
    let source = signed_in(&client_credentials(""), config(&peer, &[]), settings());
    let error = ids(&source).await.unwrap_err();
    assert_eq!((error.class, error.definite, error.http_status), (ErrorClass::Token, false, Some(401)));
    assert_eq!(peer.uris(), ["/token", "/users", "/token", "/users"]);
}

#[tokio::test]
async fn a_token_that_was_given_just_now_is_not_refused_for_certain() {
    let peer = Peer::answering(|_, call| match call.uri.as_str() {
        "/token" => ok(&json!({"access_token": "t1", "expires_in": 3600})),
        _ => respond(401, &[], json!({"error": {"message": "the token is expired"}}).to_string()),
    })
    .await;
    let source = signed_in(&client_credentials(""), config(&peer, &[]), settings());
    for calls in [4, 5] {
        let error = ids(&source).await.unwrap_err();
        assert_eq!((error.class, error.definite), (ErrorClass::Token, false), "{error}");
        assert_eq!(peer.calls().len(), calls);
    }
}

#[tokio::test]
async fn a_refusal_long_after_the_one_before_is_a_new_one() {
    let peer = application(vec![given("t1"), given("t2"), given("t3")], &[]).await;
    let (clock, settings) = with_clock();
    let tokens = tokens(&client_credentials(""), config(&peer, &[]), settings);
    let policy = RetryPolicy::default();
    let first = tokens.current(&policy).await.unwrap().unwrap();
    let second = tokens.renew(&first, &policy).await.unwrap().unwrap();
    assert!(tokens.renew(&second, &policy).await.unwrap().is_none());
    clock.store(NOW + 600_000, Ordering::SeqCst);
    let third = tokens.renew(&second, &policy).await.unwrap().unwrap();
    assert_eq!((second.access.as_str(), third.access.as_str()), ("t2", "t3"));
}

#[tokio::test]
async fn many_callers_cause_one_call() {
    let peer = application(vec![given("t1"), given("t2"), given("t3")], &[]).await;
    let tokens = tokens(&client_credentials(""), config(&peer, &[]), settings());
    let policy = RetryPolicy::default();
    let got = join_all((0..20).map(|_| tokens.current(&policy))).await;
    let got: Vec<_> = got.into_iter().map(|token| token.unwrap().unwrap()).collect();
    assert!(got.iter().all(|token| token.access == "t1"));
    assert_eq!(peer.calls().len(), 1);
    let got = join_all(got.iter().map(|token| tokens.renew(token, &policy))).await;
    assert!(got.into_iter().all(|token| token.unwrap().unwrap().access == "t2"));
    assert_eq!(peer.calls().len(), 2);
}

#[tokio::test]
async fn trouble_that_may_pass_is_tried_again() {
    let trouble = (503, json!({"error": "temporarily_unavailable"}));
    let peer = application(vec![trouble.clone(), trouble.clone(), given("t1")], &["t1"]).await;
    ids(&signed_in(&client_credentials(""), config(&peer, &[]), settings())).await.unwrap();
    assert_eq!(peer.uris(), ["/token", "/token", "/token", "/users"]);

    let peer = application(vec![trouble], &[]).await;
    let error = ids(&signed_in(&client_credentials(""), config(&peer, &[]), settings())).await.unwrap_err();
    assert_eq!((error.class, error.definite), (ErrorClass::Transient, false));
    assert_eq!(peer.uris(), ["/token", "/token", "/token"]);
}

#[tokio::test]
async fn a_wait_that_is_asked_for_is_waited_for_if_it_is_bearable() {
    for (seconds, good) in [("0", true), ("3600", false)] {
        let peer = Peer::answering(move |number, call| match (call.uri.as_str(), number) {
            ("/token", 1) => respond(429, &[("retry-after", seconds)], "{}"),
            ("/token", _) => ok(&json!({"access_token": "t1"})),
            _ => ok(&json!({"users": []})),
        })
        .await;
        let outcome = ids(&signed_in(&client_credentials(""), config(&peer, &[]), settings())).await;
        if good {
            outcome.unwrap();
            assert_eq!(peer.uris(), ["/token", "/token", "/users"]);
        } else {
            let error = outcome.unwrap_err();
            assert_eq!((error.class, error.retry_after_ms), (ErrorClass::RateLimit, Some(3_600_000)));
            assert_eq!(peer.uris(), ["/token"]);
        }
    }
}

#[tokio::test]
async fn kinds_that_obtain_nothing_have_no_token() {
    let peer = Peer::always(401, json!({})).await;
    let manifest = connector("  - {key: secret, label: Secret, type: secret}", "  bearer: '{{config.secret}}'", "");
    let mut config = config(&peer, &[]);
    config.remove("id");
    let tokens = tokens(&manifest, config, settings());
    assert!(tokens.current(&RetryPolicy::default()).await.unwrap().is_none());
    tokens.close().await;
    assert!(peer.calls().is_empty());
}
