//! The cookies that a browser gets, among them the one that a mutation of the console may set.

use std::sync::{Arc, OnceLock};

use axum::http::{HeaderMap, HeaderValue, header};
use cookie::time::Duration;
use cookie::{Cookie, SameSite};

use super::origin::PublicOrigin;

/// All cookies of a request.
pub fn read(headers: &HeaderMap) -> impl Iterator<Item = Cookie<'_>> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(Cookie::split_parse).flatten()
}

/// A cookie that scripts cannot read, and that other sites can have sent with a plain navigation only.
pub fn build(name: String, value: String, path: &str, max_age_ms: i64, secure: bool) -> Cookie<'static> {
    let cookie = Cookie::build((name, value)).path(path.to_owned()).max_age(Duration::milliseconds(max_age_ms));
    cookie.http_only(true).same_site(SameSite::Lax).secure(secure).build()
}

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
        let _already_set = self.0.set(build(name, value, url.path(), max_age_ms, url.scheme() == "https"));
    }

    /// The value of the response's `Set-Cookie` header.
    pub fn header(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(&self.0.get()?.to_string()).ok()
    }
}
