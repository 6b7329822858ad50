//! The caller of a request: whoever has its bearer token, or the session of its cookie.
//!
//! A browser adds a cookie to requests that pages of other sites cause, so a cookie counts only where it is certain
//! that the console asks: the browser says so in `Origin` and `Sec-Fetch-Site`, which no page can change. A page cannot
//! send JSON to another origin without asking first, so a POST that no browser has marked is from no browser.
//!
//! A GET that follows a link has no `Origin`, and over plain http from another machine no `Sec-Fetch-Site` either. Then
//! `Referer` has to name one of our pages: any page can have it left out, and none can have it name another. A GET with
//! none of the three is refused, although it changes nothing and its answer is for the person alone: an export has an
//! entry in the audit log, and no foreign page may have a member write there, nor fill their disk.

use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};

use super::bearer::{self, AccessError};
use super::endpoint::Endpoint;
use super::problems::Problem;
use crate::auth::Caller;
use crate::auth::access::Access;
use crate::graphql::error::Code;

/// The caller of a request over HTTP.
pub async fn of_request(endpoint: &Endpoint, parts: &Parts) -> Result<Caller, Problem> {
    if bearer::has_token(&parts.headers) {
        return Ok(bearer::authenticate_request(&endpoint.access.tokens, &parts.headers).await?);
    }
    let Some(secret) = endpoint.session_cookie.secret(&parts.headers) else { return Err(AccessError::Refused.into()) };
    let is_known = parts.method != Method::GET || is_marked(&parts.headers) || endpoint.origin.led_to(&parts.headers);
    if !endpoint.origin.sent(&parts.headers) || !is_known {
        return Err(foreign());
    }
    Ok(session(endpoint, &secret).await?)
}

/// The caller of a request that becomes a WebSocket, if it has a token or a session. It may still send a token.
pub async fn of_handshake(endpoint: &Endpoint, headers: &HeaderMap) -> Result<Option<Caller>, AccessError> {
    if bearer::has_token(headers) {
        return Ok(Some(bearer::authenticate_request(&endpoint.access.tokens, headers).await?));
    }
    let Some(secret) = endpoint.session_cookie.secret(headers) else { return Ok(None) };
    if !endpoint.origin.sent(headers) {
        return Ok(None);
    }
    match session(endpoint, &secret).await {
        Ok(caller) => Ok(Some(caller)),
        Err(AccessError::Refused) => Ok(None),
        Err(AccessError::Unavailable) => Err(AccessError::Unavailable),
    }
}

/// Whether the caller's token or session is still valid. It counts as valid while the database does not answer.
pub async fn still_valid(access: &Access, caller: &Caller) -> bool {
    access.still_valid(caller).await.unwrap_or(true)
}

/// The problem of a request that a page of another origin has caused.
pub fn foreign() -> Problem {
    let message = "Your session is accepted from the pages of this server only. If people open the console at this \
                   address, the setting MUSTER_PUBLIC_URL must be it.";
    Problem::new(StatusCode::FORBIDDEN, Code::ForeignOrigin, message)
}

/// Whether a browser has said where the request comes from.
fn is_marked(headers: &HeaderMap) -> bool {
    headers.contains_key(header::ORIGIN) || headers.contains_key("sec-fetch-site")
}

async fn session(endpoint: &Endpoint, secret: &str) -> Result<Caller, AccessError> {
    match endpoint.access.members.sessions.authenticate(secret).await {
        Ok(Some(caller)) => Ok(caller),
        Ok(None) => Err(AccessError::Refused),
        Err(error) => {
            tracing::warn!(error = %error.chain(), "a session could not be looked up");
            Err(AccessError::Unavailable)
        }
    }
}
