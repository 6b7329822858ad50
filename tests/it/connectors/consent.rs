//! A person's consent with a real authorization server: from the mutation through the redirects to the callback, and
//! the grant afterwards.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::Peered;
use crate::peers::users;
use crate::support::ask::pairs;
use crate::support::http;

const CLIENT: [(&str, &str); 2] = [("client_id", "consent"), ("client_secret", "secret-of-consent")];

impl Peered {
    /// Begins a consent, and returns the authorization URL.
    async fn begin(&self, input: Value) -> String {
        let payload = self.server.done("beginAuthorization", input, "authorizationUrl expiresAt").await;
        payload["authorizationUrl"].as_str().unwrap().to_owned()
    }

    /// The input for a consent that creates an instance.
    fn creation(&self) -> Value {
        json!({ "integrationKey": "peer", "name": "Peer", "config": pairs(&self.config("consent", &CLIENT)) })
    }

    fn callback(&self) -> String {
        format!("{}/oauth/callback/peer", self.server.url)
    }

    /// Begins a consent, grants it in the browser, and returns the URL of the callback.
    async fn consent(&self, input: Value) -> String {
        let address = self.begin(input).await;
        self.oidc.browse(&address, &self.callback()).await
    }

    /// Connects the application, waits for the first sync, and returns the instance's id.
    async fn connect(&self) -> String {
        let back = self.consent(self.creation()).await;
        let answer = http().get(back).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
        let found = self.instances().await;
        assert_eq!(found.len(), 1, "{found:?}");
        self.server.idle(&found[0], "").await;
        found[0].clone()
    }

    async fn instances(&self) -> Vec<String> {
        let found = self.server.ask("{ instances { nodes { id } } }", json!({})).await;
        let nodes = found["instances"]["nodes"].as_array().unwrap();
        nodes.iter().map(|instance| instance["id"].as_str().unwrap().to_owned()).collect()
    }

    /// Asserts that each presented refresh token was the newest one and was presented once. Returns how often the grant
    /// was renewed.
    async fn renewals(&self) -> usize {
        let (mut newest, mut count) = (None, 0);
        for request in self.oidc.tokens().await {
            assert_eq!(request.status, 200, "{request:?}");
            assert_eq!(request.presented, newest, "{request:?}");
            newest = request.issued;
            count += usize::from(request.grant_type == "refresh_token");
        }
        count
    }
}

#[tokio::test]
async fn a_consent_makes_an_instance_that_lists_its_users() {
    let peered = Peered::start().await;
    let address = peered.begin(peered.creation()).await;
    assert!(peered.instances().await.is_empty(), "nothing is there before the consent");
    for part in ["response_type=code", "code_challenge_method=S256", "code_challenge=", "state=", "prompt=consent"] {
        assert!(address.contains(part), "{part} in {address}");
    }
    assert!(!address.contains("secret-of-consent"));

    let back = peered.oidc.browse(&address, &peered.callback()).await;
    let answer = http().get(back).send().await.unwrap();
    assert!(answer.status().is_success());
    let id = peered.instances().await[0].clone();
    let instance = peered.server.idle(&id, "name status health userCount createdBy lastSync { trigger outcome }").await;
    let wanted = json!({
        "syncState": "IDLE", "name": "Peer", "status": "LIVE", "health": "OK", "userCount": 5, "createdBy": "ada@example.com",
        "lastSync": { "trigger": "INITIAL", "outcome": "SUCCEEDED" },
    });
    assert_eq!(instance, wanted);
    let ids: HashSet<_> = users(&peered.server, &id).await.iter().map(|user| user["externalId"].to_string()).collect();
    assert_eq!(ids.len(), 5);
}

#[tokio::test]
async fn every_renewal_presents_the_refresh_token_that_the_last_one_brought() {
    let peered = Peered::start().await;
    // A token is renewed a minute before it expires, so this one is renewed at once.
    peered.oidc.lifetime(30).await;
    let id = peered.connect().await;
    for _ in 0..2 {
        let before = peered.renewals().await;
        let run = peered.server.sync(&id, "outcome seen failure { message }").await;
        assert_eq!(run, json!({ "outcome": "SUCCEEDED", "seen": 5, "failure": null }));
        assert!(peered.renewals().await > before, "the second sync renews");
    }
}

#[tokio::test]
async fn a_token_that_is_good_for_long_is_not_renewed() {
    let peered = Peered::start().await;
    let id = peered.connect().await;
    peered.server.sync(&id, "outcome").await;
    assert_eq!(peered.renewals().await, 0);
}

#[tokio::test]
async fn an_access_token_that_the_application_has_ended_early_is_renewed_within_the_run() {
    let peered = Peered::start().await;
    let id = peered.connect().await;
    peered.oidc.expire().await;
    let run = peered.server.sync(&id, "outcome seen failure { message }").await;
    assert_eq!(run, json!({ "outcome": "SUCCEEDED", "seen": 5, "failure": null }));
    assert_eq!(peered.renewals().await, 1);
}

