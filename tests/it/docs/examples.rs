//! The examples of each page, run as a reader would: every GraphQL block after a
//! `<!-- test: name -->` is executed, in order, against one server. A JSON block that follows
//! and is not a response (has no `data`) contains its variables.

use std::time::Duration;

use serde_json::{Value, json};

use super::Page;
use crate::support::{Server, http};

struct Example {
    name: String,
    document: String,
    variables: Value,
}

fn examples(page: &str) -> Vec<Example> {
    let block = |text: &str, language: &str| -> Option<(String, usize)> {
        let rest = text.trim_start().strip_prefix(&format!("```{language}\n"))?;
        let end = rest.find("\n```")?;
        Some((rest[..end].to_owned(), text.len() - rest.len() + end + "\n```".len()))
    };
    let mut found = Vec::new();
    for part in page.split("<!-- test: ").skip(1) {
        let (name, rest) = part.split_once("-->").expect("the comment is closed");
        let name = name.trim().to_owned();
        let (document, end) = block(rest, "graphql").unwrap_or_else(|| panic!("{name}: no GraphQL block follows"));
        let variables = match block(&rest[end..], "json") {
            Some((text, _)) => serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}: {text}")),
            None => json!({}),
        };
        let variables = if variables.get("data").is_some() { json!({}) } else { variables };
        found.push(Example { name, document, variables });
    }
    found
}

/// The first event of a subscription, over SSE.
async fn first_event(server: &Server, example: &Example) -> Value {
    let call = http()
        .post(format!("{}/graphql", server.url))
        .bearer_auth(&server.admin)
        .header("content-type", "application/json")
        .header("accept", "text/event-stream")
        .body(json!({ "query": example.document, "variables": example.variables }).to_string());
    let mut response = call.send().await.unwrap();
    let mut text = String::new();
    while let Some(chunk) = response.chunk().await.unwrap() {
        text += &String::from_utf8_lossy(&chunk);
        let event = text.lines().find_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok());
        if let Some(event) = event {
            return event;
        }
    }
    panic!("{}: no event: {text}", example.name);
}

async fn run(server: &Server, example: &Example) {
    let response = if example.document.trim_start().starts_with("subscription") {
        tokio::time::timeout(Duration::from_secs(10), first_event(server, example)).await.expect("an event in time")
    } else {
        server.ask_as(&server.admin, &example.document, example.variables.clone()).await
    };
    assert!(response.get("errors").is_none(), "{}: {response:#}", example.name);
    let fields = response["data"].as_object().expect("data");
    for (field, value) in fields {
        assert!(!value.is_null(), "{}: {field} is null", example.name);
        let refusals = value.get("userErrors").and_then(Value::as_array).map_or(0, Vec::len);
        assert_eq!(refusals, 0, "{}: {response:#}", example.name);
    }
}

#[tokio::test]
async fn every_marked_example_works() {
    let mut count = 0;
    for page in Page::all() {
        let examples = examples(&page.text);
        if examples.is_empty() {
            continue;
        }
        let server = Server::start().await;
        for example in &examples {
            println!("{}: {}", page.path.display(), example.name);
            run(&server, example).await;
            count += 1;
        }
    }
    assert!(count >= 3, "the documentation has examples");
}

#[test]
fn an_example_is_its_block_with_its_variables() {
    let page = "<!-- test: one -->\n```graphql\n{ a }\n```\n\n```json\n{ \"data\": { \"a\": 1 } }\n```\n\n\
        <!-- test: two -->\n\n```graphql\nquery($id: ID!) { b }\n```\n```json\n{ \"id\": 7 }\n```\n```graphql\n{ unmarked }\n```\n";
    let found: Vec<_> =
        examples(page).into_iter().map(|example| (example.name, example.document, example.variables)).collect();
    let expected = [
        ("one".to_owned(), "{ a }".to_owned(), json!({})),
        ("two".to_owned(), "query($id: ID!) { b }".to_owned(), json!({ "id": 7 })),
    ];
    assert_eq!(found, expected);
}
