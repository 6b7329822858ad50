//! What a token endpoint's answer says: a grant, or why there is none.
//!
//! The manifest's rules come first. Then a status that speaks of the server's own trouble, because
//! that is never a refusal; then OAuth's `error` (RFC 6749, 5.2, and what vendors have added), also
//! on a 200; then the status code.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderMap, SET_COOKIE};

use super::sign_in::SignIn;
use crate::engine::classify::{Evidence, excerpt, is_limited, rule};
use crate::engine::client::Answer;
use crate::engine::retry::asked_wait;
use crate::engine::select::{self, Unreadable};
use crate::grant::Grant;
use crate::manifest::answers::Verdict;
use crate::manifest::auth::{Auth, Session};
use crate::manifest::expr::{Path, Subject, scalar};
use crate::source::{ErrorClass, SourceError};

/// The client itself is not accepted (any more).
const CLIENT_CODES: [&str; 7] = [
    "bad_client_secret",
    "disabled_client",
    "incorrect_client_credentials",
    "invalid_client",
    "invalid_client_id",
    "invalid_client_secret",
    "unauthorized_client",
];
/// The code, the refresh token or the consent is not accepted (any more).
const GRANT_CODES: [&str; 16] = [
    "account_inactive",
    "bad_refresh_token",
    "bad_verification_code",
    "code_already_used",
    "code_expired",
    "consent_required",
    "expired_token",
    "inactive_org",
    "inactive_user",
    "interaction_required",
    "invalid_code",
    "invalid_grant",
    "invalid_refresh_token",
    "login_required",
    "token_expired",
    "token_revoked",
];
const PERMISSION_CODES: [&str; 4] = ["access_denied", "insufficient_scope", "invalid_scope", "missing_scope"];
const LIMIT_CODES: [&str; 4] = ["rate_limit_exceeded", "rate_limited", "ratelimited", "slow_down"];
const TROUBLE_CODES: [&str; 3] = ["internal_error", "server_error", "temporarily_unavailable"];
/// Where an answer names its error.
const CODE_POINTERS: [&str; 4] = ["/error", "/errorCode", "/error/code", "/code"];

/// An answer without a grant.
pub struct Refusal {
    pub error: SourceError,
    /// How long the application asks to wait.
    pub asked: Option<Duration>,
}

/// The grant that an answer gives. `secrets` are not quoted from it.
pub fn read(sign_in: &SignIn, secrets: &[String], answer: &Answer) -> Result<Grant, Refusal> {
    let label = answer.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let parsed = select::parse(&answer.body, label);
    let body = parsed.as_ref().ok();
    let evidence = Evidence { status: answer.status, headers: &answer.headers, json: body, raw: &answer.body };
    let ruled = rule(&sign_in.manifest, &evidence);
    if ruled.is_none() && answer.status.is_success() {
        let grant = given(sign_in, &answer.headers, body);
        if let Some(grant) = grant {
            return Ok(grant);
        }
    }
    let code = body.and_then(known_code);
    let verdict = match ruled {
        Some(rule) => rule.is,
        // What breaks off may be whole next time.
        None if answer.status.is_success() && parsed.as_ref().is_err_and(|fault| *fault == Unreadable::BreaksOff) => {
            Verdict::Transient
        }
        // A wall in front of the endpoint answers like that, and says nothing about the client.
        None if answer.status == StatusCode::FORBIDDEN && code.is_none() && parsed.is_err() => Verdict::Transient,
        None if answer.status == StatusCode::FORBIDDEN
            && code.is_none()
            && is_limited(&sign_in.manifest.rate_limit, &answer.headers) =>
        {
            Verdict::RateLimit
        }
        None => verdict(answer.status, code),
    };
    let sentence = ruled.and_then(|rule| rule.message.clone());
    let sentence = sentence.unwrap_or_else(|| explain(sign_in, verdict, code, answer.status, parsed.as_ref().err()));
    // A success that is not understood may be a token.
    let excerpt =
        excerpt(&sign_in.manifest, secrets, &evidence).filter(|_| code.is_some() || !answer.status.is_success());
    let message = match excerpt {
        Some(excerpt) if Some(excerpt.as_str()) != code => format!("{sentence} It said: “{excerpt}”."),
        _ => sentence,
    };
    let class = match verdict {
        Verdict::TokenRevoked | Verdict::Token => ErrorClass::Token,
        Verdict::Permission => ErrorClass::Permission,
        Verdict::RateLimit => ErrorClass::RateLimit,
        Verdict::Transient => ErrorClass::Transient,
        Verdict::Config => ErrorClass::Config,
    };
    let asked = asked_wait(&sign_in.manifest.rate_limit, &answer.headers, body, sign_in.now());
    let error = SourceError {
        http_status: Some(answer.status.as_u16()),
        definite: verdict == Verdict::TokenRevoked,
        ..SourceError::new(class, message)
    };
    Err(Refusal { error, asked })
}

