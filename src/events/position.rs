//! How far the changes are that clients see of instances, runs and events.

use entity::{event, installation};
use sea_orm::sea_query::{Expr, ExprTrait, Func, Query, SimpleExpr};

use super::latest::Latest;
use crate::db::Db;
use crate::error::{Error, Result};

/// As long as this is the same, so is everything that is stored about instances, ended runs and events. Runs in
/// progress have columns that change without it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// The number of the newest event.
    newest: i64,
    /// How many changes were no events, see [`Tx::note_unlogged`](crate::db::Tx::note_unlogged).
    unlogged: i64,
}

/// Reads the position. Those who ask at the same time share one reading.
pub struct Positions {
    db: Db,
    latest: Latest<Position>,
}

impl Positions {
    pub fn new(db: Db) -> Self {
        Self { db, latest: Latest::default() }
    }

    /// The position as the database has it now. It includes every transaction that was committed before the call, by
    /// any replica.
    pub async fn now(&self) -> Result<Position> {
        self.latest.get(async || read(&self.db).await).await
    }
}

async fn read(db: &Db) -> Result<Position> {
    let newest = Query::select().expr(Func::max(Expr::col(event::Column::Seq))).from(event::Entity).take();
    let newest = SimpleExpr::SubQuery(None, Box::new(newest.into()));
    let position = Query::select()
        .column(installation::Column::UnloggedChanges)
        .expr_as(newest, "newest")
        .from(installation::Entity)
        .and_where(Expr::col(installation::Column::Id).eq(installation::ID))
        .take();
    let found: Option<(i64, Option<i64>)> = db.read().row(position).await?;
    let (unlogged, newest) = found.ok_or_else(|| Error::Internal("the table installation is empty".into()))?;
    Ok(Position { newest: newest.unwrap_or(0), unlogged })
}
