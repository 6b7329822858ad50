use serde_json::{Value, json};

use crate::support::Server;
use crate::support::ask::pairs;

#[tokio::test]
async fn what_members_do_is_in_the_audit_log() {
    let server = Server::start().await;
    let id = server.rehearse("Acme", &[]).await;
    server.idle(&id, "").await;
    server.done("setRecipients", json!({ "emails": ["grace@example.com"] }), "").await;
    server.done("testConnection", json!({ "instanceId": id }), "").await;
    let test = json!({ "integrationKey": "rehearsal", "config": pairs(&[("outcomes", "token_inactive")]) });
    server.mutate("testConnection", test, "").await;
    server.done("syncInstance", json!({ "id": id, "acceptRemovals": true }), "").await;
    server.done("sendTestMail", json!({ "address": "grace@example.com" }), "").await;

    let query =
        "query($after: String) { auditLog(first: 2, after: $after) { totalCount pageInfo { hasNextPage endCursor }
        nodes { action actor detail at instance { name } } } }";
    let (mut entries, mut after) = (Vec::new(), Value::Null);
    loop {
        let page = server.ask(query, json!({ "after": after })).await["auditLog"].take();
        assert_eq!(page["totalCount"], 7);
        entries.extend(page["nodes"].as_array().unwrap().clone());
        after = page["pageInfo"]["endCursor"].clone();
        if page["pageInfo"]["hasNextPage"] == false {
            break;
        }
    }
    let told: Vec<_> = entries.iter().map(|entry| [&entry["action"], &entry["instance"]["name"]]).collect();
    let (acme, none) = (&json!("Acme"), &Value::Null);
    let wanted = [
        [&json!("TEST_MAIL_SENT"), none],
        [&json!("REMOVALS_ACCEPTED"), acme],
        [&json!("SYNC_REQUESTED"), acme],
        [&json!("CONNECTION_TESTED"), none],
        [&json!("CONNECTION_TESTED"), acme],
        [&json!("RECIPIENTS_SET"), none],
        [&json!("INSTANCE_CREATED"), acme],
    ];
    assert_eq!(told, wanted);
    for entry in &entries {
        assert_eq!(entry["actor"], "ada@example.com");
        assert!(!entry["detail"].as_str().unwrap().contains('@'), "no addresses: {entry}");
    }
    for bad in ["first: 0", "first: 101", "after: \"nonsense\""] {
        assert_eq!(
            server.error_code(&format!("{{ auditLog({bad}) {{ totalCount }} }}"), json!({})).await,
            "BAD_USER_INPUT"
        );
    }
}
