//! The authorization code grant (RFC 6749, 4.1), and the refresh token grant (RFC 6749, 6).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use tracing::Instrument as _;

use super::client_auth::ClientAuthentication;
use super::endpoint::{Resend, TokenEndpoint};
use crate::engine::credential::{RENEWAL_MARGIN_MS, Replaced};
use crate::engine::retry::RetryPolicy;
use crate::grant::{Grant, GrantStore, Renew};
use crate::manifest::auth::{Auth, AuthorizationCode};
use crate::source::{ErrorClass, SourceError};

/// The stored grant, and how it was obtained. It is renewed first if it ends within a minute, or if the
/// application refused its access token. `None` if it was refused and has no refresh token.
///
/// If the application refused another token than the stored one, then somebody else has renewed the grant meanwhile:
/// a further renewal would only make the application refuse theirs.
pub async fn grant(
    endpoint: &TokenEndpoint,
    grants: Option<&Arc<dyn GrantStore>>,
    refused: Option<&str>,
    policy: &RetryPolicy,
) -> Result<Option<(Grant, Replaced)>, SourceError> {
    let missing = || definite("Nobody has given consent in the application yet; somebody has to do so first.");
    let grants = grants.ok_or_else(missing)?;
    let stored = grants.read().await?.ok_or_else(missing)?;
    let remaining = stored.grant.expires_at.map(|end| end - endpoint.now());
    let superseded = refused.is_some_and(|refused| refused != stored.grant.access_token);
    let margin = if superseded { 0 } else { RENEWAL_MARGIN_MS };
    let refused = refused.is_some() && !superseded;
    if !refused && remaining.is_none_or(|remaining| remaining > margin) {
        return Ok(Some((stored.grant, Replaced::Stored)));
    }
    if stored.grant.refresh_token.is_none() {
        return match remaining {
            _ if refused => Ok(None),
            Some(remaining) if remaining <= 0 => {
                Err(definite("The consent has expired and cannot be renewed; give consent in the application again."))
            }
            _ => Ok(Some((stored.grant, Replaced::Stored))),
        };
    }
    let renewal = Renewal { endpoint: endpoint.clone(), policy: *policy, requested: AtomicBool::new(false) };
    let (grants, seen) = (Arc::clone(grants), stored.generation);
    // A task of its own, so that nothing cancels it after the application has rotated the refresh
    // token and before the new one is stored.
    let renew = async move {
        let renewed = grants.renew(seen, &renewal).await?;
        let requested = renewal.requested.into_inner();
        Ok((renewed.grant, if requested { Replaced::Requested } else { Replaced::Stored }))
    };
    let renewed = tokio::spawn(renew.in_current_span()).await;
    renewed
        .unwrap_or_else(|_| Err(SourceError::new(ErrorClass::Internal, "This server failed to renew the consent.")))
        .map(Some)
}

fn definite(message: &str) -> SourceError {
    SourceError { definite: true, ..SourceError::new(ErrorClass::Token, message) }
}

struct Renewal {
    endpoint: TokenEndpoint,
    policy: RetryPolicy,
    /// Whether this renewal asked the application, because nobody else had renewed the grant.
    requested: AtomicBool,
}

#[async_trait]
impl Renew for Renewal {
    async fn renew(&self, old: &Grant) -> Result<Grant, SourceError> {
        self.requested.store(true, Ordering::Relaxed);
        let token = old.refresh_token.clone().unwrap_or_default();
        let params = vec![("grant_type", "refresh_token"), ("refresh_token", token.as_str())];
        let secrets = [old.access_token.as_str(), token.as_str()];
        let mut new = request_token(&self.endpoint, &params, &secrets, &self.policy).await?;
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

/// Exchanges an authorization code for a grant. `verifier` is given with PKCE only.
pub async fn exchange(
    endpoint: &TokenEndpoint,
    redirect_uri: &str,
    code: &str,
    verifier: Option<&str>,
    policy: &RetryPolicy,
) -> Result<Grant, SourceError> {
    let mut params = vec![("grant_type", "authorization_code"), ("code", code), ("redirect_uri", redirect_uri)];
    params.extend(verifier.map(|verifier| ("code_verifier", verifier)));
    let secrets: Vec<&str> = verifier.into_iter().chain([code]).collect();
    request_token(endpoint, &params, &secrets, policy).await
}

async fn request_token(
    endpoint: &TokenEndpoint,
    params: &[(&str, &str)],
    secrets: &[&str],
    policy: &RetryPolicy,
) -> Result<Grant, SourceError> {
    let Auth::AuthorizationCode(kind) = endpoint.auth() else {
        return Err(SourceError::new(ErrorClass::Config, "The settings need no consent."));
    };
    let AuthorizationCode { token_url, client_id, client_secret, client_auth, params: further, .. } = kind;
    let url = endpoint.url(token_url)?;
    let client =
        ClientAuthentication { method: *client_auth, id: client_id, secret: client_secret.as_ref(), key: None };
    let build = || {
        let params = params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut request = client.request(endpoint, &url, endpoint.form(params, further))?;
        request.secrets.extend(secrets.iter().map(|secret| (*secret).to_owned()));
        Ok(request)
    };
    endpoint.request_token(&url, build, Resend::IfUnused, policy).await
}
