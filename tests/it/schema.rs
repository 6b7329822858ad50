//! The GraphQL schema: the committed file is up to date, and everything is described and uniform.

use std::collections::BTreeSet;

use muster::graphql::page::{DEFAULT_SIZE, MAX_SIZE};
use muster::instance::authorization::PATIENCE_MS;
use muster::instance::input::{DEFAULT_INTERVAL, LONGEST_INTERVAL, LONGEST_NAME};
use muster::notification::recipients::MAX_RECIPIENTS;
use muster::notification::test_mail;
use serde_json::{Value, json};

use crate::support::Server;

#[test]
fn the_schema_on_file_is_the_one_that_is_served() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schema.graphql");
    let served = muster::graphql::schema::sdl();
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(path, &served).unwrap();
    }
    let filed = std::fs::read_to_string(path).unwrap();
    assert!(
        filed == served,
        "schema.graphql is outdated: run this test with UPDATE_SCHEMA=1 and review the difference"
    );
}

/// All types, from introspection.
async fn types(server: &Server) -> Vec<Value> {
    let query = "{ __schema { types { kind name description interfaces { name }
        fields(includeDeprecated: true) { name description type { ...T } args { name description type { ...T } } }
        inputFields { name description } enumValues(includeDeprecated: true) { name description } } } }
        fragment T on __Type { kind name ofType { kind name ofType { kind name ofType { kind name } } } }";
    let found = server.ask(query, json!({})).await["__schema"]["types"].take();
    found.as_array().unwrap().iter().filter(|it| !it["name"].as_str().unwrap().starts_with("__")).cloned().collect()
}

/// A type in the schema definition language.
fn written(of: &Value) -> String {
    match of["kind"].as_str().unwrap() {
        "NON_NULL" => format!("{}!", written(&of["ofType"])),
        "LIST" => format!("[{}]", written(&of["ofType"])),
        _ => of["name"].as_str().unwrap().to_owned(),
    }
}

/// "Inactive" is said of accounts, and never of people.
#[tokio::test]
async fn what_people_are_and_how_accounts_are_used_have_no_word_in_common() {
    let server = Server::start().await;
    let types = types(&server).await;
    let words = |names: &[&str]| {
        let of = |name: &&str| {
            let found = types.iter().find(|kind| kind["name"] == **name).unwrap_or_else(|| panic!("no type {name}"));
            let values = found["enumValues"].as_array().unwrap().iter();
            values.map(|value| value["name"].as_str().unwrap().to_owned()).collect::<BTreeSet<_>>()
        };
        names.iter().flat_map(of).collect::<BTreeSet<_>>()
    };
    let (people, accounts) = (words(&["PersonState"]), words(&["UserStatus", "FindingType"]));
    assert!(people.len() > 2 && accounts.contains("INACTIVE") && accounts.contains("ACTIVE"));
    // What is not known is called so everywhere.
    assert_eq!(people.intersection(&accounts).collect::<Vec<_>>(), ["UNKNOWN"]);
}

#[tokio::test]
async fn everything_in_the_schema_is_described() {
    const BUILT_IN: [&str; 5] = ["Boolean", "Float", "ID", "Int", "String"];
    let server = Server::start().await;
    let mut bare = Vec::new();
    let mut look = |path: String, of: &Value| {
        let text = of["description"].as_str().unwrap_or_default();
        if text.trim().is_empty() || !text.trim_end().ends_with(['.', '`', ')']) {
            bare.push(format!("{path}: {text:?}"));
        }
    };
    for kind in types(&server).await {
        let name = kind["name"].as_str().unwrap();
        if BUILT_IN.contains(&name) {
            continue;
        }
        look(name.to_owned(), &kind);
        for list in ["fields", "inputFields", "enumValues"] {
            for member in kind[list].as_array().into_iter().flatten() {
                let path = format!("{name}.{}", member["name"].as_str().unwrap());
                look(path.clone(), member);
                for argument in member["args"].as_array().into_iter().flatten() {
                    look(format!("{path}({})", argument["name"].as_str().unwrap()), argument);
                }
            }
        }
    }
    assert!(bare.is_empty(), "without a sentence: {bare:#?}");
}

#[test]
fn every_field_of_the_table_of_fields_is_in_the_type_of_users() {
    let sdl = muster::graphql::schema::sdl();
    let (_, user) = sdl.split_once("\ntype User ").unwrap();
    let (user, _) = user.split_once("\n}\n").unwrap();
    for field in integration::user::UserField::ALL {
        let name = field.info().api_name;
        assert!(user.contains(&format!("\n\t{name}:")), "User has no field {name}");
    }
}

