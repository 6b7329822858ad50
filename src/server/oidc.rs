//! Signing in with the identity provider: `/auth/oidc/start` sends the browser there, and it comes back to
//! `/auth/oidc/callback`.
//!
//! If a person cannot be signed in, a page says what to do. It shows nothing from the request or the identity provider.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use entity::audit_entry::Action;
use serde_json::json;
use tracing::{Instrument, error_span};

use super::page::{Page, page, private};
use super::query::{cookies as all_cookies, parameter};
use super::sign_in::{Attempts, begun, client};
use crate::audit::{Actor, Entry};
use crate::auth::sessions::Client;
use crate::error::Error;
use crate::graphql::error::Code;
use crate::graphql::transport::cookies;
use crate::graphql::transport::endpoint::Endpoint;
use crate::oidc::{CALLBACK, Oidc, PENDING_MS, Returned, Why};

/// The path to the folder of the console's files, from those of this module.
const ROOT: &str = "../../";
const AGAIN: &str = "Go back to Muster and sign in again.";
const TELL: &str = "If it happens again, tell your Muster administrator: the log of the server has the reason.";

#[derive(Clone)]
struct Door {
    oidc: Option<Oidc>,
    endpoint: Arc<Endpoint>,
    attempts: Attempts,
}

pub(super) fn routes(oidc: Option<Oidc>, endpoint: Arc<Endpoint>, attempts: Attempts) -> Router {
    let mut router = Router::new().route("/auth/oidc", get(button));
    if oidc.is_some() {
        router = router.route("/auth/oidc/start", get(start)).route(CALLBACK, get(callback));
    }
    router.with_state(Door { oidc, endpoint, attempts })
}

/// What the button on the sign-in page says; null if there is no identity provider.
async fn button(State(Door { oidc, .. }): State<Door>) -> Response {
    let label = oidc.as_ref().map(Oidc::label);
    ([(CACHE_CONTROL, "no-store")], Json(json!({ "label": label }))).into_response()
}

async fn start(State(Door { oidc, .. }): State<Door>, request: Request) -> Response {
    let Some(oidc) = oidc else { return StatusCode::NOT_FOUND.into_response() };
    let (parts, _) = request.into_parts();
    if !is_navigation(&parts.headers) {
        return private(embedded().respond(ROOT));
    }
    let begun = oidc.begin(parameter(&parts.uri, "return").as_deref()).await;
    private(match begun {
        Ok(begun) => {
            let cookie = pending_cookie(&oidc, begun.cookie.name, begun.cookie.value, PENDING_MS);
            (StatusCode::SEE_OTHER, [(LOCATION, begun.url.as_str().to_owned())], [(SET_COOKIE, cookie)]).into_response()
        }
        Err(why) => explain(&why).respond(ROOT),
    })
}

