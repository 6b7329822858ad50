//! Removing the users that left reporting, in batches, until none remains.

use entity::instance::Entity;
use sea_orm::EntityTrait;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::state::{Change, State};
use super::{Instances, lock, record, save};
use crate::directory::users;
use crate::error::Result;
use crate::queue::{self, Claim, worker::Handler};

/// How many users one transaction removes: long enough to be fast, short enough to let others write.
const BATCH: u64 = 2_000;

/// The worker that removes.
pub struct Purge(pub Instances);

impl Handler for Purge {
    async fn handle(&self, claim: Claim, stop: CancellationToken) -> Result<()> {
        let Purge(instances) = self;
        while !stop.is_cancelled() {
            if instances.purge_batch(&claim).await? {
                return Ok(());
            }
            tokio::task::yield_now().await;
        }
        queue::give_back(&instances.db, &claim, instances.clock.now()).await
    }
}

impl Instances {
    /// Removes one batch. True: nothing is left to do.
    async fn purge_batch(&self, claim: &Claim) -> Result<bool> {
        let now = self.clock.now();
        self.db
            .write(|tx| async move {
                if Entity::find_by_id(claim.subject).one(tx.conn()).await?.is_none() {
                    let _gone_either_way = queue::finish(&tx, claim).await?;
                    return Ok(true);
                }
                let before = lock(&tx, claim.subject).await?;
                // Before the removal: whoever lost the claim removes nobody.
                if !queue::renew(tx.conn(), claim, self.clock.now()).await? {
                    return Ok(true);
                }
                let mut model = before.clone();
                let removed = users::remove_batch(tx.conn(), model.id, model.purge_through, BATCH).await?;
                if removed > 0 {
                    model.purged_users += i64::try_from(removed).unwrap_or(0);
                    save(&tx, &model).await?;
                    return Ok(false);
                }
                if !queue::finish(&tx, claim).await? {
                    return Ok(true);
                }
                model.purging = false;
                let steps = State::of(&model).apply(Change::UsersGone, now)?;
                record(&tx, &before, &mut model, steps, None, now).await?;
                info!(instance.id = %model.id, users = model.purged_users, "all users of an instance were removed");
                Ok(true)
            })
            .await
    }
}
