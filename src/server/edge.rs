//! What stands between the clients and the routes: the places for connections, TLS, and the headers that browsers need.

use axum::http::header::{
    CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS,
};

use super::Places;
use super::tls::Tls;
use crate::config::Settings;

/// Of every response.
const ALWAYS: [(HeaderName, &str); 3] = [
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];
/// Of pages. No other page can hold on to their windows, and they use no device.
const OF_PAGES: [(HeaderName, &str); 2] = [
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (
        HeaderName::from_static("permissions-policy"),
        "accelerometer=(), browsing-topics=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), hid=(), \
         magnetometer=(), microphone=(), midi=(), payment=(), serial=(), usb=(), xr-spatial-tracking=()",
    ),
];
/// For a year, browsers come over TLS only.
const HSTS: &str = "max-age=31536000";

/// Clones share everything.
#[derive(Clone)]
pub struct Edge {
    pub(super) places: Places,
    pub(super) tls: Option<Tls>,
    /// Whether people reach the server over TLS.
    pub(super) encrypted: bool,
}

impl Edge {
    /// # Errors
    /// One line that names the setting.
    pub fn of(settings: &Settings) -> Result<Self, String> {
        let tls = settings.tls_files().map(|(certificate, key)| Tls::load(certificate, key)).transpose()?;
        Ok(Self { places: Places::of(settings), tls, encrypted: settings.is_served_over_tls() })
    }

    /// Adds the headers that a browser needs, unless the route has set them.
    pub(super) fn complete(&self, headers: &mut HeaderMap) {
        let is_page = headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
        let of_page = OF_PAGES.into_iter().filter(|_| is_page);
        let hsts = self.encrypted.then_some((STRICT_TRANSPORT_SECURITY, HSTS));
        for (name, value) in ALWAYS.into_iter().chain(of_page).chain(hsts) {
            headers.entry(name).or_insert(HeaderValue::from_static(value));
        }
    }
}
