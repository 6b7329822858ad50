//! Where the grants of instances are kept: sealed like their other secrets, and renewed by
//! one caller at a time, over all processes that share the database.
//!
//! **A renewal** claims the row by a lease, asks the application, and stores the new grant
//! before anybody is answered; whoever waited for it gets what was stored. The lease lasts
//! longer than the longest call, so a lease that ran out was left by a process that died,
//! and the next one takes it over.
//!
//! **Cut in the middle.** A stopping server waits for the renewals that it has begun. A
//! process that is killed between the application's answer and the commit loses the grant, if
//! the application gives each refresh token out once; a person then has to consent again.
//!
//! **A renewal and a new consent** that meet: the generation decides, and the consent wins.

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

use super::Instances;
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::secrets::SecretKey;

/// How long a renewal may hold the row, in milliseconds: longer than [`LONGEST`].
const LEASE_MS: i64 = 180_000;
/// What lasts longer was written by a clock that was wrong. Not just [`LEASE_MS`]: who claimed first may have
/// looked at the clock last.
const FURTHEST_MS: i64 = 2 * LEASE_MS;
/// How long the application may take, a little over the client's own limit of two minutes.
const LONGEST: Duration = Duration::from_secs(150);
/// How long a caller waits for somebody else's renewal: a lease, and the renewal after it.
const PATIENCE: Duration = Duration::from_secs(200);
/// How often somebody who waits looks.
const POLL: Duration = Duration::from_millis(100);
/// How long to wait before a new grant that could not be stored is stored again, at first and
/// at most. It exists nowhere else.
const RETRY: Duration = Duration::from_millis(200);
const RETRY_AT_MOST: Duration = Duration::from_secs(10);
/// How often a row is asked for while the database cannot be used, a second apart.
const READS: u32 = 60;

/// The stored grant of one instance.
pub(super) struct Grants {
    pub instances: Instances,
    pub id: Uuid,
}

/// What somebody who wants to renew finds.
enum Turn {
    /// The grant to renew; the row is ours.
    Ours(Grant),
    /// Somebody was faster.
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
            let message = "Another renewal of the grant has not come to its end.";
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
                    warn!(instance.id = %self.id, error = %error.chain(), "a lease on a grant could not be given back; it runs out");
                }
                Err(refused)
            }
        }
    }
}

