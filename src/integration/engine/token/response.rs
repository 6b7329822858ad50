//! What a token response says: a grant, or why there is none.
//!
//! The manifest's error rules come first, except those about the status alone for a response of something in front of
//! the application. Next come such responses, and server errors; these are never refusals. Then OAuth's `error` decides
//! (RFC 6749, 5.2, and the codes that vendors have added), even in a response with status 200, and the status code last.
//! For a refused grant or client, the description is read too, because some applications answer so to too many
//! sign-ins, or because of the address, the hour or a wrong clock.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderMap, SET_COOKIE};

use crate::engine::body::{self, BodyError};
use crate::engine::classify::{
    Evidence, asks_to_wait, excerpt, explain_wall, is_rate_limited, matching_rule, once_each,
};
use crate::engine::client::Response;
use crate::engine::retry::{EPOCH_MILLISECONDS, EPOCH_SECONDS, retry_after};
use crate::engine::wall::is_wall;
use crate::engine::wording::{self, Reason, clock_difference};
use crate::grant::Grant;
use crate::manifest::Manifest;
use crate::manifest::auth::{Auth, ClientAuth, Session};
use crate::manifest::errors::Classification;
use crate::manifest::expr::{Document, Path, scalar};
use crate::source::{Config, ErrorClass, SourceError};

/// The client itself is not accepted.
const CLIENT_CODES: [&str; 7] = [
    "bad_client_secret",
    "disabled_client",
    "incorrect_client_credentials",
    "invalid_client",
    "invalid_client_id",
    "invalid_client_secret",
    "unauthorized_client",
];
/// The code, the refresh token or the consent is not accepted.
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
const RATE_LIMIT_CODES: [&str; 4] = ["rate_limit_exceeded", "rate_limited", "ratelimited", "slow_down"];
const SERVER_CODES: [&str; 3] = ["internal_error", "server_error", "temporarily_unavailable"];

/// A token response without a grant.
pub struct TokenError {
    pub error: SourceError,
    /// How long the application asked to wait.
    pub retry_after: Option<Duration>,
}

/// What a token response says if it contains no grant.
struct Refusal<'a> {
    manifest: &'a Manifest,
    evidence: &'a Evidence<'a>,
    /// Why the body is no JSON.
    unreadable: Option<&'a BodyError>,
    /// The error that the response names, if it is known.
    code: Option<String>,
    /// Why a grant or a client is refused, if the reason is not the credential.
    reason: Option<Reason>,
    /// A sentence about this server's clock, if it differs from the application's.
    clock: Option<String>,
    /// What the credential is called.
    credential: &'static str,
}

/// The grant in a token response. `secrets` are masked where the response is quoted.
pub fn read(
    manifest: &Manifest,
    config: &Config,
    now: i64,
    secrets: &[String],
    response: &Response,
) -> Result<Grant, TokenError> {
    let Response { status, headers, body } = response;
    let auth = &manifest.chosen(config).auth;
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let parsed = body::parse(body, *status, content_type);
    let json = parsed.as_ref().ok();
    let evidence = Evidence { status: *status, headers, json, raw: body };
    let rule = matching_rule(manifest, &evidence);
    if rule.is_none()
        && status.is_success()
        && let Some(grant) = grant(auth, now, headers, json)
    {
        return Ok(grant);
    }
    let signed = is_signed(auth);
    let clock = clock_difference(headers, now);
    let refusal = Refusal {
        manifest,
        evidence: &evidence,
        unreadable: parsed.as_ref().err(),
        code: json.and_then(known_code),
        reason: json.and_then(|body| refusal_reason(body, signed, clock.is_some())),
        clock,
        credential: manifest.credential_name(config),
    };
    let rule = rule.filter(|rule| !(rule.is_about_status() && refusal.is_wall()));
    let found = rule.map_or_else(|| refusal.classify(), |rule| rule.is);
    let classification = match refusal.reason {
        Some(Reason::Rate) if found.is_bare_refusal() => Classification::RateLimit,
        Some(Reason::Restriction) if found.is_bare_refusal() => Classification::Config,
        _ => found,
    };
    let own = rule.and_then(|rule| rule.message.clone()).filter(|_| classification == found);
    let mut sentence = own.unwrap_or_else(|| refusal.explain(classification));
    let about_credential = classification.class() == ErrorClass::Token || refusal.reason == Some(Reason::Clock);
    if let Some(difference) = refusal.clock.as_ref().filter(|_| about_credential) {
        sentence = format!("{sentence} {difference}");
    }
    let code = refusal.code.as_deref();
    // A successful response without a known error is not quoted, because it may contain a token.
    let excerpt = excerpt(manifest, secrets, &evidence).filter(|_| code.is_some() || !status.is_success());
    let message = match excerpt {
        Some(excerpt) if Some(excerpt.as_str()) != code => format!("{sentence} It said: “{excerpt}”."),
        _ => sentence,
    };
    let permissions = if classification == Classification::Permission {
        once_each(&manifest.required_permissions)
    } else {
        Vec::new()
    };
    let error = SourceError {
        http_status: Some(status.as_u16()),
        missing_permissions: permissions,
        definite: classification.is_definite(),
        ..SourceError::new(classification.class(), message)
    };
    let retry_after = retry_after(error.class, &manifest.rate_limit, headers, json, now);
    Err(TokenError { error, retry_after })
}

