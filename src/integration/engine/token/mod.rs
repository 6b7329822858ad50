//! The tokens that sign calls: obtained, kept while they last, renewed.
//!
//! **Promises.** One connection asks for one token at a time: whoever needs one meanwhile waits for
//! it and gets the same. A token is replaced a minute before it ends, and once when the application
//! refuses it. A rotated refresh token is stored before the access token beside it is used, and a
//! refresh token or code that may have arrived is not sent a second time by the same attempt: an
//! application may take that for theft and withdraw the whole grant. What the token endpoint answers
//! is judged by rules of its own (`answer`): `invalid_grant` and a client that is not known (any more)
//! are beyond doubt, trouble of the server never is. No error holds a secret, a code, a token or a
//! signed statement.
//!
//! **Does not promise** that a token is still good: applications withdraw them at any time, and only
//! the call that uses it finds out.
//!
//! **Cut in the middle,** a renewal with a refresh token goes on in the background, because the
//! application may have rotated it already; only the end of the process stops it, and then the grant
//! may be lost (see [`grant`](crate::grant)). Everything else is dropped, and asked for
//! anew by the next one who needs it. A session that was not closed ends when the application thinks fit.
//!
//! | file | what it does |
//! | --- | --- |
//! | `sign_in` | one exchange with a token endpoint, with its repetitions |
//! | `answer` | what the endpoint's answer says |
//! | `client_auth` | how a client shows who it is |
//! | `client_credentials`, `code`, `jwt`, `session` | what each kind asks |
//! | `statement` | signed statements (JWT) |

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::Mutex;

use super::client::Client;
use super::retry::RetryPolicy;
use crate::grant::{Grant, GrantStore};
use crate::manifest::Manifest;
use crate::manifest::auth::Auth;
use crate::source::{Config, SourceError};

mod answer;
mod client_auth;
mod client_credentials;
mod code;
mod jwt;
mod session;
mod sign_in;
mod statement;

pub(super) use code::exchange;
pub(super) use sign_in::SignIn;

/// A token that ends sooner than this is replaced before it is used, in milliseconds.
const BUFFER: i64 = 60_000;
/// If the application refuses a token so soon after the one before, a third one will not help, in milliseconds.
const AGAIN: i64 = 60_000;

/// An obtained token. It has no `Debug`, so that it cannot be printed.
pub(super) struct Token {
    /// What goes into the header; the value of the cookie, of a session that has one.
    pub access: String,
    /// Parts of the token endpoint's answer that templates use as `{{found.x}}`.
    pub found: BTreeMap<String, String>,
    /// From when on it is replaced, in Unix milliseconds.
    stale_at: Option<i64>,
    /// In Unix milliseconds.
    obtained_at: i64,
    after_refusal: bool,
}

impl Token {
    fn of(grant: Grant, now: i64, after_refusal: bool) -> Self {
        // One that never lasts longer than the buffer is not asked for with every call.
        let stale_at = grant.expires_at.map(|end| end - BUFFER.min((end - now).max(0) / 2));
        Self { access: grant.access_token, found: grant.found, stale_at, obtained_at: now, after_refusal }
    }
}

/// The tokens of one connection.
pub(super) struct Tokens {
    sign_in: SignIn,
    grants: Option<Arc<dyn GrantStore>>,
    /// The token in use. It is locked while another one is obtained.
    held: Mutex<Option<Arc<Token>>>,
}

impl Tokens {
    /// `config` must be complete. `grants` is where the consent is kept, of a kind that needs one.
    pub fn new(
        manifest: Arc<Manifest>,
        config: Arc<Config>,
        client: Client,
        grants: Option<Arc<dyn GrantStore>>,
    ) -> Self {
        Self { sign_in: SignIn::new(manifest, config, client), grants, held: Mutex::default() }
    }

    /// The token to sign with; `None` if the chosen kind of `auth` obtains none. An error has been
    /// tried again already, as far as the policy allows.
    pub async fn current(&self, policy: &RetryPolicy) -> Result<Option<Arc<Token>>, SourceError> {
        if self.sign_in.auth().token_rules().is_none() {
            return Ok(None);
        }
        let mut held = self.held.lock().await;
        let now = self.sign_in.now();
        let lasting = held.as_ref().filter(|token| token.stale_at.is_none_or(|end| end > now));
        if let Some(token) = lasting {
            return Ok(Some(Arc::clone(token)));
        }
        *held = None;
        *held = self.obtain(None, policy).await?;
        Ok(held.clone())
    }

    /// Another token after the application refused this one; `None` if there is none to be had, so
    /// that the refusal stands: the one before was refused just now too, or the kind cannot renew.
    pub async fn renew(&self, refused: &Token, policy: &RetryPolicy) -> Result<Option<Arc<Token>>, SourceError> {
        let mut held = self.held.lock().await;
        // Somebody else may have been refused the same one, and have another already.
        let newer = held.as_ref().filter(|token| !std::ptr::eq(Arc::as_ptr(token), refused));
        if let Some(token) = newer {
            return Ok(Some(Arc::clone(token)));
        }
        if refused.after_refusal && self.sign_in.now() - refused.obtained_at < AGAIN {
            return Ok(None);
        }
        *held = None;
        *held = self.obtain(Some(&refused.access), policy).await?;
        Ok(held.clone())
    }

    /// Ends a session; errors are logged, never answered.
    pub async fn close(&self) {
        let Auth::Session(kind) = self.sign_in.auth() else { return };
        let token = self.held.lock().await.take();
        if let Some(token) = token {
            session::log_out(&self.sign_in, kind, &token).await;
        }
    }

    async fn obtain(&self, refused: Option<&str>, policy: &RetryPolicy) -> Result<Option<Arc<Token>>, SourceError> {
        let sign_in = &self.sign_in;
        let grant = match sign_in.auth() {
            Auth::None | Auth::Bearer(_) | Auth::Basic(_) | Auth::Header(_) | Auth::Query(_) => None,
            Auth::ClientCredentials(kind) => Some(client_credentials::obtain(sign_in, kind, policy).await?),
            Auth::JwtBearer(kind) => Some(jwt::obtain(sign_in, kind, policy).await?),
            Auth::Session(kind) => Some(session::log_in(sign_in, kind, policy).await?),
            Auth::AuthorizationCode(_) => code::grant(sign_in, self.grants.as_ref(), refused, policy).await?,
        };
        if grant.is_some() {
            tracing::debug!(after_refusal = refused.is_some(), "There is another token to sign calls with");
        }
        Ok(grant.map(|grant| Arc::new(Token::of(grant, sign_in.now(), refused.is_some()))))
    }
}
