//! The life of an instance that is connected by a person's consent.

use entity::notification::NotificationKind;
use sea_orm::{EntityTrait, PaginatorTrait};
use serde_json::{Value, json};

use super::provider::{Provider, TOKEN};
use super::{begin, connect, consent, failures, mutations, new, server, visit};
use crate::support::Server;
use crate::support::ask::pairs;

const STATE: &str = "id status inactiveReason health userCount createdBy revision credentialExpiresAt
    notice { severity title remedies { label mutation } } lastSync { trigger outcome }";

async fn grants(server: &Server) -> u64 {
    entity::oauth_grant::Entity::find().count(server.db.read()).await.unwrap()
}

/// A connected instance whose grant was then revoked.
async fn revoked(server: &Server, provider: &Provider) -> String {
    let id = connect(server, new(provider, "Acme")).await;
    server.idle(&id, "").await;
    provider.revoke();
    let run = server.sync(&id, "outcome failure { class }").await;
    assert_eq!(run, json!({ "outcome": "FAILED", "failure": { "class": "TOKEN" } }));
    id
}

#[tokio::test]
async fn a_consent_creates_the_instance_as_whoever_began_it() {
    let (server, provider) = (server().start().await, Provider::start().await);
    let mut input = new(&provider, "Acme");
    input["syncIntervalMinutes"] = json!(7);
    let id = connect(&server, input).await;
    let found = server
        .idle(
            &id,
            &format!(
                "{STATE} name syncIntervalMinutes config {{ key value isSet }} events {{ nodes {{ cause actor }} }}"
            ),
        )
        .await;
    assert_eq!(
        (&found["status"], &found["health"], &found["userCount"], &found["createdBy"], &found["syncIntervalMinutes"]),
        (&json!("LIVE"), &json!("OK"), &json!(3), &json!("ada@example.com"), &json!(7))
    );
    assert_eq!(found["lastSync"], json!({ "trigger": "INITIAL", "outcome": "SUCCEEDED" }));
    assert_eq!((&found["notice"], &found["credentialExpiresAt"]), (&Value::Null, &Value::Null));
    let first = found["events"]["nodes"].as_array().unwrap().last().unwrap();
    assert_eq!(*first, json!({ "cause": "CREATED", "actor": "ada@example.com" }));
    let shown = found["config"].to_string();
    assert!(!shown.contains("of-the-provider") && !shown.contains(super::provider::SECRET), "{shown}");
    let tested = server.done("testConnection", json!({ "instanceId": id }), "ok tenant").await;
    assert_eq!((&tested["ok"], &tested["tenant"]), (&json!(true), &json!("acme")));
    assert_eq!(grants(&server).await, 1);
}

#[tokio::test]
async fn a_grant_that_was_withdrawn_is_replaced_by_a_new_consent_in_place() {
    let (server, provider) = (server().start().await, Provider::start().await);
    let id = revoked(&server, &provider).await;
    let found = server.instance(&id, STATE).await;
    assert_eq!(
        (&found["status"], &found["inactiveReason"], &found["userCount"]),
        (&json!("INACTIVE"), &json!("TOKEN_INACTIVE"), &json!(3))
    );
    assert_eq!(mutations(&found), ["beginAuthorization", "updateInstance"]);
    let mails = entity::notification::Entity::find().all(server.db.read()).await.unwrap();
    let mail = mails.into_iter().find(|mail| mail.kind == NotificationKind::SyncFailed).unwrap();
    let text = mail.text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("choose to consent again") && !text.contains("enter the new token"), "{text}");
    // The instance cannot be set to LIVE while the application refuses the grant.
    let live = server.refused("updateInstance", json!({ "id": id, "status": "LIVE" })).await;
    assert_eq!(live, [("CREDENTIAL_REJECTED".to_owned(), json!(["status"]))]);

    let people = server.people(&id).await;
    let runs = server.runs(&id, "id").await;
    provider.world().users = 4;
    assert_eq!(connect(&server, json!({ "instanceId": id })).await, id);
    let now = server.idle(&id, &format!("{STATE} events(first: 9) {{ nodes {{ cause actor }} }}")).await;
    assert_eq!((&now["status"], &now["health"], &now["notice"]), (&json!("LIVE"), &json!("OK"), &Value::Null));
    assert_eq!(now["lastSync"], json!({ "trigger": "REACTIVATION", "outcome": "SUCCEEDED" }));
    let causes: Vec<_> = now["events"]["nodes"].as_array().unwrap().iter().map(|it| it["cause"].clone()).collect();
    assert!(causes.contains(&json!("UPDATED")) && causes.contains(&json!("REACTIVATED")), "{causes:?}");
    let after = server.people(&id).await;
    assert!(people.iter().all(|person| after.contains(person)) && after.len() == 4);
    assert_eq!(server.runs(&id, "id").await[..runs.len()], runs[..]);
    assert_eq!(grants(&server).await, 1);
}

