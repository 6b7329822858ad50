//! The tokens that sign requests: obtained, reused while they last, and renewed.
//!
//! **Guarantees.** A connection requests one token at a time; concurrent requests wait for it and
//! use the same one. A token is renewed a minute before it ends, and once when the application
//! refuses it. A rotated refresh token is stored before the access token that came with it is used.
//! A refresh token or an authorization code that the application may have received is not sent
//! again by the same attempt, because an application may take that for theft and revoke the whole
//! grant. Token responses are classified by rules of their own (`response`): `invalid_grant` and an
//! unknown client are definite refusals, and a server error never is. No error contains a secret, a
//! code, a token or a signed assertion.
//!
//! **Not guaranteed.** A token may stop working at any time, because applications revoke tokens.
//! Only the request that uses it finds out.
//!
//! **Interruption.** A renewal with a refresh token continues in the background, because the
//! application may have rotated the refresh token already. Only the end of the process stops it,
//! and then the grant may be lost (see [`grant`](crate::grant)). Everything else is cancelled, and
//! the next request starts it again. A session that was not closed ends when the application
//! decides so.
//!
//! | file | purpose |
//! | --- | --- |
//! | `client_credentials`, `code`, `jwt`, `session` | the request of each kind of `auth` |
//! | `client_auth` | how the client authenticates itself |
//! | `assertion` | signed assertions (JWT) |
//! | `endpoint` | one token request, with its retries |
//! | `response` | what the token response says |

use std::sync::Arc;

use tokio::sync::Mutex;

use super::client::Client;
use super::credential::{Replaced, Token};
use super::retry::RetryPolicy;
use crate::grant::GrantStore;
use crate::manifest::Manifest;
use crate::manifest::auth::Auth;
use crate::source::{Config, SourceError};

mod assertion;
mod client_auth;
mod client_credentials;
mod code;
mod endpoint;
mod jwt;
mod response;
mod session;

pub(super) use code::exchange;
pub(super) use endpoint::TokenEndpoint;

/// If a new token is refused within this time, another one is not requested. In milliseconds.
const REFUSED_AGAIN_MS: i64 = 60_000;

/// The tokens of one connection.
pub(super) struct Tokens {
    endpoint: TokenEndpoint,
    grants: Option<Arc<dyn GrantStore>>,
    /// The token in use. The lock is held while a token is requested.
    current: Mutex<Option<Arc<Token>>>,
}

impl Tokens {
    /// `config` must be complete. `grants` stores the grant, if the manifest needs a person's consent.
    pub fn new(
        manifest: Arc<Manifest>,
        config: Arc<Config>,
        client: Client,
        grants: Option<Arc<dyn GrantStore>>,
    ) -> Self {
        Self { endpoint: TokenEndpoint::new(manifest, config, client), grants, current: Mutex::default() }
    }

    /// The token to sign with; `None` if the chosen kind of `auth` uses no token. An error has
    /// already been retried as the policy allows.
    pub async fn current(&self, policy: &RetryPolicy) -> Result<Option<Arc<Token>>, SourceError> {
        if self.endpoint.auth().token_rules().is_none() {
            return Ok(None);
        }
        let mut current = self.current.lock().await;
        let now = self.endpoint.now();
        let lasting = current.as_ref().filter(|token| token.renew_at.is_none_or(|renew_at| renew_at > now));
        if let Some(token) = lasting {
            return Ok(Some(Arc::clone(token)));
        }
        *current = None;
        *current = self.obtain(None, policy).await?;
        Ok(current.clone())
    }

    /// A new token after the application refused this one. `None` if the refusal stands, because
    /// this one was requested just now after a refusal, or because this kind of `auth` cannot renew.
    pub async fn renew(&self, refused: &Token, policy: &RetryPolicy) -> Result<Option<Arc<Token>>, SourceError> {
        let mut current = self.current.lock().await;
        // A concurrent request may have renewed the same token already.
        let newer = current.as_ref().filter(|token| !std::ptr::eq(Arc::as_ptr(token), refused));
        if let Some(token) = newer {
            return Ok(Some(Arc::clone(token)));
        }
        if refused.after_refusal == Some(Replaced::Requested)
            && self.endpoint.now() - refused.obtained_at < REFUSED_AGAIN_MS
        {
            return Ok(None);
        }
        *current = None;
        *current = self.obtain(Some(&refused.access), policy).await?;
        Ok(current.clone())
    }

    /// Ends a session. Errors are logged only.
    pub async fn close(&self) {
        let Auth::Session(kind) = self.endpoint.auth() else { return };
        let token = self.current.lock().await.take();
        if let Some(token) = token {
            session::log_out(&self.endpoint, kind, &token).await;
        }
    }

    async fn obtain(&self, refused: Option<&str>, policy: &RetryPolicy) -> Result<Option<Arc<Token>>, SourceError> {
        let endpoint = &self.endpoint;
        let requested = |grant| Some((grant, Replaced::Requested));
        let obtained = match endpoint.auth() {
            Auth::None | Auth::Bearer(_) | Auth::Basic(_) | Auth::Header(_) | Auth::Query(_) => None,
            Auth::ClientCredentials(kind) => requested(client_credentials::obtain(endpoint, kind, policy).await?),
            Auth::JwtBearer(kind) => requested(jwt::obtain(endpoint, kind, policy).await?),
            Auth::Session(kind) => requested(session::log_in(endpoint, kind, policy).await?),
            Auth::AuthorizationCode(_) => code::grant(endpoint, self.grants.as_ref(), refused, policy).await?,
        };
        let Some((grant, how)) = obtained else { return Ok(None) };
        tracing::debug!(after_refusal = refused.is_some(), "A token was obtained");
        let after_refusal = refused.map(|_| how);
        Ok(Some(Arc::new(Token::from_grant(grant, endpoint.now(), after_refusal))))
    }
}