impl Grants {
    /// Waits until the row is ours, or renewed.
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
            .filter(Column::InstanceId.eq(self.id))
            .filter(Column::Generation.eq(seen))
            .filter(free(now));
        self.instances.db.write(|tx| async move { Ok(claim.clone().exec(tx.conn()).await?.rows_affected == 1) }).await
    }

    async fn release(&self, owner: Uuid) -> Result<()> {
        let release = &Entity::update_many()
            .col_expr(Column::LeaseOwner, Expr::value(None::<Uuid>))
            .col_expr(Column::LeaseUntil, Expr::value(0_i64))
            .filter(Column::InstanceId.eq(self.id))
            .filter(Column::LeaseOwner.eq(owner));
        self.instances
            .db
            .write(|tx| async move {
                release.clone().exec(tx.conn()).await?;
                Ok(())
            })
            .await
    }

    /// Stores a new grant in place of generation `seen`, whether or not the lease still
    /// holds: of the tokens that the application gave out, these are the newest.
    async fn keep(&self, seen: i64, old: &Grant, grant: Grant) -> Result<StoredGrant, SourceError> {
        let mut wait = RETRY;
        loop {
            match self.try_keep(seen, old, &grant).await {
                Ok(true) => return Ok(StoredGrant { grant, generation: seen + 1 }),
                // A person has consented again meanwhile, or the instance was deleted.
                Ok(false) => return self.read().await?.ok_or_else(gone),
                Err(error) if error.is_passing() => {
                    warn!(instance.id = %self.id, error = %error.chain(), "a renewed grant could not be stored; trying again");
                    tokio::time::sleep(wait).await;
                    wait = (2 * wait).min(RETRY_AT_MOST);
                }
                Err(error) => return Err(self.hide(&error)),
            }
        }
    }

    async fn try_keep(&self, seen: i64, old: &Grant, grant: &Grant) -> Result<bool> {
        let store = &Entity::update_many()
            .col_expr(Column::Sealed, Expr::value(seal(&self.instances.keys, self.id, grant)?))
            .col_expr(Column::Generation, Expr::value(seen + 1))
            .col_expr(Column::LeaseOwner, Expr::value(None::<Uuid>))
            .col_expr(Column::LeaseUntil, Expr::value(0_i64))
            .filter(Column::InstanceId.eq(self.id))
            .filter(Column::Generation.eq(seen));
        let forecast = &(grant.ends_at() != old.ends_at()).then(|| {
            instance::Entity::update_many()
                .col_expr(instance::Column::CredentialExpiresAt, Expr::value(grant.ends_at()))
                .filter(instance::Column::Id.eq(self.id))
        });
        self.instances
            .db
            .write(|tx| async move {
                // The instance before its grant, as everywhere.
                if forecast.is_some() {
                    super::lock(&tx, self.id).await?;
                }
                let stored = store.clone().exec(tx.conn()).await?.rows_affected == 1;
                if let Some(forecast) = forecast
                    && stored
                {
                    forecast.clone().exec(tx.conn()).await?;
                }
                Ok(stored)
            })
            .await
    }

    async fn row(&self) -> Result<Option<Model>, SourceError> {
        for read in 1.. {
            let found = Entity::find_by_id(self.id).one(self.instances.db.read()).await;
            match found.map_err(Error::from) {
                Ok(row) => return Ok(row),
                Err(error) if error.is_passing() && read < READS => tokio::time::sleep(Duration::from_secs(1)).await,
                Err(error) => return Err(self.hide(&error)),
            }
        }
        unreachable!("the loop ends by returning")
    }

    fn open(&self, row: &Model) -> Result<StoredGrant, SourceError> {
        let grant = open(&self.instances.keys, row).map_err(|error| self.hide(&error))?;
        Ok(StoredGrant { grant, generation: row.generation })
    }

    fn hide(&self, error: &Error) -> SourceError {
        error!(instance.id = %self.id, error = %error.chain(), "a stored grant could not be used");
        ours("This server could not use the stored grant; its log has the details.")
    }
}

/// Nobody renews the grant: no lease holds, and one that lasts longer than any was written
/// by a clock that was wrong.
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

pub(super) fn owner(id: Uuid) -> String {
    format!("instance.grant:{id}")
}

fn seal(keys: &SecretKey, id: Uuid, grant: &Grant) -> Result<Vec<u8>> {
    Ok(keys.seal(&owner(id), &serde_json::to_vec(grant)?))
}

/// The tokens of a row.
pub(super) fn open(keys: &SecretKey, row: &Model) -> Result<Grant> {
    let plain = keys
        .open(&owner(row.instance_id), &row.sealed)
        .map_err(|error| Error::internal("the grant of an instance", error))?;
    Ok(serde_json::from_slice(&plain)?)
}

/// Stores what a person has consented to, in place of what was there.
pub async fn replace(tx: &Tx, keys: &SecretKey, id: Uuid, grant: &Grant) -> Result<()> {
    let before = Entity::find_by_id(id).lock_exclusive().one(tx.conn()).await?;
    let row = ActiveModel {
        instance_id: Set(id),
        sealed: Set(seal(keys, id, grant)?),
        // Never one that a grant destroyed before may have had: a renewal of that one may still be under way.
        generation: Set(before.as_ref().map_or_else(|| fastrand::i64(1..1 << 40), |row| row.generation + 1)),
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

/// Destroys the grant, if there is one.
pub(super) async fn destroy(tx: &Tx, id: Uuid) -> Result<()> {
    Entity::delete_by_id(id).exec(tx.conn()).await?;
    Ok(())
}

/// Lets every lease run out now. Only for a process that knows that it is alone with the database.
pub async fn expire_leases(tx: &Tx) -> Result<()> {
    Entity::update_many()
        .col_expr(Column::LeaseUntil, Expr::value(0_i64))
        .filter(Column::LeaseUntil.gt(0))
        .exec(tx.conn())
        .await?;
    Ok(())
}
