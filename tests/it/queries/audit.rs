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
        nodes { action actor detail at subjectName instance { name } } } }";
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
    assert_eq!(
        (&entries[0]["subjectName"], &entries[5]["subjectName"]),
        (&json!("grace@example.com"), &json!("grace@example.com"))
    );
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

/// A value of a type for an argument, as text of a document.
fn literal(types: &[Value], of: &Value) -> String {
    let kind = of["kind"].as_str().unwrap();
    if kind == "NON_NULL" {
        return literal(types, &of["ofType"]);
    }
    let name = of["name"].as_str().unwrap_or_default();
    let declared = || types.iter().find(|known| known["name"] == name).unwrap();
    match (kind, name) {
        ("LIST", _) => "[]".into(),
        ("SCALAR", "Boolean") => "true".into(),
        ("SCALAR", "Int") => "60".into(),
        ("ENUM", _) => declared()["enumValues"][0]["name"].as_str().unwrap().into(),
        ("INPUT_OBJECT", _) => {
            let fields = declared()["inputFields"].as_array().unwrap();
            let required = fields.iter().filter(|field| field["type"]["kind"] == "NON_NULL");
            let fields: Vec<_> = required
                .map(|field| format!("{}: {}", field["name"].as_str().unwrap(), literal(types, &field["type"])))
                .collect();
            format!("{{ {} }}", fields.join(", "))
        }
        _ => "\"2030-01-01T00:00:00Z\"".into(),
    }
}

/// A call of every mutation with values that are allowed by the schema.
async fn every_mutation(server: &Server) -> Vec<(String, String)> {
    let query = "{ __schema { mutationType { fields { name args { name type { ...T } } } }
        types { name inputFields { name type { ...T } } enumValues { name } } } }
        fragment T on __Type { kind name ofType { kind name ofType { kind name ofType { kind name } } } }";
    let schema = server.ask(query, json!({})).await["__schema"].take();
    let types = schema["types"].as_array().unwrap();
    let calls = schema["mutationType"]["fields"].as_array().unwrap().iter().map(|field| {
        let name = field["name"].as_str().unwrap();
        let arguments: Vec<_> = field["args"]
            .as_array()
            .unwrap()
            .iter()
            .map(|argument| format!("{}: {}", argument["name"].as_str().unwrap(), literal(types, &argument["type"])))
            .collect();
        (name.to_owned(), format!("mutation {{ {name}({}) {{ __typename }} }}", arguments.join(", ")))
    });
    calls.collect()
}

const NEWEST: &str =
    "{ auditLog(first: 1) { nodes { action actor actorKind outcome code address requestId isChained } } }";

#[tokio::test]
async fn every_mutation_leaves_its_entry_however_it_ends() {
    let server = Server::start().await;
    let calls = every_mutation(&server).await;
    assert!(calls.len() >= 10, "{calls:?}");
    for (name, call) in calls {
        for (token, actor) in [(&server.viewer, "viewer"), (&server.admin, "ada@example.com")] {
            let before = server.ask("{ auditLog { totalCount } }", json!({})).await["auditLog"]["totalCount"].as_i64();
            let answer = server.ask_as(token, &call, json!({})).await;
            let after = server.ask("{ auditLog { totalCount } }", json!({})).await["auditLog"]["totalCount"].as_i64();
            assert!(after > before, "{name} left no entry: {answer}");
            let entry = server.ask(NEWEST, json!({})).await["auditLog"]["nodes"][0].take();
            assert_ne!(entry["action"], "CHANGED", "{name} has no action of its own");
            assert_eq!((&entry["actor"], &entry["actorKind"]), (&actor.into(), &"TOKEN".into()), "{name}: {entry}");
            assert_eq!((&entry["address"], &entry["isChained"]), (&"127.0.0.1".into(), &true.into()), "{name}");
            assert!(entry["requestId"].is_string(), "{name}: {entry}");
            // Those are about the caller's own.
            if actor == "viewer" && !["changePassword", "endSession"].contains(&name.as_str()) {
                assert_eq!((&entry["outcome"], &entry["code"]), (&"REFUSED".into(), &"FORBIDDEN".into()), "{name}");
            }
        }
    }
}

#[tokio::test]
async fn a_refusal_that_is_part_of_a_payload_has_its_code_even_if_nobody_asks_for_it() {
    let server = Server::start().await;
    let call =
        "mutation { createInstance(input: { integrationKey: \"no such\", name: \"A\", config: [] }) { __typename } }";
    server.ask(call, json!({})).await;
    let entry = server.ask(NEWEST, json!({})).await["auditLog"]["nodes"][0].take();
    assert_eq!(entry["action"], "INSTANCE_CREATED");
    assert_eq!((&entry["outcome"], &entry["code"]), (&"REFUSED".into(), &"UNKNOWN_INTEGRATION".into()));
}

