//! What an answer that is not a page means, said so that a person can act on it.
//!
//! The manifest's rules come first, in their order and on every status; what
//! none of them decides is decided by the status code, as the table in
//! [`by_status`] says.

use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER, WWW_AUTHENTICATE};
use serde_json::Value;
use serde_saphyr::Spanned;

use super::client::CallError;
use crate::manifest::Manifest;
use crate::manifest::answers::{ErrorRule, RateLimit, Verdict};
use crate::manifest::expr::{Subject, scalar};
use crate::source::{ErrorClass, SourceError};

/// The longest quotation from an answer, in characters.
const LONGEST_EXCERPT: usize = 200;
/// The most scopes that are named.
const MOST_PERMISSIONS: usize = 10;
/// Headers that tell how many calls are left.
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

/// An answer to be judged.
pub(super) struct Evidence<'a> {
    pub status: StatusCode,
    pub headers: &'a HeaderMap,
    /// The body, if it is JSON.
    pub json: Option<&'a Subject>,
    /// The body as it came.
    pub raw: &'a [u8],
}

/// The error that an answer amounts to; `None` for a page, as far as status and rules tell.
/// `own` are the rules of this call, before the manifest's.
pub(super) fn refusal(
    manifest: &Manifest,
    own: &[Spanned<ErrorRule>],
    secrets: impl FnOnce() -> Vec<String>,
    answer: &Evidence<'_>,
) -> Option<SourceError> {
    let rule = own.iter().map(|rule| &rule.value).find(|rule| fits(rule, answer)).or_else(|| rule(manifest, answer));
    let verdict = match rule {
        Some(rule) => rule.is,
        None => by_status(&manifest.rate_limit, answer)?,
    };
    let secrets = &secrets();
    let excerpt = excerpt(manifest, secrets, answer);
    let missing =
        if verdict == Verdict::Permission { missing_permissions(manifest, secrets, answer) } else { Vec::new() };
    let (class, sentence) = explain(manifest, verdict, answer.status, &missing);
    let sentence = rule.and_then(|rule| rule.message.clone()).unwrap_or(sentence);
    let message = match excerpt {
        Some(excerpt) => format!("{sentence} It said: “{excerpt}”."),
        None => sentence,
    };
    Some(SourceError {
        class,
        message,
        http_status: Some(answer.status.as_u16()),
        missing_permissions: missing,
        definite: verdict == Verdict::TokenRevoked,
        retry_after_ms: None,
    })
}

/// The first of the manifest's rules that fits.
pub(super) fn rule<'a>(manifest: &'a Manifest, answer: &Evidence<'_>) -> Option<&'a ErrorRule> {
    manifest.errors.iter().map(|rule| &rule.value).find(|rule| fits(rule, answer))
}

fn fits(rule: &ErrorRule, answer: &Evidence<'_>) -> bool {
    let header = |name: &str| answer.headers.get(name).and_then(|value| value.to_str().ok());
    (rule.status.is_empty() || rule.status.contains(&answer.status.as_u16()))
        && rule.header.iter().all(|(name, pattern)| header(name).is_some_and(|value| pattern.0.is_match(value)))
        && rule.when.as_ref().is_none_or(|test| answer.json.is_some_and(|body| test.holds(body)))
}

/// What a status code means when no rule of the manifest has decided.
fn by_status(limits: &RateLimit, answer: &Evidence<'_>) -> Option<Verdict> {
    let scope_is_missing = challenges(answer).any(|text| text.contains("insufficient_scope"));
    Some(match answer.status.as_u16() {
        200..=299 => return None,
        401 | 403 if scope_is_missing => Verdict::Permission,
        401 if is_definite(answer) => Verdict::TokenRevoked,
        401 => Verdict::Token,
        403 if is_limited(limits, answer.headers) => Verdict::RateLimit,
        403 => Verdict::Permission,
        408 | 429 => Verdict::RateLimit,
        500.. => Verdict::Transient,
        _ => Verdict::Config,
    })
}

/// Whether a refusal says that it is about the number of calls.
pub(super) fn is_limited(limits: &RateLimit, headers: &HeaderMap) -> bool {
    headers.contains_key(RETRY_AFTER) || is_spent(limits, headers)
}

/// Whether an answer says that no calls are left for now.
pub(super) fn is_spent(rules: &RateLimit, headers: &HeaderMap) -> bool {
    let none_left = |name: &str| headers.get(name).is_some_and(|value| value.as_bytes().trim_ascii() == b"0");
    rules.remaining_header.0.iter().map(String::as_str).chain(REMAINING_HEADERS).any(none_left)
}

fn challenges(answer: &Evidence<'_>) -> impl Iterator<Item = String> {
    let values = answer.headers.get_all(WWW_AUTHENTICATE).iter();
    values.filter_map(|value| value.to_str().ok()).map(str::to_ascii_lowercase)
}

/// Whether a 401 says outright that the grant is revoked or has expired.
fn is_definite(answer: &Evidence<'_>) -> bool {
    let outright = |text: &str| ["revoked", "expired", "invalid_grant"].iter().any(|word| text.contains(word));
    let body = answer.json.is_some_and(|body| {
        let codes = ["/error", "/code", "/error/code", "/errorCode", "/error/type"];
        let texts = codes.iter().chain(&MESSAGE_POINTERS).filter_map(|at| body.value().pointer(at)?.as_str());
        texts.map(str::to_ascii_lowercase).any(|text| outright(&text))
    });
    body || challenges(answer).any(|text| outright(&text))
}

