//! Classifies error responses, and explains them so that a person can act on it.
//!
//! The manifest's rules come first, in their order and for every status code. If none of
//! them matches, the status code decides, as [`by_status`] says.

use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER, WWW_AUTHENTICATE};
use serde_json::Value;
use serde_saphyr::Spanned;

use super::client::TransportError;
use crate::manifest::Manifest;
use crate::manifest::errors::{Classification, ErrorRule, RateLimit};
use crate::manifest::expr::{Document, scalar};
use crate::source::{ErrorClass, SourceError};

/// The longest quotation from a response, in characters.
const MAX_EXCERPT: usize = 200;
/// How many missing permissions are named.
const MAX_PERMISSIONS: usize = 10;
/// Widely used headers that tell how many requests are left.
const REMAINING_HEADERS: [&str; 3] = ["x-ratelimit-remaining", "ratelimit-remaining", "x-rate-limit-remaining"];
/// Where applications commonly put a sentence for a person.
const MESSAGE_POINTERS: [&str; 8] = [
    "/detail",
    "/error_description",
    "/message",
    "/error/message",
    "/errorSummary",
    "/errors/0/message",
    "/errors/0/detail",
    "/error",
];

/// The parts of a response that decide on its classification.
pub(super) struct Evidence<'a> {
    pub status: StatusCode,
    pub headers: &'a HeaderMap,
    /// The body, if it is JSON.
    pub json: Option<&'a Document>,
    /// The body as it was received.
    pub raw: &'a [u8],
}

/// The error that a response stands for; `None` if neither a rule nor the status code makes it one.
/// `own_rules` are the rules for this request alone, which come before the manifest's.
pub(super) fn response(
    manifest: &Manifest,
    own_rules: &[Spanned<ErrorRule>],
    secrets: impl FnOnce() -> Vec<String>,
    evidence: &Evidence<'_>,
) -> Option<SourceError> {
    let own_rule = own_rules.iter().map(|rule| &rule.value).find(|rule| matches(rule, evidence));
    let rule = own_rule.or_else(|| matching_rule(manifest, evidence));
    let classification = match rule {
        Some(rule) => rule.is,
        None => by_status(&manifest.rate_limit, evidence)?,
    };
    let secrets = &secrets();
    let missing = if classification == Classification::Permission {
        missing_permissions(manifest, secrets, evidence)
    } else {
        Vec::new()
    };
    let usual = || explain(manifest, classification, evidence.status, &missing);
    let sentence = rule.and_then(|rule| rule.message.clone()).unwrap_or_else(usual);
    let message = match excerpt(manifest, secrets, evidence) {
        Some(excerpt) => format!("{sentence} It said: “{excerpt}”."),
        None => sentence,
    };
    Some(SourceError {
        http_status: Some(evidence.status.as_u16()),
        missing_permissions: missing,
        definite: classification.is_definite(),
        ..SourceError::new(classification.class(), message)
    })
}

/// The first of the manifest's rules that matches.
pub(super) fn matching_rule<'a>(manifest: &'a Manifest, evidence: &Evidence<'_>) -> Option<&'a ErrorRule> {
    manifest.errors.iter().map(|rule| &rule.value).find(|rule| matches(rule, evidence))
}

fn matches(rule: &ErrorRule, evidence: &Evidence<'_>) -> bool {
    let header = |name: &str| evidence.headers.get(name).and_then(|value| value.to_str().ok());
    (rule.status.is_empty() || rule.status.contains(&evidence.status.as_u16()))
        && rule.header.iter().all(|(name, pattern)| header(name).is_some_and(|value| pattern.0.is_match(value)))
        && rule.when.as_ref().is_none_or(|test| evidence.json.is_some_and(|body| test.holds(body)))
}

