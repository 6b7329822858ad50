//! Stores the grants of instances. They are sealed like other secrets. Across all processes that share the
//! database, one caller at a time renews a grant.
//!
//! **Renewal.** The caller takes a lease on the row, requests a new grant from the application, and stores it
//! before anybody uses it. Callers that waited get the stored grant. The lease is longer than the longest request,
//! so an expired lease belongs to a process that died, and the next caller takes it over.
//!
//! **Crashes.** A stopping server waits for renewals in progress. If a process is killed between the application's
//! response and the commit, and the application rotates refresh tokens, the grant is lost: a person has to consent
//! again.
//!
//! **Conflicts.** If a person consents during a renewal, the generation of the row changes. The renewal then
//! discards its result.

use std::time::Duration;

use async_trait::async_trait;
use entity::instance;
use entity::oauth_grant::{ActiveModel, Column, Entity, Model};
use integration::grant::{Grant, GrantStore, Renew, StoredGrant};
use integration::source::{ErrorClass, SourceError};
use sea_orm::sea_query::Expr;
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, Condition, EntityTrait, QueryFilter, QuerySelect};
use tracing::{error, warn};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::Instances;
use super::sealed::Owner;
use crate::backoff::Backoff;
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::installation::{self, sealing_key};
use crate::secrets::{KeyRing, SecretKey};

/// The lease of a renewal, in milliseconds. It is longer than [`LONGEST`].
const LEASE_MS: i64 = 180_000;
/// A lease that ends later than this from now was written by a wrong clock. This is more than [`LEASE_MS`], because
/// another process may have written the lease after this one read its clock.
const FURTHEST_MS: i64 = 2 * LEASE_MS;
/// How long the application may take. A little longer than the HTTP client's own limit of two minutes.
const LONGEST: Duration = Duration::from_secs(150);
/// How long a caller waits for another caller's renewal: until its lease ends, and then a little.
const PATIENCE: Duration = Duration::from_secs(200);
/// How often a waiting caller reads the row.
const POLL: Duration = Duration::from_millis(100);
/// The waits between attempts to store a new grant. Until it is stored, it exists in memory only.
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(200), longest: Duration::from_secs(10), jitter: 0.2 };
/// How many times the row is read, once a second, while the database is unavailable.
const READS: u32 = 60;

/// The stored grant of one instance.
pub(super) struct Grants {
    pub instances: Instances,
    /// The instance, and the settings with which the grant is used.
    pub owner: Owner,
}

/// The result of waiting for a lease.
enum Turn {
    /// This caller has the lease, and must renew this grant.
    Ours(Grant),
    /// Another caller has renewed the grant.
    Renewed(StoredGrant),
}

#[async_trait]
impl GrantStore for Grants {
    async fn read(&self) -> Result<Option<StoredGrant>, SourceError> {
        self.row().await?.map(|row| self.open(&row)).transpose()
    }

    async fn renew(&self, seen: i64, renew: &dyn Renew) -> Result<StoredGrant, SourceError> {
        let _counted = self.instances.renewals.token();
        let owner = Uuid::now_v7();
        let Ok(turn) = tokio::time::timeout(PATIENCE, self.turn(owner, seen)).await else {
            let message = "Another renewal of the grant has not finished.";
            return Err(SourceError::new(ErrorClass::Transient, message));
        };
        let old = match turn? {
            Turn::Ours(old) => old,
            Turn::Renewed(stored) => return Ok(stored),
        };
        let renewed = tokio::time::timeout(LONGEST, renew.renew(&old)).await.unwrap_or_else(|_| {
            Err(SourceError::new(ErrorClass::Transient, "The application took too long to renew the grant."))
        });
        match renewed {
            Ok(grant) => self.keep(seen, &old, grant).await,
            Err(refused) => {
                if let Err(error) = self.release(owner).await {
                    warn!(instance.id = %self.owner.instance, error = %error.chain(), "a lease on a grant could not be released; it will expire");
                }
                Err(refused)
            }
        }
    }
}

