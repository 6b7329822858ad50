//! The OAuth redirect URI: applications send people back here after asking for their consent.
//!
//! The request carries no token; its `state` alone identifies the authorization (see
//! [`crate::instance::authorization`]). If the authorization fails, the person reads what happened and what to do:
//! in the form of the console in which it was begun, or else on a page. Neither shows anything from the request.

use axum::extract::{Path, State};
use axum::http::header::{ALLOW, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use axum::{Extension, Router};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;
use tracing::{Instrument, error_span};
use url::Url;
use uuid::Uuid;

use super::explain::explain;
use super::page::{Page, private};
use super::query::{cookies, parameter};
use crate::auth::ClientAddress;
use crate::error::Error;
use crate::graphql::id::{self, Kind};
use crate::graphql::transport::cookies::build;
use crate::instance::authorization::{Attempt, Authorizations, CALLBACK, Connected, Failure, Returned, Why};

/// The path to the console, from the callback that all integrations shared, and from that of one integration.
const ROOTS: [&str; 2] = ["../", "../../"];
/// The cookie that tells the console once why a consent failed.
const REASON: &str = "muster_consent";
const REASON_MS: i64 = 300_000;
/// Browsers keep 4,096 bytes of a cookie.
const MOST_OF_REASON: usize = 4_000;

pub fn routes() -> Router<Authorizations> {
    Router::new().route(CALLBACK, any(callback)).route(&format!("{CALLBACK}/{{integration}}"), any(callback))
}

async fn callback(
    State(authorizations): State<Authorizations>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    integration: Option<Path<String>>,
    address: Option<Extension<ClientAddress>>,
) -> Response {
    if method != Method::GET {
        return (StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, "GET")]).into_response();
    }
    let console = authorizations.redirects.console().to_owned();
    let (id, root) = (Uuid::now_v7(), ROOTS[usize::from(integration.is_some())]);
    let known = integration.as_ref().and_then(|Path(key)| authorizations.instances.catalog.find(key));
    let integration_page = known.map(|known| format!("integrations/{}", known.key)).unwrap_or_default();
    let returned = Returned {
        state: parameter(&uri, "state"),
        code: parameter(&uri, "code"),
        error: parameter(&uri, "error"),
        issuer: parameter(&uri, "iss"),
        integration: integration.map(|Path(key)| key),
        address: address.map(|Extension(ClientAddress(address))| address),
        request_id: Some(id),
        cookies: cookies(&headers),
    };
    // A task of its own, so that it is completed even if the browser disconnects.
    let span = error_span!("oauth.callback", request.id = %id);
    let completed = tokio::spawn(async move { authorizations.complete(returned).await }.instrument(span)).await;
    let completed = completed.unwrap_or_else(|_| {
        let why = Why::Inner(Error::Internal("completing an authorization panicked".into()));
        Err(Failure { why, attempt: None })
    });
    private(match completed {
        Ok(connected) => see(&console, &place_of(&connected)),
        Err(failure) => {
            let page = explain(&failure);
            let Some(attempt) = &failure.attempt else {
                return private(page.respond_with_way_back(root, &integration_page));
            };
            match attempt.in_console.then(|| reason(&console, attempt, &page)).flatten() {
                Some(cookie) => ([(SET_COOKIE, cookie)], see(&console, &form_of(attempt))).into_response(),
                None => page.respond_with_way_back(root, &form_of(attempt)),
            }
        }
    })
}

/// Sends a person to a page of the console.
fn see(console: &str, page: &str) -> Response {
    (StatusCode::SEE_OTHER, [(LOCATION, format!("{console}/{page}"))]).into_response()
}

fn instance_page(instance: Uuid) -> String {
    format!("instances/{}", id::encode(Kind::Instance, instance).as_str())
}

/// The page on which a person sees what was connected: where the console watches the first sync, if it was begun there.
fn place_of(Connected { instance, attempt }: &Connected) -> String {
    match attempt {
        Attempt { instance_id: None, in_console: true, integration_key, .. } => {
            let id = id::encode(Kind::Instance, instance.id);
            format!("integrations/{integration_key}/connect?instance={}", id.as_str())
        }
        _ => instance_page(instance.id),
    }
}

/// The page with the form in which a consent was begun.
fn form_of(Attempt { integration_key, instance_id, .. }: &Attempt) -> String {
    instance_id.map_or_else(|| format!("integrations/{integration_key}/connect"), instance_page)
}

/// The cookie that tells the form what happened; `None` if it is too long for one. The address would keep it, and could
/// be made by anybody.
fn reason(console: &str, attempt: &Attempt, page: &Page) -> Option<HeaderValue> {
    let url = Url::parse(console).ok()?;
    let instance = attempt.instance_id.map(|id| id::encode(Kind::Instance, id));
    let form = instance.as_ref().map_or(attempt.integration_key.as_str(), |id| id.as_str());
    let text = json!({ "form": form, "title": page.title, "happened": page.happened, "steps": page.steps }).to_string();
    let value = utf8_percent_encode(&text, NON_ALPHANUMERIC).to_string();
    if value.len() > MOST_OF_REASON {
        return None;
    }
    let path = format!("{}/", url.path().trim_end_matches('/'));
    let mut cookie = build(REASON.to_owned(), value, &path, REASON_MS, url.scheme() == "https");
    cookie.set_http_only(false);
    HeaderValue::from_str(&cookie.to_string()).ok()
}
