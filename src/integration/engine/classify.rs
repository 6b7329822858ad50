//! Classifies error responses, and explains them so that a person can act on it.
//!
//! The manifest's rules come first, in their order and for every status code. If none of
//! them matches, the rest decides, as [`by_default`] says. Whatever decided, a refusal because of the address, the
//! network or the hour is not about the credential.

use std::borrow::Cow;

use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER, WWW_AUTHENTICATE};
use serde_json::Value;

use super::graphql;
use super::purpose::Purpose;
use super::transport::TransportError;
use super::wall::is_wall;
use super::wording::{self, MESSAGE_POINTERS, clock_difference};
use crate::manifest::Manifest;
use crate::manifest::errors::{Classification, ErrorRule, RateLimit};
use crate::manifest::expr::{Document, scalar};
use crate::source::{Advice, ErrorClass, SourceError};

/// The longest quotation from a response, in characters.
const MAX_EXCERPT: usize = 200;
/// How many missing permissions are named.
const MAX_PERMISSIONS: usize = 10;
/// How much of a body the patterns of a manifest look at, in bytes.
const MAX_TEXT: usize = 64 * 1024;
/// Widely used headers that tell how many requests are left.
const REMAINING_HEADERS: [&str; 3] = ["x-ratelimit-remaining", "ratelimit-remaining", "x-rate-limit-remaining"];
/// The parts of a response that decide on its classification.
pub(super) struct Evidence<'a> {
    pub status: StatusCode,
    pub headers: &'a HeaderMap,
    /// The body, if it is JSON.
    pub json: Option<&'a Document>,
    /// The body as it was received.
    pub raw: &'a [u8],
}

/// The request that was answered, as far as it matters for an error.
pub(super) struct Asked<'a> {
    pub manifest: &'a Manifest,
    pub purpose: Purpose<'a>,
    /// What the credential is called.
    pub credential: &'static str,
    /// The wall clock, in Unix milliseconds.
    pub now: i64,
}

/// The error that a response stands for; `None` if nothing makes it one.
pub(super) fn response(
    asked: &Asked<'_>,
    secrets: impl FnOnce() -> Vec<String>,
    evidence: &Evidence<'_>,
) -> Option<SourceError> {
    let Asked { manifest, purpose, .. } = asked;
    let own_rules = purpose.error_rules(manifest);
    let own_rule = own_rules.iter().map(|rule| &rule.value).find(|rule| matches(rule, evidence));
    let rule = own_rule.or_else(|| matching_rule(manifest, evidence));
    let wall = rule.is_none_or(ErrorRule::is_about_status) && is_wall(manifest, evidence);
    let rule = rule.filter(|_| !wall);
    let found = match rule {
        Some(rule) => rule.is,
        None if wall => Classification::Transient,
        None => by_default(manifest, evidence)?,
    };
    let restricted = found.is_bare_refusal() && says(manifest, evidence, wording::says_restriction);
    let classification = if restricted { Classification::Config } else { found };
    let secrets = &secrets();
    let refused = classification == Classification::Permission;
    let named = if refused { missing_permissions(manifest, secrets, evidence) } else { Vec::new() };
    let usual = || match classification {
        _ if restricted => explain_restriction(evidence.status),
        _ if wall => explain_wall(evidence.status),
        _ => explain(asked, classification, evidence.status, &named),
    };
    let own = rule.and_then(|rule| rule.message.clone()).filter(|_| !restricted);
    let mut sentence = own.unwrap_or_else(usual);
    if classification.class() == ErrorClass::Token
        && let Some(difference) = clock_difference(evidence.headers, asked.now)
    {
        sentence = format!("{sentence} {difference}");
    }
    let message = match excerpt(manifest, secrets, evidence) {
        Some(excerpt) => format!("{sentence} It said: “{excerpt}”."),
        None => sentence,
    };
    let assumed_permissions = refused && named.is_empty();
    let needed = if assumed_permissions { once_each(purpose.permissions(manifest)) } else { named };
    Some(SourceError {
        http_status: Some(evidence.status.as_u16()),
        missing_permissions: needed,
        assumed_permissions,
        definite: classification.is_definite(),
        advice: classification.advice(),
        ..SourceError::new(classification.class(), message)
    })
}

