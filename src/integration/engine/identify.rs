//! What comes before a listing: a token, and whose credential it is.

use std::sync::Arc;

use super::connection::Connection;
use super::purpose::Purpose;
use super::request::{self, RequestBuilder};
use super::retry::RetryPolicy;
use super::time;
use crate::source::{ErrorClass, SourceError};

/// Obtains a token, and asks the application whose credential it is, if the manifest says so.
pub(super) async fn identify(connection: &Connection, retry: &RetryPolicy) -> Result<RequestBuilder, SourceError> {
    let wrong = |message: String| SourceError::new(ErrorClass::Config, message);
    let (manifest, config) = (connection.manifest(), connection.config());
    let mut found = connection.found_with_token(retry).await?;
    let rule = manifest.identify.as_ref().map(|rule| &rule.value);
    if let Some(rule) = rule {
        let purpose = Purpose::Identify;
        let request = request::identify(manifest, rule, config, &found).map_err(wrong)?;
        let response = connection.send(purpose, request, retry).await.and_then(|success| success.json(purpose));
        match response {
            Ok(body) => {
                found.extend(rule.keep.iter().filter_map(|(name, path)| Some((name.clone(), path.text(&body)?))));
            }
            Err(error) if rule.optional && is_refusal(&error) => {
                tracing::debug!(
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