impl Grants {
    /// Waits until this caller has the lease, or the grant was renewed.
    async fn turn(&self, owner: Uuid, seen: i64) -> Result<Turn, SourceError> {
        loop {
            let row = self.row().await?.ok_or_else(gone)?;
            if row.generation != seen {
                return Ok(Turn::Renewed(self.open(&row)?));
            }
            let now = self.instances.clock.now();
            if row.lease_until > now && row.lease_until <= now + FURTHEST_MS {
                tokio::time::sleep(POLL).await;
            } else {
                match self.claim(owner, seen, now).await {
                    Ok(true) => return Ok(Turn::Ours(self.open(&row)?.grant)),
                    Ok(false) => {}
                    Err(error) if error.is_passing() => tokio::time::sleep(POLL).await,
                    Err(error) => return Err(self.hide(&error)),
                }
            }
        }
    }

    async fn claim(&self, owner: Uuid, seen: i64, now: i64) -> Result<bool> {
        let claim = &Entity::update_many()
            .col_expr(Column::LeaseOwner, Expr::value(owner))
            .col_expr(Column::LeaseUntil, Expr::value(now + LEASE_MS))
            .filter(Column::InstanceId.eq(self.owner.instance))
            .filter(Column::Generation.eq(seen))
            .filter(free(now));
        self.instances.db.write(|tx| async move { Ok(claim.clone().exec(tx.conn()).await?.rows_affected == 1) }).await
    }

    async fn release(&self, owner: Uuid) -> Result<()> {
        let release = &Entity::update_many()
            .col_expr(Column::LeaseOwner, Expr::value(None::<Uuid>))
            .col_expr(Column::LeaseUntil, Expr::value(0_i64))
            .filter(Column::InstanceId.eq(self.owner.instance))
            .filter(Column::LeaseOwner.eq(owner));
        self.instances
            .db
            .write(|tx| async move {
                release.clone().exec(tx.conn()).await?;
                Ok(())
            })
            .await
    }

    /// Replaces generation `seen` by the new grant, even if the lease has expired: these are the newest tokens that
    /// the application issued.
    async fn keep(&self, seen: i64, old: &Grant, grant: Grant) -> Result<StoredGrant, SourceError> {
        for attempt in 1.. {
            match self.try_keep(seen, old, &grant).await {
                Ok(true) => return Ok(StoredGrant { grant, generation: seen + 1 }),
                // A person consented again in the meantime, or the instance was deleted.
                Ok(false) => return self.read().await?.ok_or_else(gone),
                Err(error) if error.is_passing() => {
                    warn!(instance.id = %self.owner.instance, error = %error.chain(), "a renewed grant could not be stored; trying again");
                    tokio::time::sleep(BACKOFF.wait(attempt, fastrand::f64())).await;
                }
                Err(error) => return Err(self.hide(&error)),
            }
        }
        unreachable!("the loop ends by returning")
    }

    async fn try_keep(&self, seen: i64, old: &Grant, grant: &Grant) -> Result<bool> {
        let store = &Entity::update_many()
            .col_expr(Column::Generation, Expr::value(seen + 1))
            .col_expr(Column::LeaseOwner, Expr::value(None::<Uuid>))
            .col_expr(Column::LeaseUntil, Expr::value(0_i64))
            .filter(Column::InstanceId.eq(self.owner.instance))
            .filter(Column::Generation.eq(seen));
        let forecast = &(grant.ends_at() != old.ends_at()).then(|| {
            instance::Entity::update_many()
                .col_expr(instance::Column::CredentialExpiresAt, Expr::value(grant.ends_at()))
                .filter(instance::Column::Id.eq(self.owner.instance))
        });
        self.instances
            .db
            .write(|tx| async move {
                // Locks the instance before its grant, as everywhere else, to avoid deadlocks. The commit counts the
                // change in the row of the installation, which two who share it could not both do.
                if forecast.is_some() {
                    super::lock(&tx, self.owner.instance).await?;
                    installation::lock(&tx).await?;
                }
                let sealed = seal(&*sealing_key(&tx, &self.instances.keys).await?, &self.owner, seen + 1, grant)?;
                let store = store.clone().col_expr(Column::Sealed, Expr::value(sealed));
                let stored = store.exec(tx.conn()).await?.rows_affected == 1;
                if let Some(forecast) = forecast
                    && stored
                {
                    forecast.clone().exec(tx.conn()).await?;
                    tx.note_unlogged();
                }
                Ok(stored)
            })
            .await
    }

