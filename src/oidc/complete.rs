//! The callback: exchanges the code, verifies the token, and signs the member in, or reports why that failed.

use entity::oidc_sign_in::{Column, Entity, Model};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use tracing::info;

use super::token::{self, Expected};
use super::{Oidc, Shared, Why, nonce, person, tell, verifier};
use crate::auth::identities::Identity;
use crate::auth::sessions::{Client, NewSession};
use crate::error::Error;
use crate::secrets::{OneTimeSecret, hash};

/// The parameters and cookies of the callback request.
#[derive(Default)]
pub struct Returned {
    pub state: Option<String>,
    pub code: Option<String>,
    /// The OAuth parameter `error`, which takes the place of `code`.
    pub error: Option<String>,
    /// Who answers (RFC 9207).
    pub issuer: Option<String>,
    /// Names and values.
    pub cookies: Vec<(String, String)>,
}

/// The errors of OAuth 2.0 (RFC 6749, 4.1.2.1) and OpenID Connect. Other texts are not shown to anybody.
const ERRORS: [&str; 10] = [
    "invalid_request",
    "unauthorized_client",
    "unsupported_response_type",
    "invalid_scope",
    "server_error",
    "temporarily_unavailable",
    "interaction_required",
    "login_required",
    "consent_required",
    "account_selection_required",
];

impl Oidc {
    /// Completes the sign-in with this state. Works once. Returns the session, and the path to go to.
    pub async fn complete(&self, returned: Returned, client: &Client) -> Result<(NewSession, String), Why> {
        let completed = self.try_complete(&returned, client).await;
        match &completed {
            Ok((session, _)) => info!(member.id = %session.member.id, "a member signed in with the identity provider"),
            Err(why) => tell(why),
        }
        completed
    }

    /// The name of the cookie for a state, which is not needed any more when the browser is back.
    pub fn used_cookie(&self, returned: &Returned) -> Option<String> {
        let state_hash = returned.state.as_deref().and_then(OneTimeSecret::hash_of)?;
        Some(self.cookie_name(&state_hash))
    }

    async fn try_complete(&self, returned: &Returned, client: &Client) -> Result<(NewSession, String), Why> {
        let (row, browser) = self.find(returned).await?;
        self.use_up(&row).await?;
        let code = self.code(returned).await?;
        let identity = self.identify(code, &browser).await?;
        let (sessions, identity) = (&self.0.sessions, &identity);
        let session = self.0.db.write(|tx| async move { sessions.sign_in(&tx, identity, client).await }).await?;
        sessions.forget();
        Ok((session, row.return_to))
    }

    /// Finds the sign-in by its state, and the secret of the browser. A request with an invalid state costs one look-up
    /// by primary key, and does not use the sign-in up.
    async fn find(&self, returned: &Returned) -> Result<(Model, String), Why> {
        let Shared { db, clock, .. } = &*self.0;
        let state_hash = returned.state.as_deref().and_then(OneTimeSecret::hash_of).ok_or(Why::Unknown)?;
        let found = Entity::find_by_id(state_hash).one(db.read()).await.map_err(Error::from)?;
        let row = found.filter(|row| row.expires_at > clock.now()).ok_or(Why::Unknown)?;
        let name = self.cookie_name(&row.state_hash);
        let mut brought = returned.cookies.iter().filter(|(cookie, _)| *cookie == name).map(|(_, value)| value);
        let browser = brought.find(|value| hash(value) == row.browser_hash).ok_or(Why::OtherBrowser)?;
        Ok((row, browser.clone()))
    }

    /// Deletes the row, so that the state cannot be used again.
    async fn use_up(&self, row: &Model) -> Result<(), Why> {
        let delete = &Entity::delete_many().filter(Column::StateHash.eq(row.state_hash.clone()));
        let used = self.0.db.write(|tx| async move { Ok(delete.clone().exec(tx.conn()).await?.rows_affected == 1) });
        if used.await? { Ok(()) } else { Err(Why::Unknown) }
    }

    /// The code, if this identity provider has answered with one.
    async fn code<'a>(&self, returned: &'a Returned) -> Result<&'a str, Why> {
        let Shared { settings, provider, .. } = &*self.0;
        let is_named = provider.metadata().await?.authorization_response_iss_parameter_supported;
        match &returned.issuer {
            Some(issuer) if *issuer != settings.issuer => {
                return Err(Why::Untrusted("the answer comes from another issuer".into()));
            }
            None if is_named => return Err(Why::Untrusted("the answer does not name its issuer".into())),
            _ => {}
        }
        match (returned.error.as_deref(), returned.code.as_deref()) {
            (None, Some(code)) => Ok(code),
            (None, None) => Err(Why::Incomplete),
            (Some("access_denied"), _) => Err(Why::Declined),
            (Some(error), _) => {
                let known = ERRORS.into_iter().find(|known| *known == error);
                Err(Why::ProviderError(known.unwrap_or("an error of its own")))
            }
        }
    }

    /// Who the person is, and what they may do.
    async fn identify(&self, code: &str, browser: &str) -> Result<Identity, Why> {
        let Shared { settings, provider, clock, .. } = &*self.0;
        let tokens = provider.exchange(code, &verifier(browser), &self.redirect_uri()).await?;
        let untrusted = |reason: &str| Why::Untrusted(reason.to_owned());
        let key = token::key_id(&tokens.id_token).map_err(untrusted)?;
        let keys = provider.keys_with(&key).await?;
        let expected = Expected {
            issuer: &settings.issuer,
            client_id: &settings.client_id,
            nonce: &nonce(browser),
            now: clock.now(),
        };
        let mut claims = token::verify(&tokens.id_token, &keys, &expected).map_err(untrusted)?;
        let subject = claims.get("sub").and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
        if person::is_incomplete(&claims, settings)
            && let Some(further) = provider.userinfo(&tokens, &subject).await?
        {
            person::complete(&mut claims, further);
        }
        let role = person::role(&claims, settings).ok_or(Why::NoRole)?;
        Ok(Identity {
            issuer: settings.issuer.clone(),
            email: person::verified_email(&claims, &settings.issuer).map(str::to_owned),
            name: person::name(&claims),
            subject,
            role,
        })
    }
}
