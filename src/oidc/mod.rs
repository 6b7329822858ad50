//! Sign-in of members with an identity provider (OpenID Connect, authorization code with PKCE).
//!
//! **Steps.** A person [begins](Oidc::begin) a sign-in and is sent to the identity provider. It sends the browser back to
//! the callback, which [completes](Oidc::complete) the sign-in: it exchanges the code for an ID token, verifies the token,
//! decides on the role, and signs the member in.
//!
//! **Protection.** The callback accepts only a `state` that this installation has sealed. A state is valid once, for ten
//! minutes, and only in the browser with the cookie that came with it. The nonce and the PKCE verifier derive from that
//! cookie. Everything about a pending sign-in is in its state, and nothing is stored before it comes back, so that
//! strangers can begin as many as they like.
//!
//! **Trust.** Everything that the identity provider says is checked as if it lied, except who a person is: the issuer in
//! its metadata, in its answer and in the token, the scheme of its endpoints, the size and time of its responses, and
//! the token itself (see [`token`]). The issuer and the subject identify a member. An e-mail address is only used if the
//! identity provider has verified it.
//!
//! **Network.** An administrator has chosen the identity provider, so its own host may be on a private network. Its
//! metadata can name other hosts; for those, the rules for applications apply (`allowed_networks`).
//!
//! **Crashes.** The state is used up before the code is exchanged, and the member is signed in by one transaction. If the
//! process dies in between, the person begins again. Any replica can complete a sign-in.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use integration::engine::ClientSettings;
use ring::digest::{SHA256, digest};
use tracing::{error, warn};
use url::Url;

use crate::auth::sessions::Sessions;
use crate::clock::Clock;
use crate::config::OidcSettings;
use crate::db::Db;
use crate::error::{Error, RefusalCode};
use crate::installation;
use crate::secrets::{OneTimeSecret, hash, hex};

mod complete;
mod pending;
mod person;
mod provider;
mod token;

pub use complete::{Returned, forget_expired};
use pending::Pending;
use provider::Provider;

/// The path of the callback, below the public URL.
pub const CALLBACK: &str = "/auth/oidc/callback";
/// How long a person has to sign in at the identity provider, in milliseconds.
pub const PENDING_MS: i64 = 600_000;
/// How long a person who signs out waits for the identity provider.
const SIGN_OUT: Duration = Duration::from_secs(2);
/// The longest path that a person can be sent to after the sign-in, in bytes.
const MAX_RETURN: usize = 512;

/// Signs members in with the identity provider. Clones share everything.
#[derive(Clone)]
pub struct Oidc(Arc<Shared>);

struct Shared {
    db: Db,
    clock: Clock,
    settings: Arc<OidcSettings>,
    provider: Provider,
    sessions: Sessions,
    /// The address of this server, without a trailing slash.
    public_url: Arc<str>,
}

/// A sign-in that was begun.
pub struct Begun {
    /// The page of the identity provider.
    pub url: Url,
    pub cookie: Cookie,
}

/// The cookie that only the callback needs.
pub struct Cookie {
    pub name: String,
    pub value: String,
}

/// Why a person is not signed in.
#[derive(Debug)]
pub enum Why {
    /// The state is unknown, expired, or was used before.
    Unknown,
    /// The request has neither a code nor an error.
    Incomplete,
    /// The sign-in was begun in another browser.
    OtherBrowser,
    /// The person, or the identity provider for them, declined.
    Declined,
    /// The identity provider returned this OAuth error.
    ProviderError(&'static str),
    /// The identity provider does not answer. For the log.
    Unreachable(String),
    /// What the identity provider says is wrong. For the log.
    Untrusted(String),
    /// No role is mapped to the person.
    NoRole,
    /// The member is disabled.
    Disabled,
    /// The member with the address has signed in with another account.
    OtherAccount,
    /// Too many sign-ins from the network have failed.
    TooMany,
    /// An internal error.
    Inner(Error),
}

impl From<Error> for Why {
    fn from(error: Error) -> Self {
        match error {
            Error::Refused(refusals) if refusals.iter().any(|it| it.code == RefusalCode::EmailTaken) => {
                Why::OtherAccount
            }
            Error::Refused(_) => Why::Disabled,
            error => Why::Inner(error),
        }
    }
}

/// Writes the reason to the log. No text of the identity provider or of the request is repeated.
fn tell(why: &Why) {
    let reason = match why {
        // Anybody can send such requests.
        Why::Unknown => return,
        Why::Incomplete => "the answer has neither a code nor an error",
        Why::OtherBrowser => "it was completed in another browser than the one in which it was begun",
        Why::Declined => "the identity provider says that it was declined",
        Why::ProviderError(error) => error,
        Why::Unreachable(reason) | Why::Untrusted(reason) => reason,
        Why::NoRole => "no entry of oidc_roles applies to the person, and there is no oidc_default_role",
        Why::Disabled => "the member is disabled",
        Why::OtherAccount => {
            "the member with this address has another account at the identity provider; resetting the member connects the new one"
        }
        Why::TooMany => "too many sign-ins from the network have failed",
        Why::Inner(error) => {
            error!(error = %error.chain(), "a sign-in with the identity provider failed because of an internal error");
            return;
        }
    };
    warn!(reason, "a sign-in with the identity provider failed");
}

impl Oidc {
    /// `client` has the settings with which applications are called; `public_url` has no trailing slash.
    ///
    /// # Errors
    /// One line for the person who starts the server.
    pub fn new(
        settings: OidcSettings,
        sessions: Sessions,
        (db, clock): (Db, Clock),
        client: ClientSettings,
        public_url: &str,
    ) -> Result<Self, String> {
        let settings = Arc::new(settings);
        let provider = Provider::new(&settings, client)?;
        Ok(Self(Arc::new(Shared { db, clock, settings, provider, sessions, public_url: public_url.into() })))
    }

