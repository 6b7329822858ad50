//! The console as a browser loads it: all its files are found, and its GraphQL documents are valid.

mod vendor;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::{Server, http};

/// The console's files by path, found like a browser does: from the page, along the imports.
async fn fetch_all(server: &Server) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut wanted = vec!["/".to_owned()];
    while let Some(path) = wanted.pop() {
        if found.contains_key(&path) {
            continue;
        }
        let answer = http().get(format!("{}{path}", server.url)).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        let policy = answer.headers()["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'"), "{path}: {policy}");
        let text = answer.text().await.unwrap();
        for before in ["src=\"", "rel=\"stylesheet\" href=\"", " from \"./"] {
            let folder = if before.contains("from") { "assets/" } else { "" };
            let named = text.split(before).skip(1).filter_map(|rest| rest.split('"').next());
            wanted.extend(named.map(|name| format!("/{folder}{name}")));
        }
        found.insert(path, text);
    }
    found
}

/// The content of the string literal at the start of `text`.
fn literal(text: &str) -> Option<&str> {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '`'))?;
    text[1..].split(quote).next()
}

/// The GraphQL documents of a script, with the constants that they include.
fn documents(script: &str, all: &BTreeMap<String, String>) -> Vec<String> {
    let mut found = Vec::new();
    for quote in ['"', '`'] {
        for kind in ["query ", "mutation ", "subscription "] {
            for (at, _) in script.match_indices(&format!("{quote}{kind}")) {
                let mut document = literal(&script[at..]).unwrap().to_owned();
                while let Some((_, rest)) = document.split_once("${") {
                    let name = rest.split('}').next().unwrap().to_owned();
                    let constant = format!("const {name} = ");
                    let part = std::iter::once(script)
                        .chain(all.values().map(String::as_str))
                        .find_map(|text| literal(text.split_once(&constant)?.1))
                        .unwrap_or_else(|| panic!("{name} is defined nowhere"));
                    document = document.replace(&format!("${{{name}}}"), part);
                }
                found.push(document);
            }
        }
    }
    found
}

/// The validation errors of a document. It is not executed.
async fn faults(server: &Server, document: &str) -> Value {
    let query = format!("{document}\nquery Nothing {{ __typename }}");
    let answer = http()
        .post(format!("{}/graphql", server.url))
        .bearer_auth(&server.admin)
        .header("content-type", "application/json")
        .body(json!({"query": query, "operationName": "Nothing"}).to_string())
        .send()
        .await
        .unwrap();
    serde_json::from_slice::<Value>(&answer.bytes().await.unwrap()).unwrap()["errors"].take()
}

#[tokio::test]
async fn what_the_console_asks_is_in_the_schema() {
    let server = Server::start().await;
    let files = fetch_all(&server).await;
    let mut asked = String::new();
    for (path, script) in
        files.iter().filter(|(path, _)| std::path::Path::new(path).extension().is_some_and(|ending| ending == "js"))
    {
        for document in documents(script, &files) {
            let faults = faults(&server, &document).await;
            assert!(faults.is_null(), "{path}: {faults}: {document}");
            asked.push_str(&document);
        }
    }
    for field in ["createInstance", "testConnection", "beginAuthorization", "deleteInstance", "instanceStateChanged"] {
        assert!(asked.contains(field), "{field}");
    }
    let faults = faults(&server, "query Wrong { integrations { nodes { shoeSize } } }").await;
    assert!(faults.to_string().contains("shoeSize"), "{faults}");
}

#[tokio::test]
async fn every_file_of_the_console_is_reached_from_its_page() {
    let server = Server::start().await;
    let files = fetch_all(&server).await;
    let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/console/assets")).unwrap();
    let names: Vec<_> = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(names.len() > 10, "{names:?}");
    for name in names {
        let path = if name == "index.html" { "/".to_owned() } else { format!("/assets/{name}") };
        assert!(files.contains_key(&path), "nothing loads {path}");
    }
}
