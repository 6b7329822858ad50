//! Members who sign in with an account at an identity provider.

use entity::audit_entry::Action;
use entity::member_identity::{Entity, Model};
use entity::{member, member_identity};
use sea_orm::{ActiveEnum, ColumnTrait, EntityTrait, QueryFilter, QuerySelect};
use uuid::Uuid;

use super::Role;
use super::members::{not_allowed, subject};
use super::sessions::{Client, How, NewSession, Sessions, actor};
use super::signed::{self, genuine};
use crate::audit::{self, Entry};
use crate::db::Tx;
use crate::error::{Refusal, RefusalCode, Result};
use crate::installation;
use crate::secrets::SecretKey;

/// An account at an identity provider, which has authenticated its owner.
#[derive(Clone, Debug)]
pub struct Identity {
    pub issuer: String,
    pub subject: String,
    /// An address that the provider has verified, and no other.
    pub email: Option<String>,
    pub name: String,
    pub role: Role,
}

impl Sessions {
    /// Signs in the owner of an account at an identity provider. Issuer and subject say who that is. At the first time,
    /// the verified address decides: it is that of a member, or of somebody who becomes one. The provider decides the
    /// role of members without a password of their own. [`Self::forget`] follows the commit.
    ///
    /// # Errors
    /// A refusal if the member is disabled, or if a member with another account at this identity provider has the
    /// address: it may have been given to somebody else.
    pub async fn sign_in(&self, tx: &Tx, identity: &Identity, client: &Client) -> Result<NewSession> {
        installation::lock(tx).await?;
        let key = installation::sealing_key(tx, &self.keys).await?;
        let account = (identity.issuer.clone(), identity.subject.clone());
        let known = genuine(&self.keys, Entity::find_by_id(account).one(tx.conn()).await?);
        let is_new = known.is_none();
        let member = match known {
            Some(known) => member::Entity::find_by_id(known.member_id),
            // No member has an empty address.
            None => member::Entity::find().filter(member::Column::Email.eq(email(identity).unwrap_or_default())),
        };
        let member = genuine(&self.keys, member.lock_exclusive().one(tx.conn()).await?);
        let member = match member {
            Some(member) if member.disabled_at.is_some() => return Err(not_allowed().into()),
            Some(member) => self.apply_role(tx, &key, member, identity.role, client).await?,
            None if is_new => self.add(tx, &key, identity, client).await?,
            None => return Err(not_allowed().into()),
        };
        if is_new {
            self.refuse_second(tx, &member, &identity.issuer).await?;
            let row = Model {
                issuer: identity.issuer.clone(),
                subject: identity.subject.clone(),
                member_id: member.id,
                created_at: self.clock.now(),
                signature: None,
            };
            signed::insert::<member_identity::Entity>(tx, &key, row).await?;
        }
        self.begin(tx, member, How::IdentityProvider, client).await
    }

    async fn refuse_second(&self, tx: &Tx, member: &member::Model, issuer: &str) -> Result<()> {
        let of_issuer = Entity::find().filter(member_identity::Column::Issuer.eq(issuer));
        let first = of_issuer.filter(member_identity::Column::MemberId.eq(member.id)).one(tx.conn()).await?;
        if first.is_none() {
            return Ok(());
        }
        let message = "The member with this address has another account at the identity provider.";
        Err(Refusal::new(RefusalCode::EmailTaken, message).into())
    }

    async fn apply_role(
        &self,
        tx: &Tx,
        key: &SecretKey,
        member: member::Model,
        role: Role,
        client: &Client,
    ) -> Result<member::Model> {
        if member.password_hash.is_some() || member.role == role || self.is_last_admin(tx, &member).await? {
            return Ok(member);
        }
        self.end_others(tx, member.id, None).await?;
        let (before, after) = (member.role.to_value(), role.to_value());
        let detail = format!("The identity provider changed a role. Role: {before} → {after}.");
        let entry = Entry::new(self.clock.now(), Action::MemberUpdated, detail);
        audit::record(tx, entry.about(subject(&member)).by(client.origin(actor(&member))));
        signed::update::<member::Entity>(tx, key, member::Model { role, ..member }).await
    }

    async fn add(&self, tx: &Tx, key: &SecretKey, identity: &Identity, client: &Client) -> Result<member::Model> {
        let row = member::Model {
            id: Uuid::now_v7(),
            name: identity.name.clone(),
            email: email(identity),
            role: identity.role,
            password_hash: None,
            created_at: self.clock.now(),
            disabled_at: None,
            signature: None,
        };
        let detail = format!("The identity provider made somebody a member. Role: {}.", row.role.to_value());
        let entry = Entry::new(row.created_at, Action::MemberCreated, detail);
        audit::record(tx, entry.about(subject(&row)).by(client.origin(actor(&row))));
        signed::insert::<member::Entity>(tx, key, row).await
    }
}

fn email(identity: &Identity) -> Option<String> {
    identity.email.as_ref().map(|email| email.to_lowercase())
}
