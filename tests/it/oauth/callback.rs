//! Callback requests that are invalid or fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use muster::clock::Clock;
use sea_orm::{ActiveModelTrait, ActiveValue::Set, EntityTrait, IntoActiveModel, PaginatorTrait};
use serde_json::{Value, json};

use super::provider::Provider;
use super::{Shown, connect, consent, failures, new, server, visit};
use crate::support::{Server, http};

const EVIL: &str = "%3Cscript%3Ealert(1)%3C/script%3E";

/// Asserts that the response is an error page with all its parts and headers, and returns its text.
fn page(shown: &Shown, status: u16, title: &str) -> String {
    assert_eq!(shown.status, status, "{}", shown.body);
    let header = |name: &str| shown.headers.get(name).map_or("", |value| value.to_str().unwrap());
    assert_eq!(header("content-type"), "text/html; charset=utf-8");
    assert_eq!((header("cache-control"), header("referrer-policy")), ("no-store", "no-referrer"));
    assert_eq!(header("x-content-type-options"), "nosniff");
    let policy = header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("script-src"), "{policy}");
    assert!(shown.body.contains(&format!("<h1>{title}</h1>")), "{title} in {}", shown.body);
    assert!(shown.body.contains("What to do now") && shown.body.contains("<li>"), "{}", shown.body);
    for forbidden in ["<script", "<b>no</b>", "alert(1)", "-of-the-provider", "{{"] {
        assert!(!shown.body.contains(forbidden), "{forbidden} in {}", shown.body);
    }
    shown.body.clone()
}

async fn nothing_came_of_it(server: &Server) {
    let found = server.ask("{ instances { totalCount } }", json!({})).await;
    assert_eq!(found["instances"]["totalCount"], 0);
    assert_eq!(entity::oauth_grant::Entity::find().count(server.db.read()).await.unwrap(), 0);
}

#[tokio::test]
async fn a_stranger_gets_a_page_and_costs_one_look() {
    let server = server().start().await;
    let state = "A".repeat(43);
    // What a server does at its start is over then.
    tokio::time::sleep(Duration::from_secs(1)).await;
    for query in [
        String::new(),
        "code=x".into(),
        "state=&code=x".into(),
        format!("state={EVIL}&code={EVIL}"),
        format!("state={state}&code={EVIL}&iss={EVIL}"),
        format!("state={state}&error={EVIL}&error_description={EVIL}"),
        format!("state={state}&state={state}&code=x"),
        format!("state={}&code=x", "A".repeat(20_000)),
    ] {
        // The workers execute some statements, too; how many depends on how long an answer takes.
        let mut least = u64::MAX;
        for _ in 0..5 {
            let before = server.db.statements();
            let shown = visit(&format!("{}/oauth/callback?{query}", server.url), None).await;
            page(&shown, 400, "This consent is not expected");
            least = least.min(server.db.statements() - before);
        }
        assert!(least <= 2, "{least} statements: {query:.80}");
    }
    assert_eq!(failures(&server).await, [""; 0]);
    let answer = http().post(format!("{}/oauth/callback?state={state}&code=x", server.url)).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers()["allow"].to_str().unwrap()), (405, "GET"));
    assert_eq!(http().head(format!("{}/oauth/callback", server.url)).send().await.unwrap().status(), 405);
}

#[tokio::test]
async fn an_answer_counts_once() {
    let (server, provider) = (server().start().await, Provider::start().await);
    let back = consent(&server, new(&provider, "Acme")).await;
    let (bare, _) = back.split_once('?').unwrap();
    let state = url::Url::parse(&back).unwrap().query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    // A request without a code does not use up the state.
    page(&visit(&format!("{bare}?state={state}"), None).await, 400, "The answer is not complete");
    let both = tokio::join!(visit(&back, None), visit(&back, None));
    let mut statuses = [both.0.status, both.1.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [303, 400]);
    page(&visit(&back, None).await, 400, "This consent is not expected");
    assert_eq!(server.ask("{ instances { totalCount } }", json!({})).await["instances"]["totalCount"], 1);
    assert_eq!(failures(&server).await, [""; 0]);
}

