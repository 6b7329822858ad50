//! A person's consent: OAuth 2.0 authorization code (RFC 6749, 4.1) with PKCE (RFC 7636).
//!
//! Whoever keeps the flow makes `state` and the PKCE verifier, keeps both until the person comes
//! back, and checks `state`; here is only what the application sees.

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use url::Url;

use super::Client;
use super::classify::plain_error;
use super::token::{SignIn, exchange};
use crate::grant::Grant;
use crate::manifest::Manifest;
use crate::manifest::auth::{Auth, AuthorizationCode};
use crate::source::{Config, ErrorClass, SourceError};

/// The consent that one configuration needs. It has no `Debug`, because it holds the settings.
pub struct CodeFlow {
    sign_in: SignIn,
}

impl CodeFlow {
    /// `None` if the manifest, or the alternative chosen in the configuration, needs no consent.
    /// Fails with class `Config` if the settings do not fit the manifest.
    pub fn of(manifest: &Arc<Manifest>, config: &Config, client: &Client) -> Result<Option<Self>, SourceError> {
        if !matches!(manifest.chosen(config).auth, Auth::AuthorizationCode(_)) {
            return Ok(None);
        }
        let complete = manifest.complete(config.clone()).map_err(|faults| {
            let sentences: Vec<String> = faults.into_iter().map(|fault| fault.message).collect();
            plain_error(ErrorClass::Config, sentences.join(" "))
        })?;
        let flow = Self { sign_in: SignIn::new(Arc::clone(manifest), Arc::new(complete), client.clone()) };
        flow.sign_in.address(&flow.kind()?.authorize_url)?;
        Ok(Some(flow))
    }

    fn kind(&self) -> Result<&AuthorizationCode, SourceError> {
        match self.sign_in.auth() {
            Auth::AuthorizationCode(kind) => Ok(kind),
            _ => Err(plain_error(ErrorClass::Config, "The settings need no consent.".to_owned())),
        }
    }

    /// Where the person is to be sent. `verifier` is PKCE's secret of 43 to 128 unreserved characters.
    pub fn authorization_url(&self, redirect_uri: &str, state: &str, verifier: &str) -> Result<Url, SourceError> {
        let (sign_in, kind) = (&self.sign_in, self.kind()?);
        let mut usual = vec![
            ("response_type", "code".to_owned()),
            ("client_id", sign_in.expand(&kind.client_id)),
            ("redirect_uri", redirect_uri.to_owned()),
            ("state", state.to_owned()),
        ];
        let scopes = sign_in.scopes(&kind.scopes, &kind.scope_separator);
        if !scopes.is_empty() {
            usual.push(("scope", scopes));
        }
        if kind.pkce {
            usual.push(("code_challenge", BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()))));
            usual.push(("code_challenge_method", "S256".to_owned()));
        }
        let usual = usual.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let mut url = sign_in.address(&kind.authorize_url)?;
        url.query_pairs_mut().extend_pairs(sign_in.form(usual, &kind.authorize_params));
        Ok(url)
    }

    /// Exchanges the code that came back for a grant. An error with class `Token` and
    /// `definite` means that the code was refused. The code is not sent twice, unless it has
    /// surely not been used.
    pub async fn exchange(&self, redirect_uri: &str, code: &str, verifier: &str) -> Result<Grant, SourceError> {
        let verifier = self.kind()?.pkce.then_some(verifier);
        let policy = self.sign_in.client.settings().retry.hurried();
        exchange(&self.sign_in, redirect_uri, code, verifier, &policy).await
    }
}
