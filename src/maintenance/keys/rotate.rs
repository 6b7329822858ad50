//! The rotation: a new key takes the place of the old one, while servers work.
//!
//! **Steps.** A new key is added to the key file. One transaction makes it the key that seals new values. Then each
//! stored value is opened with its old key and sealed with the new one, in a transaction of its own. When nothing
//! needs the old keys any more, they are removed from the file.
//!
//! **Servers** that are running notice that the file has changed, and read it again. Whoever seals a value reads in the
//! same transaction which key is in use, and so never uses an old one after the switch.
//!
//! **Interruption.** Every step can be repeated. The next rotation finishes the one that was interrupted.

use std::collections::BTreeMap;

use entity::{api_token, erasure_key, instance, oauth_authorization, oauth_grant, webhook};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect};
use tracing::warn;
use uuid::Uuid;

use super::members;
use crate::audit;
use crate::auth;
use crate::db::{Db, Tx};
use crate::directory::erased::KEY_PLACE;
use crate::error::{Error, Result};
use crate::installation;
use crate::instance::{self as instances, sealed};
use crate::secrets::{KeyId, KeyRing, SecretKey, key_id_of, signer_of};
use crate::webhook as webhooks;

/// What a rotation did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rotated {
    /// Whether it only finished an earlier one.
    pub finished_earlier: bool,
    /// How many values it sealed or signed with the new key.
    pub renewed: u64,
    /// How many values still need an old key, because they do not open.
    pub left: u64,
    /// How many old keys it removed from the file.
    pub removed: usize,
}

/// How many stored values need each key. `None` stands for values that no key of this version has sealed or signed.
pub async fn needs(db: &Db) -> Result<BTreeMap<Option<KeyId>, u64>> {
    let secrets: Vec<Vec<u8>> = instance::Entity::find()
        .select_only()
        .column(instance::Column::Secrets)
        .filter(instance::Column::Secrets.is_not_null())
        .into_tuple()
        .all(db.read())
        .await?;
    let grants = oauth_grant::Entity::find().select_only().column(oauth_grant::Column::Sealed);
    let grants: Vec<Vec<u8>> = grants.into_tuple().all(db.read()).await?;
    let consents = oauth_authorization::Entity::find().select_only().column(oauth_authorization::Column::Sealed);
    let consents: Vec<Vec<u8>> = consents.into_tuple().all(db.read()).await?;
    let erasures = erasure_key::Entity::find().select_only().column(erasure_key::Column::Sealed);
    let erasures: Vec<Vec<u8>> = erasures.into_tuple().all(db.read()).await?;
    let tokens = api_token::Entity::find().select_only().column(api_token::Column::Signature);
    let tokens: Vec<Option<Vec<u8>>> = tokens.into_tuple().all(db.read()).await?;
    let webhooks = webhook::Entity::find().select_only().column(webhook::Column::Secret);
    let webhooks: Vec<Vec<u8>> = webhooks.into_tuple().all(db.read()).await?;
    let sealed =
        secrets.iter().chain(&grants).chain(&consents).chain(&erasures).chain(&webhooks).map(|value| key_id_of(value));
    let members = members::signatures(db).await?;
    let ends = audit::ends::read(db.read()).await?.signature;
    let signed = tokens.iter().chain(&members).map(Option::as_deref).chain(ends.as_deref().map(Some));
    let signed = signed.map(|value| value.and_then(signer_of));
    Ok(sealed.chain(signed).fold(BTreeMap::new(), |mut counts, key| {
        *counts.entry(key).or_default() += 1;
        counts
    }))
}

/// Adds a key to the file, without using it.
///
/// # Errors
/// One line that names the file.
pub fn add(ring: &KeyRing) -> Result<KeyId> {
    let _alone = ring.lock().map_err(internal)?;
    Ok(ring.add().map_err(internal)?.id())
}

/// Finishes an interrupted rotation, or makes a whole one.
///
/// # Errors
/// If the key file cannot be changed, or the database cannot be used.
pub async fn rotate(db: &Db, ring: &KeyRing) -> Result<Rotated> {
    let _alone = ring.lock().map_err(internal)?;
    let used = installation::used_key(db).await?.and_then(|id| ring.find(id));
    let used = used.ok_or_else(|| installation::other_key(ring))?;
    let newest = ring.newest();
    if newest.id() == used.id() {
        let finished = Rotated { finished_earlier: true, ..finish(db, ring, &used).await? };
        if finished.renewed > 0 || finished.removed > 0 {
            return Ok(finished);
        }
        if db.shared() {
            let first = "several servers may use this database: add a key with `muster keys add`, copy the key file to every server, and rotate then";
            return Err(Error::Internal(first.into()));
        }
        ring.add().map_err(internal)?;
    }
    let key = &ring.newest();
    db.write(|tx| async move {
        installation::lock(&tx).await?;
        installation::use_key(&tx, key).await
    })
    .await?;
    finish(db, ring, key).await
}

