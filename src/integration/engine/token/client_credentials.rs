//! The client credentials grant (RFC 6749, 4.4), and the similar grant types of vendors.

use super::assertion::Key;
use super::client_auth::ClientAuthentication;
use super::endpoint::{Resend, TokenEndpoint};
use crate::engine::retry::RetryPolicy;
use crate::grant::Grant;
use crate::manifest::auth::ClientCredentials;
use crate::source::SourceError;

pub async fn obtain(
    endpoint: &TokenEndpoint,
    kind: &ClientCredentials,
    policy: &RetryPolicy,
) -> Result<Grant, SourceError> {
    let url = endpoint.url(&kind.token_url)?;
    let client = ClientAuthentication {
        method: kind.client_auth,
        id: &kind.client_id,
        secret: kind.client_secret.as_ref(),
        key: kind.private_key.as_ref().map(|pem| Key { pem, id: kind.key_id.as_ref(), algorithm: kind.algorithm }),
    };
    let request = || {
        let mut form = vec![("grant_type".to_owned(), "client_credentials".to_owned())];
        let scopes = endpoint.scopes(&kind.scopes, &kind.scope_separator);
        if !scopes.is_empty() {
            form.push(("scope".to_owned(), scopes));
        }
        client.request(endpoint, &url, endpoint.form(form, &kind.params))
    };
    endpoint.request_token(&url, request, Resend::Always, policy).await
}
