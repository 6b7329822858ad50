//! Writes a file of samples.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

use super::capture::Disguised;
use crate::engine::{Body, Request};
use crate::samples::outcome::{Outcome, word, written};
use crate::samples::recording::GENERATED;
use crate::source::Config;
use crate::user::Timestamp;

/// A longer value is written on several lines, in characters.
const MAX_LINE: usize = 110;

/// The file with one case.
pub(super) fn file(config: &Config, token: Option<&str>, made: &[(Request, Disguised)], outcome: &Outcome) -> String {
    let mut text =
        "# A recording. People, secrets and the company's names were replaced. Read it before you share it.\n"
            .to_owned();
    if config.is_empty() {
        text.push_str("config: {}\n");
    } else {
        text.push_str("config:\n");
    }
    for (key, value) in config {
        let _ = writeln!(text, "  {key}: {}", quoted(value));
    }
    let name = match &outcome.error {
        Some(error) => format!("Refused: {}", word(error.class)),
        None => format!("Recorded: {} users", outcome.users.len()),
    };
    let _ = writeln!(text, "cases:\n  - name: {}", quoted(&name));
    if let Some(token) = token {
        let _ = writeln!(text, "    grant: {{access_token: {}}}", quoted(token));
    }
    text.push_str("    exchanges:\n");
    for (request, answer) in made {
        exchange(&mut text, request, answer);
    }
    result(&mut text, outcome);
    text
}

fn exchange(text: &mut String, request: &Request, answer: &Disguised) {
    let call = format!("{} {}", request.method, request.url);
    let _ = writeln!(text, "      - call: {}", quoted(&call));
    match &request.body {
        Some(Body::Json(json)) => {
            let _ = writeln!(text, "        json: {}", flow(json, 10));
        }
        Some(Body::Form(pairs)) => {
            let mut form: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
            for (name, value) in pairs.iter().filter(|(name, _)| !GENERATED.contains(&name.as_str())) {
                form.entry(name).or_default().push(value);
            }
            let _ = writeln!(text, "        form: {}", flow(&serde_json::json!(form), 10));
        }
        // No connector sends text that is JSON already.
        Some(Body::WrittenJson(_)) | None => {}
    }
    text.push_str("        answer:\n");
    let _ = writeln!(text, "          status: {}", answer.status.as_u16());
    if !answer.headers.is_empty() {
        let mut headers: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (name, value) in &answer.headers {
            headers.entry(name).or_default().push(value);
        }
        let _ = writeln!(text, "          headers: {}", flow(&serde_json::json!(headers), 12));
    }
    match &answer.body {
        Ok(json) => {
            let _ = writeln!(text, "          body: {}", flow(json, 12));
        }
        Err(body) if body.is_empty() => {}
        Err(body) => {
            let _ = writeln!(text, "          text: {}", quoted(body));
        }
    }
}

/// What the engine makes of the exchanges.
fn result(text: &mut String, outcome: &Outcome) {
    if let Some(tenant) = &outcome.tenant {
        let _ = writeln!(text, "    tenant: {}", quoted(tenant));
    }
    if let Some(expires_at) = outcome.credential_expires_at {
        let _ = writeln!(text, "    credential_expires_at: {}", Timestamp(expires_at));
    }
    if let Some(error) = &outcome.error {
        let _ = writeln!(text, "    error: {{class: {}, definite: {}}}", word(error.class), error.definite);
        return;
    }
    if !outcome.lost.is_empty() {
        let lost: Vec<String> = outcome.lost.iter().map(word).collect();
        let _ = writeln!(text, "    lost: [{}]", lost.join(", "));
    }
    if outcome.users.is_empty() {
        text.push_str("    users: []\n");
        return;
    }
    text.push_str("    users:\n");
    for user in outcome.users.values() {
        let _ = writeln!(text, "      - {}", written(user));
    }
}

/// A text in quotes. YAML reads those of JSON.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// JSON, which YAML reads as well, on several lines if it is long. `indent`: the spaces before its further lines.
fn flow(value: &Value, indent: usize) -> String {
    let (open, close) = if value.is_array() { ('[', ']') } else { ('{', '}') };
    let within = indent + 2;
    let parts: Vec<String> = match value {
        Value::Array(items) => items.iter().map(|item| flow(item, within)).collect(),
        Value::Object(members) => {
            members.iter().map(|(name, member)| format!("{}: {}", quoted(name), flow(member, within))).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return value.to_string(),
    };
    let line = parts.join(", ");
    if !line.contains('\n') && indent + line.chars().count() <= MAX_LINE {
        return format!("{open}{line}{close}");
    }
    let (inner, outer) = (" ".repeat(within), " ".repeat(indent));
    format!("{open}\n{inner}{}\n{outer}{close}", parts.join(&format!(",\n{inner}")))
}
