//! Links that work once: to become the first administrator, to set a password, and to try the demo.
//!
//! Their secret is behind the `#` of the address, which browsers send to nobody. Only its hash is stored.

use entity::audit_entry::Action;
pub use entity::member_link::Purpose;
use entity::member_link::{Column, Entity, Model};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use uuid::Uuid;

use super::Role;
use super::members::{Members, check_email, check_name, delete_links, not_allowed, subject};
use super::passwords;
use super::sessions::{Client, How, NewSession, actor};
use super::signed::{self, genuine};
use crate::audit::{self, Entry};
use crate::clock::DAY_MS;
use crate::db::Tx;
use crate::error::{Refusal, RefusalCode, Result};
use crate::secrets::{OneTimeSecret, SecretKey};

/// How long a link can be used.
pub const LIFE_MS: i64 = 3 * DAY_MS;

/// A link that was just made.
pub struct Link {
    purpose: Purpose,
    secret: OneTimeSecret,
    pub expires_at: i64,
}

impl Link {
    /// The address at a server with this public address.
    pub fn address(&self, public_url: &str) -> String {
        let page = match self.purpose {
            Purpose::FirstAdmin => "set-up",
            Purpose::SetPassword => "set-password",
            Purpose::SignIn => "enter",
        };
        format!("{public_url}/#/{page}/{}", self.secret.text())
    }
}

/// What somebody enters who follows a link.
#[derive(Default)]
pub struct Entered {
    /// Only for the first administrator.
    pub name: String,
    /// Only for the first administrator.
    pub email: String,
    /// Unless the link signs in by itself.
    pub password: String,
}

impl Members {
    pub(super) async fn link(
        &self,
        tx: &Tx,
        key: &SecretKey,
        purpose: Purpose,
        member_id: Option<Uuid>,
    ) -> Result<Link> {
        let (secret, now) = (OneTimeSecret::new(), self.clock.now());
        let expires_at = now + LIFE_MS;
        let row = Model { hash: secret.hash(), purpose, member_id, expires_at, signature: None };
        signed::insert::<Entity>(tx, key, row).await?;
        Ok(Link { purpose, secret, expires_at })
    }

    /// A link to become the first administrator; `None` if there is an administrator who can sign in.
    pub async fn first_link(&self) -> Result<Option<Link>> {
        let first = self.db.write(|tx| async move {
            let key = self.alone(&tx).await?;
            if self.sessions.has_admin_beside(&tx, None).await? {
                return Ok(None);
            }
            self.link(&tx, &key, Purpose::FirstAdmin, None).await.map(Some)
        });
        first.await
    }

    /// A link that signs a member in.
    pub async fn sign_in_link(&self, member: Uuid) -> Result<Link> {
        let link = self.db.write(|tx| async move {
            let key = self.alone(&tx).await?;
            self.link(&tx, &key, Purpose::SignIn, Some(member)).await
        });
        link.await
    }

    /// Follows a link.
    ///
    /// # Errors
    /// A refusal, which is the same for every link that cannot be used.
    pub async fn redeem(&self, secret: &str, entered: &Entered, client: &Client) -> Result<NewSession> {
        let hash = OneTimeSecret::hash_of(secret).ok_or_else(useless)?;
        let found = genuine(&self.keys, Entity::find_by_id(hash).one(self.db.reserved()).await?);
        let link = found.filter(|link| link.expires_at > self.clock.now()).ok_or_else(useless)?;
        let session = match (link.purpose, link.member_id) {
            (Purpose::FirstAdmin, None) => self.set_up(&link, entered, client).await?,
            (Purpose::SetPassword, Some(member)) => {
                let email = self.find(member).await?.ok_or_else(useless)?.email;
                passwords::check(&entered.password, email.as_deref(), "password")?;
                let password = self.passwords.hash(&entered.password).await?;
                self.enter(&link, member, Some(&password), client).await?
            }
            (Purpose::SignIn, Some(member)) => self.enter(&link, member, None, client).await?,
            (_, _) => return Err(useless().into()),
        };
        self.sessions.forget();
        Ok(session)
    }

    async fn set_up(&self, link: &Model, entered: &Entered, client: &Client) -> Result<NewSession> {
        let (name, email) = (check_name(&entered.name)?, check_email(&entered.email)?);
        passwords::check(&entered.password, Some(&email), "password")?;
        let hash = self.passwords.hash(&entered.password).await?;
        let row = &self.row(name, email, Role::Admin, Some(hash));
        let set_up = self.db.write(|tx| async move {
            let key = self.alone(&tx).await?;
            use_up(&tx, link).await?;
            if self.sessions.has_admin_beside(&tx, None).await? {
                return Err(useless().into());
            }
            let member = self.insert(&tx, &key, row.clone()).await?;
            delete_links(&tx, &member).await?;
            let entry = Entry::new(self.clock.now(), Action::MemberCreated, "The first administrator was created.");
            audit::record(&tx, entry.about(subject(&member)).by(client.origin(actor(&member))));
            self.sessions.begin(&tx, member, How::Link, client).await
        });
        set_up.await
    }

    async fn enter(&self, link: &Model, id: Uuid, password: Option<&str>, client: &Client) -> Result<NewSession> {
        let enter = self.db.write(|tx| async move {
            let key = self.alone(&tx).await?;
            use_up(&tx, link).await?;
            let mut member = self.locked(&tx, id).await?;
            if member.disabled_at.is_some() {
                return Err(not_allowed().into());
            }
            if let Some(hash) = password {
                member = self.set_password(&tx, &key, member, hash.to_owned(), None).await?;
                let entry =
                    Entry::new(self.clock.now(), Action::PasswordSet, "A password was set with a one-time link.");
                audit::record(&tx, entry.about(subject(&member)).by(client.origin(actor(&member))));
            }
            self.sessions.begin(&tx, member, How::Link, client).await
        });
        enter.await
    }
}

/// Removes the links that have expired. Returns how many those were.
pub async fn prune(tx: &Tx, now: i64) -> Result<u64> {
    Ok(Entity::delete_many().filter(Column::ExpiresAt.lte(now)).exec(tx.conn()).await?.rows_affected)
}

/// Deletes the link, so that it cannot be used again.
async fn use_up(tx: &Tx, link: &Model) -> Result<()> {
    let deleted = Entity::delete_by_id(link.hash.clone()).exec(tx.conn()).await?.rows_affected;
    if deleted == 1 { Ok(()) } else { Err(useless().into()) }
}

fn useless() -> Refusal {
    Refusal::new(
        RefusalCode::InvalidInput,
        "This link was used already, or it has expired. Ask an administrator for a new one. Without an administrator, the next start of the server prints one.",
    )
}
