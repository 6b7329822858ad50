//! Errors and refusals: their codes and fields, and that they show no inner text.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::people::roster::settled;
use crate::support::ask::pairs;
use crate::support::peer::unwelcoming_mail_server;
use crate::support::{Server, change};

async fn deleted(server: &Server) -> String {
    let id = server.rehearse("gone", &[("users", "0")]).await;
    server.done("deleteInstance", json!({ "id": id, "acknowledgeIrreversible": true }), "").await;
    server.until(&id, "status", |now| now["status"] == "DELETED").await;
    id
}

/// A mutation that is refused with each code, and the field that the refusal is about.
fn refused_mutations(acme: &str, off: &str, gone: &str) -> [(&'static str, &'static str, Value, Value); 15] {
    let test = |word: &str| json!({ "integrationKey": "rehearsal", "config": pairs(&[("outcomes", word)]) });
    let unreachable = pairs(&[("base_url", "https://127.0.0.1:9"), ("token", "x")]);
    let consent = pairs(&[("authentication", "oauth"), ("client_id", "1.2"), ("client_secret", "x")]);
    [
        (
            "NOT_FOUND",
            "syncInstance",
            json!({ "id": "SW5zdGFuY2U6MDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDE" }),
            json!(["id"]),
        ),
        ("INVALID_INPUT", "updateInstance", json!({ "id": acme, "name": "" }), json!(["name"])),
        ("NAME_TAKEN", "updateInstance", json!({ "id": acme, "name": "off" }), json!(["name"])),
        ("UNKNOWN_INTEGRATION", "testConnection", json!({ "integrationKey": "nope" }), json!(["integrationKey"])),
        (
            "ACKNOWLEDGEMENT_REQUIRED",
            "deleteInstance",
            json!({ "id": acme, "acknowledgeIrreversible": false }),
            json!(["acknowledgeIrreversible"]),
        ),
        (
            "REVISION_CONFLICT",
            "updateInstance",
            json!({ "id": acme, "expectedRevision": 99 }),
            json!(["expectedRevision"]),
        ),
        ("CREDENTIAL_REJECTED", "testConnection", test("token_inactive"), json!(["config"])),
        ("INSUFFICIENT_PERMISSIONS", "testConnection", test("insufficient_permissions"), json!(["config"])),
        (
            "APPLICATION_UNREACHABLE",
            "testConnection",
            json!({ "integrationKey": "scim", "config": unreachable }),
            json!(["config"]),
        ),
        (
            "AUTHORIZATION_REQUIRED",
            "testConnection",
            json!({ "integrationKey": "slack", "config": consent }),
            json!(["integrationKey"]),
        ),
        (
            "DIFFERENT_TENANT",
            "updateInstance",
            json!({ "id": off, "config": pairs(&[("tenant", "else")]) }),
            json!(["config"]),
        ),
        ("INSTANCE_INACTIVE", "syncInstance", json!({ "id": off }), json!(["id"])),
        ("INSTANCE_DELETED", "updateInstance", json!({ "id": gone, "name": "back" }), json!(["id"])),
        ("NOTHING_TO_CANCEL", "cancelSync", json!({ "instanceId": acme }), json!(["instanceId"])),
        ("MAIL_NOT_ACCEPTED", "sendTestMail", json!({ "address": "ada@example.com" }), json!(["address"])),
    ]
}

/// As above, for members: an administrator, and one who is disabled.
async fn refused_of_members(server: &Server) -> [(&'static str, &'static str, Value, Value); 3] {
    let member = |name: &str, role: &str| json!({ "name": name, "email": format!("{name}@example.com"), "role": role });
    let mut ids = Vec::new();
    for (name, role) in [("ada", "ADMIN"), ("ben", "VIEWER")] {
        ids.push(server.mutate("createMember", member(name, role), "member { id }").await["member"]["id"].take());
    }
    server.mutate("updateMember", json!({ "id": ids[1], "disabled": true }), "").await;
    [
        ("EMAIL_TAKEN", "createMember", member("ADA", "VIEWER"), json!(["email"])),
        ("LAST_ADMINISTRATOR", "updateMember", json!({ "id": ids[0], "role": "VIEWER" }), json!(["id"])),
        ("MEMBER_DISABLED", "resetMember", json!({ "id": ids[1] }), json!(["id"])),
    ]
}

/// As above, for a person whom a people source lists.
async fn refused_of_people(server: &Server, source: &str) -> (&'static str, &'static str, Value, Value) {
    server.done("setPeopleSources", json!({ "sources": [{ "instanceId": source, "rank": 1 }] }), "").await;
    settled(server).await;
    let query = "{ persons(first: 1, filter: { states: [CURRENT] }) { nodes { id } } }";
    let id = server.ask(query, json!({})).await["persons"]["nodes"][0]["id"].take();
    let input = json!({ "id": id, "reason": "Request 7", "acknowledgeIrreversible": true });
    ("PERSON_CURRENT", "erasePerson", input, json!(["force"]))
}

