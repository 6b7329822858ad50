//! The OAuth redirect URI: applications send people back here after asking for their consent.
//!
//! The request carries no token; its `state` alone identifies the authorization (see
//! [`crate::instance::authorization`]). If the authorization fails, the person sees a page that says what happened and
//! what to do. The page shows nothing from the request.

use std::sync::LazyLock;

use axum::Router;
use axum::extract::State;
use axum::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, COOKIE, LOCATION, REFERRER_POLICY,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use cookie::Cookie;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior};
use tracing::{Instrument, error_span};
use uuid::Uuid;

use super::explain::explain;
use crate::error::Error;
use crate::graphql::id::{self, Kind};
use crate::instance::authorization::{Authorizations, CALLBACK, Failure, Returned, Why};

/// Allows the console's stylesheet only.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// Longer queries are ignored, in bytes.
const QUERY_LIMIT: usize = 16 * 1024;

pub fn routes() -> Router<Authorizations> {
    Router::new().route(CALLBACK, any(callback))
}

async fn callback(
    State(authorizations): State<Authorizations>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    if method != Method::GET {
        return (StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, "GET")]).into_response();
    }
    let console = authorizations.console().to_owned();
    let returned = read(uri.query().unwrap_or_default(), &headers);
    // A task of its own, so that it is completed even if the browser disconnects.
    let span = error_span!("oauth.callback", request.id = %Uuid::now_v7());
    let completed = tokio::spawn(async move { authorizations.complete(returned).await }.instrument(span)).await;
    let completed = completed.unwrap_or_else(|_| {
        let why = Why::Inner(Error::Internal("completing an authorization panicked".into()));
        Err(Failure { why, application: None, reconnection: false })
    });
    let mut response = match completed {
        Ok(model) => {
            let address = format!("{console}/#/instances/{}", id::encode(Kind::Instance, model.id).as_str());
            (StatusCode::SEE_OTHER, [(LOCATION, address)]).into_response()
        }
        Err(failure) => refuse(&failure),
    };
    response.headers_mut().extend([
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ]);
    response
}

/// What the browser sent. A parameter that is given twice counts as missing.
fn read(query: &str, headers: &HeaderMap) -> Returned {
    let query = if query.len() > QUERY_LIMIT { "" } else { query };
    let parameter = |name: &str| {
        let mut values = url::form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == name);
        match (values.next(), values.next()) {
            (Some((_, value)), None) if !value.is_empty() => Some(value.into_owned()),
            _ => None,
        }
    };
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let cookies = cookies.flat_map(Cookie::split_parse).flatten();
    Returned {
        state: parameter("state"),
        code: parameter("code"),
        error: parameter("error"),
        cookies: cookies.map(|cookie| (cookie.name().to_owned(), cookie.value().to_owned())).collect(),
    }
}

static PAGE: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut templates = Environment::new();
    templates.set_undefined_behavior(UndefinedBehavior::Strict);
    // The suffix of the name turns on HTML escaping.
    templates
        .add_template("callback.html", include_str!("callback.html"))
        .expect("the embedded template is well-formed");
    templates
});

fn refuse(failure: &Failure) -> Response {
    let page = explain(failure);
    let text = PAGE
        .get_template("callback.html")
        .and_then(|template| template.render(Serde(&page)))
        .expect("a page has every field that the embedded template names");
    (page.status, [(CONTENT_TYPE, "text/html; charset=utf-8"), (CONTENT_SECURITY_POLICY, POLICY)], text).into_response()
}
