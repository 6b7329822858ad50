//! Access tokens that expire soon: each sync renews, and no refresh token is used twice.

use serde_json::json;

use super::provider::{Provider, SECRET};
use super::{connect, connectors, consent, new, server, visit};
use crate::process::Home;
use crate::support::DEADLINE;

#[tokio::test]
async fn syncs_and_tests_at_the_same_time_use_each_refresh_token_once() {
    let (server, provider) = (server().start().await, Provider::start().await);
    provider.world().expires_in = 30;
    let id = connect(&server, new(&provider, "Acme")).await;
    server.idle(&id, "").await;
    for _ in 0..3 {
        let test = || server.done("testConnection", json!({ "instanceId": id }), "ok tenant");
        let (run, ..) = tokio::join!(server.sync(&id, "outcome"), test(), test(), test(), test());
        assert_eq!(run["outcome"], "SUCCEEDED");
    }
    let world = provider.world();
    assert!(world.renewals > 3 && world.reuses == 0, "{} renewals, {} reuses", world.renewals, world.reuses);
}

#[tokio::test]
async fn a_server_that_is_killed_when_it_first_uses_a_renewed_token_has_stored_the_grant() {
    let provider = Provider::start().await;
    provider.world().expires_in = 30;
    let home = home();
    let token = home.token();
    let mut program = home.serve(&token).await;
    let id = connect(&program.client, new(&provider, "Acme")).await;
    program.client.idle(&id, "").await;
    for _ in 0..3 {
        let before = provider.world().renewals;
        provider.world().held = true;
        let input = json!({ "id": id });
        program.client.done("syncInstance", input, "").await;
        tokio::time::timeout(DEADLINE, provider.asked.notified()).await.expect("a renewed token in use");
        assert!(provider.world().renewals > before);
        program.kill();
        home.leases_run_out().await;
        provider.world().held = false;
        program = home.serve(&token).await;
        let found = program.client.idle(&id, "status health lastSync { outcome failure { message } }").await;
        assert_eq!((&found["status"], &found["health"]), (&json!("LIVE"), &json!("OK")), "{found}");
    }
    assert_eq!(provider.world().reuses, 0);
    program.kill();
    home.assert_intact().await;
    let log = home.log();
    for secret in [SECRET, "-of-the-provider", "code_challenge", "state="] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}

#[tokio::test]
async fn a_consent_that_was_begun_before_a_restart_counts_after_it() {
    let (home, provider) = (home(), Provider::start().await);
    let token = home.token();
    let program = home.serve(&token).await;
    let back = consent(&program.client, new(&provider, "Acme")).await;
    program.kill();
    let program = home.serve(&token).await;
    let shown = visit(&back, None).await;
    assert_eq!(shown.status, 303, "{}", shown.body);
    program.kill();
}

/// An installation with the application in its catalog.
fn home() -> Home {
    let home = Home::new();
    let dir = connectors(home.dir.path());
    home.set("CONNECTORS_DIR", dir.display().to_string()).set("ALLOWED_NETWORKS", "127.0.0.0/8").set("LOG", "trace")
}
