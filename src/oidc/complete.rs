//! The callback: exchanges the code, verifies the token, and signs the member in, or reports why that failed.

use entity::oidc_sign_in::{Column, Entity, Model};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveModelTrait, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter};
use tracing::info;

use super::token::{self, Expected};
use super::{Oidc, Pending, Shared, Why, nonce, person, tell, verifier};
use crate::auth::identities::Identity;
use crate::auth::network;
use crate::auth::sessions::{Client, NewSession};
use crate::clock::DAY_MS;
use crate::db::Tx;
use crate::error::{self, Error};
use crate::secrets::hash;

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

/// A sign-in that came back in the browser in which it was begun.
pub struct Arrived {
    pending: Pending,
    /// The secret of the browser.
    browser: String,
    returned: Returned,
}

/// Removes the states that would have expired long ago. Returns how many those were.
pub async fn forget_expired(tx: &Tx, now: i64) -> error::Result<u64> {
    let expired = Entity::delete_many().filter(Column::ExpiresAt.lt(now - DAY_MS));
    Ok(expired.exec(tx.conn()).await?.rows_affected)
}

impl Oidc {
    /// Finds the sign-in by its state. That costs one look-up at most, because anybody can send such requests.
    pub async fn arrive(&self, returned: Returned) -> Result<Arrived, Why> {
        let arrived = self.find(returned).await;
        if let Err(why) = &arrived {
            tell(why);
        }
        arrived
    }

    async fn find(&self, returned: Returned) -> Result<Arrived, Why> {
        let Shared { db, clock, sessions, .. } = &*self.0;
        let state = returned.state.as_deref().unwrap_or_default();
        let pending = Pending::open(sessions.keys(), state, clock.now()).ok_or(Why::Unknown)?;
        let name = self.cookie_name(state);
        let mut brought = returned.cookies.iter().filter(|(cookie, _)| *cookie == name).map(|(_, value)| value);
        if let Some(browser) = brought.find(|value| hash(value) == pending.browser_hash).cloned() {
            return Ok(Arrived { pending, browser, returned });
        }
        // A browser forgets the cookie when it has come back.
        let used = Entity::find_by_id(hash(state)).one(db.reserved()).await.map_err(Error::from)?;
        Err(if used.is_some() { Why::Unknown } else { Why::OtherBrowser })
    }

    /// Completes a sign-in. Works once for a state. Returns the session, and the path to go to.
    pub async fn complete(&self, arrived: Arrived, client: &Client) -> Result<(NewSession, String), Why> {
        let completed = self.try_complete(arrived, client).await;
        match &completed {
            Ok((session, _)) => info!(member.id = %session.member.id, "a member signed in with the identity provider"),
            Err(why) => tell(why),
        }
        completed
    }

    /// The name of the cookie for a state, which is not needed any more when the browser is back.
    pub fn used_cookie(&self, returned: &Returned) -> Option<String> {
        returned.state.as_deref().map(|state| self.cookie_name(state))
    }

    async fn try_complete(&self, arrived: Arrived, client: &Client) -> Result<(NewSession, String), Why> {
        let Arrived { pending, browser, returned } = arrived;
        self.use_up(&returned, &pending, client).await?;
        let code = self.code(&returned).await?;
        let identity = self.identify(code, &browser).await?;
        let (sessions, identity) = (&self.0.sessions, &identity);
        let session = self.0.db.write(|tx| async move { sessions.sign_in(&tx, identity, client).await }).await?;
        sessions.forget();
        Ok((session, pending.return_to))
    }

    /// Stores the state, so that it cannot be used again.
    async fn use_up(&self, returned: &Returned, pending: &Pending, client: &Client) -> Result<(), Why> {
        let row = &Model {
            state_hash: hash(returned.state.as_deref().unwrap_or_default()),
            browser_hash: pending.browser_hash.clone(),
            return_to: pending.return_to.clone(),
            address: client.address.map(network).map(|address| address.to_string()).unwrap_or_default(),
            expires_at: pending.expires_at,
        };
        let insert = self.0.db.write(|tx| async move {
            let insert = Entity::insert_many([row.clone().into_active_model().reset_all()]);
            let once = OnConflict::column(Column::StateHash).do_nothing().to_owned();
            Ok(insert.on_conflict(once).exec_without_returning(tx.conn()).await?)
        });
        if insert.await? == 1 { Ok(()) } else { Err(Why::Unknown) }
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
            name: person::name(&claims, &settings.issuer),
            subject,
            role,
        })
    }
}
