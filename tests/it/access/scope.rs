//! A token that is limited to some instances sees nothing of the others.

use muster::auth::tokens::NewToken;
use muster::auth::{Role, Scope};
use serde_json::{Value, json};
use uuid::Uuid;

use super::walk::{Way, base, objects, operations, schema, ways};
use crate::support::wire::Socket;
use crate::support::{Server, change};

/// The name of the instance that must not be seen.
const CANARY: &str = "Kanarienvogel";
const USERS: &str = "7";

/// A server with an instance inside of the scope and one outside.
struct Register {
    server: Server,
    inside: String,
    outside: String,
    /// What shows the instance outside: its name, and the ids of everything that belongs to it.
    canaries: Vec<String>,
    /// An id of each kind, of the instance outside.
    ids: Vec<String>,
}

impl Register {
    async fn start() -> Self {
        let server = Server::start().await;
        server.done("setRecipients", json!({ "emails": ["all@example.com"] }), "").await;
        let config = [("users", USERS), ("outcomes", "success,garbage")];
        let (inside, outside) = (server.rehearse("Inside", &config).await, server.rehearse(CANARY, &config).await);
        for id in [&inside, &outside] {
            server.idle(id, "").await;
            server.sync(id, "outcome").await;
        }
        server.searchable().await;
        let found = server
            .ask(
                "query($id: ID!, $filter: NotificationFilter) {
                    instance(id: $id) { users(first: 100) { nodes { id externalId } }
                        syncHistory { nodes { id changes { nodes { user { id } } } } } events { nodes { cursor } } }
                    notifications(filter: $filter) { nodes { id } } }",
                json!({ "id": outside, "filter": { "instanceId": outside } }),
            )
            .await;
        let all = |of: &Value| {
            of["nodes"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let users = all(&found["instance"]["users"]);
        let runs = all(&found["instance"]["syncHistory"]);
        let mails = all(&found["notifications"]);
        assert_eq!((users.len(), runs.len(), mails.len()), (7, 2, 4), "{found}");
        let ids = vec![outside.clone(), runs[0].clone(), users[0].clone(), mails[0].clone()];
        let canaries = [vec![CANARY.to_owned(), outside.clone()], users, runs, mails].concat();
        Self { server, inside, outside, canaries, ids }
    }

    async fn token(&self, role: Role, scope: Scope) -> String {
        let new = NewToken { scope: Some(scope), ..NewToken::new("limited", role) };
        self.server.tokens.create(new).await.unwrap().text
    }

    fn shows(&self, answer: &Value) -> bool {
        let text = answer.to_string();
        self.canaries.iter().any(|canary| text.contains(canary.as_str()))
    }
}

pub fn key(id: &str) -> Uuid {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(id).unwrap();
    Uuid::try_parse(String::from_utf8(text).unwrap().rsplit(':').next().unwrap()).unwrap()
}

pub fn only(id: &str) -> Scope {
    Scope { instances: [key(id)].into(), ..Scope::default() }
}

/// Documents that select every field of every type that queries reach, on the shortest way to it. `ids` stand for the
/// ids that fields take.
fn documents(ids: &[String]) -> Vec<String> {
    let schema = schema();
    let objects = objects(&schema);
    let mut documents = Vec::new();
    for (on, Way { steps, .. }) in ways(&schema, |_, _| false) {
        let leaves: Vec<_> = objects[on.as_str()]
            .iter()
            .filter(|field| field.arguments.is_empty() && !objects.contains_key(base(&field.ty.node)))
            .collect();
        let selected: Vec<_> = leaves.iter().map(|field| field.name.node.as_str()).chain(["__typename"]).collect();
        let fragment = if steps.first().is_some_and(|step| step.starts_with("node")) {
            format!("... on {on} ")
        } else {
            String::new()
        };
        let document =
            format!("{{ {} {{ {fragment} {} }} {}", steps.join(" { "), selected.join(" "), "}".repeat(steps.len()));
        if document.contains("\"x\"") {
            documents.extend(ids.iter().map(|id| document.replace("\"x\"", &json!(id).to_string())));
        } else {
            documents.push(document);
        }
    }
    documents
}

#[tokio::test]
async fn a_caller_is_told_what_it_is_limited_to() {
    let server = Server::start().await;
    let inside = server.rehearse("Inside", &[]).await;
    let scope = Scope { integrations: ["okta".to_owned()].into(), ..only(&inside) };
    let query = "{ me { role scope { integrationKeys instanceIds } } }";
    // Also one that sees figures only.
    for role in [Role::Admin, Role::Reports] {
        let new = NewToken { scope: Some(scope.clone()), ..NewToken::new("limited", role) };
        let token = server.tokens.create(new).await.unwrap().text;
        let me = server.ask_as(&token, query, json!({})).await["data"]["me"]["scope"].take();
        assert_eq!(me, json!({ "integrationKeys": ["okta"], "instanceIds": [inside] }));
    }
    assert_eq!(server.ask(query, json!({})).await["me"], json!({ "role": "ADMIN", "scope": null }));
}

#[tokio::test]
async fn no_field_shows_an_instance_outside_of_the_scope() {
    let register = Register::start().await;
    let server = &register.server;
    let limited = register.token(Role::Admin, only(&register.inside)).await;
    let filters = [
        format!("instances(filter: {{ ids: [\"{}\"] }})", register.outside),
        format!("instances(filter: {{ search: \"{CANARY}\" }})"),
        format!("syncHistory(filter: {{ instanceId: \"{}\" }})", register.outside),
        format!("users(filter: {{ instanceId: \"{}\" }})", register.outside),
        format!("users(filter: {{ instanceId: \"{}\", statuses: [ACTIVE, SUSPENDED, INVITED] }})", register.outside),
        format!("users(filter: {{ instanceId: \"{}\", search: \"a\" }})", register.outside),
        "users(filter: { statuses: [ACTIVE, SUSPENDED, INVITED] })".to_owned(),
        "users(filter: { integrationKeys: [\"rehearsal\"], includeRemoved: true }, first: 100)".to_owned(),
    ];
    let mut documents = documents(&register.ids);
    documents.extend(
        filters
            .iter()
            .map(|field| format!("{{ {field} {{ totalCount nodes {{ id __typename }} pageInfo {{ endCursor }} }} }}")),
    );
    documents.extend(register.ids.iter().map(|id| format!("{{ node(id: \"{id}\") {{ id __typename }} }}")));
    let (mut seen, mut answered) = (0, 0);
    for document in &documents {
        for _ in 0..2 {
            let own = server.ask_as(&server.admin, document, json!({})).await;
            seen += usize::from(register.shows(&own));
            let answer = server.ask_as(&limited, document, json!({})).await;
            assert!(!register.shows(&answer), "{document}: {answer}");
            answered += usize::from(answer.get("errors").is_none());
        }
    }
    assert!(seen > 25 && answered > 80, "{seen} answers show it, {answered} are answered to the limited token");
}

#[tokio::test]
async fn counts_are_those_of_the_scope() {
    let register = Register::start().await;
    let counts = "{ instances { totalCount } users { totalCount } syncHistory { totalCount }
        active: users(filter: { statuses: [ACTIVE, SUSPENDED, INVITED, UNKNOWN] }) { totalCount }
        kinds: integrations(filter: { integrated: true }) { totalCount }
        integration(key: \"rehearsal\") { instanceCount userCount instances { totalCount } } }";
    let expect = |instances: i64| {
        json!({ "instances": { "totalCount": instances }, "users": { "totalCount": 7 * instances },
            "syncHistory": { "totalCount": 2 * instances }, "active": { "totalCount": 7 * instances },
            "kinds": { "totalCount": instances.min(1) },
            "integration": { "instanceCount": instances, "userCount": 7 * instances, "instances": { "totalCount": instances } } })
    };
    let all = Scope { integrations: ["rehearsal".to_owned()].into(), ..Scope::default() };
    let other = Scope { integrations: ["okta".to_owned()].into(), ..Scope::default() };
    assert_eq!(register.server.ask(counts, json!({})).await, expect(2));
    for (scope, instances) in [(all, 2), (only(&register.inside), 1), (other, 0)] {
        let token = register.token(Role::Viewer, scope).await;
        let answer = register.server.ask_as(&token, counts, json!({})).await;
        assert_eq!(answer["data"], expect(instances), "{answer}");
    }
}

#[tokio::test]
async fn mails_are_those_about_the_scope() {
    let register = Register::start().await;
    let server = &register.server;
    server.done("sendTestMail", json!({ "address": "test@example.com" }), "").await;
    // One mail that reports both, as if both had failed at once.
    let (inside, outside) = (key(&register.inside), key(&register.outside));
    let both = format!(
        "UPDATE notification SET stands_for = '[\"{inside}\",\"{outside}\"]', subject = '2 instances: sync failed'
            WHERE kind = 'sync_failed' AND address_key = 'all@example.com'"
    );
    change(&server.db, &both).await;
    let document = "query($filter: NotificationFilter) { notifications(filter: $filter) { totalCount
        nodes { id kind subject instance { name } standsFor { totalCount nodes { name } } } } }";
    let all = server.ask(document, json!({})).await["notifications"].take();
    assert_eq!(all["totalCount"], 9, "{all}");
    let of_integration = Scope { integrations: ["rehearsal".to_owned()].into(), ..Scope::default() };
    let other = Scope { integrations: ["okta".to_owned()].into(), ..Scope::default() };
    for (scope, count) in [(only(&register.inside), 4), (of_integration, 8), (other, 0)] {
        let token = register.token(Role::Viewer, scope).await;
        let own = server.ask_as(&token, document, json!({})).await["data"]["notifications"].take();
        assert_eq!((&own["totalCount"], own["nodes"].as_array().unwrap().len()), (&json!(count), count), "{own}");
    }
    let token = register.token(Role::Viewer, only(&register.inside)).await;
    let own = server.ask_as(&token, document, json!({})).await["data"]["notifications"].take();
    let merged: Vec<_> = own["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|mail| mail["subject"] == "Several instances: sync failed")
        .collect();
    assert_eq!(merged.len(), 1, "{own}");
    assert_eq!(merged[0]["standsFor"], json!({ "totalCount": 1, "nodes": [{ "name": "Inside" }] }));
    for (instance, count) in [(&register.inside, 4), (&register.outside, 0)] {
        let filter = json!({ "filter": { "instanceId": instance } });
        let found = server.ask_as(&token, document, filter).await["data"]["notifications"].take();
        assert_eq!(found["totalCount"], count, "{found}");
    }
    let node = "query($id: ID!) { node(id: $id) { id } }";
    for mail in all["nodes"].as_array().unwrap() {
        let found = server.ask_as(&token, node, json!({ "id": mail["id"] })).await["data"]["node"].take();
        assert_eq!(found.is_object(), mail["instance"]["name"] == "Inside", "{mail}: {found}");
    }
}

#[tokio::test]
async fn a_limited_token_changes_nothing_outside_of_its_scope() {
    let register = Register::start().await;
    let server = &register.server;
    let limited = register.token(Role::Admin, only(&register.inside)).await;
    let before = server.everything().await;
    for (name, field) in operations("Mutation") {
        let field = field.replace("\"x\"", &json!(register.outside).to_string());
        let field = field.replace("{ __typename }", "{ userErrors { code } }");
        let answer = server.ask_as(&limited, &format!("mutation {{ {field} }}"), json!({})).await;
        let code = answer["errors"][0]["extensions"]["code"].as_str();
        let code = code.or(answer["data"][&name]["userErrors"][0]["code"].as_str());
        assert!(matches!(code, Some("FORBIDDEN" | "NOT_FOUND" | "INVALID_INPUT")), "{name}: {answer}");
    }
    let test = |input: Value| json!({ "input": input });
    for (field, input, code) in [
        ("testConnection", json!({ "instanceId": register.outside }), "NOT_FOUND"),
        ("testConnection", json!({ "integrationKey": "rehearsal" }), "INVALID_INPUT"),
        ("beginAuthorization", json!({ "instanceId": register.outside }), "NOT_FOUND"),
        ("createInstance", json!({ "integrationKey": "rehearsal", "name": "New", "config": [] }), "INVALID_INPUT"),
    ] {
        let kind = format!("{}{}Input", field[..1].to_uppercase(), &field[1..]);
        let document = format!("mutation($input: {kind}!) {{ {field}(input: $input) {{ userErrors {{ code }} }} }}");
        let answer = server.ask_as(&limited, &document, test(input)).await;
        assert_eq!(answer["data"][field]["userErrors"][0]["code"], code, "{field}: {answer}");
    }
    assert_eq!(server.everything().await, before);

    let of_integration = Scope { integrations: ["rehearsal".to_owned()].into(), ..Scope::default() };
    let operator = register.token(Role::Operator, of_integration).await;
    let document = "mutation { createInstance(input: { integrationKey: \"rehearsal\", name: \"New\", config: [] }) {
        instance { name } userErrors { code } } }";
    let answer = server.ask_as(&operator, document, json!({})).await;
    assert_eq!(answer["data"]["createInstance"]["instance"]["name"], "New", "{answer}");
}

