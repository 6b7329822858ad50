//! Obtained tokens.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::client::Client;
use super::retry::RetryPolicy;
use crate::integration::grant::GrantStore;
use crate::integration::manifest::Manifest;
use crate::integration::source::{Config, SourceError};

/// An obtained token. It has no `Debug`, so that it cannot be printed.
pub(super) struct Token {
    pub access: String,
    pub found: BTreeMap<String, String>,
    pub refresh_expires_at: Option<i64>,
}

/// The tokens of one connection.
pub(super) struct Tokens {}

#[allow(clippy::unused_async)]
impl Tokens {
    pub fn new(_: Arc<Manifest>, _: Arc<Config>, _: Client, _: Option<Arc<dyn GrantStore>>) -> Self {
        Self {}
    }

    pub async fn current(&self, _policy: &RetryPolicy) -> Result<Option<Arc<Token>>, SourceError> {
        Ok(None)
    }

    pub async fn renew(&self, _refused: &Token, _policy: &RetryPolicy) -> Result<Option<Arc<Token>>, SourceError> {
        Ok(None)
    }

    pub async fn close(&self) {}
}
