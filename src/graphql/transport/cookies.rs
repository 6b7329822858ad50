//! The browser in which the console is open, when a request comes from there: what lets a
//! mutation leave a cookie. Nothing else in the API reads or writes one.

use std::sync::{Arc, OnceLock};

use axum::http::{HeaderMap, HeaderValue, header};

use crate::graphql::transport::gateway::Gateway;

/// The browser of one request; clones share the cookie.
#[derive(Clone, Default)]
pub struct Browser(Arc<OnceLock<HeaderValue>>);

impl Browser {
    /// `None` unless a page of this server's public address makes the request, as browsers tell and
    /// pages cannot forge.
    pub fn of(headers: &HeaderMap, gateway: &Gateway) -> Option<Self> {
        let origin = headers.get(header::ORIGIN).map(|origin| origin.to_str().unwrap_or_default());
        // Over plain http, browsers tell the origin alone.
        let same = headers.get("sec-fetch-site").is_none_or(|site| site == "same-origin");
        let told = origin.is_some() || headers.contains_key("sec-fetch-site");
        (told && same && origin.is_none_or(|origin| gateway.allows_origin(origin))).then(Self::default)
    }

    /// Leaves a cookie for `url` and what is below it, out of the reach of pages, for so many seconds.
    pub fn keep(&self, name: &str, value: &str, url: &str, seconds: i64) {
        let (path, secure) = match url::Url::parse(url) {
            Ok(url) => (url.path().to_owned(), if url.scheme() == "https" { "; Secure" } else { "" }),
            Err(_) => return,
        };
        let cookie = format!("{name}={value}; Path={path}; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
        if let Ok(cookie) = HeaderValue::from_str(&cookie) {
            let _kept_before = self.0.set(cookie);
        }
    }

    /// What the answer's `Set-Cookie` says.
    pub fn cookie(&self) -> Option<HeaderValue> {
        self.0.get().cloned()
    }
}
