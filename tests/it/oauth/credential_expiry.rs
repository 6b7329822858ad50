//! The expiry of credentials, and the notice that warns of it.

use muster::clock::{Clock, date_time};
use serde_json::{Value, json};

use super::provider::{Provider, TOKEN};
use super::{KEY, connect, mutations, new, server};
use crate::support::Server;

const STATE: &str = "status credentialExpiresAt notice { severity title detail since remedies { mutation } }";
const DAY_MS: i64 = 24 * 3_600_000;

/// An instance with a token that a person created.
async fn by_token(server: &Server, provider: &Provider) -> String {
    let config = [("base_url", provider.url.as_str()), ("authentication", "token"), ("token", TOKEN)];
    let id = server.integrate(KEY, "Acme", &config).await;
    server.idle(&id, "").await;
    id
}

fn text(ms: i64) -> Value {
    serde_json::to_value(date_time(ms)).unwrap().as_str().unwrap().replace('Z', "+00:00").into()
}

#[tokio::test]
async fn the_end_of_a_grant_is_known_ahead() {
    let (server, provider) = (server().start().await, Provider::start().await);
    provider.world().refresh_expires_in = Some(90 * 24 * 3600);
    let id = connect(&server, new(&provider, "Acme")).await;
    let found = server.idle(&id, STATE).await;
    assert!(found["credentialExpiresAt"].is_string() && found["notice"].is_null(), "{found}");
    // Each renewal reports the expiry again, and the last one counts.
    (provider.world().refresh_expires_in, provider.world().expires_in) = (Some(10 * 24 * 3600), 30);
    connect(&server, json!({ "instanceId": id })).await;
    server.sync(&id, "id").await;
    let found = server.instance(&id, STATE).await;
    assert_eq!(
        (&found["notice"]["severity"], &found["notice"]["title"]),
        (&json!("WARNING"), &json!("The credential expires soon"))
    );
    assert_eq!(mutations(&found), ["beginAuthorization"]);
    provider.world().refresh_expires_in = None;
    server.sync(&id, "outcome").await;
    let found = server.instance(&id, STATE).await;
    assert_eq!((&found["credentialExpiresAt"], &found["notice"]), (&Value::Null, &Value::Null));
}

#[tokio::test]
async fn a_token_that_ends_within_two_weeks_is_warned_of() {
    let (server, provider) = (server().start().await, Provider::start().await);
    let now = Clock::System.now() / 1000 * 1000;
    provider.world().token_ends = Some(now + 15 * DAY_MS);
    let id = by_token(&server, &provider).await;
    let found = server.instance(&id, STATE).await;
    assert_eq!((&found["credentialExpiresAt"], &found["notice"]), (&text(now + 15 * DAY_MS), &Value::Null));

    provider.world().token_ends = Some(now + 13 * DAY_MS);
    server.sync(&id, "id").await;
    let found = server.instance(&id, STATE).await;
    assert_eq!(found["credentialExpiresAt"], text(now + 13 * DAY_MS));
    let notice = &found["notice"];
    assert_eq!((&notice["severity"], &notice["title"]), (&json!("WARNING"), &json!("The credential expires soon")));
    let created = server.instance(&id, "createdAt").await["createdAt"].clone();
    assert_eq!(notice["since"], created, "nobody could be warned before there was an instance");
    let day = &text(now + 13 * DAY_MS).as_str().unwrap()[..10].to_owned();
    assert!(notice["detail"].as_str().unwrap().contains(day), "{notice}");
    assert_eq!(mutations(&found), [Value::Null, json!("updateInstance")]);

    // A response without an expiry changes nothing. A new credential clears it.
    provider.world().token_ends = None;
    server.sync(&id, "id").await;
    assert_eq!(server.instance(&id, STATE).await["credentialExpiresAt"], text(now + 13 * DAY_MS));
    connect(&server, json!({ "instanceId": id, "config": crate::support::ask::pairs(&[
        ("authentication", "consent"), ("client_id", super::provider::CLIENT), ("client_secret", super::provider::SECRET)
    ]) }))
    .await;
    assert_eq!(server.instance(&id, STATE).await["credentialExpiresAt"], Value::Null);
}

#[tokio::test]
async fn what_is_worse_is_said_instead() {
    let (server, provider) = (server().start().await, Provider::start().await);
    provider.world().token_ends = Some(Clock::System.now() - 1000);
    let id = by_token(&server, &provider).await;
    let notice = server.instance(&id, STATE).await["notice"].clone();
    assert_eq!(notice, Value::Null, "a sync that succeeded after the end knows better");
    provider.world().token_ends = Some(Clock::System.now() + DAY_MS);
    server.sync(&id, "id").await;
    assert_eq!(server.instance(&id, STATE).await["notice"]["title"], "The credential expires soon");
    server.done("updateInstance", json!({ "id": id, "status": "INACTIVE" }), "").await;
    assert_eq!(server.instance(&id, STATE).await["notice"]["title"], "Switched off by a member");
    server.done("updateInstance", json!({ "id": id, "status": "LIVE" }), "").await;
    server.idle(&id, "").await;
    provider.world().forbidden = true;
    server.sync(&id, "id").await;
    assert_eq!(server.instance(&id, STATE).await["notice"]["title"], "The token lacks a permission");
    server.done("deleteInstance", json!({ "id": id, "acknowledgeIrreversible": true }), "").await;
    let found = server.until(&id, STATE, |found| found["status"] == "DELETED").await;
    assert_eq!((&found["notice"], &found["credentialExpiresAt"]), (&Value::Null, &Value::Null));
}
