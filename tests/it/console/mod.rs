//! The console as a browser loads it: all its files are found, and its GraphQL documents are valid.

mod serving;
mod types;
mod vendor;

use std::collections::BTreeMap;
use std::path::Path;

use integration::user::UserField;
use serde_json::{Value, json};
use url::Url;

use crate::support::{Server, http};

/// The addresses that a page or a script names.
fn named<'a>(path: &str, text: &'a str) -> impl Iterator<Item = &'a str> {
    let before: &[&str] = if is_script(path) { &["import(\"", "} from \""] } else { &["src=\"", "href=\"assets"] };
    let found = before.iter().flat_map(move |before| {
        let skipped = before.find('"').unwrap() + 1;
        text.match_indices(before).map(move |(at, _)| &text[at + skipped..])
    });
    found.filter_map(|rest| rest.split('"').next())
}

fn is_script(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|ending| ending == "js")
}

/// The console's files by path, found like a browser does: from the pages, along the imports.
async fn fetch_all(server: &Server) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut wanted = vec!["/".to_owned(), "/explorer".to_owned()];
    while let Some(path) = wanted.pop() {
        if found.contains_key(&path) {
            continue;
        }
        let url = Url::parse(&server.url).unwrap().join(&path).unwrap();
        let answer = http().get(url.clone()).header("accept", "text/html,*/*").send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        let policy = answer.headers()["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'"), "{path}: {policy}");
        let text = answer.text().await.unwrap();
        let is_ours = !path.contains(".min.") && !path.contains(".production.");
        let names = named(&path, &text).filter(|_| is_ours).map(|name| url.join(name).unwrap().path().to_owned());
        wanted.extend(names);
        found.insert(path, text);
    }
    found
}

/// The content of the string literal at the start of `text`.
fn literal(text: &str) -> Option<&str> {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '`'))?;
    text[1..].split(quote).next()
}

/// The constant whose value is computed: the fields of a user.
const USER_FIELD_NAMES: &str = "USER_FIELD_NAMES";

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
                    if name == USER_FIELD_NAMES {
                        let fields = UserField::ALL.iter().map(|field| field.info().api_name);
                        document = document.replace(&format!("${{{name}}}"), &fields.collect::<Vec<_>>().join(" "));
                        continue;
                    }
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

/// The validation errors of a document. It is not executed, but how long its pages are is a part of its price.
async fn faults(server: &Server, document: &str) -> Value {
    let query = format!("{document}\nquery Nothing {{ __typename }}");
    let answer = http()
        .post(format!("{}/graphql", server.url))
        .bearer_auth(&server.admin)
        .header("content-type", "application/json")
        .body(json!({"query": query, "operationName": "Nothing", "variables": {"first": 1}}).to_string())
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
    let mut all_faults = Vec::new();
    for (path, script) in files.iter().filter(|(path, _)| is_script(path) && path.contains("/app/")) {
        for document in documents(script, &files) {
            let faults = faults(&server, &document).await;
            if !faults.is_null() {
                all_faults.push(format!("{path}: {faults}: {document}"));
            }
            asked.push_str(&document);
        }
    }
    assert!(all_faults.is_empty(), "{}", all_faults.join("\n"));
    for field in ["updateInstance", "deleteInstance", "setRecipients", "instanceStateChanged", "syncProgress"] {
        assert!(asked.contains(field), "{field}");
    }
    let faults = faults(&server, "query Wrong { integrations { nodes { shoeSize } } }").await;
    assert!(faults.to_string().contains("shoeSize"), "{faults}");
}

/// The modules below a folder, by their paths in it.
fn modules(folder: &Path, prefix: &str, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{prefix}{}", entry.file_name().into_string().unwrap());
        if entry.file_type().unwrap().is_dir() {
            modules(&entry.path(), &format!("{name}/"), found);
        } else if is_script(&name) {
            found.push(name);
        }
    }
}

#[tokio::test]
async fn every_file_of_the_console_is_reached_from_its_page() {
    let server = Server::start().await;
    let files = fetch_all(&server).await;
    let mut all = Vec::new();
    modules(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/console/app")), "", &mut all);
    assert!(all.len() > 10, "{all:?}");
    for path in all {
        let source = std::fs::read_to_string(format!("{}/src/console/app/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        // A joined module is found by what it says, except for addresses.
        let own = source.lines().filter(|line| !line.starts_with(['/', ' ', 'i']) && !line.contains("import"));
        let line = own.max_by_key(|line| line.len());
        let line = line.unwrap_or_default().trim_start_matches("export ");
        let is_reached =
            files.iter().any(|(file, text)| file.ends_with(&format!("/app/{path}")) || text.contains(line));
        assert!(is_reached, "nothing loads {path}");
    }
}
