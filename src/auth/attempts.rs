//! How often somebody may try to sign in to an account.
//!
//! Attempts are counted in the database before the password is looked at, so that neither several at once nor a crash
//! gives more of them. After a few, each further one has to wait twice as long as the one before, up to a limit.
//! Accounts that do not exist are counted as well.
//!
//! **Nobody keeps a member out.** A browser in which the member has signed in before has a count of its own. The attempts
//! of strangers are counted for each place on the network, and wait for a minute at most. All strangers of an account
//! also share one count, so that many places do not get many more guesses; it begins later, its waits are shorter still,
//! and the first attempt of a place need not wait for it.

use std::net::IpAddr;

use entity::sign_in_attempt::{ActiveModel, Column, Entity};
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QuerySelect, QueryTrait};
use uuid::Uuid;

use super::place;
use crate::clock::DAY_MS;
use crate::db::Tx;
use crate::error::Result;
use crate::secrets;

const FIRST_WAIT_MS: i64 = 2_000;
/// After this time, attempts are forgotten.
const KEPT_MS: i64 = DAY_MS;

/// How often something may be tried.
#[derive(Clone, Copy)]
struct Limit {
    /// How many attempts need not wait.
    free: i64,
    longest_wait_ms: i64,
}

/// For who has signed in before.
const KNOWN: Limit = Limit { free: 5, longest_wait_ms: 15 * 60_000 };
const PLACE: Limit = Limit { free: 5, longest_wait_ms: 60_000 };
const ACCOUNT: Limit = Limit { free: 100, longest_wait_ms: 30_000 };

/// What an attempt is counted for.
pub(super) struct Counters {
    own: Counter,
    /// What all strangers share.
    shared: Option<Counter>,
}

struct Counter {
    key: Vec<u8>,
    limit: Limit,
}

impl Counters {
    /// An attempt in a browser that knows the account.
    pub(super) fn of_browser(browser: &str, email: &str) -> Self {
        Self { own: Counter::new(&format!("browser {browser}\n{email}"), KNOWN), shared: None }
    }

    /// An attempt of a stranger.
    pub(super) fn of_stranger(address: Option<IpAddr>, email: &str) -> Self {
        let place = address.map(place).map(|place| place.to_string()).unwrap_or_default();
        Self { own: Counter::new(&format!("place {place}\n{email}"), PLACE), shared: Some(Counter::of_account(email)) }
    }

    /// An attempt to change the password, of a member who is signed in.
    pub(super) fn of_member(id: Uuid) -> Self {
        Self { own: Counter::new(&format!("member {id}"), KNOWN), shared: None }
    }
}

impl Counter {
    fn new(of: &str, limit: Limit) -> Self {
        Self { key: secrets::hash(of), limit }
    }

    fn of_account(email: &str) -> Self {
        Self::new(&format!("account\n{email}"), ACCOUNT)
    }

    /// How many attempts there were, and how long to wait now. The row is locked until the transaction ends.
    async fn read(&self, tx: &Tx, now: i64) -> Result<(i64, i64)> {
        let new = [ActiveModel { account: Set(self.key.clone()), count: Set(0), last_at: Set(now) }];
        let insert = Entity::insert_many(new).on_conflict(OnConflict::column(Column::Account).do_nothing().to_owned());
        insert.exec_without_returning(tx.conn()).await?;
        let row = Entity::find_by_id(self.key.clone()).lock_exclusive().one(tx.conn()).await?;
        // The clock may have been ahead.
        let (count, last_at) = row.map_or((0, now), |row| (row.count, row.last_at.min(now)));
        let count = if last_at < now - KEPT_MS { 0 } else { count };
        Ok((count, last_at + self.limit.wait_after(count) - now))
    }

    async fn set(&self, tx: &Tx, count: i64, now: i64) -> Result<()> {
        Entity::update_many()
            .col_expr(Column::Count, Expr::value(count))
            .col_expr(Column::LastAt, Expr::value(now))
            .filter(Column::Account.eq(self.key.clone()))
            .exec(tx.conn())
            .await?;
        Ok(())
    }
}

/// Counts an attempt. Returns how long to wait, in milliseconds, if it comes too early; it is not counted then.
pub(super) async fn count(tx: &Tx, counters: &Counters, now: i64) -> Result<Option<i64>> {
    // All transactions lock the rows in this order.
    let (count, mut wait) = counters.own.read(tx, now).await?;
    let mut shared_count = 0;
    if let Some(shared) = &counters.shared {
        let (all, shared_wait) = shared.read(tx, now).await?;
        shared_count = all;
        wait = if count == 0 { wait } else { wait.max(shared_wait) };
    }
    if wait > 0 {
        return Ok(Some(wait));
    }
    counters.own.set(tx, count + 1, now).await?;
    if let Some(shared) = &counters.shared {
        shared.set(tx, shared_count + 1, now).await?;
    }
    Ok(None)
}

/// Takes back an attempt that has succeeded. The failures of strangers still count, so that they do not notice when
/// somebody signs in, and thereby that the account exists.
pub(super) async fn succeed(tx: &Tx, counters: &Counters) -> Result<()> {
    // Elsewhere in this file, its methods are taken for those of numbers.
    use sea_orm::ExprTrait;
    let Some(shared) = &counters.shared else {
        Entity::delete_by_id(counters.own.key.clone()).exec(tx.conn()).await?;
        return Ok(());
    };
    for counter in [&counters.own, shared] {
        Entity::update_many()
            .col_expr(Column::Count, Expr::col(Column::Count).sub(1))
            .filter(Column::Account.eq(counter.key.clone()))
            .filter(Column::Count.gt(0))
            .exec(tx.conn())
            .await?;
    }
    Ok(())
}

/// Removes what counts no longer, some rows at a time. Returns how many those were.
pub async fn prune(tx: &Tx, now: i64, limit: u64) -> Result<u64> {
    let old = Entity::find().select_only().column(Column::Account).filter(Column::LastAt.lt(now - KEPT_MS));
    let old = Column::Account.in_subquery(old.limit(limit).into_query());
    Ok(Entity::delete_many().filter(old).exec(tx.conn()).await?.rows_affected)
}

impl Limit {
    /// How long to wait after the last of so many attempts, in milliseconds.
    fn wait_after(self, count: i64) -> i64 {
        match u32::try_from(count - self.free) {
            Ok(doublings) => FIRST_WAIT_MS.saturating_mul(1 << doublings.min(20)).min(self.longest_wait_ms),
            Err(_) => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_a_limit() {
        let waits: Vec<i64> = (0..8).map(|count| KNOWN.wait_after(count)).collect();
        assert_eq!(waits, [0, 0, 0, 0, 0, 2_000, 4_000, 8_000]);
        for limit in [KNOWN, PLACE, ACCOUNT] {
            assert_eq!(limit.wait_after(1_000_000), limit.longest_wait_ms);
        }
    }
}
