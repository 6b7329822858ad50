//! The tables of `docs/access.md`: each field of the schema, for each kind of caller.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use muster::auth::Role;
use muster::auth::tokens::{Allowance, NewToken};
use serde_json::{Value, json};

use super::walk::{Way, base, objects, operations, schema, ways};
use crate::docs::Page;
use crate::support::Server;

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

fn code(answer: &Value) -> &str {
    answer["errors"][0]["extensions"]["code"].as_str().unwrap_or_default()
}

/// Whether a token may execute a document. A subscription is asked for over a socket, and only until it has begun.
async fn may(server: &Server, token: &str, document: &str) -> bool {
    if !document.starts_with("subscription") {
        let answer = server.ask_as(token, document, json!({})).await;
        assert!(code(&answer) != "FORBIDDEN" || answer["data"].is_null(), "{document}: {answer}");
        return code(&answer) != "FORBIDDEN";
    }
    let mut socket = server.acknowledged(token).await;
    socket.subscribe("s", document).await;
    let first = tokio::time::timeout(Duration::from_millis(500), socket.next()).await;
    first.is_err() || !first.unwrap().to_string().contains("FORBIDDEN")
}

#[tokio::test]
async fn every_root_field_is_open_to_the_roles_of_the_table_and_to_nobody_else() {
    let server = Server::start().await;
    let table = rows(&Page::open(TABLE), |name| name.contains('.') && !name.contains('/'));
    let roots = roots();
    assert_eq!(table.keys().collect::<Vec<_>>(), roots.keys().collect::<Vec<_>>(), "{TABLE}");
    for (column, (name, role)) in ROLES.into_iter().enumerate() {
        let token = server
            .tokens
            .create(NewToken { allowance: Allowance::Unlimited, ..NewToken::new(name, role) })
            .await
            .unwrap()
            .text;
        // Its resolver refuses a token, which has no sessions of its own.
        for (field, document) in roots.iter().filter(|(field, _)| *field != "Query.sessions") {
            let expected = table[field][column] == "yes";
            assert_eq!(may(&server, &token, document).await, expected, "{field} as {name}");
        }
    }
}

#[tokio::test]
async fn reports_see_no_field_that_names_a_person() {
    let server = Server::start().await;
    let token = server
        .tokens
        .create(NewToken { allowance: Allowance::Unlimited, ..NewToken::new("reports", Role::Reports) })
        .await
        .unwrap()
        .text;
    let page = Page::open(TABLE);
    let personal: BTreeSet<String> = rows(&page, |name| !name.contains('.') && name != "type" && name != "field")
        .into_iter()
        .filter(|(name, _)| !ROLES.iter().any(|(role, _)| role == name))
        .flat_map(|(on, cells)| cells[0].split(", ").map(|field| format!("{on}.{field}")).collect::<Vec<_>>())
        .collect();
    let closed_roots = rows(&page, |name| name.contains('.'));
    let closed = |on: &str, field: &str| {
        let name = format!("{on}.{field}");
        personal.contains(&name) || closed_roots.get(&name).is_some_and(|cells| cells[3] == "no")
    };
    let schema = schema();
    let objects = objects(&schema);
    let mut asked = 0;
    for (on, Way { steps, is_closed }) in ways(&schema, closed) {
        // A token has no sessions of its own.
        if on == "Query" || steps.first().is_some_and(|step| step == "sessions") {
            continue;
        }
        for field in &objects[on.as_str()] {
            let inner = if objects.contains_key(base(&field.ty.node)) { " { __typename }" } else { "" };
            let (before, after) = (steps.join(" { "), " }".repeat(steps.len()));
            let document = format!("{{ {before} {{ {}{inner} }}{after}", field.name.node);
            let answer = server.ask_as(&token, &document, json!({})).await;
            let expected = is_closed || closed(&on, &field.name.node);
            assert_eq!(code(&answer) == "FORBIDDEN", expected, "{document}: {answer}");
            if expected {
                assert!(answer["errors"][0]["path"].is_array() && answer.get("data").is_none(), "{answer}");
            }
            asked += 1;
        }
    }
    assert!(asked > 150, "{asked}");
}
