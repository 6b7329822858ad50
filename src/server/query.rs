//! The parameters and cookies of a request that a browser was sent here with.

use axum::http::{HeaderMap, Uri};

use crate::graphql::transport::cookies::read;

/// Longer queries are ignored, in bytes.
const QUERY_LIMIT: usize = 16 * 1024;

/// The value of a parameter. One that is empty, or given twice, counts as missing.
pub(super) fn parameter(uri: &Uri, name: &str) -> Option<String> {
    let query = uri.query().filter(|query| query.len() <= QUERY_LIMIT).unwrap_or_default();
    let mut values = url::form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == name);
    match (values.next(), values.next()) {
        (Some((_, value)), None) if !value.is_empty() => Some(value.into_owned()),
        _ => None,
    }
}

/// The names and values of all cookies.
pub(super) fn cookies(headers: &HeaderMap) -> Vec<(String, String)> {
    read(headers).map(|cookie| (cookie.name().to_owned(), cookie.value().to_owned())).collect()
}
