//! A token by a person's consent (RFC 6749, 4.1): from code to grant, and from grant to grant (RFC 6749, 6).

use std::sync::Arc;

use async_trait::async_trait;
use tracing::Instrument as _;

use super::BUFFER;
use super::client_auth::ClientProof;
use super::sign_in::{Repeat, SignIn};
use crate::engine::classify::plain_error;
use crate::engine::retry::RetryPolicy;
use crate::grant::{Grant, GrantStore, Renew};
use crate::manifest::auth::{Auth, AuthorizationCode};
use crate::source::{ErrorClass, SourceError};

/// The stored grant, renewed if it ends within a minute, or if the application refused its access
/// token. `None` if it was refused and there is nothing to renew it with.
pub async fn grant(
    sign_in: &SignIn,
    grants: Option<&Arc<dyn GrantStore>>,
    refused: Option<&str>,
    policy: &RetryPolicy,
) -> Result<Option<Grant>, SourceError> {
    let missing = || definite("Nobody has given consent in the application yet; somebody has to do so first.");
    let grants = grants.ok_or_else(missing)?;
    let stored = grants.read().await?.ok_or_else(missing)?;
    let left = stored.grant.expires_at.map(|end| end - sign_in.now());
    // Another process may have renewed it since the refused one was read.
    let refused = refused.is_some_and(|refused| refused == stored.grant.access_token);
    if !refused && left.is_none_or(|left| left > BUFFER) {
        return Ok(Some(stored.grant));
    }
    if stored.grant.refresh_token.is_none() {
        return match left {
            _ if refused => Ok(None),
            Some(left) if left <= 0 => {
                Err(definite("The consent has expired and cannot be renewed; give consent in the application again."))
            }
            _ => Ok(Some(stored.grant)),
        };
    }
    let renewal = Renewal { sign_in: sign_in.clone(), policy: policy.clone() };
    let (grants, seen) = (Arc::clone(grants), stored.generation);
    // Of its own, so that it is not cut between the application's rotation and the store.
    let task = tokio::spawn(async move { grants.renew(seen, &renewal).await }.in_current_span());
    let renewed = task.await.unwrap_or_else(|_| {
        Err(plain_error(ErrorClass::Internal, "This server failed to renew the consent.".to_owned()))
    })?;
    Ok(Some(renewed.grant))
}

fn definite(message: &str) -> SourceError {
    SourceError { definite: true, ..plain_error(ErrorClass::Token, message.to_owned()) }
}

struct Renewal {
    sign_in: SignIn,
    policy: RetryPolicy,
}

#[async_trait]
impl Renew for Renewal {
    async fn renew(&self, old: &Grant) -> Result<Grant, SourceError> {
        let token = old.refresh_token.clone().unwrap_or_default();
        let said = vec![("grant_type", "refresh_token"), ("refresh_token", token.as_str())];
        let secrets = [old.access_token.as_str(), token.as_str()];
        let mut new = ask(&self.sign_in, &said, &secrets, &self.policy).await?;
        if new.refresh_token.is_none() {
            new.refresh_token = Some(token);
            new.refresh_expires_at = new.refresh_expires_at.or(old.refresh_expires_at);
        }
        let mut found = old.found.clone();
        found.append(&mut new.found);
        new.found = found;
        Ok(new)
    }
}

/// A code in exchange for a grant. `verifier` only with PKCE.
pub async fn exchange(
    sign_in: &SignIn,
    redirect_uri: &str,
    code: &str,
    verifier: Option<&str>,
    policy: &RetryPolicy,
) -> Result<Grant, SourceError> {
    let mut said = vec![("grant_type", "authorization_code"), ("code", code), ("redirect_uri", redirect_uri)];
    said.extend(verifier.map(|verifier| ("code_verifier", verifier)));
    let secrets: Vec<&str> = verifier.into_iter().chain([code]).collect();
    ask(sign_in, &said, &secrets, policy).await
}

async fn ask(
    sign_in: &SignIn,
    said: &[(&str, &str)],
    secrets: &[&str],
    policy: &RetryPolicy,
) -> Result<Grant, SourceError> {
    let Auth::AuthorizationCode(kind) = sign_in.auth() else {
        return Err(plain_error(ErrorClass::Config, "The settings need no consent.".to_owned()));
    };
    let AuthorizationCode { token_url, client_id, client_secret, client_auth, params, .. } = kind;
    let url = sign_in.address(token_url)?;
    let proof = ClientProof { method: *client_auth, id: client_id, secret: client_secret.as_ref(), key: None };
    let request = || {
        let said = said.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut request = proof.request(sign_in, &url, sign_in.form(said, params))?;
        request.secrets.extend(secrets.iter().map(|secret| (*secret).to_owned()));
        Ok(request)
    };
    sign_in.ask(&url, request, Repeat::OnlyUnused, policy).await
}