#[tokio::test]
async fn those_who_want_a_new_token_at_once_renew_one_after_the_other() {
    let peered = Peered::start().await;
    let id = peered.connect().await;
    for _ in 0..3 {
        peered.oidc.expire().await;
        let test = || peered.server.done("testConnection", json!({ "instanceId": id }), "ok");
        let (run, first, second, third) = tokio::join!(peered.server.sync(&id, "outcome"), test(), test(), test());
        assert_eq!(run["outcome"], "SUCCEEDED");
        for tested in [first, second, third] {
            assert_eq!(tested["ok"], true, "{tested:#}");
        }
        peered.renewals().await;
    }
    assert!(peered.renewals().await >= 3);
}

/// The fields that a reconnection must not change.
const KEPT: &str = "id name createdAt userCount syncHistory(first: 1, after: null) { totalCount }";

/// Ends the grant with `end`, and checks that a new consent reconnects the instance with all its data.
async fn is_revoked_and_reconnected(end: impl AsyncFn(&Peered)) {
    let peered = Peered::start().await;
    let id = peered.connect().await;
    // Renews once, so that there is a used refresh token.
    peered.oidc.expire().await;
    peered.server.sync(&id, "outcome").await;
    assert_eq!(peered.renewals().await, 1);
    let before = peered.server.instance(&id, KEPT).await;

    end(&peered).await;
    let run = peered.server.sync(&id, "outcome failure { class }").await;
    assert_eq!(run, json!({ "outcome": "FAILED", "failure": { "class": "TOKEN" } }));
    let revoked =
        peered.server.idle(&id, "status inactiveReason userCount notice { severity remedies { mutation } }").await;
    assert_eq!((&revoked["status"], &revoked["inactiveReason"]), (&json!("INACTIVE"), &json!("TOKEN_INACTIVE")));
    assert_eq!((&revoked["userCount"], &revoked["notice"]["severity"]), (&json!(5), &json!("DANGER")));
    assert!(revoked["notice"]["remedies"].to_string().contains("beginAuthorization"), "{revoked:#}");

    let back = peered.consent(json!({ "instanceId": id })).await;
    assert!(http().get(back).send().await.unwrap().status().is_success());
    assert_eq!(peered.instances().await, std::slice::from_ref(&id));
    let mended =
        peered.server.idle(&id, "status inactiveReason health notice { title } lastSync { trigger outcome }").await;
    let wanted = json!({
        "syncState": "IDLE", "status": "LIVE", "inactiveReason": null, "health": "OK", "notice": null,
        "lastSync": { "trigger": "REACTIVATION", "outcome": "SUCCEEDED" },
    });
    assert_eq!(mended, wanted);
    let mut after = peered.server.instance(&id, KEPT).await;
    assert_eq!(
        after["syncHistory"]["totalCount"].as_u64(),
        before["syncHistory"]["totalCount"].as_u64().map(|runs| runs + 2)
    );
    after["syncHistory"] = before["syncHistory"].clone();
    assert_eq!(after, before);
}

#[tokio::test]
async fn a_grant_that_was_withdrawn_revokes_and_a_new_consent_mends_it() {
    is_revoked_and_reconnected(async |peered| peered.oidc.revoke().await).await;
}

#[tokio::test]
async fn a_grant_that_a_thief_has_spoilt_revokes_and_a_new_consent_mends_it() {
    is_revoked_and_reconnected(async |peered| peered.oidc.replay().await).await;
}

#[tokio::test]
async fn a_consent_for_somebody_elses_data_reconnects_nothing() {
    let peered = Peered::start().await;
    let id = peered.connect().await;
    let before = peered.server.everything().await;
    peered.oidc.tenant("umbrella").await;
    let back = peered.consent(json!({ "instanceId": id })).await;
    assert!(http().get(back).send().await.unwrap().status().is_client_error());
    assert_eq!(peered.server.everything().await, before);

    peered.oidc.tenant("acme").await;
    let run = peered.server.sync(&id, "outcome").await;
    assert_eq!(run["outcome"], "SUCCEEDED", "the old grant still works");
}

#[tokio::test]
async fn a_person_who_declines_connects_nothing() {
    let peered = Peered::start().await;
    peered.oidc.deny().await;
    let back = peered.consent(peered.creation()).await;
    assert!(back.contains("error=access_denied"), "{back}");
    assert!(http().get(back).send().await.unwrap().status().is_client_error());
    assert!(peered.instances().await.is_empty());
    assert!(peered.oidc.tokens().await.is_empty());
}

#[tokio::test]
async fn an_answer_counts_once_and_only_with_its_state() {
    let peered = Peered::start().await;
    let back = peered.consent(peered.creation()).await;
    let mut forged = reqwest::Url::parse(&back).unwrap();
    let pairs: Vec<_> = forged.query_pairs().into_owned().filter(|(name, _)| name != "state").collect();
    forged.query_pairs_mut().clear().extend_pairs(pairs).append_pair("state", &"A".repeat(43));
    assert!(http().get(forged).send().await.unwrap().status().is_client_error());
    assert!(peered.instances().await.is_empty());
    assert!(peered.oidc.tokens().await.is_empty(), "the code was not shown to anybody");

    assert!(http().get(&back).send().await.unwrap().status().is_success());
    assert!(http().get(&back).send().await.unwrap().status().is_client_error());
    assert_eq!(peered.instances().await.len(), 1);
    assert_eq!(
        peered.oidc.tokens().await.iter().filter(|request| request.grant_type == "authorization_code").count(),
        1
    );
}
