//! A token or a cookie for a user name and a password.

use std::collections::BTreeMap;

use reqwest::Method;
use reqwest::header::{HeaderName, HeaderValue};
use url::Url;

use super::Token;
use super::sign_in::{Repeat, Request, SignIn};
use crate::engine::auth::Credential;
use crate::engine::classify::plain_error;
use crate::engine::client::{Body, Call};
use crate::engine::request::{base_url, below, constant_headers};
use crate::engine::retry::RetryPolicy;
use crate::grant::Grant;
use crate::manifest::auth::Session;
use crate::manifest::template::{Scope, Template};
use crate::source::{ErrorClass, SourceError};

pub async fn log_in(sign_in: &SignIn, kind: &Session, policy: &RetryPolicy) -> Result<Grant, SourceError> {
    let login = &kind.login;
    let url = match (&login.url, &login.path) {
        (Some(url), _) => sign_in.address(url)?,
        (None, Some(path)) => address(sign_in, path, &BTreeMap::new())?,
        (None, None) => return Err(config("The connector does not say where to sign in.".to_owned())),
    };
    let none = BTreeMap::new();
    let scope = Scope::new(&sign_in.config, &none);
    let request = || {
        let body = match (&login.json, &login.form) {
            (Some(json), _) => Body::Json(json.expand(scope)),
            (None, form) => {
                let pairs = form.iter().flatten().map(|(name, value)| (name.clone(), value.expand(scope)));
                Body::Form(pairs.collect())
            }
        };
        let mut request = Request::new(body);
        request.headers.extend(constant_headers(&sign_in.manifest, scope).map_err(config)?);
        for (name, value) in &login.headers {
            let unsendable =
                || config(format!("The settings hold characters that cannot be sent in the header {name}."));
            let mut value = HeaderValue::try_from(value.expand(scope)).map_err(|_| unsendable())?;
            value.set_sensitive(true);
            request.headers.insert(HeaderName::try_from(name).map_err(|_| unsendable())?, value);
        }
        Ok(request)
    };
    sign_in.ask(&url, request, Repeat::Freely, policy).await
}

pub async fn log_out(sign_in: &SignIn, kind: &Session, token: &Token) {
    let Some(logout) = &kind.logout else { return };
    let call = || {
        let url = address(sign_in, &logout.path, &token.found)?;
        let scope = Scope::new(&sign_in.config, &token.found);
        let headers = constant_headers(&sign_in.manifest, scope).map_err(config)?;
        let mut call = Call { method: Method::POST, url, headers, body: None };
        let signed = Credential::new(&sign_in.manifest, &sign_in.config)
            .and_then(|credential| credential.sign(sign_in.auth(), &sign_in.config, &mut call, Some(token)));
        signed.map_err(|unsendable| config(unsendable.to_string()))?;
        Ok::<_, SourceError>(call)
    };
    match call() {
        Err(error) => tracing::warn!(%error, "A session could not be ended"),
        Ok(call) => match sign_in.client.send(call).await {
            Err(error) => tracing::warn!(%error, "A session could not be ended"),
            Ok(answer) if !answer.status.is_success() => {
                tracing::warn!(http.status = answer.status.as_u16(), "The application did not end a session");
            }
            Ok(_) => {}
        },
    }
}

fn address(sign_in: &SignIn, path: &Template, found: &BTreeMap<String, String>) -> Result<Url, SourceError> {
    let scope = Scope::new(&sign_in.config, found);
    below(&base_url(&sign_in.manifest, scope).map_err(config)?, path, scope).map_err(config)
}

fn config(message: String) -> SourceError {
    plain_error(ErrorClass::Config, message)
}
