//! The token that a request presents, and whom it stands for.

use axum::http::{HeaderMap, header};

use crate::auth::Caller;
use crate::graphql::transport::gateway::{AccessError, Gateway};

/// Longer ones are refused unseen; ours are far shorter. In bytes.
const MAX_TOKEN_BYTES: usize = 512;

/// Who presents `credentials`, the value of an `Authorization` header or of the key
/// `authorization` in a `connection_init` payload.
pub async fn authenticate(gateway: &Gateway, credentials: Option<&str>) -> Result<Caller, AccessError> {
    match credentials.and_then(token) {
        Some(token) => gateway.authenticate(token).await,
        None => Err(AccessError::Refused),
    }
}

/// The request's credentials. Several `Authorization` headers are as good as a bad one.
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
        assert_eq!(token(&format!("Bearer {}", "x".repeat(513))), None);

        let mut headers = HeaderMap::new();
        assert_eq!(credentials(&headers), None);
        headers.append(header::AUTHORIZATION, "Bearer a".parse().expect("valid"));
        assert_eq!(credentials(&headers), Some("Bearer a"));
        headers.append(header::AUTHORIZATION, "Bearer b".parse().expect("valid"));
        assert_eq!(credentials(&headers), None);
    }
}