    /// The URL of the console, without a trailing slash.
    pub fn console(&self) -> &str {
        &self.0.public_url
    }

    /// What the button on the sign-in page says.
    pub fn label(&self) -> &str {
        &self.0.settings.label
    }

    /// The page of the identity provider on which a person signs out there, if it has one and answers soon. It asks the
    /// person first, because it gets no ID token: Muster keeps none.
    pub async fn sign_out_page(&self) -> Option<Url> {
        let metadata = tokio::time::timeout(SIGN_OUT, self.0.provider.metadata()).await.ok()?.ok()?;
        metadata.sign_out_page(&self.0.settings.client_id)
    }

    fn redirect_uri(&self) -> String {
        format!("{}{CALLBACK}", self.0.public_url)
    }

    /// Begins a sign-in, and returns where to send the browser. `return_to` is ignored unless it is a local path.
    pub async fn begin(&self, return_to: Option<&str>) -> Result<Begun, Why> {
        let begun = self.try_begin(return_to).await;
        if let Err(why) = &begun {
            tell(why);
        }
        begun
    }

    async fn try_begin(&self, return_to: Option<&str>) -> Result<Begun, Why> {
        let Shared { db, clock, settings, provider, sessions, .. } = &*self.0;
        let metadata = provider.metadata().await?;
        let browser = OneTimeSecret::new();
        let pending = Pending {
            browser_hash: browser.hash(),
            return_to: return_to.filter(|path| is_local(path)).unwrap_or("/").to_owned(),
            expires_at: clock.now() + PENDING_MS,
        };
        let state = pending.seal(&*installation::key_in_use(db.reserved(), sessions.keys()).await?)?;
        let mut url = metadata.authorization_endpoint.clone();
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &settings.client_id)
            .append_pair("redirect_uri", &self.redirect_uri())
            .append_pair("scope", &settings.scopes)
            .append_pair("state", &state)
            .append_pair("nonce", &nonce(browser.text()))
            .append_pair("code_challenge", &challenge(&verifier(browser.text())))
            .append_pair("code_challenge_method", "S256");
        let cookie = Cookie { name: self.cookie_name(&state), value: browser.text().to_owned() };
        Ok(Begun { url, cookie })
    }

    /// Whether the browser may send the cookie over TLS only.
    pub fn is_encrypted(&self) -> bool {
        self.0.public_url.starts_with("https:")
    }

    /// Each sign-in has its own cookie, because a browser can have several in progress. A cookie with this prefix cannot
    /// be set by another host of the same domain.
    fn cookie_name(&self, state: &str) -> String {
        let prefix = if self.is_encrypted() { "__Host-" } else { "" };
        format!("{prefix}muster-sign-in-{}", hex(&hash(state)[..8]))
    }
}

/// Whether a browser that is sent to this path stays on this server.
fn is_local(path: &str) -> bool {
    path.starts_with('/')
        && !path.starts_with("//")
        && path.len() <= MAX_RETURN
        && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
}

fn nonce(browser: &str) -> String {
    derive("nonce", browser)
}

fn verifier(browser: &str) -> String {
    derive("verifier", browser)
}

/// A value that only who knows the cookie can compute.
fn derive(purpose: &str, browser: &str) -> String {
    sha256(&format!("muster sign-in {purpose}: {browser}"))
}

/// The PKCE challenge for a verifier (RFC 7636, S256).
fn challenge(verifier: &str) -> String {
    sha256(verifier)
}

fn sha256(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_returns_to_a_path_of_this_server_only() {
        for path in ["/", "/#/instances", "/?a=b#/x", "/a/b"] {
            assert!(is_local(path), "{path}");
        }
        let long = format!("/{}", "a".repeat(MAX_RETURN));
        for path in [
            "",
            "x",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "/a\r\nSet-Cookie: x",
            "/ü",
            "\t/",
            &long,
        ] {
            assert!(!is_local(path), "{path:?}");
        }
    }

    #[test]
    fn the_challenge_is_that_of_rfc_7636() {
        assert_eq!(
            challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
        let values = [nonce("a"), verifier("a"), nonce("b"), sha256("a")];
        assert!(values.iter().all(|value| value.len() == 43));
        assert!(values.iter().enumerate().all(|(at, value)| !values[..at].contains(value)));
    }
}