/// What a status code means if no rule of the manifest matches.
fn by_status(limits: &RateLimit, evidence: &Evidence<'_>) -> Option<Classification> {
    let scope_is_missing = challenges(evidence).any(|text| text.contains("insufficient_scope"));
    Some(match evidence.status.as_u16() {
        200..=299 => return None,
        401 | 403 if scope_is_missing => Classification::Permission,
        401 if says_revoked(evidence) => Classification::TokenRevoked,
        401 => Classification::Token,
        403 if is_rate_limited(limits, evidence.headers) => Classification::RateLimit,
        403 => Classification::Permission,
        408 | 429 => Classification::RateLimit,
        500.. => Classification::Transient,
        _ => Classification::Config,
    })
}

/// Whether the headers of an error response say that it is about the number of requests.
pub(super) fn is_rate_limited(limits: &RateLimit, headers: &HeaderMap) -> bool {
    headers.contains_key(RETRY_AFTER) || is_exhausted(limits, headers)
}

/// Whether a response says that no requests are left for now.
pub(super) fn is_exhausted(limits: &RateLimit, headers: &HeaderMap) -> bool {
    let is_zero = |name: &str| headers.get(name).is_some_and(|value| value.as_bytes().trim_ascii() == b"0");
    limits.remaining_header.0.iter().map(String::as_str).chain(REMAINING_HEADERS).any(is_zero)
}

fn challenges(evidence: &Evidence<'_>) -> impl Iterator<Item = String> {
    let values = evidence.headers.get_all(WWW_AUTHENTICATE).iter();
    values.filter_map(|value| value.to_str().ok()).map(str::to_ascii_lowercase)
}

/// Whether a 401 says explicitly that the credential is revoked or has expired.
fn says_revoked(evidence: &Evidence<'_>) -> bool {
    let explicit = |text: &str| ["revoked", "expired", "invalid_grant"].iter().any(|word| text.contains(word));
    let in_body = evidence.json.is_some_and(|body| {
        let codes = ["/error", "/code", "/error/code", "/errorCode", "/error/type"];
        let texts = codes.iter().chain(&MESSAGE_POINTERS).filter_map(|at| body.value().pointer(at)?.as_str());
        texts.map(str::to_ascii_lowercase).any(|text| explicit(&text))
    });
    in_body || challenges(evidence).any(|text| explicit(&text))
}

fn explain(manifest: &Manifest, classification: Classification, status: StatusCode, missing: &[String]) -> String {
    let code = status.as_u16();
    match classification {
        Classification::TokenRevoked => format!("The credential was revoked or has expired (HTTP {code})."),
        Classification::Token => format!("The application no longer accepts the credential (HTTP {code})."),
        Classification::Permission => {
            let needed = if missing.is_empty() { manifest.required_permissions.as_slice() } else { missing };
            let what = if missing.is_empty() { "It needs" } else { "Missing" };
            let needed = if needed.is_empty() { String::new() } else { format!(" {what}: {}.", needed.join(", ")) };
            format!("The credential may not list users (HTTP {code}).{needed}")
        }
        Classification::RateLimit => format!("The application asked to slow down (HTTP {code})."),
        Classification::Transient => format!("The application reports an error of its own (HTTP {code})."),
        Classification::Config if status.is_redirection() => format!(
            "The application points to another address (HTTP {code}); redirects are not followed, so that the \
             credential stays where it belongs. Check the address in the settings."
        ),
        Classification::Config if matches!(code, 404 | 410) => {
            format!("The address in the settings does not lead to a user list (HTTP {code}).")
        }
        Classification::Config => {
            format!("The application does not accept the request for the user list (HTTP {code}).")
        }
    }
}