async fn callback(State(door): State<Door>, request: Request) -> Response {
    let Some(oidc) = door.oidc.clone() else { return StatusCode::NOT_FOUND.into_response() };
    let (parts, _) = request.into_parts();
    let returned = Returned {
        state: parameter(&parts.uri, "state"),
        code: parameter(&parts.uri, "code"),
        error: parameter(&parts.uri, "error"),
        issuer: parameter(&parts.uri, "iss"),
        cookies: all_cookies(&parts.headers),
    };
    if !is_navigation(&parts.headers) {
        return private(embedded().respond(ROOT));
    }
    let used = oidc.used_cookie(&returned);
    let client = client(&parts);
    // Other pages can send people here with a state of their own making, which must not count for the people's network.
    let arrived = match oidc.arrive(returned).await {
        Ok(arrived) => arrived,
        Err(why) => {
            note_failure(&door.endpoint, &client, &why).await;
            return private(explain(&why).respond(ROOT));
        }
    };
    if door.attempts.admit(&client).is_err() {
        note_failure(&door.endpoint, &client, &Why::TooMany).await;
        return private(explain(&Why::TooMany).respond(ROOT));
    }
    let attempt = client.clone();
    // A task of its own, so that it is completed even if the browser disconnects.
    let span = error_span!("oidc.callback", request.id = %client.request_id);
    let task = oidc.clone();
    let completed = tokio::spawn(async move { task.complete(arrived, &client).await }.instrument(span)).await;
    let completed =
        completed.unwrap_or_else(|_| Err(Why::Inner(Error::Internal("completing a sign-in panicked".into()))));
    let mut response = match completed {
        Ok((session, path)) => {
            door.attempts.forgive(&attempt);
            let cookie = [(SET_COOKIE, begun(&door.endpoint, &parts, &session).await)];
            (StatusCode::SEE_OTHER, [(LOCATION, format!("{}{path}", oidc.console()))], cookie).into_response()
        }
        Err(why) => {
            note_failure(&door.endpoint, &attempt, &why).await;
            explain(&why).respond(ROOT)
        }
    };
    if let Some(name) = used {
        response.headers_mut().append(SET_COOKIE, pending_cookie(&oidc, name, String::new(), 0));
    }
    private(response)
}

/// Writes an audit entry of a sign-in that failed, or counts it if it was not looked at.
async fn note_failure(endpoint: &Endpoint, client: &Client, why: &Why) {
    let (journal, origin) = (endpoint.executor.journal(), client.origin(Actor::anonymous()));
    let detail = "Somebody failed to sign in with the identity provider.";
    let entry = Entry::new(journal.now(), Action::SignInFailed, detail);
    let entry = match why {
        Why::TooMany => return journal.count(&origin, Action::SignInFailed, Code::RateLimited.as_str()),
        Why::Unknown => entry.refused("UNKNOWN_STATE"),
        Why::Incomplete => entry.refused("INCOMPLETE"),
        Why::OtherBrowser => entry.refused("OTHER_BROWSER"),
        Why::Declined => entry.refused("DECLINED"),
        Why::ProviderError(_) => entry.failed("PROVIDER_ERROR"),
        Why::Unreachable(_) => entry.failed("PROVIDER_UNREACHABLE"),
        Why::Untrusted(_) => entry.refused("UNTRUSTED"),
        Why::NoRole => entry.refused("NO_ROLE"),
        Why::Disabled => entry.refused("MEMBER_DISABLED"),
        Why::OtherAccount => entry.refused("OTHER_ACCOUNT"),
        Why::Inner(_) => entry.failed(Code::Internal.as_str()),
    };
    journal.note(entry.by(origin)).await;
}

/// The cookie of a pending sign-in, for this host only. Other sites cannot send it with anything but a plain navigation.
fn pending_cookie(oidc: &Oidc, name: String, value: String, max_age_ms: i64) -> HeaderValue {
    let cookie = cookies::build(name, value, "/", max_age_ms, oidc.is_encrypted());
    HeaderValue::from_str(&cookie.to_string()).expect("a secret has letters, digits, - and _")
}

/// Whether a person is on the way here, as far as the browser says so: an image or a frame of another page is not.
fn is_navigation(headers: &HeaderMap) -> bool {
    let is = |name: &str, wanted: &str| headers.get_all(name).iter().all(|value| value == wanted);
    is("sec-fetch-mode", "navigate") && is("sec-fetch-dest", "document")
}

/// The answer to a part of another page.
fn embedded() -> Page {
    let happened = "The address of a sign-in was used as a part of another page.";
    page(StatusCode::FORBIDDEN, "This is not a part of a page", happened, &[AGAIN])
}

/// A page: its status, its title, what happened, and what to do now.
type Words = (StatusCode, &'static str, &'static str, &'static [&'static str]);

