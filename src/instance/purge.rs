//! Removes the rows of deleted users in batches.

use entity::instance::{ActiveModel, Entity, Model};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, EntityTrait, IntoActiveModel};
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::state::Change;
use super::transition::Transition;
use super::{Instances, lock};
use crate::db::Tx;
use crate::directory::delete;
use crate::error::Result;
use crate::queue::{
    self, Claim,
    worker::{Handler, in_parts},
};

/// How many users one transaction removes: long enough to be fast, short enough to let others write.
const BATCH: u64 = 2_000;

/// The worker for purge jobs.
pub struct Purge(pub Instances);

impl Handler for Purge {
    async fn handle(&self, claim: Claim, stop: CancellationToken) -> Result<()> {
        let Purge(instances) = self;
        in_parts((&instances.db, &instances.clock), &claim, &stop, || instances.purge_batch(&claim)).await
    }
}

impl Instances {
    /// Removes one batch. Returns true if nothing is left to remove.
    async fn purge_batch(&self, claim: &Claim) -> Result<bool> {
        let now = self.clock.now();
        self.db
            .write(|tx| async move {
                if Entity::find_by_id(claim.subject).one(tx.conn()).await?.is_none() {
                    let _gone_either_way = queue::finish(&tx, claim).await?;
                    return Ok(true);
                }
                let instance = lock(&tx, claim.subject).await?;
                // Checked before the removal, so that a worker that lost its claim removes nobody.
                if !queue::renew(tx.conn(), claim, self.clock.now()).await? {
                    return Ok(true);
                }
                let removed = delete::remove_batch(tx.conn(), instance.id, instance.purge_through, BATCH).await?;
                if removed > 0 {
                    count(&tx, instance, removed).await?;
                    return Ok(false);
                }
                if !queue::finish(&tx, claim).await? {
                    return Ok(true);
                }
                let mut transition = Transition::of(&tx, instance, None, now).await?;
                transition.apply(Change::UsersRemoved).await?;
                let instance = transition.commit().await?.instance;
                info!(users = instance.purged_users, "all users of an instance were removed");
                Ok(true)
            })
            .await
    }
}

async fn count(tx: &Tx, instance: Model, removed: u64) -> Result<()> {
    let purged_users = instance.purged_users + i64::try_from(removed).unwrap_or(0);
    let row = ActiveModel { purged_users: Set(purged_users), ..instance.into_active_model() };
    row.update(tx.conn()).await?;
    Ok(())
}
