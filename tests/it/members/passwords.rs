//! Signing in with passwords: who guesses is slowed down, and learns nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use muster::auth::Role;
use muster::clock::Clock;
use muster::config::Settings;
use serde_json::json;
use tokio::time::Instant;

use super::{Browser, PASSWORD, member};
use crate::process::Home;
use crate::support::Server;

const ADA: &str = "ada@example.com";

/// The status, the body, and whether there is a time to wait.
async fn attempt(server: &crate::support::Client, email: &str, password: &str) -> (u16, String, bool) {
    let (status, answer) = Browser::new(server).sign_in(email, password).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (status, body.to_owned(), head.to_lowercase().contains("retry-after: "))
}

/// A server with its own clock.
async fn timed() -> (Server, Arc<AtomicI64>) {
    let time = Arc::new(AtomicI64::new(1_700_000_000_000));
    let trust = |settings: &mut Settings| settings.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    (Server::builder().clock(Clock::Manual(time.clone())).settings(trust).start().await, time)
}

async fn status(browser: &mut Browser<'_>, password: &str) -> u16 {
    browser.sign_in(ADA, password).await.0
}

#[tokio::test]
async fn who_guesses_all_the_time_keeps_no_member_out() {
    let (server, time) = timed().await;
    member(&server, ADA, Role::Viewer).await;
    let (office, home) = ("203.0.113.7", "2001:db8:1:2::3");
    let mut hers = Browser::at(&server, office);
    assert_eq!(status(&mut hers, PASSWORD).await, 204);
    // Somebody in the same office takes every attempt that is due.
    let mut guesser = Browser::at(&server, office);
    let mut guesses = 0;
    for _ in 0..100 {
        guesses += u32::from(status(&mut guesser, "wrong").await == 401);
        time.fetch_add(20_000, Ordering::Relaxed);
    }
    assert!((5..30).contains(&guesses), "{guesses}");
    assert_eq!(status(&mut guesser, "wrong").await, 429);
    assert_eq!(status(&mut hers, PASSWORD).await, 204, "in the browser that she always uses");
    assert_eq!(status(&mut Browser::at(&server, home), PASSWORD).await, 204, "in a new one at home");

    // The same from many places.
    let mut answers = Vec::new();
    for place in 1..=30 {
        let mut guesser = Browser::at(&server, &format!("192.0.2.{place}"));
        for _ in 0..5 {
            answers.push(status(&mut guesser, "wrong").await);
        }
    }
    let refused = answers.iter().filter(|status| **status == 429).count();
    assert!(refused > 20, "many places have as many guesses each as one: {answers:?}");
    assert_eq!(status(&mut Browser::at(&server, "198.51.100.9"), PASSWORD).await, 204);
    assert_eq!(status(&mut hers, PASSWORD).await, 204);
}

#[tokio::test]
async fn a_guesser_in_the_same_place_delays_a_new_browser_for_a_minute_at_most() {
    let (server, time) = timed().await;
    member(&server, ADA, Role::Viewer).await;
    let mut guesser = Browser::at(&server, "2001:db8:1:2::3");
    for _ in 0..12 {
        time.fetch_add(60_000, Ordering::Relaxed);
        assert_eq!(status(&mut guesser, "wrong").await, 401);
    }
    let mut new = Browser::at(&server, "2001:db8:1:9::3");
    assert_eq!(status(&mut new, PASSWORD).await, 429);
    time.fetch_add(60_000, Ordering::Relaxed);
    assert_eq!(status(&mut new, PASSWORD).await, 204);
}

#[tokio::test]
async fn a_browser_is_known_for_the_account_that_signed_in_there_only() {
    let (server, _time) = timed().await;
    member(&server, ADA, Role::Viewer).await;
    member(&server, "ben@example.com", Role::Viewer).await;
    let mut bens = Browser::signed_in(&server, "ben@example.com").await;
    for _ in 0..5 {
        assert_eq!(status(&mut bens, "wrong").await, 401);
    }
    assert_eq!(status(&mut bens, PASSWORD).await, 429);
    bens.known = bens.known.take().map(|known| known.replace("muster-browser=", "muster-browser=A"));
    assert_eq!(bens.sign_in("ben@example.com", "wrong").await.0, 401);
}

