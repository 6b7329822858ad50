//! The OAuth redirect URI: applications send people back here after asking for their consent.
//!
//! The request carries no token; its `state` alone identifies the authorization (see
//! [`crate::instance::authorization`]). If the authorization fails, the person sees a page that says what happened and
//! what to do. The page shows nothing from the request.

use axum::extract::{Path, State};
use axum::http::header::{ALLOW, LOCATION};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use axum::{Extension, Router};
use tracing::{Instrument, error_span};
use uuid::Uuid;

use super::explain::explain;
use super::page::private;
use super::query::{cookies, parameter};
use crate::auth::ClientAddress;
use crate::error::Error;
use crate::graphql::id::{self, Kind};
use crate::instance::authorization::{Authorizations, CALLBACK, Failure, Returned, Why};

/// The path to the console, from the callback that all integrations shared, and from that of one integration.
const ROOTS: [&str; 2] = ["../", "../../"];

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
        Err(Failure { why, application: None, reconnection: false })
    });
    private(match completed {
        Ok(model) => {
            let address = format!("{console}/instances/{}", id::encode(Kind::Instance, model.id).as_str());
            (StatusCode::SEE_OTHER, [(LOCATION, address)]).into_response()
        }
        Err(failure) => explain(&failure).respond(root),
    })
}