/// As above, for a webhook that is switched off.
async fn refused_of_webhooks(server: &Server) -> [(&'static str, &'static str, Value, Value); 1] {
    let input = json!({ "url": "https://receiver.example.com/hook" });
    let id = server.done("createWebhook", input, "webhook { id }").await["webhook"]["id"].take();
    server.done("updateWebhook", json!({ "id": id, "enabled": false }), "").await;
    let again = json!({ "webhookId": id, "since": "2026-01-01T00:00:00Z" });
    [("WEBHOOK_DISABLED", "retryFailedDeliveries", again, json!(["webhookId"]))]
}

/// As above, for an instance to which no list was delivered.
async fn refused_of_lists(server: &Server) -> (&'static str, &'static str, Value, Value) {
    let id = server.integrate("list", "List", &[]).await;
    ("NOTHING_DELIVERED", "syncInstance", json!({ "id": id }), json!(["id"]))
}

#[tokio::test]
async fn every_refusal_has_its_code_and_field() {
    let smtp = unwelcoming_mail_server().await;
    let server = Server::builder().settings(|settings| settings.smtp_url = Some(smtp)).start().await;
    let acme = server.rehearse("Acme", &[]).await;
    let off = server.rehearse("off", &[("outcomes", "token_inactive,success")]).await;
    for id in [&acme, &off] {
        server.idle(id, "").await;
    }
    let gone = deleted(&server).await;
    let cases = refused_mutations(&acme, &off, &gone).into_iter().chain(refused_of_members(&server).await);
    let cases = cases.chain([refused_of_people(&server, &acme).await, refused_of_lists(&server).await]);
    let cases: Vec<_> = cases.chain(refused_of_webhooks(&server).await).collect();
    for (code, mutation, input, path) in &cases {
        let payload = server.mutate(mutation, input.clone(), "").await;
        let found = &payload["userErrors"][0];
        assert_eq!((&found["code"], &found["field"]), (&json!(code), path), "{mutation} {payload}");
    }
    let query = "{ __type(name: \"UserErrorCode\") { enumValues { name } } }";
    let known = server.ask(query, json!({})).await["__type"]["enumValues"].take();
    let known: BTreeSet<_> = known.as_array().unwrap().iter().map(|value| value["name"].as_str().unwrap()).collect();
    assert_eq!(known, cases.iter().map(|(code, ..)| *code).collect(), "every code has a case here");
}

#[tokio::test]
async fn queries_refuse_invalid_ids_and_find_nothing_for_unknown_ids() {
    let server = Server::start().await;
    let id = server.rehearse("Acme", &[]).await;
    let run = server.idle(&id, "lastSync { id }").await["lastSync"]["id"].take();
    for bad in [json!(""), json!("nonsense"), json!("💥"), run.clone(), json!("SW5zdGFuY2U6bm9wZQ")] {
        let bad = json!({ "id": bad });
        assert_eq!(
            server.error_code("query($id: ID!) { instance(id: $id) { id } }", bad.clone()).await,
            "BAD_USER_INPUT",
            "{bad}"
        );
        let query = "query($id: ID!) { users(filter: { instanceId: $id }) { totalCount } }";
        assert_eq!(server.error_code(query, bad.clone()).await, "BAD_USER_INPUT", "{bad}");
        let query = "query($id: ID!) { instances(filter: { ids: [$id] }) { totalCount } }";
        assert_eq!(server.error_code(query, bad.clone()).await, "BAD_USER_INPUT", "{bad}");
        let query = "query($id: ID!) { notifications(filter: { instanceId: $id }) { totalCount } }";
        assert_eq!(server.error_code(query, bad.clone()).await, "BAD_USER_INPUT", "{bad}");
    }
    for bad in [json!(""), json!("nonsense"), json!("Tm9wZTp4")] {
        assert_eq!(
            server.error_code("query($id: ID!) { node(id: $id) { id } }", json!({ "id": bad })).await,
            "BAD_USER_INPUT"
        );
    }
    let unknown = json!({ "id": "SW5zdGFuY2U6MDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDE" });
    let query = "query($id: ID!) { instance(id: $id) { id } node(id: $id) { id } integration(key: \"nope\") { id } users(filter: { instanceId: $id }) { totalCount } }";
    let nothing = json!({ "instance": null, "node": null, "integration": null, "users": { "totalCount": 0 } });
    assert_eq!(server.ask(query, unknown).await, nothing);
    // An invalid argument of a nullable field does not affect the other fields.
    let answer =
        server.ask_as(&server.admin, "{ bad: instance(id: \"x\") { id } recipients { emails } }", json!({})).await;
    assert_eq!(answer["data"], json!({ "bad": null, "recipients": { "emails": [] } }));
    assert_eq!(
        (&answer["errors"][0]["path"], &answer["errors"][0]["locations"][0]["line"]),
        (&json!(["bad"]), &json!(1))
    );
}

