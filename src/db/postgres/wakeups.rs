//! Wake-ups between replicas, by LISTEN and NOTIFY. A transaction with events sends its own, see [`super::commit`].

use std::str::FromStr;
use std::time::Duration;

use sea_orm::ConnectionTrait;
use sea_orm::sqlx;
use sea_orm::sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use tracing::info;

use super::{ACQUIRE, session};
use crate::db::wake::Wake;
use crate::db::{Db, STATEMENT};
use crate::error::Chain;

pub(super) const CHANNEL: &str = "muster";
/// How long wake-ups are collected before they are sent.
const COLLECT: Duration = Duration::from_millis(5);
/// After how long a silent connection is tested.
const CHECK: Duration = Duration::from_secs(10);

/// Sends this process's wake-ups to the other replicas, and receives theirs, until the database is closed.
pub(super) fn exchange(db: &Db, url: &str) {
    tokio::spawn(send(db.clone()));
    let (url, wake, stop) = (url.to_owned(), db.wake.clone(), db.stop.clone());
    tokio::spawn(async move { stop.run_until_cancelled(receive(&url, &wake)).await });
}

async fn send(db: Db) {
    while let Some(topics) = db.stop.run_until_cancelled(db.wake.outgoing()).await {
        let sql = format!("SELECT pg_notify('{CHANNEL}', '{}')", db.wake.message(topics));
        // If it is lost, the others find the news at their next poll.
        if let Err(error) = db.reader.execute_unprepared(&sql).await {
            info!(error = %Chain(&error), "the other replicas could not be woken");
        }
        tokio::time::sleep(COLLECT).await;
    }
}

/// Listens for ever. Messages sent while the connection was down are lost, so after each connection all listeners
/// are woken.
async fn receive(url: &str, wake: &Wake) {
    loop {
        if let Err(error) = listen(url, wake).await {
            info!(error = %Chain(&error), "the connection for wake-ups was lost; connecting again");
        }
        wake.wake_local(u16::MAX);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn listen(url: &str, wake: &Wake) -> Result<(), sqlx::Error> {
    let options = session(PgConnectOptions::from_str(url)?, STATEMENT);
    let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(ACQUIRE).connect_lazy_with(options);
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.listen(CHANNEL).await?;
    wake.wake_local(u16::MAX);
    loop {
        let Ok(received) = tokio::time::timeout(CHECK, listener.try_recv()).await else {
            // Nothing was received: test the connection.
            let asked = tokio::time::timeout(ACQUIRE, sqlx::query("SELECT 1").execute(&mut listener)).await;
            asked.map_err(|_| sqlx::Error::PoolTimedOut)??;
            continue;
        };
        let Some(notification) = received? else { return Ok(()) };
        wake.receive(notification.payload());
    }
}
