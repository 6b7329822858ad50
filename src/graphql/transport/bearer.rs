//! The bearer token of a request, and the caller that it identifies.

use axum::http::{HeaderMap, header};

use crate::auth::{Caller, Tokens};

/// The longest token that is looked up, in bytes. Our tokens are far shorter.
const MAX_TOKEN_BYTES: usize = 512;

/// Why a token was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessError {
    /// It does not exist, or was revoked.
    Refused,
    /// The database does not answer.
    Unavailable,
}

/// The caller with these credentials: the value of an `Authorization` header, or of the key
/// `authorization` in a `connection_init` payload.
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

/// Whether the caller's token is still valid. It counts as valid while the database does not answer.
pub async fn still_valid(tokens: &Tokens, caller: &Caller) -> bool {
    tokens.still_valid(caller).await.unwrap_or(true)
}

/// The credentials in the headers of a request. Several `Authorization` headers count as none.
pub fn credentials(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

fn token(credentials: &str) -> Option<&str> {
    let (scheme, token) = credentials.split_once(' ')?;
    let token = token.trim_matches(' ');
    let plausible = scheme.eq_ignore_ascii_case("bearer")
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
        assert_eq!(credentials(&headers), None);
        headers.append(header::AUTHORIZATION, "Bearer a".parse().expect("valid"));
        assert_eq!(credentials(&headers), Some("Bearer a"));
        headers.append(header::AUTHORIZATION, "Bearer b".parse().expect("valid"));
        assert_eq!(credentials(&headers), None);
    }
}