fn internal(line: String) -> Error {
    Error::Internal(line.into())
}

/// Seals everything with the key in use, and removes the others if nothing needs them.
async fn finish(db: &Db, ring: &KeyRing, key: &SecretKey) -> Result<Rotated> {
    let renewal = Renewal { db, ring, key };
    let sealed = renewal.secrets().await? + renewal.grants().await? + renewal.consents().await?;
    let sealed = sealed + renewal.erasures().await? + renewal.webhooks().await?;
    let signed = renewal.tokens().await? + renewal.members().await? + renewal.audit_log().await?;
    let renewed = sealed + signed;
    let left = needs(db).await?.into_iter().filter(|(id, _)| id.is_some_and(|id| id != key.id()));
    let left = left.map(|(_, count)| count).sum();
    let removed = if left == 0 { ring.keep_only(key.id()).map_err(internal)? } else { 0 };
    Ok(Rotated { finished_earlier: false, renewed, left, removed })
}

struct Renewal<'a> {
    db: &'a Db,
    ring: &'a KeyRing,
    key: &'a SecretKey,
}

impl Renewal<'_> {
    /// True for a value that another key has sealed.
    fn is_old(&self, sealed: &[u8]) -> bool {
        key_id_of(sealed).is_some_and(|id| id != self.key.id())
    }

    async fn secrets(&self) -> Result<u64> {
        use instance::Column;
        let rows: Vec<(Uuid, Vec<u8>)> = instance::Entity::find()
            .select_only()
            .columns([Column::Id, Column::Secrets])
            .filter(Column::Secrets.is_not_null())
            .into_tuple()
            .all(self.db.read())
            .await?;
        let mut renewed = 0;
        for (id, _) in rows.iter().filter(|(_, value)| self.is_old(value)) {
            renewed += self.db.write(|tx| async move { self.one_secret(&tx, *id).await }).await?;
        }
        Ok(renewed)
    }

    async fn one_secret(&self, tx: &Tx, id: Uuid) -> Result<u64> {
        use instance::Column;
        let row = instances::lock(tx, id).await?;
        let Some(old) = row.secrets.as_deref().filter(|value| self.is_old(value)) else { return Ok(0) };
        let owner = sealed::Owner::of(&row);
        let place = owner.secrets(row.secrets_generation);
        let Ok(plain) = self.ring.open(&place, old) else {
            warn!(instance.id = %id, "a stored credential does not open; it keeps its old key");
            return Ok(0);
        };
        let renew =
            instance::Entity::update_many().col_expr(Column::Secrets, Expr::value(self.key.seal(&place, &plain)));
        Ok(renew.filter(Column::Id.eq(id)).exec(tx.conn()).await?.rows_affected)
    }

    async fn grants(&self) -> Result<u64> {
        let rows = oauth_grant::Entity::find().all(self.db.read()).await?;
        let mut renewed = 0;
        for row in rows.iter().filter(|row| self.is_old(&row.sealed)) {
            renewed += self.db.write(|tx| async move { self.one_grant(&tx, row.instance_id).await }).await?;
        }
        Ok(renewed)
    }

    async fn one_grant(&self, tx: &Tx, id: Uuid) -> Result<u64> {
        use oauth_grant::Column;
        let owner = sealed::Owner::of(&instances::lock(tx, id).await?);
        let row = oauth_grant::Entity::find_by_id(id).lock_exclusive().one(tx.conn()).await?;
        let Some(row) = row.filter(|row| self.is_old(&row.sealed)) else { return Ok(0) };
        // The generation stays, so that a renewal of the grant in progress can still store its result.
        let place = owner.grant(row.generation);
        let Ok(plain) = self.ring.open(&place, &row.sealed) else {
            warn!(instance.id = %id, "a stored grant does not open; it keeps its old key");
            return Ok(0);
        };
        let renew = oauth_grant::Entity::update_many()
            .col_expr(Column::Sealed, Expr::value(self.key.seal(&place, &plain)))
            .filter(Column::InstanceId.eq(id));
        Ok(renew.exec(tx.conn()).await?.rows_affected)
    }

    async fn consents(&self) -> Result<u64> {
        let rows = oauth_authorization::Entity::find().all(self.db.read()).await?;
        let mut renewed = 0;
        for row in rows.iter().filter(|row| self.is_old(&row.sealed)) {
            renewed += self.db.write(|tx| async move { self.one_consent(&tx, row).await }).await?;
        }
        Ok(renewed)
    }

    /// The row of a consent is only ever inserted and deleted.
    async fn one_consent(&self, tx: &Tx, row: &oauth_authorization::Model) -> Result<u64> {
        use oauth_authorization::Column;
        let instance = match row.instance_id {
            Some(id) => instance::Entity::find_by_id(id).one(tx.conn()).await?,
            None => None,
        };
        let owner = instance.as_ref().map(sealed::Owner::of);
        let place = sealed::consent(row, owner.as_ref());
        let Ok(plain) = self.ring.open(&place, &row.sealed) else { return Ok(0) };
        let renew = oauth_authorization::Entity::update_many()
            .col_expr(Column::Sealed, Expr::value(self.key.seal(&place, &plain)))
            .filter(Column::StateHash.eq(row.state_hash.clone()));
        Ok(renew.exec(tx.conn()).await?.rows_affected)
    }

    /// The key of erased accounts.
    async fn erasures(&self) -> Result<u64> {
        self.db.write(|tx| async move { self.one_erasure_key(&tx).await }).await
    }

    async fn one_erasure_key(&self, tx: &Tx) -> Result<u64> {
        use erasure_key::{Column, Entity, ROW};
        let row = Entity::find_by_id(ROW).lock_exclusive().one(tx.conn()).await?;
        let Some(row) = row.filter(|row| self.is_old(&row.sealed)) else { return Ok(0) };
        let Ok(plain) = self.ring.open(&KEY_PLACE, &row.sealed) else {
            warn!("the key of erased accounts does not open; it keeps its old key");
            return Ok(0);
        };
        let sealed = self.key.seal(&KEY_PLACE, &plain);
        let renew = Entity::update_many().col_expr(Column::Sealed, Expr::value(sealed)).filter(Column::Id.eq(ROW));
        Ok(renew.exec(tx.conn()).await?.rows_affected)
    }

    async fn webhooks(&self) -> Result<u64> {
        let mut renewed = 0;
        for row in webhooks::queries::all(self.db.read()).await?.iter().filter(|row| self.is_old(&row.secret)) {
            renewed += self.db.write(|tx| async move { self.one_webhook(&tx, row.id).await }).await?;
        }
        Ok(renewed)
    }

    async fn one_webhook(&self, tx: &Tx, id: Uuid) -> Result<u64> {
        use webhook::Column;
        let row = webhook::Entity::find_by_id(id).lock_exclusive().one(tx.conn()).await?;
        let Some(row) = row.filter(|row| self.is_old(&row.secret)) else { return Ok(0) };
        let place = webhooks::sealed::place_of(&row);
        let Ok(plain) = self.ring.open(&place, &row.secret) else {
            warn!(webhook.id = %id, "the secret of a webhook does not open; it keeps its old key");
            return Ok(0);
        };
        let renew = webhook::Entity::update_many().col_expr(Column::Secret, Expr::value(self.key.seal(&place, &plain)));
        Ok(renew.filter(Column::Id.eq(id)).exec(tx.conn()).await?.rows_affected)
    }

    async fn members(&self) -> Result<u64> {
        self.db.write(|tx| async move { members::renew(&tx, self.ring, self.key).await }).await
    }

    async fn tokens(&self) -> Result<u64> {
        let renew = self.db.write(|tx| async move {
            let rows = api_token::Entity::find().lock_exclusive().all(tx.conn()).await?;
            let mut renewed = 0;
            for row in rows {
                let old = row.signature.as_deref().and_then(signer_of).is_some_and(|id| id != self.key.id());
                if old && auth::signed::is_signed(self.ring, &row) {
                    auth::tokens::store_signature(&tx, self.key, &row).await?;
                    renewed += 1;
                }
            }
            Ok(renewed)
        });
        renew.await
    }

    async fn audit_log(&self) -> Result<u64> {
        self.db.write(|tx| async move { audit::ends::sign_anew(&tx, self.ring, self.key).await }).await
    }
}
