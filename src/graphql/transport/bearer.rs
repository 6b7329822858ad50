//! The bearer token of a request, and the caller that it identifies.

use axum::http::{HeaderMap, HeaderValue, header};

use crate::auth::Caller;
use crate::auth::tokens::Tokens;

/// The longest token that is looked up, in bytes. Our tokens are far shorter.
const MAX_TOKEN_BYTES: usize = 512;
const SCHEME: &str = "bearer";

/// Why a token or a session was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessError {
    /// It does not exist, or has ended.
    Refused,
    /// The database does not answer.
    Unavailable,
}

/// The caller with these credentials, as in the key `authorization` of a `connection_init` payload.
pub async fn authenticate(tokens: &Tokens, credentials: Option<&str>) -> Result<Caller, AccessError> {
    let token = credentials.and_then(token).ok_or(AccessError::Refused)?;
    match tokens.authenticate(token).await {
        Ok(Some(caller)) => Ok(caller),
        Ok(None) => Err(AccessError::Refused),
        Err(error) => {
            tracing::warn!(error = %error.chain(), "a token could not be looked up");
            Err(AccessError::Unavailable)
        }
    }
}

/// Whether the headers of a request have a bearer token. Credentials of other schemes are for a proxy in front of us,
/// which may pass them on.
pub fn has_token(headers: &HeaderMap) -> bool {
    headers.get_all(header::AUTHORIZATION).iter().any(is_bearer)
}

fn is_bearer(credentials: &HeaderValue) -> bool {
    let scheme = credentials.as_bytes().split(|byte| *byte == b' ').next().unwrap_or_default();
    scheme.eq_ignore_ascii_case(SCHEME.as_bytes())
}

/// The caller of a request with these headers. Several bearer tokens count as none.
pub async fn authenticate_request(tokens: &Tokens, headers: &HeaderMap) -> Result<Caller, AccessError> {
    authenticate(tokens, only_token(headers)).await
}

fn only_token(headers: &HeaderMap) -> Option<&str> {
    let mut found = headers.get_all(header::AUTHORIZATION).iter().filter(|value| is_bearer(value));
    match (found.next(), found.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

fn token(credentials: &str) -> Option<&str> {
    let (scheme, token) = credentials.split_once(' ')?;
    let token = token.trim_matches(' ');
    let plausible = scheme.eq_ignore_ascii_case(SCHEME)
        && !token.is_empty()
        && token.len() <= MAX_TOKEN_BYTES
        && token.bytes().all(|byte| byte.is_ascii_graphic());
    plausible.then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_plausible_bearer_token_counts() {
        assert_eq!(token("Bearer abc"), Some("abc"));
        assert_eq!(token("bearer  abc "), Some("abc"));
        for bad in ["", "abc", "Bearer", "Bearer ", "Basic abc", "Bearer a b", "Bearer é"] {
            assert_eq!(token(bad), None, "{bad}");
        }
        assert_eq!(token(&format!("Bearer {}", "x".repeat(MAX_TOKEN_BYTES + 1))), None);

        let mut headers = HeaderMap::new();
        let mut add = |value: &str| {
            headers.append(header::AUTHORIZATION, value.parse().expect("valid"));
            (has_token(&headers), only_token(&headers).map(str::to_owned))
        };
        assert_eq!(add("Basic YTpi"), (false, None), "for a proxy");
        assert_eq!(add("Bearer a"), (true, Some("Bearer a".to_owned())));
        assert_eq!(add("Negotiate x"), (true, Some("Bearer a".to_owned())));
        assert_eq!(add("bearer b"), (true, None), "which of the two?");
    }
}