/// The missing permissions that the response names.
fn missing_permissions(manifest: &Manifest, secrets: &[String], evidence: &Evidence<'_>) -> Vec<String> {
    let details = &manifest.error_details;
    let mut named: Vec<String> = Vec::new();
    for challenge in evidence.headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok()) {
        let scope = challenge.split_once("scope=\"").and_then(|(_, rest)| rest.split_once('"'));
        named.extend(scope.into_iter().flat_map(|(scope, _)| scope.split_whitespace()).map(str::to_owned));
    }
    for name in &details.permission_header.0 {
        let values = evidence.headers.get_all(name.as_str()).iter().filter_map(|value| value.to_str().ok());
        named.extend(values.flat_map(|value| value.split([',', ';'])).map(|scope| scope.trim().to_owned()));
    }
    if let Some(body) = evidence.json {
        let found = details.permission.0.iter().flat_map(|path| path.all(body));
        for value in found {
            match value {
                Value::Array(list) => named.extend(list.iter().filter_map(scalar)),
                other => named.extend(scalar(other)),
            }
        }
    }
    let mut clean: Vec<String> = Vec::new();
    for scope in named {
        let scope = quotable(&scope, secrets);
        if !scope.is_empty() && !clean.contains(&scope) {
            clean.push(scope);
        }
    }
    clean.truncate(MAX_PERMISSIONS);
    clean
}

/// What the response says to a person, safe to be shown. Web pages are not quoted.
pub(super) fn excerpt(manifest: &Manifest, secrets: &[String], evidence: &Evidence<'_>) -> Option<String> {
    let text = if let Some(body) = evidence.json {
        let own = manifest.error_details.message.0.iter().find_map(|path| path.text(body));
        own.or_else(|| MESSAGE_POINTERS.iter().find_map(|at| scalar(body.value().pointer(at)?)))?
    } else {
        let content_type = evidence.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !content_type.starts_with("text/plain") || evidence.raw.trim_ascii_start().starts_with(b"<") {
            return None;
        }
        // Longer than an excerpt, so that a secret at its end is masked as a whole.
        String::from_utf8_lossy(evidence.raw.get(..16 * 1024).unwrap_or(evidence.raw)).into_owned()
    };
    Some(quotable(&text, secrets)).filter(|text| !text.is_empty())
}

/// Replaces the secrets in a text.
pub(super) fn mask_text(text: &str, secrets: &[String]) -> String {
    let long = secrets.iter().filter(|secret| secret.len() >= 3);
    long.fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), "•••"))
}

/// A text without secrets and control characters, cut to the length of an excerpt.
fn quotable(text: &str, secrets: &[String]) -> String {
    let text = mask_text(text, secrets);
    let words: Vec<&str> = text.split(|letter: char| letter.is_whitespace() || letter.is_control()).collect();
    let line = words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    if line.chars().count() <= MAX_EXCERPT {
        return line;
    }
    line.chars().take(MAX_EXCERPT - 1).chain(['…']).collect()
}

/// The error for a request without a response.
pub(super) fn transport(error: TransportError) -> SourceError {
    let (class, message) = match error {
        TransportError::Blocked => (
            ErrorClass::Config,
            "The address leads to a private, loopback or otherwise closed network, which this server does not call. \
             Its operator can allow the network with MUSTER_ALLOWED_NETWORKS.",
        ),
        TransportError::Unencrypted => (
            ErrorClass::Config,
            "The address must begin with https: plain http is used only for hosts within MUSTER_ALLOWED_NETWORKS.",
        ),
        TransportError::TooLong => {
            (ErrorClass::Config, "The application's response is larger than a page of users may be.")
        }
        TransportError::Unresolved => (ErrorClass::Transient, "The application's host name could not be resolved."),
        TransportError::Unreachable => (ErrorClass::Transient, "The connection to the application failed."),
        TransportError::Tls => {
            (ErrorClass::Transient, "The encrypted connection to the application failed; its certificate may be wrong.")
        }
        TransportError::BrokeOff => (ErrorClass::Transient, "The application's response broke off in the middle."),
        TransportError::TimedOut => (ErrorClass::Timeout, "The application stopped answering."),
    };
    SourceError::new(class, message)
}
