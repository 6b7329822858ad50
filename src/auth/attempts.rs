//! How often somebody may try to sign in to an account.
//!
//! Attempts are counted in the database before the password is looked at, so that neither several at once nor a crash
//! gives more of them. After a few, each further one has to wait twice as long as the one before, but never longer than
//! a quarter of an hour: nobody can lock somebody else out for good. Accounts that do not exist are counted as well.

use entity::sign_in_attempt::{ActiveModel, Column, Entity};
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QuerySelect};

use crate::clock::DAY_MS;
use crate::db::Tx;
use crate::error::Result;

/// How many attempts need not wait.
const FREE: i64 = 5;
const FIRST_WAIT_MS: i64 = 2_000;
const LONGEST_WAIT_MS: i64 = 15 * 60_000;

/// Counts an attempt. Returns how long to wait, in milliseconds, if it comes too early; it is not counted then.
pub async fn count(tx: &Tx, account: &[u8], now: i64) -> Result<Option<i64>> {
    let new = [ActiveModel { account: Set(account.to_vec()), count: Set(0), last_at: Set(now) }];
    let insert = Entity::insert_many(new).on_conflict(OnConflict::column(Column::Account).do_nothing().to_owned());
    if insert.exec_without_returning(tx.conn()).await? > 0 {
        Entity::delete_many().filter(Column::LastAt.lt(now - DAY_MS)).exec(tx.conn()).await?;
    }
    let row = Entity::find_by_id(account.to_vec()).lock_exclusive().one(tx.conn()).await?;
    let (count, last_at) = row.map_or((0, now), |row| (row.count, row.last_at));
    let wait = (last_at + wait_after(count) - now).min(LONGEST_WAIT_MS);
    if wait > 0 {
        return Ok(Some(wait));
    }
    Entity::update_many()
        .col_expr(Column::Count, Expr::value(count + 1))
        .col_expr(Column::LastAt, Expr::value(now))
        .filter(Column::Account.eq(account))
        .exec(tx.conn())
        .await?;
    Ok(None)
}

/// Forgets the attempts on an account, because one succeeded.
pub async fn forget(tx: &Tx, account: &[u8]) -> Result<()> {
    Entity::delete_by_id(account.to_vec()).exec(tx.conn()).await?;
    Ok(())
}

/// How long to wait after the last of so many attempts, in milliseconds.
fn wait_after(count: i64) -> i64 {
    match u32::try_from(count - FREE) {
        Ok(doublings) => FIRST_WAIT_MS.saturating_mul(1 << doublings.min(20)).min(LONGEST_WAIT_MS),
        Err(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_a_limit() {
        let waits: Vec<i64> = (0..8).map(wait_after).collect();
        assert_eq!(waits, [0, 0, 0, 0, 0, 2_000, 4_000, 8_000]);
        assert_eq!(wait_after(1_000_000), LONGEST_WAIT_MS);
    }
}
