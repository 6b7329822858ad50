//! Tells a refusal by the application from one by something in front of it: a firewall, a challenge
//! against robots, or a gateway. Such a refusal says nothing about the credential.

use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderMap, SERVER, WWW_AUTHENTICATE};
use serde_json::json;

use super::classify::Evidence;
use crate::manifest::Manifest;

/// Headers that only a firewall or a challenge sends, whatever the status.
const CHALLENGE_HEADERS: [&str; 3] = ["cf-mitigated", "x-amzn-waf-action", "x-vercel-mitigated"];
/// Headers of a refusal that only a firewall or a proxy sends.
const REFUSAL_HEADERS: [&str; 5] = ["x-datadome", "x-dd-b", "x-squid-error", "x-sucuri-block", "proxy-authenticate"];
/// Servers that stand in front of applications, at the beginning of `Server` in lower case. They name themselves in
/// their own responses only.
const FRONT_SERVERS: [&str; 7] = ["akamaighost", "awselb", "bigip", "big-ip", "imperva", "squid", "zscaler"];
/// The same, but they also name themselves in the application's responses, which they pass on.
const PASSING_SERVERS: [&str; 3] = ["cloudflare", "cloudfront", "sucuri"];
/// A gateway's own members in a JSON body.
const GATEWAY_MEMBERS: [&str; 2] = ["/cloudflare_error", "/ray_id"];

/// Whether something in front of the application answered in its place. A response without a body is the
/// application's own, unless a header says otherwise.
pub(super) fn is_wall(manifest: &Manifest, evidence: &Evidence<'_>) -> bool {
    let has_any = |names: &[&str]| names.iter().any(|name| evidence.headers.contains_key(*name));
    if has_any(&CHALLENGE_HEADERS) {
        return true;
    }
    // With any other status, a web page means that the address is wrong, or that the application is out of order.
    if !matches!(evidence.status.as_u16(), 401 | 402 | 403 | 405 | 406 | 407 | 409 | 418 | 421 | 423 | 451) {
        return false;
    }
    if has_any(&REFUSAL_HEADERS) {
        return true;
    }
    if names_an_error_of_the_token(evidence.headers) {
        return false;
    }
    let header = |name| evidence.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let html = header(CONTENT_TYPE).trim_start().to_ascii_lowercase().starts_with("text/html");
    let body = evidence.raw.trim_ascii();
    let server = header(SERVER).trim_start().to_ascii_lowercase();
    if FRONT_SERVERS.iter().any(|front| server.starts_with(front)) || is_refused_by_aws(evidence) {
        return true;
    }
    if body.is_empty() {
        return html && PASSING_SERVERS.iter().any(|front| server.starts_with(front));
    }
    let challenged = evidence.status == StatusCode::UNAUTHORIZED && evidence.headers.contains_key(WWW_AUTHENTICATE);
    match evidence.json {
        // PHP names every response a web page unless it is told otherwise.
        Some(json) => {
            let page = html && !json.value().is_object();
            page || GATEWAY_MEMBERS.iter().any(|member| json.value().pointer(member).is_some())
        }
        None if html || body.starts_with(b"<") => true,
        None => !(challenged || manifest.error_details.plain_text || repeats_status(evidence)),
    }
}

/// Whether the API gateway of AWS refused the request itself, by a policy. Its authorizers answer in other words.
fn is_refused_by_aws(evidence: &Evidence<'_>) -> bool {
    let kind = evidence.headers.get("x-amzn-errortype").and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.starts_with("ForbiddenException")
        && evidence.json.is_some_and(|body| *body.value() == json!({"message": "Forbidden"}))
}

/// Whether `WWW-Authenticate` names an error of OAuth (RFC 6750, 3.1), which only the application can know.
fn names_an_error_of_the_token(headers: &HeaderMap) -> bool {
    let challenges = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    challenges.map(str::to_ascii_lowercase).any(|text| text.starts_with("bearer") && text.contains("error="))
}

/// Whether the body says no more than the status, such as `401 Unauthorized`.
fn repeats_status(evidence: &Evidence<'_>) -> bool {
    let reason = evidence.status.canonical_reason().unwrap_or_default().to_ascii_lowercase();
    let text = String::from_utf8_lossy(evidence.raw.get(..100).unwrap_or(evidence.raw)).to_ascii_lowercase();
    let words = text.trim_matches(|letter: char| !letter.is_ascii_alphanumeric());
    let words = words.strip_prefix(evidence.status.as_str()).unwrap_or(words).trim_start();
    words == reason
}