const UNKNOWN: Words = (
    StatusCode::BAD_REQUEST,
    "This sign-in is not expected",
    "The address that brought you here was used already, is older than ten minutes, or was not made by Muster.",
    &[AGAIN],
);
const INCOMPLETE: Words = (
    StatusCode::BAD_REQUEST,
    "The answer is not complete",
    "The identity provider sent you back without saying who you are.",
    &[AGAIN, TELL],
);
const OTHER_BROWSER: Words = (
    StatusCode::FORBIDDEN,
    "This is another browser",
    "This sign-in was begun in another browser, or in another kind of window of this one. So that nobody can sign you in \
     as somebody else, it counts only where it was begun.",
    &[
        "Go back to Muster and sign in, in this browser.",
        "If somebody sent you an address to sign in at, do not use it.",
    ],
);
const DECLINED: Words = (
    StatusCode::FORBIDDEN,
    "You are not signed in",
    "The identity provider says that the sign-in was declined.",
    &[AGAIN, "If you should have access to Muster, ask the administrator of your identity provider."],
);
const PROVIDER_ERROR: Words = (
    StatusCode::BAD_GATEWAY,
    "You are not signed in",
    "The identity provider sent you back with an error.",
    &[AGAIN, TELL],
);
const UNREACHABLE: Words = (
    StatusCode::BAD_GATEWAY,
    "The identity provider does not answer",
    "Muster could not reach your identity provider, or got no usable answer.",
    &["Wait a moment, then sign in again.", TELL],
);
const UNTRUSTED: Words = (
    StatusCode::BAD_GATEWAY,
    "You are not signed in",
    "The answer of your identity provider did not pass Muster's checks.",
    &[AGAIN, TELL],
);
const NO_ROLE: Words = (
    StatusCode::FORBIDDEN,
    "You have no access to Muster",
    "You are signed in at your identity provider, but nothing there gives you a role in Muster.",
    &["Ask your Muster administrator for access."],
);
const DISABLED: Words = (
    StatusCode::FORBIDDEN,
    "You have no access to Muster",
    "An administrator has ended your access to Muster.",
    &["If that is a mistake, ask your Muster administrator."],
);
const OTHER_ACCOUNT: Words = (
    StatusCode::FORBIDDEN,
    "This is not the account that Muster knows",
    "A member of Muster has your address, and has signed in with another account of your identity provider before. So that \
     nobody gets the access of somebody who had the address earlier, an administrator has to decide.",
    &["Ask your Muster administrator. If you are that member, the administrator resets you, and you sign in again."],
);
const TOO_MANY: Words = (
    StatusCode::SERVICE_UNAVAILABLE,
    "Too many sign-ins have failed",
    "Too many sign-ins from your network have failed.",
    &["Wait a quarter of an hour, then sign in again."],
);
const UNAVAILABLE: Words = (
    StatusCode::SERVICE_UNAVAILABLE,
    "Muster is not available",
    "Muster could not reach its database.",
    &["Wait a moment, then sign in again."],
);
const INTERNAL: Words = (
    StatusCode::INTERNAL_SERVER_ERROR,
    "Muster made an error",
    "The error is Muster's own; its log has the details.",
    &["Tell your Muster administrator."],
);

fn explain(why: &Why) -> Page {
    let (status, title, happened, steps) = match why {
        Why::Unknown => UNKNOWN,
        Why::Incomplete => INCOMPLETE,
        Why::OtherBrowser => OTHER_BROWSER,
        Why::Declined => DECLINED,
        Why::ProviderError(_) => PROVIDER_ERROR,
        Why::Unreachable(_) => UNREACHABLE,
        Why::Untrusted(_) => UNTRUSTED,
        Why::NoRole => NO_ROLE,
        Why::Disabled => DISABLED,
        Why::OtherAccount => OTHER_ACCOUNT,
        Why::TooMany => TOO_MANY,
        Why::Inner(error) if error.is_passing() => UNAVAILABLE,
        Why::Inner(_) => INTERNAL,
    };
    page(status, title, happened, steps)
}
