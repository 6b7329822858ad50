//! The tables of `docs/access.md`: each field of the schema, for each kind of caller.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_graphql::parser::types::FieldDefinition;
use futures_util::future::join_all;
use muster::auth::Role;
use muster::auth::members::{Change, NewMember};
use muster::auth::tokens::{Allowance, NewToken};
use serde_json::{Value, json};
use uuid::Uuid;

use super::scope::only;
use super::walk::{Way, base, objects, operations, schema, ways};
use crate::docs::Page;
use crate::members::{Browser, member};
use crate::support::Server;
use crate::support::wire::Socket;

const TABLE: &str = "docs/access.md";
const ROLES: [(&str, Role); 4] =
    [("ADMIN", Role::Admin), ("OPERATOR", Role::Operator), ("VIEWER", Role::Viewer), ("REPORTS", Role::Reports)];

/// The rows whose first cell names something of this form, without the backticks.
fn rows(page: &Page, wanted: impl Fn(&str) -> bool) -> BTreeMap<String, Vec<String>> {
    let plain = |cell: &str| cell.replace('`', "");
    let rows = page.rows().map(|cells| cells.into_iter().map(plain).collect::<Vec<_>>());
    rows.filter(|cells| wanted(&cells[0])).map(|mut cells| (cells.remove(0), cells)).collect()
}

/// The root fields of the schema, each with a document that selects it.
fn roots() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for root in ["Query", "Mutation", "Subscription"] {
        let document = |field: &str| format!("{} {{ {field} }}", root.to_lowercase());
        found.extend(operations(root).into_iter().map(|(name, field)| (format!("{root}.{name}"), document(&field))));
    }
    for (name, field) in [("__schema", "__schema { __typename }"), ("__type", "__type(name: \"User\") { __typename }")]
    {
        found.insert(format!("Query.{name}"), format!("{{ {field} }}"));
    }
    found
}

/// What somebody who asks may do.
#[derive(Clone, Copy, PartialEq)]
enum Access {
    /// The server does not know them.
    Nobody,
    /// What the role in this column of the table may.
    Of(usize),
    /// The same, limited to some instances.
    Limited(usize),
}

use Access::{Limited, Nobody, Of};

