//! The administrators who can really sign in: they are enabled, and have a password or an account at the identity provider
//! of the settings. Somebody who was only invited is none of them.

use entity::member::{Column, Entity, Model};
use entity::member_identity;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use uuid::Uuid;

use super::Role;
use super::sessions::Sessions;
use super::signed::is_signed;
use crate::db::Tx;
use crate::error::Result;

impl Sessions {
    /// Whether no other administrator than this enabled one can sign in.
    pub(super) async fn is_last_admin(&self, tx: &Tx, member: &Model) -> Result<bool> {
        let is_one = member.role == Role::Admin && member.disabled_at.is_none();
        Ok(is_one && !self.has_admin_beside(tx, Some(member.id)).await?)
    }

    /// Whether an administrator can sign in, apart from this member.
    pub(super) async fn has_admin_beside(&self, tx: &Tx, member: Option<Uuid>) -> Result<bool> {
        let enabled = Entity::find().filter(Column::Role.eq(Role::Admin)).filter(Column::DisabledAt.is_null());
        for admin in enabled.all(tx.conn()).await? {
            if Some(admin.id) != member && is_signed(&self.keys, &admin) && self.can_sign_in(tx, &admin).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether an enabled member has something to sign in with.
    pub(super) async fn can_sign_in(&self, tx: &Tx, member: &Model) -> Result<bool> {
        if member.password_hash.is_some() {
            return Ok(true);
        }
        let Some(issuer) = self.issuer.as_deref() else { return Ok(false) };
        let accounts = member_identity::Entity::find()
            .filter(member_identity::Column::Issuer.eq(issuer))
            .filter(member_identity::Column::MemberId.eq(member.id));
        Ok(accounts.all(tx.conn()).await?.iter().any(|account| is_signed(&self.keys, account)))
    }
}
