//! What comes before a listing: a token, and whose credential it is.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::connection::{Connection, at_sign_in};
use super::purpose::Purpose;
use super::request::{self, RequestBuilder};
use super::retry::RetryPolicy;
use super::time;
use crate::source::{Advice, ErrorClass, SourceError};

/// The builder of a source's requests, once the first listing has found out whose credential it is.
#[derive(Default)]
pub(super) struct Requests(Mutex<Option<Known>>);

#[derive(Clone)]
struct Known {
    /// What the token response gave.
    with_token: BTreeMap<String, String>,
    requests: Arc<RequestBuilder>,
}

impl Requests {
    /// The builder by the values of the token in use: a new sign-in may have given others.
    pub async fn current(
        &self,
        connection: &Connection,
        retry: &RetryPolicy,
    ) -> Result<Arc<RequestBuilder>, SourceError> {
        let known = self.0.lock().clone();
        let with_token = match known {
            Some(Known { with_token, requests }) if with_token.is_empty() => return Ok(requests),
            Some(Known { with_token, requests }) => {
                let now = connection.found_with_token(retry).await.map_err(at_sign_in)?;
                if now == with_token {
                    return Ok(requests);
                }
                now
            }
            None => connection.found_with_token(retry).await?,
        };
        let requests = Arc::new(identify_with(connection, retry, with_token.clone()).await?);
        *self.0.lock() = Some(Known { with_token, requests: Arc::clone(&requests) });
        Ok(requests)
    }

    /// The tenant whose users are listed, once a listing has begun.
    pub fn tenant(&self) -> Option<String> {
        self.0.lock().as_ref()?.requests.tenant().map(str::to_owned)
    }
}

/// Obtains a token, and asks the application whose credential it is, if the manifest says so.
pub(super) async fn identify(connection: &Connection, retry: &RetryPolicy) -> Result<RequestBuilder, SourceError> {
    identify_with(connection, retry, connection.found_with_token(retry).await?).await
}

/// `found` is what the token response gave.
async fn identify_with(
    connection: &Connection,
    retry: &RetryPolicy,
    mut found: BTreeMap<String, String>,
) -> Result<RequestBuilder, SourceError> {
    let wrong = |message: String| SourceError::new(ErrorClass::Config, message);
    let (manifest, config) = (connection.manifest(), connection.config());
    let rule = manifest.identify.as_ref().map(|rule| &rule.value);
    if let Some(rule) = rule {
        let purpose = Purpose::Identify;
        let request = request::identify(manifest, rule, config, &found).map_err(wrong)?;
        let retry = if purpose.is_optional(manifest) { retry.for_part() } else { *retry };
        let response = connection.send(purpose, request, &retry).await.and_then(|success| success.json(purpose));
        match response {
            Ok(body) => {
                found.extend(rule.keep.iter().filter_map(|(name, path)| Some((name.clone(), path.text(&body)?))));
            }
            Err(error)
                if (rule.optional && is_refusal(&error)) || (purpose.is_optional(manifest) && is_outage(&error)) =>
            {
                tracing::warn!(
                    error = error.message,
                    http.status = error.http_status,
                    "The application does not tell whose credential it is"
                );
            }
            Err(error) => return Err(error),
        }
    }
    let expiry = manifest.credential_expires_at.as_ref().map(|rule| &rule.value);
    let expires_at = expiry.and_then(|rule| time::parse(rule.format, found.get(rule.found.as_ref()?)?));
    if let Some(expires_at) = expires_at {
        connection.set_credential_expiry(expires_at);
    }
    let optional = rule.is_some_and(|rule| rule.optional);
    if let Some(name) = manifest.needed.iter().find(|name| !optional && !found.contains_key(*name)) {
        let message = format!("The application does not say “{name}”, which the requests for its users need.");
        return Err(wrong(message));
    }
    RequestBuilder::new(manifest, Arc::clone(config), found).map_err(wrong)
}

/// Whether the application refused to answer. A refused credential does not count.
fn is_refusal(error: &SourceError) -> bool {
    matches!(error.class, ErrorClass::Config | ErrorClass::Permission) && error.http_status.is_some()
}

/// Whether the application may answer later. Nothing else would succeed if it was the sign-in that failed.
fn is_outage(error: &SourceError) -> bool {
    let passes = matches!(error.class, ErrorClass::Transient | ErrorClass::Timeout | ErrorClass::RateLimit);
    passes && error.advice != Advice::SignIn
}
