//! A person's consent: OAuth 2.0 authorization code (RFC 6749, 4.1) with PKCE (RFC 7636).

use std::sync::Arc;

use url::Url;

use super::Client;
use crate::integration::grant::Grant;
use crate::integration::manifest::Manifest;
use crate::integration::source::{Config, SourceError};

/// The consent that one configuration needs.
pub struct CodeFlow {}

impl CodeFlow {
    /// `None` if the manifest, or the alternative chosen in the configuration, needs no consent.
    pub fn of(_manifest: &Arc<Manifest>, _config: &Config, _client: &Client) -> Result<Option<Self>, SourceError> {
        Ok(None)
    }

    /// Where the person is to be sent. `verifier` is PKCE's secret of 43 to 128 unreserved characters.
    pub fn authorization_url(&self, _redirect_uri: &str, _state: &str, _verifier: &str) -> Result<Url, SourceError> {
        unimplemented!()
    }

    /// Exchanges the code that came back for a grant. An error with class `Token` and
    /// `definite` means that the code was refused.
    pub async fn exchange(&self, _redirect_uri: &str, _code: &str, _verifier: &str) -> Result<Grant, SourceError> {
        unimplemented!()
    }
}
