//! The addresses at which the server is reached, as far as the settings tell.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use url::{Host, Url};

use super::Settings;

impl Settings {
    /// The address at which people and applications reach this server, without a trailing slash.
    pub fn public_url(&self) -> String {
        match &self.public_url {
            Some(url) => url.as_str().trim_end_matches('/').to_owned(),
            None => format!("{}://{}", self.scheme(), self.listen),
        }
    }

    /// The same, for a link that somebody opens. Without a public address, one on this machine takes the place of
    /// "all addresses", which no browser can open.
    pub fn reachable_url(&self) -> String {
        if self.public_url.is_some() || !self.listen.ip().is_unspecified() {
            return self.public_url();
        }
        let here = if self.listen.is_ipv4() { IpAddr::from(Ipv4Addr::LOCALHOST) } else { Ipv6Addr::LOCALHOST.into() };
        format!("{}://{}", self.scheme(), SocketAddr::new(here, self.listen.port()))
    }

    /// What to tell the reader of a link if only the settings can say under which address people reach the server.
    pub fn public_url_hint(&self) -> Option<&'static str> {
        self.public_url.is_none().then_some(
            "Is the server reached under another address, as behind a proxy? Then set MUSTER_PUBLIC_URL to it and start again.",
        )
    }

    /// Whether browsers treat the pages of the public address as those of an https site: it is one, or is on this
    /// machine.
    pub fn has_secure_context(&self) -> bool {
        let Ok(url) = Url::parse(&self.public_url()) else { return false };
        let is_loopback = match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        url.scheme() == "https" || is_loopback
    }

    /// Whether people reach the server over TLS, which it or a proxy in front of it serves.
    pub fn is_served_over_tls(&self) -> bool {
        self.tls_files().is_some() || self.public_url.as_ref().is_some_and(|url| url.scheme() == "https")
    }

    fn scheme(&self) -> &'static str {
        if self.tls_files().is_some() { "https" } else { "http" }
    }
}
