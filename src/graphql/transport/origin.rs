//! The origin of the console's pages, which alone may use this server from a browser.

use std::sync::Arc;

/// `scheme://host[:port]` of the server's public address.
#[derive(Clone)]
pub struct PublicOrigin(Arc<str>);

impl PublicOrigin {
    /// `public_url` is where browsers reach the console.
    pub fn of(public_url: &str) -> Self {
        let origin = url::Url::parse(public_url).map(|url| url.origin().ascii_serialization());
        Self(origin.unwrap_or_default().into())
    }

    /// Whether the value of an `Origin` header is this origin.
    pub fn allows(&self, origin: &str) -> bool {
        *origin == *self.0
    }
}
