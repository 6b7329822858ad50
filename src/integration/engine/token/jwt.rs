//! The JWT bearer grant (RFC 7523, 2.1): a token for a signed assertion, such as that of a service account.

use serde_json::json;

use super::assertion::{self, Key};
use super::endpoint::{Resend, TokenEndpoint, TokenRequest};
use crate::engine::client::Body;
use crate::engine::retry::RetryPolicy;
use crate::grant::Grant;
use crate::manifest::auth::JwtBearer;
use crate::source::SourceError;

pub async fn obtain(endpoint: &TokenEndpoint, kind: &JwtBearer, policy: &RetryPolicy) -> Result<Grant, SourceError> {
    let url = endpoint.url(&kind.token_url)?;
    let key = Key { pem: &kind.private_key, id: kind.key_id.as_ref(), algorithm: kind.algorithm };
    let request = || {
        let now = endpoint.now() / 1000;
        let mut claims = json!({
            "iss": endpoint.expand(&kind.issuer),
            "aud": kind.audience.as_ref().map_or_else(|| url.to_string(), |audience| endpoint.expand(audience)),
            "iat": now,
            "exp": now + i64::from(kind.lifetime_seconds),
            "jti": assertion::new_id(endpoint),
        });
        let subject = kind.subject.as_ref().map(|subject| endpoint.expand(subject));
        let further = [("sub", subject.unwrap_or_default()), ("scope", endpoint.scopes(&kind.scopes, " "))];
        for (name, value) in further {
            if !value.is_empty() {
                claims[name] = value.into();
            }
        }
        let assertion = key.sign(endpoint, &claims)?;
        let form = vec![
            ("grant_type".to_owned(), "urn:ietf:params:oauth:grant-type:jwt-bearer".to_owned()),
            ("assertion".to_owned(), assertion.clone()),
        ];
        Ok(TokenRequest { secrets: vec![assertion], ..TokenRequest::new(Body::Form(form)) })
    };
    endpoint.request_token(&url, request, Resend::Always, policy).await
}