#[tokio::test]
async fn what_is_refused_or_changes_nothing_is_counted_when_there_is_much_of_it() {
    let server = Server::start().await;
    let change =
        "changePassword(input: { currentPassword: \"a\", newPassword: \"battery horse staple\" }) { __typename }";
    let again = (0..40).map(|number| format!("c{number}: {change} ")).collect::<Vec<_>>().concat();
    for _ in 0..5 {
        server.ask_as(&server.viewer, &format!("mutation {{ {again} }}"), json!({})).await;
    }
    let refused = "{ auditLog(filter: { outcomes: [REFUSED] }) { totalCount nodes { action code times } } }";
    assert_eq!(server.ask(refused, json!({})).await["auditLog"]["totalCount"], 100);
    let place = server.stop().await;
    let server = Server::builder().place(place).start().await;
    let found = server.ask(refused, json!({})).await["auditLog"].take();
    let rest = json!({ "action": "PASSWORD_SET", "code": "INVALID_INPUT", "times": 100 });
    assert_eq!((&found["totalCount"], &found["nodes"][0]), (&json!(101), &rest));
}

#[tokio::test]
async fn strangers_are_counted_by_address() {
    let server = Server::start().await;
    for _ in 0..3 {
        server.ask_as("muster_nobody", "{ __typename }", json!({})).await;
    }
    // At its end, a server writes what it has counted.
    let place = server.stop().await;
    let server = Server::builder().place(place).start().await;
    let refused = "{ auditLog(filter: { outcomes: [REFUSED] }) { nodes { action actorKind code times address } } }";
    let entries = server.ask(refused, json!({})).await["auditLog"]["nodes"].take();
    let wanted = json!([{ "action": "ACCESS_REFUSED", "actorKind": "ANONYMOUS", "code": "UNAUTHENTICATED",
        "times": 3, "address": "127.0.0.1" }]);
    assert_eq!(entries, wanted);
}

#[tokio::test]
async fn filters_select_entries() {
    let server = Server::start().await;
    let id = server.rehearse("Acme", &[]).await;
    server.idle(&id, "").await;
    server.done("setRecipients", json!({ "emails": [] }), "").await;
    let all =
        server.ask("{ auditLog { nodes { at actorId subjectId } } }", json!({})).await["auditLog"]["nodes"].take();
    let (actor, at) = (all[0]["actorId"].clone(), all[0]["at"].clone());
    let count = async |filter: String| {
        let query = format!("{{ auditLog(filter: {{ {filter} }}) {{ totalCount nodes {{ action }} }} }}");
        let found = server.ask(&query, json!({})).await["auditLog"].take();
        assert_eq!(found["totalCount"].as_u64(), found["nodes"].as_array().map(|nodes| nodes.len() as u64));
        found["totalCount"].as_u64().unwrap()
    };
    assert_eq!(count(String::new()).await, 2);
    assert_eq!(count(format!("actorId: {actor}")).await, 2);
    assert_eq!(count(format!("subjectId: \"{id}\"")).await, 1);
    assert_eq!(count(format!("subjectId: {}", all[1]["subjectId"])).await, 1);
    assert_eq!(count("actions: [RECIPIENTS_SET]".into()).await, 1);
    assert_eq!(count("outcomes: [FAILED, REFUSED]".into()).await, 0);
    assert_eq!(count("address: \"127.0.0.1\"".into()).await, 2);
    assert_eq!(count("address: \"192.0.2.1\"".into()).await, 0);
    assert_eq!(count(format!("from: {at}")).await, 1);
    assert_eq!(count(format!("to: {at}")).await, 1);
    for bad in ["address: \"here\"", "actorId: \"ada\""] {
        let query = format!("{{ auditLog(filter: {{ {bad} }}) {{ totalCount }} }}");
        assert_eq!(server.error_code(&query, json!({})).await, "BAD_USER_INPUT");
    }
}

#[tokio::test]
async fn who_reads_the_page_of_a_person_is_recorded_once_an_hour() {
    let server = Server::start().await;
    let id = server.rehearse("Acme", &[]).await;
    server.idle(&id, "").await;
    let user = server.ask("{ users(first: 1) { nodes { id } } }", json!({})).await["users"]["nodes"][0]["id"].take();
    for _ in 0..2 {
        server.ask("query($id: ID!) { node(id: $id) { id } }", json!({ "id": user })).await;
    }
    let read = "{ auditLog(filter: { actions: [PERSON_READ] }) { nodes { number subjectKind actor } } }";
    let wanted = json!([{ "number": "2", "subjectKind": "USER", "actor": "ada@example.com" }]);
    assert_eq!(server.ask(read, json!({})).await["auditLog"]["nodes"], wanted);
}
