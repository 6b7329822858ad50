//! Rewrites the keys and words of users whose rows have those of an earlier version.
//!
//! A new version of them would make a migration rewrite the whole table. Instead, the workers rewrite it in small
//! transactions. They find what is left by the version in the row, so that an interruption does no harm. Several
//! replicas may do it at the same time. Until it is done, [`super::index::as_of`] says what searches miss.

use std::time::Duration;

use entity::user::{ActiveModel, Column, Entity};
use sea_orm::sea_query::LockType;
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use tokio_util::sync::CancellationToken;
use tracing::info;
use uuid::Uuid;

use super::index::{self, SOURCE, Source};
use super::keys;
use crate::db::{Db, Tx};
use crate::error::Result;

/// How many rows are looked at, and rewritten by one transaction at most.
const BATCH: u64 = 400;
/// The pause between two transactions, which leaves the database to others.
const GAP: Duration = Duration::from_millis(50);

/// Rewrites all rows with keys of an earlier version. Returns how many there were.
pub async fn run(db: &Db, stop: &CancellationToken) -> Result<u64> {
    let (mut after, mut rewritten) = (Uuid::nil(), 0);
    loop {
        let Some(Batch { last, outdated }) = next_batch(db, after).await? else {
            db.write(|tx| async move { index::advance(&tx, None).await }).await?;
            break;
        };
        if outdated {
            rewritten += db.write(|tx| rewrite(tx, after, last)).await?;
        }
        let pause = if outdated { GAP } else { Duration::ZERO };
        if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
            break;
        }
        after = last;
    }
    if rewritten > 0 {
        info!(users = rewritten, "the search keys of users were rewritten");
    }
    Ok(rewritten)
}

/// The users of some consecutive ids.
struct Batch {
    last: Uuid,
    outdated: bool,
}

/// Reads without a lock, because usually nothing is left to rewrite. All rows are read in the order of their ids: no
/// index knows the versions, and a condition on them would let the database read the whole table for each batch.
async fn next_batch(db: &Db, after: Uuid) -> Result<Option<Batch>> {
    let rows: Vec<(Uuid, i32)> = Entity::find()
        .select_only()
        .columns([Column::Id, Column::KeyVersion])
        .filter(Column::Id.gt(after))
        .order_by_asc(Column::Id)
        .limit(BATCH)
        .into_tuple()
        .all(db.read())
        .await?;
    let outdated = rows.iter().any(|(_, version)| *version < keys::VERSION);
    Ok(rows.last().map(|(last, _)| Batch { last: *last, outdated }))
}

async fn rewrite(tx: Tx, after: Uuid, last: Uuid) -> Result<u64> {
    let rows = Entity::find()
        .select_only()
        .columns(SOURCE)
        .filter(Column::KeyVersion.lt(keys::VERSION))
        .filter(Column::Id.gt(after))
        .filter(Column::Id.lte(last))
        .order_by_asc(Column::Id)
        .lock(LockType::Update);
    let rows: Vec<Source> = rows.into_tuple().all(tx.conn()).await?;
    for (id, _, email, ..) in &rows {
        let keys = ActiveModel {
            match_key: Set(email.as_deref().and_then(keys::match_key)),
            key_version: Set(keys::VERSION),
            ..Default::default()
        };
        Entity::update_many().set(keys).filter(Column::Id.eq(*id)).exec(tx.conn()).await?;
    }
    let count = rows.len();
    index::write(tx.conn(), &index::indexed(rows)).await?;
    index::advance(&tx, Some(last)).await?;
    Ok(count.try_into().unwrap_or(u64::MAX))
}