fn explain(manifest: &Manifest, verdict: Verdict, status: StatusCode, missing: &[String]) -> (ErrorClass, String) {
    let code = status.as_u16();
    match verdict {
        Verdict::TokenRevoked => {
            (ErrorClass::Token, format!("The credential was revoked or has expired (HTTP {code})."))
        }
        Verdict::Token => {
            (ErrorClass::Token, format!("The application no longer accepts the credential (HTTP {code})."))
        }
        Verdict::Permission => {
            let needed = if missing.is_empty() { manifest.required_permissions.as_slice() } else { missing };
            let what = if missing.is_empty() { "It needs" } else { "Missing" };
            let needed = if needed.is_empty() { String::new() } else { format!(" {what}: {}.", needed.join(", ")) };
            (ErrorClass::Permission, format!("The credential may not list users (HTTP {code}).{needed}"))
        }
        Verdict::RateLimit => (ErrorClass::RateLimit, format!("The application asked to slow down (HTTP {code}).")),
        Verdict::Transient => (ErrorClass::Transient, format!("The application has trouble of its own (HTTP {code}).")),
        Verdict::Config => (ErrorClass::Config, misfit(status)),
    }
}

fn misfit(status: StatusCode) -> String {
    let code = status.as_u16();
    if status.is_redirection() {
        let why = "redirects are not followed, so that the credential stays where it belongs";
        return format!(
            "The application points to another address (HTTP {code}); {why}. Check the address in the settings."
        );
    }
    match code {
        404 | 410 => format!("The address in the settings does not lead to a user list (HTTP {code})."),
        _ => format!("The application does not accept the request for the user list (HTTP {code})."),
    }
}

/// The scopes that the answer names.
fn missing_permissions(manifest: &Manifest, secrets: &[String], answer: &Evidence<'_>) -> Vec<String> {
    let details = &manifest.error_details;
    let mut named: Vec<String> = Vec::new();
    for challenge in answer.headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok()) {
        let scope = challenge.split_once("scope=\"").and_then(|(_, rest)| rest.split_once('"'));
        named.extend(scope.into_iter().flat_map(|(scope, _)| scope.split_whitespace()).map(str::to_owned));
    }
    for name in &details.permission_header.0 {
        let values = answer.headers.get_all(name.as_str()).iter().filter_map(|value| value.to_str().ok());
        named.extend(values.flat_map(|value| value.split([',', ';'])).map(|scope| scope.trim().to_owned()));
    }
    if let Some(body) = answer.json {
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
    clean.truncate(MOST_PERMISSIONS);
    clean
}

/// What the answer says for a person, fit to be shown; nothing of web pages.
pub(super) fn excerpt(manifest: &Manifest, secrets: &[String], answer: &Evidence<'_>) -> Option<String> {
    let text = if let Some(body) = answer.json {
        let own = manifest.error_details.message.0.iter().find_map(|path| path.text(body));
        own.or_else(|| MESSAGE_POINTERS.iter().find_map(|at| scalar(body.value().pointer(at)?)))?
    } else {
        let label = answer.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !label.starts_with("text/plain") || answer.raw.trim_ascii_start().starts_with(b"<") {
            return None;
        }
        // More than an excerpt, so that a secret across its end is masked whole.
        String::from_utf8_lossy(answer.raw.get(..16 * 1024).unwrap_or(answer.raw)).into_owned()
    };
    Some(quotable(&text, secrets)).filter(|text| !text.is_empty())
}

/// Without the configured secrets.
pub(super) fn masked(text: &str, secrets: &[String]) -> String {
    let long = secrets.iter().filter(|secret| secret.len() >= 3);
    long.fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), "•••"))
}

/// Without the configured secrets and without control characters, and short.
fn quotable(text: &str, secrets: &[String]) -> String {
    let text = masked(text, secrets);
    let words: Vec<&str> = text.split(|letter: char| letter.is_whitespace() || letter.is_control()).collect();
    let line = words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    if line.chars().count() <= LONGEST_EXCERPT {
        return line;
    }
    line.chars().take(LONGEST_EXCERPT - 1).chain(['…']).collect()
}

/// The error that a call without an answer amounts to.
pub(super) fn no_answer(error: CallError) -> SourceError {
    let (class, message) = match error {
        CallError::Blocked => (
            ErrorClass::Config,
            "The address leads to a private, loopback or otherwise closed network, which this server does not call. \
             Whoever runs it can allow the network with MUSTER_ALLOWED_NETWORKS.",
        ),
        CallError::Unencrypted => (
            ErrorClass::Config,
            "The address must begin with https: plain http is used only for hosts within MUSTER_ALLOWED_NETWORKS.",
        ),
        CallError::TooLong => (ErrorClass::Config, "The application's answer is larger than a page of users may be."),
        CallError::Unresolved => (ErrorClass::Transient, "The application's host name could not be resolved."),
        CallError::Unreachable => (ErrorClass::Transient, "No connection to the application came about."),
        CallError::Tls => (
            ErrorClass::Transient,
            "No encrypted connection to the application came about; its certificate may be wrong.",
        ),
        CallError::BrokeOff => (ErrorClass::Transient, "The application's answer broke off in the middle."),
        CallError::TimedOut => (ErrorClass::Timeout, "The application stopped answering."),
    };
    plain_error(class, message.to_owned())
}

/// An error without an HTTP status.
pub(super) fn plain_error(class: ErrorClass, message: String) -> SourceError {
    SourceError {
        class,
        message,
        http_status: None,
        missing_permissions: Vec::new(),
        definite: false,
        retry_after_ms: None,
    }
}
