//! No secret is written in plain text: not in logs, responses, files or mails.

use serde_json::{Value, json};

use super::Home;
use crate::peers::{Scim, Smtp};

const PASSWORD: &str = "canary-mail-password-9d2c";
const NEW_TOKEN: &str = "canary-scim-token-4b7e";

#[tokio::test]
async fn credentials_appear_in_no_log_answer_or_file_even_at_trace() {
    let mut scim = Scim::start(3, &[]);
    let smtp = Smtp::start();
    // The peer offers no login, so each attempt fails and is logged.
    let url = format!("smtp://canary-user:{PASSWORD}@127.0.0.1:{}", smtp.port());
    let home = Home::new().set("SMTP_URL", url).set("ALLOWED_NETWORKS", "127.0.0.0/8").set("LOG", "trace");
    let token = home.token();
    let program = home.serve(&token).await;
    let client = &program.client;
    let id = client.integrate("scim", "Directory", &scim.config()).await;
    let mut answers = client.idle(&id, "config { key isSet value } lastSync { failure { message } }").await.to_string();

    // A token that is refused, then its replacement, then a wrong one.
    let old_token = scim.token.clone();
    scim.accept_only(NEW_TOKEN).await;
    let sync = "mutation($id: ID!) { syncInstance(input: { id: $id }) { run { id } } }";
    client.ask(sync, json!({ "id": id })).await;
    let waits = |now: &Value| !now["currentSync"]["waitingFor"].is_null();
    answers += &client.until(&id, "currentSync { waitingFor waitingUntil }", waits).await.to_string();
    let cancel = "mutation($id: ID!) { cancelSync(input: { instanceId: $id }) { userErrors { message } } }";
    answers += &client.ask(cancel, json!({ "id": id })).await.to_string();
    client.idle(&id, "").await;
    let update = "mutation($id: ID!, $token: String!) { updateInstance(input: { id: $id, config: [{ key: \"token\", value: $token }] }) {
        instance { config { key value } } userErrors { message } } }";
    for token in ["canary-wrong-token-0001", NEW_TOKEN] {
        answers += &client.ask(update, json!({ "id": id, "token": token })).await.to_string();
    }
    client.idle(&id, "").await;
    // The response to a document that does not parse may repeat the client's text, but no secret.
    answers += &client.ask_as(&token, "{ canary", json!({ "token": "canary" })).await.to_string();
    answers += &client
        .ask("{ notifications { nodes { lastError subject } } instances { nodes { events { nodes { cause actor instance { config { value } } } } } } }", json!({}))
        .await
        .to_string();
    let waiting = client.until(&id, "status health", |found| found["health"] == "OK").await;
    assert_eq!(waiting["status"], "LIVE");
    for path in ["metrics", "readyz"] {
        answers +=
            &crate::support::http().get(format!("{}/{path}", client.url)).send().await.unwrap().text().await.unwrap();
    }
    // The token in a WebSocket message, which libraries would log at trace.
    client.acknowledged(&token).await;
    program.kill();

    let log = home.log();
    assert!(log.contains("a sync waits for its application"), "the log was read");
    let mut places = vec![("answers".to_owned(), answers.into_bytes()), ("log".to_owned(), log.into_bytes())];
    places.extend(home.stored().await);
    assert!(places.len() > 3, "the data folder was read");
    let bearer = token.trim_start_matches("muster_");
    for secret in [PASSWORD, NEW_TOKEN, "canary-wrong-token-0001", &old_token, bearer] {
        for (place, content) in &places {
            let hit = content.windows(secret.len()).position(|window| window == secret.as_bytes());
            let around = hit.map(|at| String::from_utf8_lossy(&content[at.saturating_sub(80)..at]).into_owned());
            assert!(hit.is_none(), "{secret} stands in {place}, after: {around:?}");
        }
    }
}