/// The permissions without repetitions, in their order.
pub(super) fn once_each(permissions: &[String]) -> Vec<String> {
    let mut once: Vec<String> = Vec::new();
    for permission in permissions.iter().filter(|permission| !permission.is_empty()) {
        if !once.contains(permission) {
            once.push(permission.clone());
        }
    }
    once
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
        && rule.text.as_ref().is_none_or(|pattern| pattern.0.is_match(&text_of(evidence)))
}

/// The beginning of the body as text.
fn text_of<'a>(evidence: &Evidence<'a>) -> Cow<'a, str> {
    String::from_utf8_lossy(evidence.raw.get(..MAX_TEXT).unwrap_or(evidence.raw))
}

/// What a response means if no rule of the manifest matches: what its body says explicitly, and the
/// status code otherwise.
fn by_default(manifest: &Manifest, evidence: &Evidence<'_>) -> Option<Classification> {
    let scope_is_missing = challenges(evidence).any(|text| text.contains("insufficient_scope"));
    let status = evidence.status.as_u16();
    if let Some(found) = evidence.json.and_then(|body| graphql::classify(body, evidence.status)) {
        return Some(found);
    }
    let holds = |test: fn(&Document) -> bool| evidence.json.is_some_and(test);
    Some(match status {
        200..=299 => return None,
        401 | 403 if scope_is_missing => Classification::Permission,
        401 if says_ended(manifest, evidence) => Classification::TokenRevoked,
        400 | 401 if says(manifest, evidence, wording::says_missing_scope) => Classification::Permission,
        401 => Classification::Token,
        403 if is_rate_limited(&manifest.rate_limit, evidence.headers) => Classification::RateLimit,
        400 | 403 if holds(is_bad_credential) && holds(wording::says_ended) => Classification::TokenRevoked,
        400 | 403 if holds(is_bad_credential) => Classification::Token,
        403 => Classification::Permission,
        400 | 404 | 410 if holds(wording::says_expired_position) => Classification::PositionExpired,
        408 | 429 => Classification::RateLimit,
        413 => Classification::TooLarge,
        500.. => Classification::Transient,
        _ if asks_to_wait(evidence) => Classification::RateLimit,
        _ => Classification::Config,
    })
}

/// Whether a status that has no meaning of its own comes with the time to wait.
pub(super) fn asks_to_wait(evidence: &Evidence<'_>) -> bool {
    let status = evidence.status;
    let meant = matches!(status.as_u16(), 400 | 401 | 403 | 404 | 410 | 422);
    status.is_client_error() && !meant && evidence.headers.contains_key(RETRY_AFTER)
}

/// Whether a sentence or a code in the response, or its plain text, fits the test.
fn says(manifest: &Manifest, evidence: &Evidence<'_>, test: fn(&str) -> bool) -> bool {
    let Some(body) = evidence.json else { return plain_text(evidence).is_some_and(|text| test(&text)) };
    let own = manifest.error_details.message.0.iter().flat_map(|path| path.all(body)).filter_map(scalar);
    own.chain(wording::sentences(body)).chain(wording::codes(body)).any(|text| test(&text))
}

/// The beginning of a body in plain text.
fn plain_text(evidence: &Evidence<'_>) -> Option<String> {
    let content_type = evidence.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let plain = content_type.starts_with("text/plain") && !evidence.raw.trim_ascii_start().starts_with(b"<");
    // Longer than an excerpt, so that a secret at its end is masked as a whole.
    plain.then(|| String::from_utf8_lossy(evidence.raw.get(..16 * 1024).unwrap_or(evidence.raw)).into_owned())
}

