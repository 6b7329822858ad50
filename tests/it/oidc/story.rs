//! A real identity provider.

use serde_json::json;

use super::{Browser, SESSION, START, home, sessions};
use crate::peers::IdentityProvider;
use crate::process::{Home, Program};
use crate::support::http;

pub(super) const SECRET: &str = "secret-of-muster";

async fn start() -> (IdentityProvider, Home, Program) {
    let provider = IdentityProvider::start();
    let home = home(Home::new(), &provider, SECRET);
    let program = home.serve("").await;
    (provider, home, program)
}

pub(super) async fn person(provider: &IdentityProvider, sub: &str, groups: &[&str]) {
    let email = format!("{sub}@example.com");
    let person = json!({ "sub": sub, "email": email, "email_verified": true, "name": "Ada", "groups": groups });
    provider.put("person", person).await;
}

async fn role(home: &Home, sub: &str) -> String {
    let sql = "SELECT role FROM member JOIN member_identity ON member_id = member.id WHERE subject =";
    home.one(&format!("{sql} '{sub}'")).await
}

#[tokio::test]
async fn a_person_has_the_role_of_a_group_and_is_signed_out_elsewhere_when_it_changes() {
    let (provider, home, program) = start().await;
    let label = http().get(format!("{}/auth/oidc", program.client.url)).send().await.unwrap().text().await.unwrap();
    assert_eq!(label, r#"{"label":"Sign in with your company account"}"#);
    // An administrator has to be left.
    person(&provider, "bob", &["admins"]).await;
    Browser::new().sign_in(&program).await;

    person(&provider, "ada", &["other", "admins"]).await;
    let mut first = Browser::new();
    let callback = first.come_back(&program).await;
    let answer = first.get(&callback).await;
    assert_eq!(
        (answer.status, answer.headers["location"].to_str().unwrap()),
        (303, &*format!("{}/#/integrations", program.client.url))
    );
    let cookies: Vec<_> = answer.headers.get_all("set-cookie").iter().map(|it| it.to_str().unwrap()).collect();
    let session = cookies.iter().find(|cookie| cookie.starts_with(SESSION)).unwrap();
    for attribute in ["HttpOnly", "SameSite=Lax", "Secure", "Path=/"] {
        assert!(session.contains(attribute), "{session}");
    }
    assert_eq!(cookies.len(), 2, "the other removes the cookie of the pending sign-in: {cookies:?}");
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert!(first.is_signed_in(&program).await);
    assert_eq!(first.cookies.keys().filter(|name| name.contains("sign-in")).count(), 0);
    assert_eq!(role(&home, "ada").await, "admin");

    // The claims are in the token now, and the group has another role.
    provider.put("place", "token").await;
    person(&provider, "ada", &["staff"]).await;
    let mut second = Browser::new();
    assert_eq!(second.sign_in(&program).await.status, 200);
    assert_eq!(role(&home, "ada").await, "viewer");
    let deadline = tokio::time::Instant::now() + crate::support::DEADLINE;
    while first.is_signed_in(&program).await {
        assert!(tokio::time::Instant::now() < deadline, "the other session goes on");
    }
    assert!(second.is_signed_in(&program).await);

    let before = sessions(&home).await;
    person(&provider, "ada", &["other"]).await;
    let refused = Browser::new().sign_in(&program).await;
    assert_eq!(refused.status, 403);
    assert!(
        refused.body.contains("You have no access to Muster") && !refused.body.contains("other<"),
        "{}",
        refused.body
    );
    assert_eq!(sessions(&home).await, before);

    let logged = async |columns: &str| home.one(&format!("SELECT {columns}")).await;
    let created = logged("CAST(COUNT(*) AS TEXT) FROM audit_entry WHERE action = 'member_created'").await;
    assert_eq!(created, "2");
    let changed = logged("detail FROM audit_entry WHERE action = 'member_updated'").await;
    assert_eq!(changed, "The identity provider changed a role. Role: admin → viewer.");
    assert_eq!(logged("code FROM audit_entry WHERE action = 'sign_in_failed'").await, "NO_ROLE");
}

#[tokio::test]
async fn keys_are_replaced_and_every_accepted_algorithm_works() {
    let (provider, _home, program) = start().await;
    person(&provider, "ada", &["admins"]).await;
    for algorithm in ["RS256", "ES256", "PS256", "EdDSA"] {
        provider.put("key", algorithm).await;
        let mut browser = Browser::new();
        let shown = browser.sign_in(&program).await;
        assert_eq!(shown.status, 200, "{algorithm}: {}", shown.body);
        assert!(browser.is_signed_in(&program).await, "{algorithm}");
        // Unknown keys are looked up now and then only.
        tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    }
}

#[tokio::test]
async fn a_sign_in_counts_once_in_its_own_browser_also_after_a_restart() {
    let (provider, home, program) = start().await;
    person(&provider, "ada", &["admins"]).await;
    let mut browser = Browser::new();
    let callback = browser.come_back(&program).await;
    let elsewhere = Browser::new().get(&callback).await;
    assert_eq!(elsewhere.status, 403);
    assert!(elsewhere.body.contains("This is another browser"), "{}", elsewhere.body);
    let mut other = Browser::new();
    other.come_back(&program).await;
    assert_eq!(other.get(&callback).await.status, 403, "a sign-in of its own does not help");
    drop(program);
    let program = home.serve("").await;
    assert_eq!(browser.get(&callback).await.status, 303);
    let again = browser.get(&callback).await;
    assert_eq!(again.status, 400);
    assert!(again.body.contains("used already"), "{}", again.body);
    assert!(browser.is_signed_in(&program).await);

    let late = Browser::new().come_back(&program).await;
    home.one("UPDATE oidc_sign_in SET expires_at = 1 RETURNING 'done'").await;
    assert_eq!(browser.get(&late).await.status, 400);
}

#[tokio::test]
async fn nobody_is_led_elsewhere_and_pending_sign_ins_are_limited() {
    let (provider, home, program) = start().await;
    person(&provider, "ada", &["staff"]).await;
    let url = &program.client.url;
    for target in ["//evil.example", "https://evil.example/", "/%5Cevil.example", "/a&return=/b"] {
        let mut browser = Browser::new();
        let callback = format!("{url}/auth/oidc/callback");
        let back = browser.follow(&format!("{url}/auth/oidc/start?return={target}"), Some(&callback)).await;
        let shown = browser.get(&back.err().unwrap()).await;
        assert_eq!(shown.headers["location"].to_str().unwrap(), format!("{url}/"), "{target}");
    }
    let mut browser = Browser::new();
    let mut last = 303;
    for _ in 0..510 {
        browser.cookies.clear();
        last = browser.get(&format!("{url}{START}")).await.status;
        if last != 303 {
            break;
        }
    }
    assert_eq!(last, 503, "pending sign-ins are limited");
    home.one("UPDATE oidc_sign_in SET expires_at = 1 RETURNING 'done'").await;
    assert_eq!(browser.get(&format!("{url}{START}")).await.status, 303);
}
