//! The origin of the console's pages, which alone may use this server from a browser.

use std::sync::Arc;

use axum::http::{HeaderMap, header};
use url::{Host, Url};

/// `scheme://host[:port]` of the server's public address.
#[derive(Clone)]
pub struct PublicOrigin(Arc<str>);

impl PublicOrigin {
    /// `public_url` is where browsers reach the console.
    pub fn of(public_url: &str) -> Self {
        let origin = Url::parse(public_url).map(|url| url.origin().ascii_serialization());
        Self(origin.unwrap_or_default().into())
    }

    /// Whether the value of an `Origin` header is this origin.
    pub fn is(&self, origin: &str) -> bool {
        *origin == *self.0
    }

    /// Whether a page of this server has sent the request, and no other page has caused it. Also true of what no
    /// browser has sent.
    pub fn sent(&self, headers: &HeaderMap) -> bool {
        self.permits(headers) && headers.get_all("sec-fetch-site").iter().all(|site| site == "same-origin")
    }

    /// Whether the request comes from no page, or from one that this server has sent.
    pub fn permits(&self, headers: &HeaderMap) -> bool {
        let host = host(headers);
        headers.get_all(header::ORIGIN).iter().all(|origin| origin.to_str().is_ok_and(|origin| self.owns(origin, host)))
    }

    /// Whether the address of the page that led to the request is known, and is one of this server.
    pub fn led_to(&self, headers: &HeaderMap) -> bool {
        let host = host(headers);
        let is_ours =
            |page: &str| Url::parse(page).is_ok_and(|page| self.owns(&page.origin().ascii_serialization(), host));
        let mut pages = headers.get_all(header::REFERER).iter().peekable();
        pages.peek().is_some() && pages.all(|page| page.to_str().is_ok_and(is_ours))
    }

    fn owns(&self, origin: &str, host: &str) -> bool {
        self.is(origin) || is_same_server(origin, host)
    }
}

/// What the browser addresses the server as.
fn host(headers: &HeaderMap) -> &str {
    headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default()
}

/// Whether a page of this origin came from the server that the browser now addresses as `host`. That is certain only of
/// addresses and of `localhost`: anybody can have another name resolve to this server, and send a page under it.
fn is_same_server(origin: &str, host: &str) -> bool {
    let Ok(page) = Url::parse(origin) else { return false };
    if !matches!(page.scheme(), "http" | "https") || page.origin().ascii_serialization() != origin {
        return false;
    }
    let Ok(server) = Url::parse(&format!("{}://{host}", page.scheme())) else { return false };
    let (Some(page_host), Some(server_host)) = (page.host(), server.host()) else { return false };
    let same_host = match &page_host {
        Host::Domain(_) => false,
        Host::Ipv4(_) | Host::Ipv6(_) => page_host == server_host,
    };
    page.port_or_known_default() == server.port_or_known_default()
        && (same_host || is_loopback(&page_host) && is_loopback(&server_host))
}

fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_this_server_are_permitted_and_no_others() {
        let public = PublicOrigin::of("https://muster.example.com/");
        let permits = |origin: &str, host: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ORIGIN, origin.parse().expect("valid"));
            headers.insert(header::HOST, host.parse().expect("valid"));
            public.permits(&headers)
        };
        for (origin, host) in [
            ("https://muster.example.com", "muster.example.com"),
            ("https://muster.example.com", "10.0.0.5:8080"),
            ("http://localhost:8080", "localhost:8080"),
            ("http://localhost:8080", "127.0.0.1:8080"),
            ("http://[::1]:8080", "[::1]:8080"),
            ("http://127.0.0.1:8080", "localhost:8080"),
            ("http://localhost", "localhost"),
            ("http://192.168.1.5:8080", "192.168.1.5:8080"),
        ] {
            assert!(permits(origin, host), "{origin} at {host}");
        }
        for (origin, host) in [
            ("http://muster.example.com", "muster.example.com"),
            ("https://elsewhere.example", "localhost:8080"),
            ("https://elsewhere.example", "elsewhere.example"),
            ("http://rebound.example:8080", "rebound.example:8080"),
            ("http://localhost:8081", "localhost:8080"),
            ("http://localhost:8080", "muster.example.com"),
            ("http://localhost:8080", "10.0.0.5:8080"),
            ("http://192.168.1.6:8080", "192.168.1.5:8080"),
            ("http://localhost.elsewhere.example:8080", "localhost:8080"),
            ("http://localhost:8080/", "localhost:8080"),
            ("file://localhost", "localhost"),
            ("null", "localhost:8080"),
        ] {
            assert!(!permits(origin, host), "{origin} at {host}");
        }
        assert!(public.permits(&HeaderMap::new()), "not a page");

        let led_to = |pages: &[&str]| {
            let mut headers = HeaderMap::from_iter([(header::HOST, "10.0.0.5:8080".parse().expect("valid"))]);
            for page in pages {
                headers.append(header::REFERER, page.parse().expect("valid"));
            }
            public.led_to(&headers)
        };
        assert!(led_to(&["https://muster.example.com/instances/x?tab=users"]) && led_to(&["http://10.0.0.5:8080/"]));
        for pages in [
            &[][..],
            &["https://evil.example/muster.example.com"],
            &["https://muster.example.com/", "https://evil.example/"],
            &["http://muster.example.com/"],
            &["about:blank"],
            &[""],
        ] {
            assert!(!led_to(pages), "{pages:?}");
        }
    }
}
