//! Rows of a newer version, which runs beside this one while replicas are replaced.

use serde_json::{Value, json};

use crate::support::{Server, change};

/// What a newer version may have written.
const NEWER: [&str; 7] = [
    "UPDATE audit_entry SET action = 'weather_made', actor_kind = 'robot', subject_kind = 'planet',
        outcome = 'later' WHERE action = 'recipients_set'",
    "UPDATE event SET cause = 'teleported' WHERE cause = 'sync_failed'",
    "UPDATE notification SET kind = 'postcard' WHERE kind = 'sync_failed'",
    "UPDATE notification SET reason = 'moonlight'",
    "UPDATE sync_run SET failure_class = 'moonlight', mail_kind = 'postcard' WHERE outcome = 'failed'",
    "UPDATE instance SET failure_class = 'moonlight'",
    "INSERT INTO job (kind, subject, run_at, lease_until, claims, take_overs, priority)
        SELECT 'dream', id, 0, 0, 0, 0, 0 FROM instance",
];

/// Where it is shown.
const SHOWN: &str = "query($id: ID!) { auditLog { nodes { action actorKind subjectKind outcome detail } }
        instance(id: $id) { headline notice { title detail } events(first: 100) { nodes { cause } }
        lastSync { outcome failure { class message } mailDecision { kind } } }
        instances { nodes { name headline } } syncHistory { nodes { failure { class } } }
        notifications { nodes { kind reason standsFor { nodes { name } } } } }";

#[tokio::test]
async fn values_that_only_a_newer_version_knows_keep_no_page_from_being_shown() {
    let server = Server::start().await;
    server.done("setRecipients", json!({ "emails": ["all@example.com"] }), "").await;
    let id = server.rehearse("Acme", &[("outcomes", "success,garbage")]).await;
    server.idle(&id, "").await;
    let cursor = server.ask("{ eventCursor }", json!({})).await["eventCursor"].take();
    assert_eq!(server.sync(&id, "outcome").await["outcome"], "FAILED");

    for statement in NEWER {
        change(&server.db, statement).await;
    }
    let found = server.ask(SHOWN, json!({ "id": id })).await;
    let count = |list: &str, field: &str, value: &str| {
        let nodes = found.pointer(list).unwrap().as_array().unwrap();
        nodes.iter().filter(|node| node[field] == value).count()
    };
    assert!(
        count("/auditLog/nodes", "action", "UNKNOWN") == 1
            && count("/auditLog/nodes", "action", "INSTANCE_CREATED") == 1
    );
    let newer = found["auditLog"]["nodes"].as_array().unwrap().iter().find(|node| node["action"] == "UNKNOWN").unwrap();
    assert_eq!(
        (&newer["actorKind"], &newer["subjectKind"], &newer["outcome"]),
        (&Value::Null, &Value::Null, &json!("FAILED"))
    );
    assert!(
        count("/instance/events/nodes", "cause", "UNKNOWN") == 1
            && count("/instance/events/nodes", "cause", "CREATED") == 1
    );
    assert_eq!(
        (
            count("/notifications/nodes", "kind", "UNKNOWN"),
            count("/notifications/nodes", "kind", "INITIAL_SYNC_SUCCEEDED")
        ),
        (2, 2)
    );
    let last = &found["instance"]["lastSync"];
    assert_eq!(
        (&last["failure"]["class"], &last["mailDecision"]["kind"]),
        (&json!("UNKNOWN"), &json!("UNKNOWN")),
        "{last}"
    );
    assert_eq!(found["instance"]["notice"]["title"], "Syncs fail", "{found}");

    let mut late = server.acknowledged(&server.viewer).await;
    late.subscribe("s", &format!("subscription {{ instanceStateChanged(after: {cursor}) {{ cause }} }}")).await;
    let mut causes = Vec::new();
    while causes.last().is_none_or(|cause| cause != "UNKNOWN") {
        causes.push(late.next().await["payload"]["data"]["instanceStateChanged"]["cause"].take());
        assert!(causes.len() < 20, "{causes:?}");
    }
    // Everything goes on: what is changed is recorded, and the instance works again.
    server.configure(&id, &[("outcomes", "success")]).await;
    assert_eq!(server.sync(&id, "outcome").await["outcome"], "SUCCEEDED");
    let kinds = server.ask("{ notifications(first: 2) { nodes { kind } } }", json!({})).await;
    assert_eq!(kinds["notifications"]["nodes"], json!([{ "kind": "SYNC_RECOVERED" }, { "kind": "SYNC_RECOVERED" }]));
}
