//! A token for a signed statement (RFC 7523, 2.1), such as that of a service account.

use serde_json::json;

use super::sign_in::{Repeat, Request, SignIn};
use super::statement::{self, Key};
use crate::engine::client::Body;
use crate::engine::retry::RetryPolicy;
use crate::grant::Grant;
use crate::manifest::auth::JwtBearer;
use crate::source::SourceError;

pub async fn obtain(sign_in: &SignIn, kind: &JwtBearer, policy: &RetryPolicy) -> Result<Grant, SourceError> {
    let url = sign_in.address(&kind.token_url)?;
    let key = Key { pem: &kind.private_key, id: kind.key_id.as_ref(), algorithm: kind.algorithm };
    let request = || {
        let now = sign_in.now() / 1000;
        let mut claims = json!({
            "iss": sign_in.expand(&kind.issuer),
            "aud": kind.audience.as_ref().map_or_else(|| url.to_string(), |audience| sign_in.expand(audience)),
            "iat": now,
            "exp": now + i64::from(kind.lifetime_seconds),
            "jti": statement::new_id(sign_in),
        });
        let subject = kind.subject.as_ref().map(|subject| sign_in.expand(subject));
        let further = [("sub", subject.unwrap_or_default()), ("scope", sign_in.scopes(&kind.scopes, " "))];
        for (name, value) in further {
            if !value.is_empty() {
                claims[name] = value.into();
            }
        }
        let assertion = key.sign(sign_in, &claims)?;
        let form = vec![
            ("grant_type".to_owned(), "urn:ietf:params:oauth:grant-type:jwt-bearer".to_owned()),
            ("assertion".to_owned(), assertion.clone()),
        ];
        Ok(Request { secrets: vec![assertion], ..Request::new(Body::Form(form)) })
    };
    sign_in.ask(&url, request, Repeat::Freely, policy).await
}
