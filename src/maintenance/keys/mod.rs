//! The keys of an installation at work: opens them, and seals anew what earlier versions sealed.
//!
//! **The upgrade.** Earlier versions bound a value to the id of its instance only, and did not sign tokens. The first
//! start of this version seals and signs everything in one transaction, which also replaces the installation's
//! `key_check`. If it is interrupted, nothing has changed, and the next start does it. After it, values of the first
//! version and tokens without a signature are no longer accepted, so nobody can put one there. A database in which
//! anything is sealed in the new way is never upgraded again. Tokens are signed only where the `key_check` of an earlier
//! version opens: nobody can make one without the key, but everybody who writes the database can remove it.
//!
//! **The rotation**, see [`rotate`].

use std::path::Path;
use std::sync::Arc;

use entity::{api_token, instance, oauth_authorization, oauth_grant};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use tracing::{info, warn};
use uuid::Uuid;

use crate::db::{Db, Tx};
use crate::error::Result;
use crate::installation;
use crate::instance::sealed::{Owner, first_version};
use crate::secrets::{KeyRing, SecretKey, key_id_of};
use crate::{audit, auth};

mod members;
pub mod rotate;

/// How many rows are read at a time.
const PAGE: u64 = 200;

/// Opens the keys of an installation, and brings what is stored up to this version.
///
/// # Errors
/// One line for the person who starts the process.
pub async fn open(db: &Db, file: &Path) -> Result<Arc<KeyRing>> {
    let ring = &Arc::new(installation::load_keys(db, file).await?);
    db.sign_with(ring);
    // A key in use means that everything is sealed as this version does it.
    if installation::used_key(db).await?.is_none() {
        let counts = db.write(|tx| async move { upgrade(&tx, ring).await }).await?;
        if counts != Counts::default() {
            info!(
                credentials = counts.sealed,
                tokens = counts.signed,
                "sealed anew what an earlier version had stored"
            );
        }
    }
    Ok(ring.clone())
}

/// What was sealed and signed anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    sealed: u64,
    signed: u64,
}

async fn upgrade(tx: &Tx, ring: &KeyRing) -> Result<Counts> {
    let check = installation::lock(tx).await?.key_check;
    let mut counts = Counts::default();
    if check.as_deref().is_some_and(|check| !installation::key_matches(ring, check)) {
        return Err(installation::other_key(ring));
    }
    // Another process may have been faster.
    if check.as_deref().and_then(key_id_of).is_some() {
        return Ok(counts);
    }
    let key = ring.newest();
    if !has_new_values(tx).await? {
        let opened = Upgrade { tx, ring, key: &key };
        let (secrets, grants) = (opened.secrets().await?, opened.grants().await?);
        // Without a check, only the values tell whether this is the right key.
        if check.is_none() && secrets.0 + grants.0 == 0 && secrets.1 + grants.1 > 0 {
            return Err(installation::other_key(ring));
        }
        // A person who is consenting at this moment begins again.
        oauth_authorization::Entity::delete_many().exec(tx.conn()).await?;
        let signed = if check.is_some() { opened.tokens().await? } else { 0 };
        counts = Counts { sealed: secrets.0 + grants.0, signed };
    }
    audit::ends::sign_first(tx, &key).await?;
    installation::use_key(tx, &key).await?;
    Ok(counts)
}

/// Whether this version has sealed or signed anything in the database.
async fn has_new_values(tx: &Tx) -> Result<bool> {
    let signed = api_token::Entity::find().filter(api_token::Column::Signature.is_not_null());
    if signed.one(tx.conn()).await?.is_some() {
        return Ok(true);
    }
    let generation = instance::Entity::find().filter(instance::Column::SecretsGeneration.gt(0));
    Ok(generation.one(tx.conn()).await?.is_some())
}

/// Seals and signs everything in one transaction.
struct Upgrade<'a> {
    tx: &'a Tx,
    ring: &'a KeyRing,
    key: &'a SecretKey,
}

impl Upgrade<'_> {
    /// Returns how many were sealed anew, and how many did not open.
    async fn secrets(&self) -> Result<(u64, u64)> {
        let (mut after, mut sealed, mut closed) = (Uuid::nil(), 0, 0);
        loop {
            let rows = instance::Entity::find()
                .filter(instance::Column::Id.gt(after))
                .filter(instance::Column::Secrets.is_not_null())
                .order_by_asc(instance::Column::Id)
                .limit(PAGE)
                .all(self.tx.conn())
                .await?;
            let Some(last) = rows.last() else { return Ok((sealed, closed)) };
            after = last.id;
            for row in &rows {
                let old = row.secrets.as_deref().unwrap_or_default();
                let Some(plain) = self.ring.open_first_version(&first_version::secrets(row.id), old) else {
                    warn!(instance.id = %row.id, "the stored credential does not open; it has to be entered again");
                    closed += 1;
                    continue;
                };
                let generation = row.secrets_generation + 1;
                let value = self.key.seal(&Owner::of(row).secrets(generation), &plain);
                instance::Entity::update_many()
                    .col_expr(instance::Column::Secrets, Expr::value(value))
                    .col_expr(instance::Column::SecretsGeneration, Expr::value(generation))
                    .filter(instance::Column::Id.eq(row.id))
                    .exec(self.tx.conn())
                    .await?;
                sealed += 1;
            }
        }
    }

    /// Returns how many were sealed anew, and how many did not open.
    async fn grants(&self) -> Result<(u64, u64)> {
        let (mut after, mut sealed, mut closed) = (Uuid::nil(), 0, 0);
        loop {
            let rows = oauth_grant::Entity::find()
                .filter(oauth_grant::Column::InstanceId.gt(after))
                .order_by_asc(oauth_grant::Column::InstanceId)
                .limit(PAGE)
                .all(self.tx.conn())
                .await?;
            let Some(last) = rows.last() else { return Ok((sealed, closed)) };
            after = last.instance_id;
            for row in &rows {
                let instance = instance::Entity::find_by_id(row.instance_id).one(self.tx.conn()).await?;
                let plain = self.ring.open_first_version(&first_version::grant(row), &row.sealed);
                let (Some(plain), Some(instance)) = (plain, &instance) else {
                    warn!(instance.id = %row.instance_id, "the stored grant does not open; a person has to consent again");
                    closed += 1;
                    continue;
                };
                let value = self.key.seal(&Owner::of(instance).grant(row.generation), &plain);
                oauth_grant::Entity::update_many()
                    .col_expr(oauth_grant::Column::Sealed, Expr::value(value))
                    .filter(oauth_grant::Column::InstanceId.eq(row.instance_id))
                    .exec(self.tx.conn())
                    .await?;
                sealed += 1;
            }
        }
    }

    async fn tokens(&self) -> Result<u64> {
        let rows = api_token::Entity::find().all(self.tx.conn()).await?;
        for row in &rows {
            auth::tokens::store_signature(self.tx, self.key, row).await?;
        }
        Ok(rows.len() as u64)
    }
}