/// Somebody who asks, with the header that says who it is.
struct Requester {
    name: String,
    header: (&'static str, String),
    access: Access,
}

impl Requester {
    fn new(name: impl Into<String>, header: (&'static str, String), access: Access) -> Self {
        Self { name: name.into(), header, access }
    }

    fn is_token(&self) -> bool {
        self.header.0 == "Authorization"
    }

    /// Whether they may use a root field with this row of the table.
    fn may(&self, cells: &[String]) -> bool {
        match self.access {
            Nobody => false,
            Of(role) => cells[role] == "yes",
            Limited(role) => cells[role] == "yes" && cells[ROLES.len()] == "own",
        }
    }

    /// The code of the error of a document; none if it was executed.
    async fn ask(&self, server: &Server, document: &str) -> (u16, Value) {
        let (name, value) = &self.header;
        let headers = [&format!("{name}: {value}"), "Content-Type: application/json"];
        let (status, answer) = server.http("POST /graphql", &headers, &json!({ "query": document }).to_string()).await;
        let body = answer.split_once("\r\n\r\n").unwrap().1;
        (status, serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer}")))
    }

    /// A WebSocket with the credentials; the status if it is refused.
    async fn socket(&self, server: &Server) -> Result<Socket, u16> {
        let (name, value) = &self.header;
        let headers = if self.is_token() { Vec::new() } else { vec![(*name, value.as_str())] };
        let mut socket = server.socket_with(&headers).await?;
        if self.is_token() {
            socket.init(value).await;
        } else {
            socket.say(json!({ "type": "connection_init" })).await;
        }
        Ok(socket)
    }

    /// Whether they may execute a document. A subscription is asked for over a socket, and only until it has begun.
    async fn may_ask(&self, server: &Server, document: &str) -> bool {
        if !document.starts_with("subscription") {
            let (status, answer) = self.ask(server, document).await;
            if self.access == Nobody {
                assert_eq!((status, code(&answer)), (401, "UNAUTHENTICATED"), "{document} as {}: {answer}", self.name);
                return false;
            }
            assert!(code(&answer) != "UNAUTHENTICATED", "{document} as {}: {answer}", self.name);
            assert!(code(&answer) != "FORBIDDEN" || answer["data"].is_null(), "{document}: {answer}");
            return code(&answer) != "FORBIDDEN";
        }
        let mut socket = match self.socket(server).await {
            Ok(socket) => socket,
            Err(status) => {
                assert_eq!((status, self.access == Nobody), (401, true), "{document} as {}", self.name);
                return false;
            }
        };
        if self.access == Nobody {
            assert_eq!(socket.close_code().await, 4401, "{document} as {}", self.name);
            return false;
        }
        assert_eq!(socket.next().await["type"], "connection_ack", "{}", self.name);
        socket.subscribe("s", document).await;
        let first = tokio::time::timeout(Duration::from_millis(500), socket.next()).await;
        first.is_err() || !first.unwrap().to_string().contains("FORBIDDEN")
    }
}

fn code(answer: &Value) -> &str {
    answer["errors"][0]["extensions"]["code"].as_str().unwrap_or_default()
}

fn unlimited(name: &str, role: Role) -> NewToken {
    NewToken { allowance: Allowance::Unlimited, ..NewToken::new(name, role) }
}

async fn token(server: &Server, new: NewToken) -> (&'static str, String) {
    ("Authorization", format!("Bearer {}", server.tokens.create(new).await.unwrap().text))
}

/// An administrator without a password, who then is changed.
async fn former(server: &Server, name: &str) -> Uuid {
    let email = format!("{name}@example.com");
    let new = NewMember { name: name.into(), email, role: Role::Admin };
    server.members.create(&new).await.unwrap().0.id
}

/// Every kind of requester.
async fn requesters(server: &Server) -> Vec<Requester> {
    let inside = server.rehearse("Inside", &[]).await;
    let mut all = vec![
        Requester::new("anonymous", ("X-Nothing", "here".into()), Nobody),
        Requester::new("no token", ("Authorization", "Bearer muster_nobodys".into()), Nobody),
    ];
    for (column, (name, role)) in ROLES.into_iter().enumerate() {
        all.push(Requester::new(format!("token {name}"), token(server, unlimited(name, role)).await, Of(column)));
        let limited = NewToken { scope: Some(only(&inside)), ..unlimited(name, role) };
        all.push(Requester::new(format!("limited token {name}"), token(server, limited).await, Limited(column)));
        let email = format!("{name}@example.com").to_lowercase();
        member(server, &email, role).await;
        let cookie = Browser::signed_in(server, &email).await.cookie.unwrap();
        all.push(Requester::new(format!("session {name}"), ("Cookie", cookie), Of(column)));
    }
    let expired = NewToken { expires_at: Some(1), ..unlimited("expired", Role::Admin) };
    all.push(Requester::new("expired token", token(server, expired).await, Nobody));
    all.push(Requester::new("revoked token", token(server, unlimited("revoked", Role::Admin)).await, Nobody));
    server.tokens.revoke("revoked").await.unwrap();

    let (disabled, demoted) = (former(server, "disabled").await, former(server, "demoted").await);
    let operator = ROLES.iter().position(|(name, _)| *name == "OPERATOR").unwrap();
    let viewer = ROLES.iter().position(|(name, _)| *name == "VIEWER").unwrap();
    for (who, id, own) in [("disabled", disabled, Nobody), ("demoted", demoted, Of(viewer))] {
        let personal = NewToken { member_id: Some(id), ..unlimited(who, Role::Admin) };
        all.push(Requester::new(format!("personal token, {who} member"), token(server, personal).await, own));
        let made = NewToken { creator_id: Some(id), ..unlimited(who, Role::Admin) };
        all.push(Requester::new(format!("token, {who} creator"), token(server, made).await, Of(operator)));
        let made = NewToken { creator_id: Some(id), ..unlimited(who, Role::Viewer) };
        all.push(Requester::new(format!("viewer's token, {who} creator"), token(server, made).await, Of(viewer)));
    }
    let disable = Change { disabled: Some(true), ..Change::default() };
    server.members.update(disabled, &disable).await.unwrap();
    server.members.update(demoted, &Change { role: Some(Role::Viewer), ..Change::default() }).await.unwrap();

    for email in ["gone@example.com", "out@example.com"] {
        member(server, email, Role::Admin).await;
    }
    let gone = Browser::signed_in(server, "gone@example.com").await.cookie.unwrap();
    let id = server.members.id_of("gone@example.com").await.unwrap();
    server.members.update(id, &disable).await.unwrap();
    all.push(Requester::new("session of a disabled member", ("Cookie", gone), Nobody));
    let mut out = Browser::signed_in(server, "out@example.com").await;
    let cookie = out.cookie.clone().unwrap();
    assert_eq!(out.sign_out().await, 204);
    all.push(Requester::new("session that was signed out", ("Cookie", cookie), Nobody));
    all
}

#[tokio::test]
async fn every_field_is_open_to_the_requesters_of_the_table_and_to_nobody_else() {
    let server = Server::start().await;
    let all = requesters(&server).await;
    ask_for_roots(&server, &all).await;
    ask_for_objects(&server, &all).await;
}

async fn ask_for_roots(server: &Server, all: &[Requester]) {
    let table = rows(&Page::open(TABLE), |name| name.contains('.') && !name.contains('/'));
    let roots = roots();
    assert_eq!(table.keys().collect::<Vec<_>>(), roots.keys().collect::<Vec<_>>(), "{TABLE}");
    let (table, roots) = (&table, &roots);
    join_all(all.iter().map(async |who| {
        for (field, document) in roots {
            assert_eq!(who.may_ask(server, document).await, who.may(&table[field]), "{field} as {}", who.name);
        }
    }))
    .await;
}

/// The fields of the table that name a person, as `Type.field`.
fn personal(page: &Page) -> BTreeSet<String> {
    rows(page, |name| !name.contains('.') && name != "type" && name != "field")
        .into_iter()
        .filter(|(name, _)| !ROLES.iter().any(|(role, _)| role == name))
        .flat_map(|(on, cells)| cells[0].split(", ").map(|field| format!("{on}.{field}")).collect::<Vec<_>>())
        .collect()
}

async fn ask_for_objects(server: &Server, all: &[Requester]) {
    let page = Page::open(TABLE);
    let (personal, roots) = (personal(&page), rows(&page, |name| name.contains('.')));
    let reports = ROLES.iter().position(|(name, _)| *name == "REPORTS").unwrap();
    let schema = schema();
    let objects = objects(&schema);
    let (objects, schema, personal, roots) = (&objects, &schema, &personal, &roots);
    let asked = all.iter().map(async |who| {
        let is = |access: [Access; 2]| access.contains(&who.access);
        let closed = |on: &str, field: &str| {
            let name = format!("{on}.{field}");
            is([Of(reports), Limited(reports)]) && personal.contains(&name)
                || name == "ServerStatus.expiringTokens" && !is([Of(0), Limited(0)])
                || roots.get(&name).is_some_and(|cells| !who.may(cells))
        };
        let mut asked = 0;
        for (on, Way { steps, is_closed }) in ways(schema, closed) {
            if on == "Query" {
                continue;
            }
            let select = |field: &FieldDefinition| {
                let inner = if objects.contains_key(base(&field.ty.node)) { " { __typename }" } else { "" };
                format!("{}{inner}", field.name.node)
            };
            let (refused, open): (Vec<&FieldDefinition>, Vec<&FieldDefinition>) = objects[on.as_str()]
                .iter()
                .copied()
                .partition(|field| is_closed || who.access == Nobody || closed(&on, &field.name.node));
            // One field that is refused refuses the document, so that all that are open fit in one.
            let refused = refused.iter().take(if is_closed || who.access == Nobody { 1 } else { usize::MAX });
            let refused = refused.map(|field| (true, select(field)));
            let open = open.iter().map(|field| select(field)).collect::<Vec<_>>().join(" ");
            for (expected, fields) in refused.chain((!open.is_empty()).then_some((false, open))) {
                let (before, after) = (steps.join(" { "), " }".repeat(steps.len()));
                let document = format!("{{ {before} {{ {fields} }}{after}");
                let (status, answer) = who.ask(server, &document).await;
                asked += 1;
                if who.access == Nobody {
                    assert_eq!((status, code(&answer)), (401, "UNAUTHENTICATED"), "{document} as {}", who.name);
                    continue;
                }
                assert_eq!(code(&answer) == "FORBIDDEN", expected, "{document} as {}: {answer}", who.name);
                if expected {
                    assert!(answer["errors"][0]["path"].is_array() && answer.get("data").is_none(), "{answer}");
                }
            }
        }
        assert!(asked > 40, "{asked}");
    });
    join_all(asked).await;
}
