//! The cookie that a mutation of the console may set. No other part of the API uses cookies.

use std::sync::{Arc, OnceLock};

use axum::http::{HeaderMap, HeaderValue, header};
use cookie::time::Duration;
use cookie::{Cookie, SameSite};

use super::origin::PublicOrigin;

/// Holds one cookie to set in the browser that sent the request; clones share it. It is in the data of requests that
/// come from the console.
#[derive(Clone, Default)]
pub struct ConsoleCookies(Arc<OnceLock<Cookie<'static>>>);

impl ConsoleCookies {
    /// `None` unless the request comes from a page of this server. The headers that say so are set by
    /// the browser and cannot be changed by a page.
    pub fn for_request(headers: &HeaderMap, console: &PublicOrigin) -> Option<Self> {
        let origin = headers.get(header::ORIGIN).map(|origin| origin.to_str().unwrap_or_default());
        // Over plain HTTP, browsers send Origin only.
        let site = headers.get("sec-fetch-site");
        let from_browser = origin.is_some() || site.is_some();
        let same_site = site.is_none_or(|site| site == "same-origin");
        (from_browser && same_site && origin.is_none_or(|origin| console.is(origin))).then(Self::default)
    }

    /// Sets a cookie for `url` and the paths below it, which scripts cannot read.
    pub fn set(&self, name: String, value: String, url: &str, max_age_ms: i64) {
        let Ok(url) = url::Url::parse(url) else { return };
        let cookie = Cookie::build((name, value))
            .path(url.path().to_owned())
            .max_age(Duration::milliseconds(max_age_ms))
            .http_only(true)
            .same_site(SameSite::Lax)
            .secure(url.scheme() == "https");
        let _already_set = self.0.set(cookie.build());
    }

    /// The value of the response's `Set-Cookie` header.
    pub fn header(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(&self.0.get()?.to_string()).ok()
    }
}
