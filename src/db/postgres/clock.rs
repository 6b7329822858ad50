//! The time of the database, which all replicas share.

use std::sync::Arc;
use std::time::Duration;

use sea_orm::ConnectionTrait;
use tracing::warn;

use super::statement;
use crate::clock::{Clock, SyncedClock};
use crate::db::Db;
use crate::error::{Error, Result};

/// How often the time is read.
const READ_INTERVAL: Duration = Duration::from_secs(10);
/// An answer that took longer is not used.
const PROMPT: Duration = Duration::from_millis(500);

/// The database's clock, read every 10 s and advanced monotonically in between.
pub(in crate::db) async fn follow(db: &Db) -> Result<Clock> {
    let start = now(db).await?;
    let off = (Clock::System.now() - start) / 1000;
    if off.abs() > 60 {
        warn!(
            seconds = off,
            "the clock of this machine differs from the database's; correct it, because ids carry its time"
        );
    }
    let time = Arc::new(SyncedClock::new(start));
    let (db, kept) = (db.clone(), time.clone());
    tokio::spawn(async move {
        while db.stop.run_until_cancelled(tokio::time::sleep(READ_INTERVAL)).await.is_some() {
            let asked = tokio::time::Instant::now();
            let read = now(&db).await;
            // A slow answer says little about the time at which it was given.
            if let Ok(now) = read
                && asked.elapsed() < PROMPT
            {
                let moved = kept.set(now);
                if moved.abs() > 5_000 {
                    warn!(milliseconds = moved, "the database's clock was changed; leases and schedules follow it");
                }
            }
        }
    });
    Ok(Clock::Database(time))
}

/// The database's time when the answer arrived, estimated by half the round trip.
async fn now(db: &Db) -> Result<i64> {
    let asked = tokio::time::Instant::now();
    let sql = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now";
    let row = db.reader.query_one_raw(statement(sql)).await?;
    let then: i64 = row.ok_or_else(|| Error::Internal("a query without a row".into()))?.try_get("", "now")?;
    Ok(then + i64::try_from(asked.elapsed().as_millis() / 2).unwrap_or(0))
}