#[tokio::test]
async fn who_takes_longer_than_ten_minutes_begins_again() {
    let time = Arc::new(AtomicI64::new(1_790_000_000_000));
    let server = server().clock(Clock::Manual(time.clone())).start().await;
    let provider = Provider::start().await;
    let back = consent(&server, new(&provider, "Acme")).await;
    time.fetch_add(600_000, Ordering::Relaxed);
    page(&visit(&back, None).await, 400, "This consent is not expected");
    nothing_came_of_it(&server).await;
}

/// Begins a consent as the console does. Returns the authorization URL and the cookie.
async fn begin_in_console(server: &Server, input: Value) -> (String, String) {
    let query = "mutation($input: BeginAuthorizationInput!) { beginAuthorization(input: $input) { authorizationUrl } }";
    let answer = http()
        .post(format!("{}/graphql", server.url))
        .bearer_auth(&server.admin)
        .header("content-type", "application/json")
        .header("sec-fetch-site", "same-origin")
        .body(json!({ "query": query, "variables": { "input": input } }).to_string())
        .send()
        .await
        .unwrap();
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let begun: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    (begun["data"]["beginAuthorization"]["authorizationUrl"].as_str().unwrap().to_owned(), cookie)
}

#[tokio::test]
async fn a_consent_that_was_begun_in_the_console_counts_in_its_browser_only() {
    let (server, provider) = (server().start().await, Provider::start().await);
    let (url, cookie) = begin_in_console(&server, new(&provider, "Acme")).await;
    let back = visit(&url, None).await.location;
    let other = format!("{}x", &cookie[..cookie.len() - 1]);
    for wrong in [None, Some("a=b"), Some(other.as_str())] {
        page(&visit(&back, wrong).await, 403, "This is another browser");
    }
    nothing_came_of_it(&server).await;
    assert_eq!(failures(&server).await.len(), 3);
    let shown = visit(&back, Some(&format!("a=b; {cookie}; c=d"))).await;
    assert_eq!(shown.status, 303, "{}", shown.body);
    // The console watches the first sync.
    let (form, id) = shown.location.split_once("?instance=").expect("an instance");
    assert_eq!(form, format!("{}/integrations/consenting/connect", server.url));
    server.idle(id, "").await;
}

#[tokio::test]
async fn whoever_began_in_the_console_comes_back_to_its_form_with_the_reason() {
    let (server, provider) = (server().start().await, Provider::start().await);
    let id = connect(&server, new(&provider, "Acme")).await;
    server.idle(&id, "").await;
    provider.world().error = Some("access_denied".to_owned());
    for (input, form, page, happened) in [
        (new(&provider, "Bolt"), "consenting", "integrations/consenting/connect".to_owned(), "Nothing was created."),
        (json!({ "instanceId": id }), id.as_str(), format!("instances/{id}"), "Nothing was changed"),
    ] {
        let (url, cookie) = begin_in_console(&server, input).await;
        let shown = visit(&visit(&url, None).await.location, Some(&cookie)).await;
        assert_eq!((shown.status, shown.location), (303, format!("{}/{page}", server.url)), "{}", shown.body);
        let told = shown.headers["set-cookie"].to_str().unwrap();
        // The page reads it.
        assert!(told.ends_with("; SameSite=Lax; Path=/; Max-Age=300") && !told.contains("HttpOnly"), "{told}");
        let told = told.strip_prefix("muster_consent=").and_then(|told| told.split(';').next()).unwrap();
        let told = percent_encoding::percent_decode_str(told).decode_utf8().unwrap();
        let told: Value = serde_json::from_str(&told).unwrap();
        assert_eq!((&told["form"], &told["title"]), (&json!(form), &json!("Consenting was not connected")));
        let told = told.to_string();
        assert!(told.contains("declined") && told.contains(happened) && !told.contains("<b>no</b>"), "{told}");
    }
    // What an API client began is told on a page, with a way to the form.
    let shown = visit(&consent(&server, new(&provider, "Bolt")).await, None).await;
    let body = page(&shown, 403, "Consenting was not connected").replace("&#x2f;", "/");
    assert!(body.contains("href=\"../../integrations/consenting/connect\""), "{body}");
}