fn is_bad_credential(body: &Document) -> bool {
    wording::bad_credential_code(body).is_some() || wording::says_bad_credential(body)
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
fn says_ended(manifest: &Manifest, evidence: &Evidence<'_>) -> bool {
    says(manifest, evidence, |text| wording::says_credential_ended(text, false))
        || challenges(evidence).any(|text| wording::says_credential_ended(&text, true))
}

/// The sentence about a refusal because of the address, the network or the hour.
fn explain_restriction(status: StatusCode) -> String {
    format!(
        "The application does not let this server in from its address, or at this hour (HTTP {}). Change the limits \
         in the application; the credential may well be valid.",
        status.as_u16()
    )
}

/// The sentence about a refusal by something in front of the application.
pub(super) fn explain_wall(status: StatusCode) -> String {
    format!(
        "Something in front of the application, such as a firewall, refused the request (HTTP {}). That says nothing \
         about the credential.",
        status.as_u16()
    )
}

fn explain(asked: &Asked<'_>, classification: Classification, status: StatusCode, missing: &[String]) -> String {
    let code = status.as_u16();
    let credential = asked.credential;
    match classification {
        Classification::TokenRevoked => format!("The {credential} was revoked or has expired (HTTP {code})."),
        Classification::Token => format!("The application does not accept the {credential} (HTTP {code})."),
        Classification::Permission => {
            let known = once_each(asked.purpose.permissions(asked.manifest));
            let needed = if missing.is_empty() { known.as_slice() } else { missing };
            let what = if missing.is_empty() { "It needs" } else { "Missing" };
            let needed = if needed.is_empty() { String::new() } else { format!(" {what}: {}.", needed.join(", ")) };
            format!("The credential may not list users (HTTP {code}).{needed}")
        }
        Classification::RateLimit => format!("The application asked to slow down (HTTP {code})."),
        Classification::Transient if status.is_success() => {
            format!("The application sent an error together with the data (HTTP {code}).")
        }
        Classification::Transient => format!("The application reports an error of its own (HTTP {code})."),
        Classification::TooLarge => format!("The application finds the page too large or too costly (HTTP {code})."),
        Classification::PositionExpired => {
            format!("The application no longer knows the position in the list (HTTP {code}).")
        }
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
    if let Some(pattern) = &details.permission_pattern {
        let text = text_of(evidence);
        let found = pattern.0.captures_iter(&text).filter_map(|found| found.get(1).or_else(|| found.get(0)));
        named.extend(found.map(|scope| scope.as_str().to_owned()));
    }
    let clean: Vec<String> = named.iter().map(|scope| quotable(scope, secrets)).collect();
    let mut once = once_each(&clean);
    once.truncate(MAX_PERMISSIONS);
    once
}

/// What the response says to a person, safe to be shown. Web pages are not quoted.
pub(super) fn excerpt(manifest: &Manifest, secrets: &[String], evidence: &Evidence<'_>) -> Option<String> {
    let text = if let Some(body) = evidence.json {
        let own = manifest.error_details.message.0.iter().find_map(|path| path.text(body));
        own.or_else(|| MESSAGE_POINTERS.iter().find_map(|at| scalar(body.value().pointer(at)?)))?
    } else {
        plain_text(evidence)?
    };
    Some(quotable(&text, secrets)).filter(|text| !text.is_empty())
}

/// What is shown in the place of a secret.
pub(super) const MASK: &str = "•••";

/// Replaces the secrets in a text.
pub(super) fn mask_text(text: &str, secrets: &[String]) -> String {
    let long = secrets.iter().filter(|secret| secret.len() >= 3);
    long.fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), MASK))
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
    let advice = if error == TransportError::TooLong { Advice::SmallerPage } else { Advice::None };
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
        // Waited for, where it can happen.
        TransportError::NoRoom => (ErrorClass::Internal, "This server had no memory for the application's response."),
        TransportError::TimedOut => (ErrorClass::Timeout, "The application stopped answering."),
    };
    SourceError { advice, ..SourceError::new(class, message) }
}
