//! Retention of runs and of deleted instances.

use entity::instance::{self, Status};
use entity::{event, posture_day, run};
use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use crate::db::Tx;
use crate::error::Result;

/// Deletes up to `limit` runs that were queued before the time of the id `before`. Returns how many
/// were deleted. Runs in progress and the last run of each instance are kept.
pub async fn runs(tx: &Tx, before: Uuid, limit: u64) -> Result<u64> {
    let own = |column| Expr::col((instance::Entity, column)).equals((run::Entity, run::Column::Id));
    let mut pointed_at = Query::select();
    pointed_at
        .expr(Expr::value(1))
        .from(instance::Entity)
        .and_where(Expr::col((instance::Entity, instance::Column::Id)).equals((run::Entity, run::Column::InstanceId)))
        .and_where(own(instance::Column::LastRunId).or(own(instance::Column::CurrentRunId)));
    let past = run::Entity::find()
        .select_only()
        .column(run::Column::Id)
        .filter(run::Column::Id.lt(before))
        .filter(run::Column::Outcome.is_not_null())
        .filter(Expr::exists(pointed_at).not())
        .order_by_asc(run::Column::Id)
        .limit(limit);
    let past: Vec<Uuid> = tx.hold_free(past).await?;
    if past.is_empty() {
        return Ok(0);
    }
    tx.note_unlogged();
    Ok(run::Entity::delete_many().filter(run::Column::Id.is_in(past)).exec(tx.conn()).await?.rows_affected)
}

/// Deletes up to `limit` rows of instances that were deleted before `before` (Unix milliseconds) and
/// have nothing left but their last run. Returns how many were deleted. An instance is kept as long
/// as the log has an event of it.
pub async fn tombstones(tx: &Tx, before: i64, limit: u64) -> Result<u64> {
    let mut other_runs = Query::select();
    other_runs
        .expr(Expr::value(1))
        .from(run::Entity)
        .and_where(Expr::col((run::Entity, run::Column::InstanceId)).equals((instance::Entity, instance::Column::Id)))
        .and_where(
            Expr::col((run::Entity, run::Column::Id)).not_equals((instance::Entity, instance::Column::LastRunId)),
        );
    let mut events = Query::select();
    events.expr(Expr::value(1)).from(event::Entity).and_where(
        Expr::col((event::Entity, event::Column::InstanceId)).equals((instance::Entity, instance::Column::Id)),
    );
    let past = instance::Entity::find()
        .select_only()
        .column(instance::Column::Id)
        .filter(instance::Column::Status.eq(Status::Deleted))
        // A deleted instance never changes, so this is the time of its deletion.
        .filter(instance::Column::UpdatedAt.lt(before))
        .filter(Expr::exists(other_runs).not())
        .filter(Expr::exists(events).not())
        .limit(limit);
    let past: Vec<Uuid> = tx.hold_free(past).await?;
    if past.is_empty() {
        return Ok(0);
    }
    tx.note_unlogged();
    run::Entity::delete_many().filter(run::Column::InstanceId.is_in(past.iter().copied())).exec(tx.conn()).await?;
    let days = posture_day::Column::InstanceId.is_in(past.iter().copied());
    posture_day::Entity::delete_many().filter(days).exec(tx.conn()).await?;
    Ok(instance::Entity::delete_many().filter(instance::Column::Id.is_in(past)).exec(tx.conn()).await?.rows_affected)
}