/// The names of the instances in the next events of a subscription, up to one.
async fn names_until(socket: &mut Socket, last: &str) -> Vec<String> {
    let mut names = Vec::new();
    loop {
        let message = socket.next().await;
        let name = message["payload"]["data"]["instanceStateChanged"]["instance"]["name"].as_str();
        names.push(name.unwrap_or_else(|| panic!("{message}")).to_owned());
        if names.last().is_some_and(|name| name == last) {
            return names;
        }
    }
}

#[tokio::test]
async fn subscriptions_show_the_scope_alone() {
    let register = Register::start().await;
    let server = &register.server;
    let limited = register.token(Role::Viewer, only(&register.inside)).await;
    let document = |after: &str| {
        format!(
            "subscription {{ instanceStateChanged{after} {{ cursor instance {{ name integration {{ instanceCount }} }} }} }}"
        )
    };
    // An unlimited subscriber with the same document is served first, and its results are kept for a moment.
    let (mut all, mut own) = (server.acknowledged(&server.admin).await, server.acknowledged(&limited).await);
    all.subscribe("s", &document("")).await;
    names_until(&mut all, CANARY).await;
    own.subscribe("s", &document("")).await;
    let first = own.next().await;
    let shown = &first["payload"]["data"]["instanceStateChanged"];
    assert_eq!(shown["instance"], json!({ "name": "Inside", "integration": { "instanceCount": 1 } }), "{first}");
    let after = format!("(after: {})", shown["cursor"]);
    for (id, name) in [(&register.outside, "Kanarienvogel 2"), (&register.inside, "Inside 2")] {
        server.done("updateInstance", json!({ "id": id, "name": name }), "").await;
    }
    assert_eq!(names_until(&mut own, "Inside 2").await, ["Inside 2"]);
    let mut resumed = server.acknowledged(&limited).await;
    resumed.subscribe("s", &document(&after)).await;
    assert_eq!(names_until(&mut resumed, "Inside 2").await, ["Inside 2"]);
    let mut every = server.acknowledged(&server.admin).await;
    every.subscribe("s", &document(&after)).await;
    assert_eq!(names_until(&mut every, "Inside 2").await, ["Kanarienvogel 2", "Inside 2"]);
}
