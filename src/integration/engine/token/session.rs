//! A login with user name and password, which gives a token or a cookie.

use std::collections::BTreeMap;

use reqwest::Method;
use reqwest::header::{HeaderName, HeaderValue};
use url::Url;

use super::endpoint::{Resend, TokenEndpoint, TokenRequest};
use crate::engine::client::{Body, Request};
use crate::engine::credential::{Credential, Token};
use crate::engine::request::{base_url, below, constant_headers};
use crate::engine::retry::RetryPolicy;
use crate::grant::Grant;
use crate::manifest::auth::Session;
use crate::manifest::template::{Scope, Template};
use crate::source::{ErrorClass, SourceError};

pub async fn log_in(endpoint: &TokenEndpoint, kind: &Session, policy: &RetryPolicy) -> Result<Grant, SourceError> {
    let login = &kind.login;
    let url = match (&login.url, &login.path) {
        (Some(url), _) => endpoint.url(url)?,
        (None, Some(path)) => below_base(endpoint, path, &BTreeMap::new())?,
        (None, None) => return Err(config("The connector does not say where to sign in.".to_owned())),
    };
    let none = BTreeMap::new();
    let scope = Scope::new(&endpoint.config, &none);
    let request = || {
        let body = match (&login.json, &login.form) {
            (Some(json), _) => Body::Json(json.expand(scope)),
            (None, form) => {
                let pairs = form.iter().flatten().map(|(name, value)| (name.clone(), value.expand(scope)));
                Body::Form(pairs.collect())
            }
        };
        let mut request = TokenRequest::new(body);
        request.headers.extend(constant_headers(&endpoint.manifest, scope).map_err(config)?);
        for (name, value) in &login.headers {
            let unsendable =
                || config(format!("The settings contain characters that cannot be sent in the header {name}."));
            let mut value = HeaderValue::try_from(value.expand(scope)).map_err(|_| unsendable())?;
            value.set_sensitive(true);
            request.headers.insert(HeaderName::try_from(name).map_err(|_| unsendable())?, value);
        }
        Ok(request)
    };
    endpoint.request_token(&url, request, Resend::Always, policy).await
}

pub async fn log_out(endpoint: &TokenEndpoint, kind: &Session, token: &Token) {
    let Some(logout) = &kind.logout else { return };
    let request = || {
        let url = below_base(endpoint, &logout.path, &token.found)?;
        let scope = Scope::new(&endpoint.config, &token.found);
        let headers = constant_headers(&endpoint.manifest, scope).map_err(config)?;
        let mut request = Request { method: Method::POST, url, headers, body: None };
        let signed = Credential::new(&endpoint.manifest, &endpoint.config)
            .and_then(|credential| credential.sign(endpoint.auth(), &endpoint.config, &mut request, Some(token)));
        signed.map_err(|unsendable| config(unsendable.to_string()))?;
        Ok::<_, SourceError>(request)
    };
    match request() {
        Err(error) => tracing::warn!(%error, "A session could not be ended"),
        Ok(request) => match endpoint.client.send(request).await {
            Err(error) => tracing::warn!(%error, "A session could not be ended"),
            Ok(response) if !response.status.is_success() => {
                tracing::warn!(http.status = response.status.as_u16(), "The application did not end a session");
            }
            Ok(_) => {}
        },
    }
}

fn below_base(endpoint: &TokenEndpoint, path: &Template, found: &BTreeMap<String, String>) -> Result<Url, SourceError> {
    let scope = Scope::new(&endpoint.config, found);
    below(&base_url(&endpoint.manifest, scope).map_err(config)?, path, scope).map_err(config)
}

fn config(message: String) -> SourceError {
    SourceError::new(ErrorClass::Config, message)
}
