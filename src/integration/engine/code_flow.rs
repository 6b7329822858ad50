//! A person's consent: OAuth 2.0 authorization code (RFC 6749, 4.1) with PKCE (RFC 7636).
//!
//! The caller creates `state` and the PKCE verifier, stores both until the person comes back, and
//! checks `state`. This module only talks to the application.

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use url::Url;

use super::client::Client;
use super::token::{TokenEndpoint, exchange};
use crate::grant::Grant;
use crate::manifest::Manifest;
use crate::manifest::auth::{Auth, AuthorizationCode};
use crate::source::{Config, ErrorClass, SourceError};

/// The consent that one configuration needs. It has no `Debug`, because it holds the settings.
pub struct CodeFlow {
    endpoint: TokenEndpoint,
}

impl CodeFlow {
    /// `None` if the chosen kind of `auth` needs no consent.
    /// Fails with class `Config` if the settings do not fit the manifest.
    pub fn of(manifest: &Arc<Manifest>, config: &Config, client: &Client) -> Result<Option<Self>, SourceError> {
        if !matches!(manifest.chosen(config).auth, Auth::AuthorizationCode(_)) {
            return Ok(None);
        }
        let complete = manifest.complete(config.clone()).map_err(|errors| {
            let sentences: Vec<String> = errors.into_iter().map(|error| error.message).collect();
            SourceError::new(ErrorClass::Config, sentences.join(" "))
        })?;
        let flow = Self { endpoint: TokenEndpoint::new(Arc::clone(manifest), Arc::new(complete), client.clone()) };
        flow.endpoint.url(&flow.kind()?.authorize_url)?;
        Ok(Some(flow))
    }

    fn kind(&self) -> Result<&AuthorizationCode, SourceError> {
        match self.endpoint.auth() {
            Auth::AuthorizationCode(kind) => Ok(kind),
            _ => Err(SourceError::new(ErrorClass::Config, "The settings need no consent.")),
        }
    }

    /// The URL to send the person to. `verifier` is the PKCE verifier: 43 to 128 unreserved characters.
    pub fn authorization_url(&self, redirect_uri: &str, state: &str, verifier: &str) -> Result<Url, SourceError> {
        let (endpoint, kind) = (&self.endpoint, self.kind()?);
        let mut standard = vec![
            ("response_type", "code".to_owned()),
            ("client_id", endpoint.expand(&kind.client_id)),
            ("redirect_uri", redirect_uri.to_owned()),
            ("state", state.to_owned()),
        ];
        let scopes = endpoint.scopes(&kind.scopes, &kind.scope_separator);
        if !scopes.is_empty() {
            standard.push(("scope", scopes));
        }
        if kind.pkce {
            standard.push(("code_challenge", BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()))));
            standard.push(("code_challenge_method", "S256".to_owned()));
        }
        let standard = standard.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let mut url = endpoint.url(&kind.authorize_url)?;
        url.query_pairs_mut().extend_pairs(endpoint.form(standard, &kind.authorize_params));
        Ok(url)
    }

    /// The id under which Muster is registered in the application.
    pub fn client_id(&self) -> Result<String, SourceError> {
        Ok(self.endpoint.expand(&self.kind()?.client_id))
    }

    /// Whether the response to the authorization is from the provider that the person was sent to (RFC 9207). `issuer` is
    /// what the response says. A provider that announces its issuer must send it; of another one, the issuer must have
    /// the origin of one of its addresses.
    pub fn is_from(&self, issuer: Option<&str>) -> Result<bool, SourceError> {
        let kind = self.kind()?;
        if let Some(announced) = &kind.issuer {
            return Ok(issuer.is_some_and(|issuer| issuer == self.endpoint.expand(announced)));
        }
        let Some(issuer) = issuer else { return Ok(true) };
        let known = [self.endpoint.url(&kind.authorize_url)?, self.endpoint.url(&kind.token_url)?];
        Ok(Url::parse(issuer).is_ok_and(|issuer| known.iter().any(|known| known.origin() == issuer.origin())))
    }

    /// Exchanges the authorization code for a grant. An error with class `Token` and `definite`
    /// means that the code was refused. The code is sent again only if the application has
    /// certainly not used it.
    pub async fn exchange(&self, redirect_uri: &str, code: &str, verifier: &str) -> Result<Grant, SourceError> {
        let verifier = self.kind()?.pkce.then_some(verifier);
        let policy = self.endpoint.client.settings().retry.interactive();
        exchange(&self.endpoint, redirect_uri, code, verifier, &policy).await
    }
}