    async fn row(&self) -> Result<Option<Model>, SourceError> {
        for read in 1.. {
            let found = Entity::find_by_id(self.owner.instance).one(self.instances.db.read()).await;
            match found.map_err(Error::from) {
                Ok(row) => return Ok(row),
                Err(error) if error.is_passing() && read < READS => tokio::time::sleep(Duration::from_secs(1)).await,
                Err(error) => return Err(self.hide(&error)),
            }
        }
        unreachable!("the loop ends by returning")
    }

    fn open(&self, row: &Model) -> Result<StoredGrant, SourceError> {
        let opened = open(&self.instances.keys, &self.owner, row);
        let grant = opened.map_err(|error| self.hide(&error))?;
        Ok(StoredGrant { grant, generation: row.generation })
    }

    fn hide(&self, error: &Error) -> SourceError {
        error!(instance.id = %self.owner.instance, error = %error.chain(), "a stored grant could not be used");
        ours("This server could not use the stored grant; its log has the details.")
    }
}

/// No lease is valid. A lease too far in the future was written by a wrong clock and does not count.
fn free(now: i64) -> Condition {
    Condition::any().add(Column::LeaseUntil.lte(now)).add(Column::LeaseUntil.gt(now + FURTHEST_MS))
}

fn ours(message: &str) -> SourceError {
    SourceError::new(ErrorClass::Internal, message)
}

fn gone() -> SourceError {
    let message = "There is no grant any more: a person has to consent again.";
    SourceError { definite: true, ..SourceError::new(ErrorClass::Token, message) }
}

fn seal(key: &SecretKey, owner: &Owner, generation: i64, grant: &Grant) -> Result<Vec<u8>> {
    Ok(key.seal(&owner.grant(generation), &Zeroizing::new(serde_json::to_vec(grant)?)))
}

/// Decrypts the grant of a row.
fn open(keys: &KeyRing, owner: &Owner, row: &Model) -> Result<Grant> {
    let plain = keys
        .open(&owner.grant(row.generation), &row.sealed)
        .map_err(|error| Error::internal("opening the grant of an instance", error))?;
    Ok(serde_json::from_slice(&plain)?)
}

/// Stores the grant of a new consent, and replaces an earlier one.
pub async fn replace(tx: &Tx, key: &SecretKey, owner: &Owner, grant: &Grant) -> Result<()> {
    let before = Entity::find_by_id(owner.instance).lock_exclusive().one(tx.conn()).await?;
    // Random, so that it differs from that of a destroyed grant, whose renewal may still be in progress.
    let generation = before.as_ref().map_or_else(|| fastrand::i64(1..1 << 40), |row| row.generation + 1);
    let row = ActiveModel {
        instance_id: Set(owner.instance),
        sealed: Set(seal(key, owner, generation, grant)?),
        generation: Set(generation),
        lease_owner: Set(None),
        lease_until: Set(0),
    };
    if before.is_some() {
        row.update(tx.conn()).await?;
    } else {
        row.insert(tx.conn()).await?;
    }
    Ok(())
}

/// Deletes the grant, if there is one.
pub(super) async fn destroy(tx: &Tx, id: Uuid) -> Result<()> {
    Entity::delete_by_id(id).exec(tx.conn()).await?;
    Ok(())
}

/// Ends every lease. Only for a process that is alone with the database.
pub async fn expire_leases(tx: &Tx) -> Result<()> {
    Entity::update_many()
        .col_expr(Column::LeaseUntil, Expr::value(0_i64))
        .filter(Column::LeaseUntil.gt(0))
        .exec(tx.conn())
        .await?;
    Ok(())
}