#[tokio::test]
async fn whoever_may_no_longer_change_anything_completes_nothing() {
    let (server, provider) = (server().start().await, Provider::start().await);
    let back = consent(&server, new(&provider, "Acme")).await;
    let token = server.tokens.list().await.unwrap().into_iter().find(|token| token.name == "admin").unwrap();
    let demote = |role| {
        let mut row = token.clone().into_active_model();
        row.role = Set(role);
        let db = &server.db;
        async move {
            let row = &row;
            db.write(|tx| async move { Ok(row.clone().update(tx.conn()).await?) }).await.unwrap()
        }
    };
    demote(muster::auth::Role::Viewer).await;
    page(&visit(&back, None).await, 403, "This is no longer allowed");
    demote(muster::auth::Role::Admin).await;
    let back = consent(&server, new(&provider, "Acme")).await;
    assert_eq!(server.tokens.revoke("admin").await.unwrap(), 1);
    page(&visit(&back, None).await, 403, "This is no longer allowed");
    assert_eq!(entity::instance::Entity::find().count(server.db.read()).await.unwrap(), 0);
    let entries = entity::audit_entry::Entity::find().all(server.db.read()).await.unwrap();
    let failed = entries.iter().filter(|entry| entry.action() == entity::audit_entry::Action::AuthorizationFailed);
    assert_eq!(failed.count(), 2);
}

#[tokio::test]
async fn the_page_says_why_the_application_did_not_consent() {
    let (server, provider) = (server().start().await, Provider::start().await);
    for (error, status, words) in [
        ("access_denied", 403, "the consent was declined"),
        ("invalid_scope", 502, "(invalid_scope)"),
        ("<script>alert(1)</script>", 502, "(an error of its own)"),
    ] {
        provider.world().error = Some(error.to_owned());
        let shown = visit(&consent(&server, new(&provider, "Acme")).await, None).await;
        let body = page(&shown, status, "Consenting was not connected");
        assert!(body.contains(words) && body.contains("Nothing was created."), "{body}");
    }
    nothing_came_of_it(&server).await;
    let told = failures(&server).await;
    assert_eq!(told.last().unwrap(), "A consent in Consenting failed: the person declined.");
    assert_eq!(told.len(), 3);
}

#[tokio::test]
async fn a_code_that_is_refused_a_permission_that_is_missing_and_a_name_that_was_taken() {
    let (server, provider) = (server().start().await, Provider::start().await);
    let back = consent(&server, new(&provider, "Acme")).await;
    let mut wrong = url::Url::parse(&back).unwrap();
    let state = wrong.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    wrong.query_pairs_mut().clear().append_pair("state", &state).append_pair("code", "made-up");
    let body = page(&visit(wrong.as_str(), None).await, 502, "Consenting was not connected");
    assert!(body.contains("client secret") && !body.contains("made-up"), "{body}");

    provider.world().forbidden = true;
    let back = consent(&server, new(&provider, "Acme")).await;
    let body = page(&visit(&back, None).await, 403, "Consenting was not connected");
    assert!(body.contains("directory.read"), "{body}");
    provider.world().forbidden = false;
    nothing_came_of_it(&server).await;

    let back = consent(&server, new(&provider, "Acme")).await;
    server.rehearse("acme", &[]).await;
    let body = page(&visit(&back, None).await, 409, "Consenting was not connected");
    assert!(body.contains("another name"), "{body}");
    assert_eq!(failures(&server).await.len(), 3);
    let id = connect(&server, new(&provider, "Bolt")).await;
    server.idle(&id, "").await;
}
