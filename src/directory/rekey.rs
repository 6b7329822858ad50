//! Rewrites the keys and words of users whose rows have those of an earlier version.
//!
//! A new version of them would make a migration rewrite the whole table. Instead, the workers rewrite it in small
//! transactions. They find what is left by the version in the row, so that an interruption does no harm. Several
//! replicas may do it at the same time. Until it is done, [`super::index::as_of`] says what searches miss. Whose accounts
//! are follows from their match keys, so the last of these transactions has everything looked at again.

use std::time::Duration;

use entity::user::{ActiveModel, Column, Entity};
use sea_orm::sea_query::{Expr, LockType};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select};
use tokio_util::sync::CancellationToken;
use tracing::info;
use uuid::Uuid;

use super::index::{self, SOURCE, Source};
use super::{follow_up, keys};
use crate::clock::Clock;
use crate::db::{Db, Tx};
use crate::error::Result;

/// How many rows one transaction rewrites at most.
const BATCH: u64 = 400;
/// The pause between two transactions, which leaves the database to others.
const GAP: Duration = Duration::from_millis(50);

/// Rewrites all rows with keys of an earlier version. Returns how many there were.
pub async fn run(db: &Db, clock: &Clock, stop: &CancellationToken) -> Result<u64> {
    let mut rewritten = 0;
    // Looked at without a lock, because usually nothing is left to rewrite.
    while outdated(1).into_tuple::<Uuid>().one(db.read()).await?.is_some() {
        rewritten += db.write(|tx| async move { rewrite(&tx, clock.now()).await }).await?;
        if stop.run_until_cancelled(tokio::time::sleep(GAP)).await.is_none() {
            return Ok(rewritten);
        }
    }
    db.write(|tx| async move { index::advance(&tx, None).await }).await?;
    if rewritten > 0 {
        info!(users = rewritten, "the search keys of users were rewritten");
    }
    Ok(rewritten)
}

/// The ids of the first users with keys of an earlier version. The number is a part of the text, so that databases use
/// the index of these rows.
fn outdated(limit: u64) -> Select<Entity> {
    let is_outdated = Expr::cust(format!(r#""user_account"."key_version" < {}"#, keys::VERSION));
    Entity::find().select_only().column(Column::Id).filter(is_outdated).order_by_asc(Column::Id).limit(limit)
}

async fn rewrite(tx: &Tx, now: i64) -> Result<u64> {
    let rows = outdated(BATCH).select_only().columns(SOURCE).lock(LockType::Update);
    let rows: Vec<Source> = rows.into_tuple().all(tx.conn()).await?;
    let Some((last, ..)) = rows.last() else { return Ok(0) };
    let last = *last;
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
    index::advance(tx, Some(last)).await?;
    if outdated(1).into_tuple::<Uuid>().one(tx.conn()).await?.is_none() {
        follow_up::everything(tx, now).await?;
    }
    Ok(count.try_into().unwrap_or(u64::MAX))
}
