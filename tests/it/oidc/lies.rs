//! A provider that lies: nobody is signed in, and the log has neither its texts nor a secret.

use std::time::Duration;

use super::{Browser, SESSION, home, sessions};
use crate::peers::IdentityProvider;
use crate::process::{Home, Program};

const SECRET: &str = "canary-client-secret-71c0";
/// For longer than a failure to read the metadata is remembered.
const FAILURE: Duration = Duration::from_millis(1050);

async fn start() -> (IdentityProvider, Home, Program) {
    let liar = IdentityProvider::liar();
    let home = home(Home::new(), &liar, SECRET).set("LOG", "trace");
    let program = home.serve("").await;
    (liar, home, program)
}

async fn names(liar: &IdentityProvider, list: &str) -> Vec<String> {
    serde_json::from_value(liar.get(list).await).unwrap()
}

/// Signs in while the lie is told, which must be refused with a page.
async fn refused(liar: &IdentityProvider, program: &Program, lie: &str) -> Browser {
    liar.put("lie", lie).await;
    let mut browser = Browser::new();
    let shown = browser.sign_in(program).await;
    assert!((400..=503).contains(&shown.status) && shown.status != 500, "{lie}: {} {}", shown.status, shown.body);
    assert!(shown.body.contains("What to do now") && !shown.body.contains("canary"), "{lie}: {}", shown.body);
    assert!(shown.headers.contains_key("content-security-policy"), "{lie}");
    assert!(!browser.cookies.contains_key(SESSION), "{lie}");
    browser
}

#[tokio::test]
async fn no_lie_signs_anybody_in() {
    let (liar, home, program) = start().await;
    let mut honest = Browser::new();
    assert_eq!(honest.sign_in(&program).await.status, 200);
    assert!(honest.is_signed_in(&program).await);
    let lies = names(&liar, "lies").await;
    assert!(lies.len() > 60, "{lies:?}");
    for lie in &lies {
        refused(&liar, &program, lie).await;
    }
    assert_eq!(sessions(&home).await, "1");
    let asked = async || liar.get("asked").await["/jwks"].as_u64().unwrap();
    let before = asked().await;
    for _ in 0..5 {
        refused(&liar, &program, "unknown key").await;
    }
    let again = asked().await - before;
    assert!(again <= 2, "unknown keys made the server ask {again} times");

    liar.put("lie", "an address that is not verified").await;
    let mut browser = Browser::new();
    assert_eq!(browser.sign_in(&program).await.status, 200);
    let emails = "SELECT CAST(count(*) AS VARCHAR(9)) FROM member WHERE email IS NOT NULL";
    assert_eq!(home.one(emails).await, "1", "the one that was verified at first");

    let pending = browser.come_back(&program).await;
    let state = pending.split("state=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    let mut secrets = names(&liar, "secrets").await;
    secrets.extend([state, "canary-script".to_owned()]);
    secrets.extend(browser.cookies.into_values());
    program.kill();
    let log = home.log();
    assert!(log.contains("a sign-in with the identity provider failed"), "the log was read");
    for secret in secrets {
        assert!(!log.contains(&secret), "{secret} is in the log");
    }
}

#[tokio::test]
async fn no_lie_about_its_keys_or_itself_signs_anybody_in() {
    let (liar, home, program) = start().await;
    for lie in names(&liar, "first-lies").await {
        refused(&liar, &program, &lie).await;
        if lie.starts_with("metadata") {
            tokio::time::sleep(FAILURE).await;
        }
    }
    assert_eq!(liar.get("asked").await.get("/redirected"), None, "redirects are not followed");
    assert_eq!(sessions(&home).await, "0");
    // The empty list of keys was believed for a moment.
    liar.put("lie", "").await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(Browser::new().sign_in(&program).await.status, 200);
}

#[tokio::test]
async fn a_wrong_address_to_sign_out_keeps_nobody_out() {
    let (liar, home, mut program) = start().await;
    for lie in names(&liar, "sign-out-lies").await {
        program.kill();
        program = home.serve("").await;
        liar.put("lie", &lie).await;
        let mut browser = Browser::new();
        let shown = browser.sign_in(&program).await;
        assert_eq!(shown.status, 200, "{lie}: {}", shown.body);
        assert_eq!(browser.sign_out(&program).await, (204, None), "{lie}");
    }
}

#[tokio::test]
async fn a_slow_answer_is_given_up() {
    let (liar, _home, program) = start().await;
    for lie in ["metadata: slow", "token: slow"] {
        let begun = tokio::time::Instant::now();
        refused(&liar, &program, lie).await;
        assert!(begun.elapsed() < Duration::from_secs(25), "{lie}");
        tokio::time::sleep(FAILURE).await;
    }
    assert_eq!(liar.get("asked").await["/token"], 1);
}