#[tokio::test]
async fn page_sizes_are_limited_and_a_cursor_belongs_to_one_list() {
    let server = Server::start().await;
    let id = server.rehearse("Acme", &[]).await;
    let now =
        server.idle(&id, "users(first: 1) { pageInfo { endCursor } } syncHistory { pageInfo { endCursor } }").await;
    let (user, run) = (
        now["users"]["pageInfo"]["endCursor"].as_str().unwrap(),
        now["syncHistory"]["pageInfo"]["endCursor"].as_str().unwrap(),
    );
    let lists = ["instances", "integrations", "users", "syncHistory", "notifications"];
    for list in lists {
        for first in ["0", "-1", "101", "2147483647"] {
            let query = format!("{{ {list}(first: {first}) {{ totalCount }} }}");
            assert_eq!(server.error_code(&query, json!({})).await, "BAD_USER_INPUT", "{list} {first}");
        }
        for after in
            ["", "nonsense", "💥", "W10", "bnVsbA", &"A".repeat(5000), if list == "users" { run } else { user }]
        {
            let query = format!("query($after: String) {{ {list}(after: $after) {{ nodes {{ __typename }} }} }}");
            assert_eq!(server.error_code(&query, json!({ "after": after })).await, "BAD_USER_INPUT", "{list} {after}");
        }
        let query = format!("{{ {list}(first: null, after: null, filter: null) {{ totalCount }} }}");
        server.ask(&query, json!({})).await;
    }
    for list in ["users", "syncHistory", "events"] {
        for arguments in ["first: 0", "first: 101", "after: \"nonsense\""] {
            let query = format!("{{ instances {{ nodes {{ {list}({arguments}) {{ totalCount }} }} }} }}");
            assert_eq!(server.error_code(&query, json!({})).await, "BAD_USER_INPUT", "{query}");
        }
    }
    let answer =
        server.ask(&format!("{{ users(first: 1, after: \"{user}\") {{ nodes {{ externalId }} }} }}"), json!({})).await;
    assert_eq!(answer["users"]["nodes"][0]["externalId"], "person-1");
}

/// Parts of inner error texts, which no client may see.
const INNER_WORDS: [&str; 10] = [
    "no such table",
    "does not exist",
    "sqlite",
    "postgres",
    "SELECT",
    "INSERT",
    "no such column",
    "sqlx",
    "recipient WHERE",
    "Execution",
];

fn assert_nothing_inner(answer: &Value) {
    for word in INNER_WORDS {
        assert!(!answer.to_string().to_lowercase().contains(&word.to_lowercase()), "{word}: {answer}");
    }
}

/// Drops tables, so that requests fail with internal errors.
async fn drop_tables(server: &Server, tables: &[&str]) {
    for table in tables {
        change(&server.db, &format!("DROP TABLE \"{table}\"")).await;
    }
}

#[tokio::test]
async fn an_internal_error_shows_only_its_request_id() {
    let server = Server::start().await;
    let id = server.rehearse("Acme", &[]).await;
    server.idle(&id, "").await;
    drop_tables(&server, &["recipient", "user_change", "user_account"]).await;
    for (query, path) in [
        ("{ recipients { emails } }", json!(["recipients"])),
        ("{ users { nodes { id } } }", json!(["users"])),
        ("{ instances { nodes { users { nodes { id } } } } }", json!(["instances", "nodes", 0])),
        ("mutation { setRecipients(input: { emails: [] }) { __typename } }", json!(["setRecipients"])),
    ] {
        let answer = server.ask_as(&server.admin, query, json!({})).await;
        let error = &answer["errors"][0];
        assert_eq!(error["message"], "The server made an error; its log has the details.", "{answer}");
        assert_eq!(error["extensions"]["code"], "INTERNAL", "{answer}");
        assert!(error["path"].as_array().unwrap().starts_with(path.as_array().unwrap()), "{answer}");
        assert!(error["extensions"]["requestId"].as_str().is_some_and(|id| id.len() == 36), "{answer}");
        assert_nothing_inner(&answer);
    }
}

#[tokio::test]
async fn a_sync_with_an_internal_error_fails_and_keeps_the_instance_live() {
    let server = Server::start().await;
    let id = server.rehearse("Acme", &[]).await;
    server.idle(&id, "").await;
    drop_tables(&server, &["user_change", "user_account"]).await;
    let run = server.sync(&id, "outcome failure { class message }").await;
    assert_eq!((&run["outcome"], &run["failure"]["class"]), (&json!("FAILED"), &json!("INTERNAL")));
    assert_nothing_inner(&run);
    assert_eq!(server.instance(&id, "status userCount").await, json!({ "status": "LIVE", "userCount": 100 }));
}
