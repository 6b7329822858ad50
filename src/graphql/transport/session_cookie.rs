//! The cookie that holds the secret of a session.

use axum::http::{HeaderMap, HeaderValue};

use super::cookies;
use crate::auth::sessions::NewSession;

/// A browser sends the cookie of this name to this host only, and lets no other host set it.
const BOUND: &str = "__Host-muster";
/// Browsers accept the name above over https only, and from this machine.
const PLAIN: &str = "muster";

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

    /// The secret that a request brings. Several cookies of the name count as none.
    pub fn secret(self, headers: &HeaderMap) -> Option<String> {
        let mut found = cookies::read(headers).filter(|cookie| cookie.name() == self.name());
        match (found.next(), found.next()) {
            (Some(cookie), None) => Some(cookie.value().to_owned()),
            _ => None,
        }
    }

    /// The value of `Set-Cookie` that begins a session.
    pub fn set(self, session: &NewSession) -> HeaderValue {
        self.header(session.secret.text().to_owned(), NewSession::MAX_AGE_MS)
    }

    /// The value of `Set-Cookie` that removes the cookie.
    pub fn removal(self) -> HeaderValue {
        self.header(String::new(), 0)
    }

    fn header(self, value: String, max_age_ms: i64) -> HeaderValue {
        let cookie = cookies::build(self.name().to_owned(), value, "/", max_age_ms, self.secure);
        HeaderValue::from_str(&cookie.to_string()).expect("a secret has letters, digits, - and _")
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
