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
async fn who_signs_out_is_led_to_the_provider_to_sign_out_there() {
    let (provider, home, program) = start().await;
    person(&provider, "ada", &["admins"]).await;
    let mut browser = Browser::new();
    assert_eq!(browser.sign_in(&program).await.status, 200);
    let (status, page) = browser.sign_out(&program).await;
    assert_eq!((status, sessions(&home).await.as_str()), (200, "0"));
    let page = page.unwrap();
    assert_eq!(page, format!("{}/session/end?client_id=muster", provider.origin));
    let asked = browser.get(&page).await;
    assert!(asked.status == 200 && asked.body.contains("sign-out"), "{} {}", asked.status, asked.body);
    assert!(!browser.is_signed_in(&program).await);
    assert_eq!(browser.sign_out(&program).await, (204, None), "there is no session any more");

    // The session here ends in any case.
    assert_eq!(browser.sign_in(&program).await.status, 200);
    drop(provider);
    drop(program);
    let program = home.serve("").await;
    let began = tokio::time::Instant::now();
    assert_eq!(browser.sign_out(&program).await, (204, None));
    assert!(began.elapsed() < std::time::Duration::from_secs(5) && !browser.is_signed_in(&program).await);
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
}

#[tokio::test]
async fn nobody_is_led_elsewhere_and_strangers_cannot_exhaust_anything() {
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
    let before = home.one("SELECT CAST(count(*) AS VARCHAR(9)) FROM oidc_sign_in").await;
    let mut browser = Browser::new();
    for _ in 0..510 {
        browser.cookies.clear();
        assert_eq!(browser.get(&format!("{url}{START}")).await.status, 303);
    }
    let after = home.one("SELECT CAST(count(*) AS VARCHAR(9)) FROM oidc_sign_in").await;
    assert_eq!(before, after, "nothing is stored before somebody comes back");
}

#[tokio::test]
async fn a_page_of_somebody_else_keeps_no_office_out() {
    let provider = IdentityProvider::start();
    let home = home(Home::new(), &provider, SECRET).set("TRUSTED_PROXIES", "127.0.0.1");
    let program = home.serve("").await;
    person(&provider, "ada", &["admins"]).await;
    let url = &program.client.url;
    let mut visitor = Browser::new();
    visitor.office = Some("203.0.113.7".into());
    let theirs = visitor.come_back(&program).await;
    for n in 0..40 {
        let made_up = format!("{url}/auth/oidc/callback?code=x&state=y&n={n}");
        assert_eq!(visitor.get(&made_up).await.status, 400);
    }
    visitor.embedded = true;
    for address in [format!("{url}{START}"), theirs.clone()] {
        let shown = visitor.get(&address).await;
        assert_eq!((shown.status, shown.headers.get("set-cookie")), (403, None), "{}", shown.body);
    }
    visitor.embedded = false;
    assert_eq!(visitor.get(&theirs).await.status, 303, "the office can sign in, and nothing was used up");
    // What has a state counts, so that nobody has the identity provider asked all the time.
    let mut tries = 0;
    while visitor.sign_in(&program).await.status != 503 {
        tries += 1;
        provider.put("person", json!({ "sub": "nobody", "groups": [] })).await;
        assert!(tries < 40, "failures are not limited");
    }
}

#[tokio::test]
async fn an_address_that_somebody_else_has_now_signs_nobody_in_as_its_former_owner() {
    let (provider, home, program) = start().await;
    person(&provider, "ada", &["admins"]).await;
    assert_eq!(Browser::new().sign_in(&program).await.status, 200);
    let other =
        json!({ "sub": "another-ada", "email": "Ada@example.com", "email_verified": true, "groups": ["admins"] });
    provider.put("person", other).await;
    let mut browser = Browser::new();
    let refused = browser.sign_in(&program).await;
    assert_eq!(refused.status, 403);
    assert!(refused.body.contains("This is not the account that Muster knows"), "{}", refused.body);
    assert!(!browser.is_signed_in(&program).await);
    assert!(home.run(&["member", "reset", "--email", "ada@example.com"]).status.success());
    assert_eq!(browser.sign_in(&program).await.status, 200, "an administrator has decided that it is the same person");
    assert_eq!(home.one("SELECT CAST(count(*) AS VARCHAR(9)) FROM member").await, "1");
}
