//! One exchange with a token endpoint: the call, and what is tried again.

use std::collections::BTreeMap;
use std::sync::Arc;

use reqwest::header::{ACCEPT, HeaderMap, HeaderValue};
use url::Url;

use super::answer::{self, Refusal};
use crate::engine::auth::Credential;
use crate::engine::classify::{no_answer, plain_error};
use crate::engine::client::{Body, Call, CallError, Client};
use crate::engine::request::absolute;
use crate::engine::retry::{Attempts, RetryPolicy};
use crate::grant::Grant;
use crate::manifest::Manifest;
use crate::manifest::auth::Auth;
use crate::manifest::template::{Scope, Template};
use crate::source::{Config, ErrorClass, SourceError};

/// What a connection signs in with. It has no `Debug`, because it holds the settings.
#[derive(Clone)]
pub struct SignIn {
    pub manifest: Arc<Manifest>,
    pub config: Arc<Config>,
    pub client: Client,
    /// Every form in which a secret setting may come back in an answer.
    pub secrets: Arc<[String]>,
}

/// What is said to a token endpoint.
pub struct Request {
    pub headers: HeaderMap,
    pub body: Body,
    /// What must not be quoted from the answer, beside the settings.
    pub secrets: Vec<String>,
}

/// What may be said twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    Freely,
    /// What holds something that is good for one use: only if it has surely not been used.
    OnlyUnused,
}

impl Request {
    pub fn new(body: Body) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        Self { headers, body, secrets: Vec::new() }
    }
}

impl SignIn {
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

    /// What is asked for, with the further parameters of the manifest. They replace those of the
    /// same name; one that comes to nothing, because its setting was left out, is not sent.
    pub fn form(&self, usual: Vec<(String, String)>, params: &BTreeMap<String, Template>) -> Vec<(String, String)> {
        let further: Vec<_> = params
            .iter()
            .map(|(name, value)| (name.clone(), self.expand(value)))
            .filter(|(_, value)| !value.is_empty())
            .collect();
        let replaced = |name: &str| further.iter().any(|(other, _)| other == name);
        let mut form: Vec<_> = usual.into_iter().filter(|(name, _)| !replaced(name)).collect();
        form.extend(further);
        form
    }

    pub fn scopes(&self, scopes: &[Template], separator: &str) -> String {
        let scopes: Vec<_> = scopes.iter().map(|scope| self.expand(scope)).filter(|scope| !scope.is_empty()).collect();
        scopes.join(separator)
    }

    pub fn address(&self, template: &Template) -> Result<Url, SourceError> {
        absolute(template, Scope::new(&self.config, &BTreeMap::new())).ok_or_else(|| {
            let message = "The settings do not make a proper address to sign in at.";
            plain_error(ErrorClass::Config, message.to_owned())
        })
    }

    /// Asks until there is a token, or the attempts are used up. `request` is made anew for each
    /// attempt, because a signed statement is good for one.
    pub async fn ask(
        &self,
        url: &Url,
        request: impl Fn() -> Result<Request, SourceError> + Send + Sync,
        repeat: Repeat,
        policy: &RetryPolicy,
    ) -> Result<Grant, SourceError> {
        let settings = self.client.settings();
        let mut attempts = Attempts::new(policy);
        loop {
            let Request { headers, body, secrets } = request()?;
            let secrets = [secrets.as_slice(), &*self.secrets].concat();
            let call = Call::with(url.clone(), headers, Some(body));
            let (refusal, unused) = match self.client.send(call).await {
                Ok(answer) => match answer::read(self, &secrets, &answer) {
                    Ok(grant) => return Ok(grant),
                    Err(refusal) => {
                        let unused = refusal.error.class == ErrorClass::RateLimit;
                        (refusal, unused)
                    }
                },
                Err(error) => (unanswered(url, error), matches!(error, CallError::Unresolved | CallError::Unreachable)),
            };
            let Refusal { mut error, asked } = refusal;
            let wait = match repeat {
                Repeat::OnlyUnused if !unused => None,
                Repeat::OnlyUnused | Repeat::Freely => attempts.after(error.class, asked, (settings.random)()),
            };
            let Some(wait) = wait else {
                if error.class == ErrorClass::RateLimit {
                    error.retry_after_ms = asked.and_then(|asked| u64::try_from(asked.as_millis()).ok());
                }
                return Err(error);
            };
            let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            tracing::debug!(class = ?error.class, http.status = error.http_status, wait_ms, "A sign-in is tried again");
            policy.wait(wait).await;
        }
    }
}

fn unanswered(url: &Url, error: CallError) -> Refusal {
    let error = no_answer(error);
    let host = url.host_str().unwrap_or_default();
    let message = format!("{} That was at sign-in, with {host}.", error.message);
    Refusal { error: SourceError { message, ..error }, asked: None }
}
