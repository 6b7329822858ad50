//! The cookies of a browser in which somebody signs in: that of the session, and one by which the browser is known.

use axum::http::{HeaderMap, HeaderValue};

use super::cookies;
use crate::auth::browsers;
use crate::auth::sessions::NewSession;

/// A browser sends the cookie of this name to this host only, and lets no other host set it.
const BOUND: &str = "__Host-muster";
/// Browsers accept the name above over https only, and from this machine.
const PLAIN: &str = "muster";
/// The same for the cookie of a browser that is known.
const BOUND_BROWSER: &str = "__Host-muster-browser";
const PLAIN_BROWSER: &str = "muster-browser";

/// How the cookie is set and read.
#[derive(Clone, Copy)]
pub struct SessionCookie {
    secure: bool,
}

impl SessionCookie {
    /// `secure` if the public address is https, or that of this machine.
    pub fn new(secure: bool) -> Self {
        Self { secure }
    }

    fn name(self) -> &'static str {
        if self.secure { BOUND } else { PLAIN }
    }

    fn browser_name(self) -> &'static str {
        if self.secure { BOUND_BROWSER } else { PLAIN_BROWSER }
    }

    /// The secret that a request brings. Several cookies of the name count as none.
    pub fn secret(self, headers: &HeaderMap) -> Option<String> {
        only(headers, self.name())
    }

    /// The cookie of a known browser that a request brings.
    pub fn browser(self, headers: &HeaderMap) -> Option<String> {
        only(headers, self.browser_name())
    }

    /// The value of `Set-Cookie` by which a browser is known from now on.
    pub fn set_browser(self, value: String) -> HeaderValue {
        self.header(self.browser_name(), value, browsers::MAX_AGE_MS)
    }

    /// The value of `Set-Cookie` that begins a session.
    pub fn set(self, session: &NewSession) -> HeaderValue {
        self.header(self.name(), session.secret.text().to_owned(), NewSession::MAX_AGE_MS)
    }

    /// The value of `Set-Cookie` that removes the cookie.
    pub fn removal(self) -> HeaderValue {
        self.header(self.name(), String::new(), 0)
    }

    fn header(self, name: &str, value: String, max_age_ms: i64) -> HeaderValue {
        let cookie = cookies::build(name.to_owned(), value, "/", max_age_ms, self.secure);
        HeaderValue::from_str(&cookie.to_string()).expect("it has letters, digits, -, _ and .")
    }
}

/// The value of the cookie with this name; `None` if there are several.
fn only(headers: &HeaderMap, name: &str) -> Option<String> {
    let mut found = cookies::read(headers).filter(|cookie| cookie.name() == name);
    match (found.next(), found.next()) {
        (Some(cookie), None) => Some(cookie.value().to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::header;

    use super::*;

    #[test]
    fn only_one_cookie_of_the_right_name_counts() {
        let secret = |secure: bool, lines: &[&str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(header::COOKIE, line.parse().unwrap());
            }
            SessionCookie::new(secure).secret(&headers)
        };
        assert_eq!(secret(true, &["a=b; __Host-muster=x", "c=d"]), Some("x".into()));
        assert_eq!(secret(false, &["muster=x"]), Some("x".into()));
        assert_eq!(secret(true, &["muster=x"]), None, "any host of the domain could have set it");
        assert_eq!(secret(true, &["__Host-muster=x; __Host-muster=y"]), None);
        assert_eq!(secret(true, &[]), None);
    }
}