#[tokio::test]
async fn every_list_is_a_connection_of_the_same_shape() {
    let server = Server::start().await;
    let types = types(&server).await;
    let find = |name: &str| types.iter().find(|it| it["name"] == name).unwrap_or_else(|| panic!("no {name}"));
    let shape = |name: &str| -> Vec<String> {
        let mut fields: Vec<_> = find(name)["fields"]
            .as_array()
            .unwrap()
            .iter()
            .map(|field| format!("{}: {}", field["name"].as_str().unwrap(), written(&field["type"])))
            .collect();
        fields.sort();
        fields
    };
    let mut connections = 0;
    for kind in &types {
        let name = kind["name"].as_str().unwrap();
        if let Some(node) = name.strip_suffix("Connection") {
            connections += 1;
            let wanted = [
                format!("edges: [{node}Edge!]!"),
                format!("nodes: [{node}!]!"),
                "pageInfo: PageInfo!".into(),
                "totalCount: Int!".into(),
                "totalCountIsExact: Boolean!".into(),
            ];
            let own = ["searchAsOf: DateTime", "evaluatedAt: DateTime"];
            let fields = shape(name).into_iter().filter(|field| !own.contains(&&**field));
            assert_eq!(fields.collect::<Vec<_>>(), wanted);
            assert_eq!(shape(&format!("{node}Edge")), ["cursor: String!".to_owned(), format!("node: {node}!")]);
        }
        for field in kind["fields"].as_array().into_iter().flatten() {
            let of = written(&field["type"]);
            if of.ends_with("Connection!") || of.ends_with("Connection") {
                let arguments: Vec<_> = field["args"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|it| format!("{}: {}", it["name"].as_str().unwrap(), written(&it["type"])))
                    .collect();
                for needed in ["first: Int", "after: String"] {
                    assert!(arguments.contains(&needed.to_owned()), "{name}.{} has {arguments:?}", field["name"]);
                }
            }
        }
    }
    assert!(connections >= 7, "{connections}");
    assert_eq!(
        shape("PageInfo"),
        ["endCursor: String", "hasNextPage: Boolean!", "hasPreviousPage: Boolean!", "startCursor: String"]
    );
}

#[tokio::test]
async fn every_node_has_an_id_and_every_payload_its_user_errors() {
    let server = Server::start().await;
    for kind in types(&server).await {
        let field = |name: &str| {
            let fields = kind["fields"].as_array().into_iter().flatten();
            fields.clone().find(|field| field["name"] == name).map(|field| written(&field["type"]))
        };
        if kind["interfaces"].as_array().into_iter().flatten().any(|it| it["name"] == "Node") {
            assert_eq!(field("id").as_deref(), Some("ID!"), "{}", kind["name"]);
        }
        if kind["name"].as_str().unwrap().ends_with("Payload") {
            assert_eq!(field("userErrors").as_deref(), Some("[UserError!]!"), "{}", kind["name"]);
        }
        if kind["name"] == "Mutation" {
            for mutation in kind["fields"].as_array().unwrap() {
                let name = mutation["name"].as_str().unwrap();
                let capital = format!("{}{}", name[..1].to_uppercase(), &name[1..]);
                assert_eq!(written(&mutation["type"]), format!("{capital}Payload!"));
                assert_eq!(mutation["args"].as_array().unwrap().len(), 1, "{name}");
                assert_eq!(written(&mutation["args"][0]["type"]), format!("{capital}Input!"));
            }
        }
    }
}

/// The descriptions of all fields and arguments that begin with `start` in the schema definition language.
fn descriptions(start: &str) -> Vec<String> {
    let sdl = muster::graphql::schema::sdl();
    let parts: Vec<_> = sdl.split("\"\"\"").collect();
    // Descriptions are the parts between two quotes, and each is followed by what it describes.
    let described =
        parts[1..].chunks(2).filter(|part| part.last().is_some_and(|it| it.trim_start().starts_with(start)));
    described.map(|part| part[0].split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn descriptions_state_the_limits() {
    for (start, limit, times) in [
        ("first: Int", format!("from 1 to {MAX_SIZE}; {DEFAULT_SIZE} by default."), 26),
        ("syncIntervalMinutes: Int", format!("from 1 to {LONGEST_INTERVAL}; "), 3),
        ("syncIntervalMinutes: Int", format!("{DEFAULT_INTERVAL}"), 3),
        ("name: String", format!("rom 1 to {LONGEST_NAME} characters"), 3),
        ("emails: [String!]!", format!("At most {MAX_RECIPIENTS} addresses."), 1),
        ("notification: Notification", format!("longer than {} seconds", test_mail::TIMEOUT.as_secs()), 1),
    ] {
        let found = descriptions(start);
        let stating = found.iter().filter(|description| description.contains(&limit)).count();
        assert_eq!(stating, times, "{start} {limit:?}: {found:#?}");
    }
    assert_eq!(PATIENCE_MS, 10 * 60_000);
    assert!(descriptions("beginAuthorization(")[0].contains("valid for ten minutes"));
}