/// Whether the sign-in sends a signed assertion.
fn is_signed(auth: &Auth) -> bool {
    match auth {
        Auth::JwtBearer(_) => true,
        Auth::ClientCredentials(kind) => matches!(kind.client_auth, ClientAuth::PrivateKeyJwt),
        _ => false,
    }
}

/// Why a grant or a client is refused, if the reason is not the credential. If a signed assertion is refused without
/// any explanation, and the clocks differ, the clocks are the reason.
fn refusal_reason(body: &Document, signed: bool, clocks_differ: bool) -> Option<Reason> {
    let explained = wording::sentences(body).any(|text| text.contains(' '));
    wording::reason(body, signed).or((signed && clocks_differ && !explained).then_some(Reason::Clock))
}

impl Refusal<'_> {
    /// What the response means if no rule of the manifest matches.
    fn classify(&self) -> Classification {
        let Evidence { status, headers, .. } = self.evidence;
        let forbidden_without_code = *status == StatusCode::FORBIDDEN && self.code.is_none();
        match self.unreadable {
            _ if self.is_wall() => Classification::Transient,
            // The next response may be complete.
            Some(BodyError::Incomplete) if status.is_success() => Classification::Transient,
            Some(BodyError::Empty) if forbidden_without_code => Classification::Transient,
            _ if forbidden_without_code && is_rate_limited(&self.manifest.rate_limit, headers) => {
                Classification::RateLimit
            }
            _ => self.by_code_and_status(),
        }
    }

    fn is_wall(&self) -> bool {
        self.code.is_none() && is_wall(self.manifest, self.evidence)
    }

    fn refuses_credential(&self) -> bool {
        let code = self.code.as_deref();
        let listed = code.is_some_and(|code| CLIENT_CODES.contains(&code) || GRANT_CODES.contains(&code));
        let said = |body: &Document| {
            wording::bad_credential_code(body).is_some()
                || (self.evidence.status.is_client_error() && wording::says_bad_credential(body))
        };
        listed || self.evidence.json.is_some_and(said)
    }

    fn by_code_and_status(&self) -> Classification {
        let is = |codes: &[&str]| self.code.as_deref().is_some_and(|code| codes.contains(&code));
        match self.evidence.status.as_u16() {
            408 | 429 => Classification::RateLimit,
            500.. => Classification::Transient,
            _ if self.refuses_credential() => match self.reason {
                Some(Reason::Rate) => Classification::RateLimit,
                Some(Reason::Restriction | Reason::Clock) => Classification::Config,
                None => Classification::TokenRevoked,
            },
            _ if is(&PERMISSION_CODES) => Classification::Permission,
            _ if is(&RATE_LIMIT_CODES) => Classification::RateLimit,
            _ if is(&SERVER_CODES) => Classification::Transient,
            401 => Classification::Token,
            403 => Classification::Permission,
            _ if asks_to_wait(self.evidence) => Classification::RateLimit,
            400 | 409 if self.evidence.json.is_some_and(wording::asks_to_repeat) => Classification::Transient,
            _ => Classification::Config,
        }
    }
}

/// The grant in a successful response, if it contains a token.
fn grant(auth: &Auth, now: i64, headers: &HeaderMap, body: Option<&Document>) -> Option<Grant> {
    let rules = auth.token_rules()?;
    let at = |pointer: &str| body.and_then(|body| scalar(body.value().pointer(pointer)?));
    let of = |path: &Path| body.and_then(|body| path.text(body));
    let (access_token, cookie_expires_at) = match auth {
        Auth::Session(Session { cookie: Some(name), .. }) => {
            let (value, seconds) = cookie(headers, name)?;
            (value, seconds.and_then(|seconds| expiry(&seconds, now)))
        }
        _ => (rules.token_at.map_or_else(|| at("/access_token"), of)?, None),
    };
    let expires_in = rules.expires_in_at.map_or_else(|| at("/expires_in"), of);
    let refresh_expires_in = at("/refresh_token_expires_in").or_else(|| at("/refresh_expires_in"));
    Some(Grant {
        access_token,
        refresh_token: rules.refresh_token_at.map_or_else(|| at("/refresh_token"), of),
        expires_at: expires_in.and_then(|text| expiry(&text, now)).or(cookie_expires_at),
        refresh_expires_at: refresh_expires_in.and_then(|text| expiry(&text, now)),
        found: rules.keep.iter().filter_map(|(name, path)| Some((name.clone(), of(path)?))).collect(),
    })
}

