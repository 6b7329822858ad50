//! One token request, and its retries.

use std::collections::BTreeMap;
use std::sync::Arc;

use reqwest::header::{ACCEPT, HeaderMap, HeaderValue};
use url::Url;

use super::response::{self, TokenError};
use crate::engine::classify;
use crate::engine::client::{Body, Client, Request};
use crate::engine::credential::Credential;
use crate::engine::request::absolute;
use crate::engine::retry::{Attempts, RetryPolicy, keep_wait};
use crate::engine::transport::TransportError;
use crate::grant::Grant;
use crate::manifest::Manifest;
use crate::manifest::auth::Auth;
use crate::manifest::template::{Scope, Template};
use crate::source::{Config, ErrorClass, SourceError};

/// Sends a connection's token requests. It has no `Debug`, because it holds the settings.
#[derive(Clone)]
pub struct TokenEndpoint {
    pub manifest: Arc<Manifest>,
    pub config: Arc<Config>,
    pub client: Client,
    /// Every form in which a secret setting may appear in a response.
    pub secrets: Arc<[String]>,
}

/// A token request, without its URL.
pub struct TokenRequest {
    pub headers: HeaderMap,
    pub body: Body,
    /// What must not be quoted from the response, besides the secret settings.
    pub secrets: Vec<String>,
}

/// Whether a token request may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resend {
    Always,
    /// Only if the application has certainly not used the request, because it contains a value
    /// that is valid once.
    IfUnused,
}

impl TokenRequest {
    pub fn new(body: Body) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        Self { headers, body, secrets: Vec::new() }
    }
}

impl TokenEndpoint {
    /// `config` must be complete.
    pub fn new(manifest: Arc<Manifest>, config: Arc<Config>, client: Client) -> Self {
        let credential = Credential::new(&manifest, &config);
        let secrets = credential.map(|credential| credential.secrets(None)).unwrap_or_default().into();
        Self { manifest, config, client, secrets }
    }

    pub fn auth(&self) -> &Auth {
        &self.manifest.chosen(&self.config).auth
    }

    /// The wall clock, in Unix milliseconds.
    pub fn now(&self) -> i64 {
        (self.client.settings().now)()
    }

    pub fn expand(&self, template: &Template) -> String {
        template.expand(Scope::new(&self.config, &BTreeMap::new()))
    }

    /// The form of a request: the standard parameters and those of the manifest, which replace
    /// standard ones of the same name. A parameter whose setting was left out is not sent.
    pub fn form(&self, standard: Vec<(String, String)>, params: &BTreeMap<String, Template>) -> Vec<(String, String)> {
        let further: Vec<_> = params
            .iter()
            .map(|(name, value)| (name.clone(), self.expand(value)))
            .filter(|(_, value)| !value.is_empty())
            .collect();
        let replaced = |name: &str| further.iter().any(|(other, _)| other == name);
        let mut form: Vec<_> = standard.into_iter().filter(|(name, _)| !replaced(name)).collect();
        form.extend(further);
        form
    }

    pub fn scopes(&self, scopes: &[Template], separator: &str) -> String {
        let scopes: Vec<_> = scopes.iter().map(|scope| self.expand(scope)).filter(|scope| !scope.is_empty()).collect();
        scopes.join(separator)
    }

    pub fn url(&self, template: &Template) -> Result<Url, SourceError> {
        absolute(template, Scope::new(&self.config, &BTreeMap::new())).ok_or_else(|| {
            let message = "The settings do not give a valid address to sign in at.";
            SourceError::new(ErrorClass::Config, message)
        })
    }

    /// Sends the request until there is a token, or the policy is exhausted. `build` is called for
    /// each attempt, because a signed assertion is valid once.
    pub async fn request_token(
        &self,
        url: &Url,
        build: impl Fn() -> Result<TokenRequest, SourceError> + Send + Sync,
        resend: Resend,
        policy: &RetryPolicy,
    ) -> Result<Grant, SourceError> {
        let settings = self.client.settings();
        let mut attempts = Attempts::new(*policy);
        loop {
            let TokenRequest { headers, body, secrets } = build()?;
            let secrets = [secrets.as_slice(), &*self.secrets].concat();
            let request = Request::with_body(url.clone(), headers, Some(body));
            let (failure, unused) = match self.client.send(request).await {
                Ok(response) => match response::read(&self.manifest, &self.config, self.now(), &secrets, &response) {
                    Ok(grant) => return Ok(grant),
                    Err(failure) => {
                        let unused = failure.error.class == ErrorClass::RateLimit;
                        (failure, unused)
                    }
                },
                Err(error) => {
                    let unused = matches!(error, TransportError::Unresolved | TransportError::Unreachable);
                    (no_response(url, error), unused)
                }
            };
            let TokenError { mut error, retry_after } = failure;
            let wait = match resend {
                Resend::IfUnused if !unused => None,
                Resend::IfUnused | Resend::Always => attempts.next_wait(error.class, retry_after, (settings.random)()),
            };
            let Some(wait) = wait else {
                keep_wait(&mut error, retry_after);
                return Err(error);
            };
            let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            tracing::debug!(class = ?error.class, http.status = error.http_status, wait_ms, "A token request is repeated");
            policy.wait(wait).await;
        }
    }
}

fn no_response(url: &Url, error: TransportError) -> TokenError {
    let error = classify::transport(error);
    let host = url.host_str().unwrap_or_default();
    let message = format!("{} This was at sign-in, with {host}.", error.message);
    TokenError { error: SourceError { message, ..error }, retry_after: None }
}
