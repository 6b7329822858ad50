//! Lists that are delivered as files.

mod access;
mod broken;
mod command;
mod guard;
mod killed;
mod life;
mod overdue;
mod people;

use reqwest::{Response, StatusCode};
use serde_json::Value;

use crate::support::{Client, http};

/// Sends a file.
pub async fn put(
    client: &Client,
    token: &str,
    path: &str,
    content_type: &str,
    body: impl Into<reqwest::Body>,
) -> Response {
    let request = http().put(format!("{}/lists/{path}", client.url)).bearer_auth(token);
    request.header("content-type", content_type).body(body).send().await.unwrap()
}

/// Delivers CSV, which must be accepted. Returns the answer.
pub async fn deliver(client: &Client, id: &str, csv: impl Into<reqwest::Body>) -> Value {
    let response = put(client, &client.admin, id, "text/csv", csv).await;
    let (status, text) = (response.status(), response.text().await.unwrap());
    assert_eq!(status, StatusCode::ACCEPTED, "{text}");
    serde_json::from_str(&text).unwrap()
}

/// The status and the messages of a delivery that is refused.
pub async fn refused(
    client: &Client,
    path: &str,
    content_type: &str,
    body: impl Into<reqwest::Body>,
) -> (u16, Vec<String>) {
    let response = put(client, &client.admin, path, content_type, body).await;
    let status = response.status().as_u16();
    let body: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    let messages = body["errors"].as_array().unwrap().iter();
    (status, messages.map(|error| error["message"].as_str().unwrap().to_owned()).collect())
}

/// A list of people with these names.
pub fn csv(names: &[&str]) -> String {
    let rows = names.iter().map(|name| format!("{name}@acme.example,{name},active\n"));
    format!("mail,name,status\n{}", rows.collect::<String>())
}

/// A list of so many people.
pub fn csv_of(count: usize) -> String {
    let names: Vec<String> = (0..count).map(|number| format!("person{number}")).collect();
    csv(&names.iter().map(String::as_str).collect::<Vec<_>>())
}
