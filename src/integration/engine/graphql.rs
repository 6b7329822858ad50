//! Errors in GraphQL responses, which have status 200 and may also contain data.
//!
//! An answer with errors is not whole, so it is never read as a page. The codes are not
//! standardized; those of widely used servers are known here.

use std::sync::LazyLock;

use regex::Regex;
use reqwest::StatusCode;
use serde_json::Value;

use crate::manifest::errors::Classification;
use crate::manifest::expr::{Document, scalar};

/// Where an error names its code.
const CODE_POINTERS: [&str; 4] = ["/extensions/code", "/type", "/extensions/type", "/code"];

/// What the codes mean. The first that matches decides.
static CODES: LazyLock<Vec<(Regex, Classification)>> = LazyLock::new(|| {
    use Classification::{Config, Permission, RateLimit, Token, TooLarge, Transient};
    let codes = [
        (r"rate_?limit|throttled|too_many_requests", RateLimit),
        (
            r"resource_limits?_exceeded|max_node_limit|complexity|query_cost|cost_limit|too_(large|complex|costly)",
            TooLarge,
        ),
        (r"^(unauthenticated|unauthorized|authentication_error|authentication_failed|invalid_token)$", Token),
        (r"^(forbidden|access_denied|insufficient_scopes?|missing_permissions?|not_authorized)$", Permission),
        (r"time_?out|^(internal_server_error|internal_error|service_unavailable)$", Transient),
        (
            r"^(not_found|bad_user_input|bad_request|graphql_(parse|validation)_failed|undefinedfield|parse_error)$",
            Config,
        ),
    ];
    codes.into_iter().filter_map(|(pattern, meaning)| Some((Regex::new(pattern).ok()?, meaning))).collect()
});
/// Recognises a query that is too expensive by its message, where there is no code.
static COSTLY: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?i)query (cost|complexity)|(cost|complexity) of the query|costs more than|too complex|node limit|resource limits").ok()
});

/// What the errors in an answer mean; `None` if it is not an answer of GraphQL, or has no errors.
/// With an error status, only what the status cannot say.
pub(super) fn classify(body: &Document, status: StatusCode) -> Option<Classification> {
    if status.is_success() {
        return meaning(body);
    }
    let beside_status = |found: &Classification| matches!(found, Classification::RateLimit | Classification::TooLarge);
    meaning(body).filter(|_| status.is_client_error()).filter(beside_status)
}

fn meaning(body: &Document) -> Option<Classification> {
    let answer = body.value().as_object()?;
    let errors = answer.get("errors")?.as_array().filter(|errors| !errors.is_empty())?;
    let is_error = |error: &Value| error.get("message").is_some_and(Value::is_string);
    let own = |key: &String| matches!(key.as_str(), "data" | "errors" | "extensions");
    if !errors.iter().all(is_error) || !(answer.contains_key("data") || answer.keys().all(own)) {
        return None;
    }
    let codes: Vec<String> = errors.iter().flat_map(codes_of).collect();
    let known = CODES.iter().find(|(pattern, _)| codes.iter().any(|code| pattern.is_match(code)));
    if let Some((_, meaning)) = known {
        return Some(*meaning);
    }
    let messages = || errors.iter().filter_map(|error| error.get("message")?.as_str());
    if COSTLY.iter().any(|costly| messages().any(|message| costly.is_match(message))) {
        return Some(Classification::TooLarge);
    }
    // Without `data`, the query itself was not accepted (GraphQL, 7.1).
    Some(if answer.contains_key("data") { Classification::Transient } else { Classification::Config })
}

/// The codes of an error in lower case, with `_` between words.
fn codes_of(error: &Value) -> impl Iterator<Item = String> {
    let named = CODE_POINTERS.iter().filter_map(|at| scalar(error.pointer(at)?));
    named.map(|code| code.to_lowercase().replace([' ', '-', '.'], "_"))
}