#[tokio::test]
async fn a_place_with_very_many_networks_has_few_guesses() {
    let (server, _time) = timed().await;
    let mut answers = Vec::new();
    for network in 0..130 {
        let mut browser = Browser::at(&server, &format!("2001:db8:7:{network:x}::1"));
        answers.push(browser.sign_in(&format!("a{network}@example.com"), "wrong").await.0);
    }
    assert_eq!(answers.iter().filter(|status| **status == 401).count(), 120);
    assert_eq!(Browser::at(&server, "2001:db8:8::1").sign_in(ADA, "wrong").await.0, 401, "others go on");
}

#[tokio::test]
async fn guesses_are_counted_for_every_account_whether_it_exists_or_not() {
    let (server, time) = timed().await;
    member(&server, ADA, Role::Viewer).await;
    for email in [ADA, "nobody@example.com"] {
        for _ in 0..5 {
            assert_eq!(attempt(&server, email, "wrong").await.0, 401);
        }
        assert_eq!(attempt(&server, &format!(" {} ", email.to_uppercase()), PASSWORD).await.0, 429);
    }
    let (known, unknown) =
        (attempt(&server, ADA, PASSWORD).await, attempt(&server, "nobody@example.com", PASSWORD).await);
    assert_eq!(known, unknown);
    assert!(known.2, "it says when");
    time.fetch_add(2_000, Ordering::Relaxed);
    assert_eq!(attempt(&server, ADA, PASSWORD).await.0, 204, "nobody is locked out for good");
    for email in [ADA, "nobody@example.com"] {
        time.fetch_add(2_000, Ordering::Relaxed);
        assert_eq!(attempt(&server, email, "wrong").await.0, 401);
        assert_eq!(attempt(&server, email, "wrong").await.0, 429, "strangers do not notice that somebody signed in");
    }
}

#[tokio::test]
async fn many_guesses_at_once_are_not_more_guesses() {
    let (server, _time) = timed().await;
    member(&server, ADA, Role::Viewer).await;
    let all = futures_util::future::join_all((0..20).map(|_| attempt(&server, ADA, "wrong"))).await;
    assert_eq!(all.iter().filter(|(status, ..)| *status == 401).count(), 5, "{all:?}");
}

#[tokio::test]
async fn guesses_are_counted_across_a_kill() {
    let home = Home::new();
    let program = home.serve("").await;
    for _ in 0..5 {
        assert_eq!(attempt(&program.client, ADA, "wrong").await.0, 401);
    }
    program.kill();
    let program = home.serve("").await;
    assert_eq!(home.one("SELECT CAST(count AS TEXT) FROM sign_in_attempt").await, "5");
    // The wait for the first may be over, but not that for the second, which is longer.
    let (first, second) = (attempt(&program.client, ADA, "wrong").await, attempt(&program.client, ADA, "wrong").await);
    assert!(first.0 == 429 || second.0 == 429, "{first:?} {second:?}");
}

#[tokio::test]
async fn every_failure_has_the_same_answer_and_takes_the_same_time() {
    let server = Server::start().await;
    for number in 0..10 {
        member(&server, &format!("known{number}@example.com"), Role::Viewer).await;
    }
    let mut times = [Vec::new(), Vec::new()];
    let mut answers = Vec::new();
    for round in 0..4 {
        for number in 0..10 {
            for (which, kind) in ["known", "unknown"].into_iter().enumerate() {
                let began = Instant::now();
                answers.push(attempt(&server, &format!("{kind}{number}@example.com"), "not the password").await);
                if round > 0 {
                    times[which].push(began.elapsed());
                }
            }
        }
    }
    assert!(answers.iter().all(|answer| answer == &answers[0] && answer.0 == 401), "{answers:?}");
    let [known, unknown] = times.map(|mut all| {
        all.sort_unstable();
        all[all.len() / 2]
    });
    let ratio = known.as_secs_f64() / unknown.as_secs_f64();
    assert!((0.6..1.7).contains(&ratio), "{known:?} and {unknown:?}");
    for odd in [json!({ "email": "x", "password": "y" }), json!({ "email": "", "password": "" })] {
        let (status, answer) =
            Browser::new(&server).send("POST /session", &["Content-Type: application/json"], &odd.to_string()).await;
        assert_eq!((status, answer.split_once("\r\n\r\n").unwrap().1), (401, answers[0].1.as_str()));
    }
}