/// The value of a cookie, and its `Max-Age`.
fn cookie(headers: &HeaderMap, name: &str) -> Option<(String, Option<String>)> {
    let set = headers.get_all(SET_COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut own = set.filter_map(|text| {
        let (pair, attributes) = text.split_once(';').unwrap_or((text, ""));
        let (key, value) = pair.split_once('=')?;
        (key.trim() == name && !value.trim().is_empty()).then_some((value.trim(), attributes))
    });
    let (value, attributes) = own.next_back()?;
    let max_age = attributes
        .split(';')
        .filter_map(|attribute| attribute.split_once('='))
        .find_map(|(key, value)| key.trim().eq_ignore_ascii_case("max-age").then(|| value.trim().to_owned()));
    Some((value.to_owned(), max_age))
}

/// Reads a lifetime in seconds, or a time in epoch seconds or milliseconds; they are told apart by
/// magnitude. Returns Unix milliseconds. Some applications send 0 for a token that does not expire.
fn expiry(text: &str, now: i64) -> Option<i64> {
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

/// The error that the response names, if it is known.
fn known_code(body: &Document) -> Option<String> {
    let listed = [&CLIENT_CODES[..], &GRANT_CODES, &PERMISSION_CODES, &RATE_LIMIT_CODES, &SERVER_CODES];
    let known = |name: &String| listed.into_iter().flatten().any(|code| code == name);
    wording::codes(body).find(known).or_else(|| wording::bad_credential_code(body))
}

impl Refusal<'_> {
    fn explain(&self, classification: Classification) -> String {
        let (status, credential) = (self.evidence.status, self.credential);
        let number = status.as_u16();
        let code = self.code.as_deref();
        let what = code.map_or_else(|| format!("HTTP {number}"), |code| format!("{code}, HTTP {number}"));
        match classification {
            Classification::TokenRevoked if code.is_some_and(|code| CLIENT_CODES.contains(&code)) => {
                format!("The application does not accept the client's id, or its secret or key, at sign-in ({what}).")
            }
            Classification::TokenRevoked if credential == "password" => {
                format!("The application does not accept the user name or the password at sign-in ({what}).")
            }
            Classification::TokenRevoked => {
                format!(
                    "The application does not accept the grant at sign-in ({what}): it was withdrawn or has expired."
                )
            }
            Classification::Token => {
                format!("The application does not accept the {credential} at sign-in ({what}).")
            }
            Classification::Permission => {
                let needed = once_each(&self.manifest.required_permissions).join(", ");
                let needed = if needed.is_empty() { needed } else { format!(" It needs: {needed}.") };
                format!("The application refused the permissions that were requested at sign-in ({what}).{needed}")
            }
            Classification::RateLimit => format!("The application asked to slow down at sign-in ({what})."),
            Classification::Transient if self.is_wall() => format!("{} This was at sign-in.", explain_wall(status)),
            Classification::Transient if status.is_success() && code.is_none() => {
                format!("The response at sign-in breaks off in the middle ({what}).")
            }
            Classification::Transient | Classification::TooLarge | Classification::PositionExpired => {
                format!("The application reports an error of its own at sign-in ({what}).")
            }
            Classification::Config => self.explain_config(&what),
        }
    }

    fn explain_config(&self, what: &str) -> String {
        let status = self.evidence.status;
        match self.reason {
            Some(Reason::Clock) if self.refuses_credential() => {
                return format!(
                    "The application does not accept the time in the signed statement at sign-in ({what}), so this \
                     server's clock may be wrong."
                );
            }
            Some(Reason::Restriction) => {
                return format!(
                    "The application does not let this server sign in from its address, or at this hour ({what}). \
                     Change the limits of that user or client in the application."
                );
            }
            Some(_) | None => {}
        }
        if status.is_redirection() {
            return format!(
                "The application points to another address at sign-in ({what}); redirects are not followed, so that \
                 the credential stays where it belongs. Check the address in the settings."
            );
        }
        if status.is_success() {
            let why = self.unreadable.map(|error| format!(": {error}")).unwrap_or_default();
            return format!(
                "The response at sign-in contains no token ({what}){why}. Check the address in the settings."
            );
        }
        if matches!(status.as_u16(), 404 | 410) {
            return format!("The address for the sign-in leads nowhere ({what}); check the settings.");
        }
        format!("The application does not accept the request at sign-in ({what}).")
    }
}
