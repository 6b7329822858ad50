//! A token for the application itself (RFC 6749, 4.4), and the grant types that vendors made after it.

use super::client_auth::ClientProof;
use super::sign_in::{Repeat, SignIn};
use super::statement::Key;
use crate::engine::retry::RetryPolicy;
use crate::grant::Grant;
use crate::manifest::auth::ClientCredentials;
use crate::source::SourceError;

pub async fn obtain(sign_in: &SignIn, kind: &ClientCredentials, policy: &RetryPolicy) -> Result<Grant, SourceError> {
    let url = sign_in.address(&kind.token_url)?;
    let proof = ClientProof {
        method: kind.client_auth,
        id: &kind.client_id,
        secret: kind.client_secret.as_ref(),
        key: kind.private_key.as_ref().map(|pem| Key { pem, id: kind.key_id.as_ref(), algorithm: kind.algorithm }),
    };
    let request = || {
        let mut form = vec![("grant_type".to_owned(), "client_credentials".to_owned())];
        let scopes = sign_in.scopes(&kind.scopes, &kind.scope_separator);
        if !scopes.is_empty() {
            form.push(("scope".to_owned(), scopes));
        }
        proof.request(sign_in, &url, sign_in.form(form, &kind.params))
    };
    sign_in.ask(&url, request, Repeat::Freely, policy).await
}
