//! Heartbeats of the replicas. The limits of concurrent requests are divided among the replicas that are alive.

use std::time::Duration;

use entity::replica::{ActiveModel, Column, Entity};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter};
use tokio_util::sync::CancellationToken;
use tracing::warn;
use uuid::Uuid;

use crate::clock::Clock;
use crate::db::Db;
use crate::error::Result;

/// How often a replica sends its heartbeat.
const EVERY: Duration = Duration::from_secs(10);
/// After how much silence a replica counts as dead, in milliseconds.
const SILENCE_MS: i64 = 30_000;

/// Calls `share` with the number of live replicas, including this one, until `stop` is cancelled.
pub async fn follow(db: Db, clock: Clock, share: impl Fn(usize) + Send, stop: CancellationToken) {
    let id = Uuid::now_v7();
    while !stop.is_cancelled() {
        match count(&db, id, clock.now()).await {
            Ok(alive) => share(alive),
            Err(error) => warn!(error = %error.chain(), "the replicas could not be counted; trying again"),
        }
        stop.run_until_cancelled(tokio::time::sleep(EVERY)).await;
    }
    let gone = db.write(|tx| async move { Ok(Entity::delete_by_id(id).exec(tx.conn()).await?) }).await;
    if let Err(error) = gone {
        warn!(error = %error.chain(), "this replica could not tell the others that it stops");
    }
}

async fn count(db: &Db, id: Uuid, now: i64) -> Result<usize> {
    db.write(|tx| async move {
        Entity::insert(ActiveModel { id: Set(id), seen_at: Set(now) })
            .on_conflict(OnConflict::column(Column::Id).update_column(Column::SeenAt).to_owned())
            .exec_without_returning(tx.conn())
            .await?;
        Entity::delete_many().filter(Column::SeenAt.lt(now - SILENCE_MS)).exec(tx.conn()).await?;
        let alive = Entity::find().count(tx.conn()).await?;
        Ok(usize::try_from(alive).unwrap_or(usize::MAX))
    })
    .await
}