#[tokio::test]
async fn a_consent_of_another_tenant_changes_nothing() {
    let (server, provider) = (server().start().await, Provider::start().await);
    let id = connect(&server, new(&provider, "Acme")).await;
    server.idle(&id, "").await;
    provider.world().tenant = "bolt".into();
    let before = server.everything().await;
    let back = consent(&server, json!({ "instanceId": id })).await;
    let shown = visit(&back, None).await;
    assert_eq!(shown.status, 409, "{}", shown.body);
    for words in ["bolt", "acme", "the instance is as it was before"] {
        assert!(shown.body.contains(words), "{words} in {}", shown.body);
    }
    assert_eq!(server.everything().await, before);
    assert_eq!(failures(&server).await.len(), 1);
    // The old grant still works.
    assert_eq!(server.sync(&id, "outcome").await["outcome"], "SUCCEEDED");
    // If the person declines, nothing changes either.
    provider.world().error = Some("access_denied".into());
    let shown = visit(&consent(&server, json!({ "instanceId": id })).await, None).await;
    assert!(shown.status == 403 && shown.body.contains("as it was before"), "{}", shown.body);
    assert_eq!(server.sync(&id, "outcome").await["outcome"], "SUCCEEDED");
}

#[tokio::test]
async fn a_live_instance_can_get_a_new_consent_without_a_break() {
    let (server, provider) = (server().start().await, Provider::start().await);
    let id = connect(&server, new(&provider, "Acme")).await;
    let before = server.idle(&id, "revision").await;
    let runs = server.runs(&id, "id").await.len();
    connect(&server, json!({ "instanceId": id })).await;
    let after = server.instance(&id, "status revision syncState").await;
    assert_eq!((&after["status"], &after["syncState"]), (&json!("LIVE"), &json!("IDLE")));
    assert_eq!(after["revision"].as_i64(), before["revision"].as_i64().map(|revision| revision + 1));
    assert_eq!(server.runs(&id, "id").await.len(), runs);
    assert_eq!(server.sync(&id, "outcome").await["outcome"], "SUCCEEDED");
}

#[tokio::test]
async fn other_settings_need_a_consent_of_their_own() {
    let (server, provider) = (server().start().await, Provider::start().await);
    let id = connect(&server, new(&provider, "Acme")).await;
    server.idle(&id, "").await;
    let elsewhere = Provider::start().await;
    let moved = [("base_url", elsewhere.url.as_str())];
    let moved_whole = [moved[0], ("client_secret", super::provider::SECRET)];
    let cases = [
        // A stored secret is not sent to another address.
        (&moved[..], "INVALID_INPUT", json!(["config", "client_secret"])),
        (&moved_whole[..], "AUTHORIZATION_REQUIRED", json!(["config"])),
        (&[("client_id", "another-client")][..], "AUTHORIZATION_REQUIRED", json!(["config"])),
    ];
    for (field, key) in [("updateInstance", "id"), ("testConnection", "instanceId")] {
        for (config, code, path) in &cases {
            let refused = server.refused(field, json!({ key: id, "config": pairs(config) })).await;
            assert_eq!(refused, [((*code).to_owned(), path.clone())], "{field}");
        }
    }
    assert_eq!((server.sync(&id, "outcome").await["outcome"].clone(), grants(&server).await), (json!("SUCCEEDED"), 1));
}

#[tokio::test]
async fn a_deleted_instance_keeps_neither_grant_nor_consent_under_way() {
    let (server, provider) = (server().start().await, Provider::start().await);
    let id = connect(&server, new(&provider, "Acme")).await;
    server.idle(&id, "").await;
    begin(&server, json!({ "instanceId": id })).await;
    let back = consent(&server, json!({ "instanceId": id })).await;
    server.done("deleteInstance", json!({ "id": id, "acknowledgeIrreversible": true }), "").await;
    assert_eq!(grants(&server).await, 0);
    assert_eq!(entity::oauth_authorization::Entity::find().count(server.db.read()).await.unwrap(), 0);
    assert_eq!(visit(&back, None).await.status, 400);
}

#[tokio::test]
async fn a_credential_of_another_kind_takes_the_place_of_the_consent_and_back() {
    let (server, provider) = (server().start().await, Provider::start().await);
    let id = connect(&server, new(&provider, "Acme")).await;
    server.idle(&id, "").await;
    server.configure(&id, &[("authentication", "token"), ("token", TOKEN)]).await;
    assert_eq!(grants(&server).await, 0);
    assert_eq!(server.sync(&id, "outcome").await["outcome"], "SUCCEEDED");
    let back = [&provider.config()[..], &[("authentication", "consent")]].concat();
    let refused = server.refused("updateInstance", json!({ "id": id, "config": pairs(&back) })).await;
    assert_eq!(refused, [("AUTHORIZATION_REQUIRED".to_owned(), json!(["config"]))]);
    assert_eq!(connect(&server, json!({ "instanceId": id, "config": pairs(&back) })).await, id);
    assert_eq!(grants(&server).await, 1);
    assert_eq!(server.sync(&id, "outcome").await["outcome"], "SUCCEEDED");
}