/// The grant in a good answer, if there is a token in it.
fn given(sign_in: &SignIn, headers: &HeaderMap, body: Option<&Subject>) -> Option<Grant> {
    let rules = sign_in.auth().token_rules()?;
    let now = sign_in.now();
    let at = |pointer: &str| body.and_then(|body| scalar(body.value().pointer(pointer)?));
    let of = |path: &Path| body.and_then(|body| path.text(body));
    let (access_token, cookie_end) = match sign_in.auth() {
        Auth::Session(Session { cookie: Some(name), .. }) => {
            let (value, seconds) = cookie(headers, name)?;
            (value, seconds.and_then(|seconds| moment(&seconds, now)))
        }
        _ => (rules.token_at.map_or_else(|| at("/access_token"), of)?, None),
    };
    let expires_in = rules.expires_in_at.map_or_else(|| at("/expires_in"), of);
    let refresh_expires_in = at("/refresh_token_expires_in").or_else(|| at("/refresh_expires_in"));
    Some(Grant {
        access_token,
        refresh_token: rules.refresh_token_at.map_or_else(|| at("/refresh_token"), of),
        expires_at: expires_in.and_then(|text| moment(&text, now)).or(cookie_end),
        refresh_expires_at: refresh_expires_in.and_then(|text| moment(&text, now)),
        found: rules.keep.iter().filter_map(|(name, path)| Some((name.clone(), of(path)?))).collect(),
    })
}

/// The value of a cookie, and its `Max-Age`.
fn cookie(headers: &HeaderMap, name: &str) -> Option<(String, Option<String>)> {
    let set = headers.get_all(SET_COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut ours = set.filter_map(|text| {
        let (pair, attributes) = text.split_once(';').unwrap_or((text, ""));
        let (own, value) = pair.split_once('=')?;
        (own.trim() == name && !value.trim().is_empty()).then_some((value.trim(), attributes))
    });
    let (value, attributes) = ours.next_back()?;
    let max_age = attributes
        .split(';')
        .filter_map(|attribute| attribute.split_once('='))
        .find_map(|(key, value)| key.trim().eq_ignore_ascii_case("max-age").then(|| value.trim().to_owned()));
    Some((value.to_owned(), max_age))
}

/// The end of a lifetime of so many seconds, or the moment if that is what the number is, in Unix
/// milliseconds. Zero is what some say for a token without an end.
fn moment(text: &str, now: i64) -> Option<i64> {
    const EPOCH_SECONDS: f64 = 1e9;
    const EPOCH_MILLISECONDS: f64 = 1e11;
    let number: f64 = text.trim().parse().ok()?;
    #[expect(clippy::cast_possible_truncation, reason = "a cast of too large a number gives the largest")]
    let whole = |number: f64| number as i64;
    match number {
        number if !number.is_finite() || number <= 0.0 => None,
        number if number >= EPOCH_MILLISECONDS => Some(whole(number)),
        number if number >= EPOCH_SECONDS => Some(whole(number * 1000.0)),
        number => Some(now.saturating_add(whole(number * 1000.0))),
    }
}

/// The error that the answer names, if it is one that is known here.
fn known_code(body: &Subject) -> Option<&'static str> {
    let mut named = CODE_POINTERS.iter().filter_map(|at| body.value().pointer(at)?.as_str());
    let known = [&CLIENT_CODES[..], &GRANT_CODES, &PERMISSION_CODES, &LIMIT_CODES, &TROUBLE_CODES];
    named.find_map(|name| known.into_iter().flatten().find(|code| code.eq_ignore_ascii_case(name)).copied())
}

fn verdict(status: StatusCode, code: Option<&str>) -> Verdict {
    let is = |codes: &[&str]| code.is_some_and(|code| codes.contains(&code));
    match status.as_u16() {
        408 | 429 => Verdict::RateLimit,
        500.. => Verdict::Transient,
        _ if is(&CLIENT_CODES) || is(&GRANT_CODES) => Verdict::TokenRevoked,
        _ if is(&PERMISSION_CODES) => Verdict::Permission,
        _ if is(&LIMIT_CODES) => Verdict::RateLimit,
        _ if is(&TROUBLE_CODES) => Verdict::Transient,
        401 => Verdict::Token,
        403 => Verdict::Permission,
        _ => Verdict::Config,
    }
}

fn explain(
    sign_in: &SignIn,
    verdict: Verdict,
    code: Option<&str>,
    status: StatusCode,
    fault: Option<&Unreadable>,
) -> String {
    let number = status.as_u16();
    let what = code.map_or_else(|| format!("HTTP {number}"), |code| format!("{code}, HTTP {number}"));
    match verdict {
        Verdict::TokenRevoked if code.is_some_and(|code| CLIENT_CODES.contains(&code)) => {
            format!("The application does not accept the client's id, or its secret or key, at sign-in ({what}).")
        }
        Verdict::TokenRevoked => {
            format!("The application no longer accepts the grant at sign-in ({what}): it was withdrawn or has expired.")
        }
        Verdict::Token => format!("The application did not accept the credential at sign-in ({what})."),
        Verdict::Permission => {
            let needed = sign_in.manifest.required_permissions.join(", ");
            let needed = if needed.is_empty() { needed } else { format!(" It needs: {needed}.") };
            format!("The application refused the permissions that were asked for at sign-in ({what}).{needed}")
        }
        Verdict::RateLimit => format!("The application asked to slow down at sign-in ({what})."),
        Verdict::Transient if status.is_success() && code.is_none() => {
            format!("The answer at sign-in breaks off in the middle ({what}).")
        }
        Verdict::Transient => format!("The application has trouble of its own at sign-in ({what})."),
        Verdict::Config if status.is_redirection() => format!(
            "The application points to another address at sign-in ({what}); redirects are not followed, so that the \
             credential stays where it belongs. Check the address in the settings."
        ),
        Verdict::Config if status.is_success() => {
            let why = fault.map(|fault| format!(": {fault}")).unwrap_or_default();
            format!("The answer at sign-in holds no token ({what}){why}. Check the address in the settings.")
        }
        Verdict::Config if matches!(number, 404 | 410) => {
            format!("The address for the sign-in leads nowhere ({what}); check the settings.")
        }
        Verdict::Config => format!("The application does not accept the request at sign-in ({what})."),
    }
}
