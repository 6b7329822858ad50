//! Queues what the changes of accounts mean for people. It is done in the transaction that makes the change, and worked on
//! later, see the noun `people`.

use entity::job::Kind as JobKind;
use entity::people_task::{ActiveModel, Column, Entity, Kind};
use entity::{job, people_source, run};
use sea_orm::sea_query::Query;
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter};
use uuid::Uuid;

use super::evaluations::{self, Changed};
use crate::db::Tx;
use crate::error::Result;
use crate::queue::{self, Priority};

/// How long a task waits that may stand for more.
const LATER_MS: i64 = 60_000;

/// After a run, however it ended: what it has stored stays.
pub async fn after_run(tx: &Tx, run: &run::Model, now: i64) -> Result<()> {
    let Some(at) = run.started_at else { return Ok(()) };
    let task = ActiveModel {
        instance_id: Set(Some(run.instance_id)),
        run_id: Set(Some(run.id)),
        at: Set(at),
        ..of(Kind::Run)
    };
    queue(tx, task, Priority::Usual, now).await
}

/// When an instance is deleted. A people source is none any more.
pub async fn after_deletion(tx: &Tx, instance: Uuid, now: i64) -> Result<()> {
    let deleted = people_source::Entity::delete_by_id(instance).exec(tx.conn()).await?;
    if deleted.rows_affected == 0 {
        return evaluations::request(tx, &[instance].into(), Changed::Accounts, now).await;
    }
    evaluations::request_all(tx, Some(instance), Changed::Everything, now).await?;
    everything(tx, now).await
}

/// When the rows of deleted accounts are removed.
pub async fn after_purge(tx: &Tx, instance: Uuid, now: i64) -> Result<()> {
    let task = ActiveModel { instance_id: Set(Some(instance)), at: Set(now), ..of(Kind::Deleted) };
    queue(tx, task, Priority::Usual, now).await
}

/// When accounts that were removed long ago are deleted. One task that has not begun does for several deletions.
pub async fn after_retention(tx: &Tx, now: i64) -> Result<()> {
    let waiting = job::Entity::find()
        .filter(job::Column::Kind.eq(JobKind::People))
        .filter(job::Column::RunAt.gt(now))
        .filter(job::Column::Subject.in_subquery(
            Query::select().column(Column::Id).from(Entity).and_where(Column::Kind.eq(Kind::Forgotten)).take(),
        ))
        .one(tx.conn())
        .await?;
    if waiting.is_some() {
        return Ok(());
    }
    queue(tx, ActiveModel { at: Set(now), ..of(Kind::Forgotten) }, Priority::Usual, now + LATER_MS).await
}

/// When a setting changes that may change everything.
pub async fn everything(tx: &Tx, now: i64) -> Result<()> {
    // It does what earlier ones have not done yet.
    Entity::delete_many().filter(Column::Kind.eq(Kind::Everything)).exec(tx.conn()).await?;
    queue(tx, ActiveModel { at: Set(now), ..of(Kind::Everything) }, Priority::First, now).await
}

fn of(kind: Kind) -> ActiveModel {
    ActiveModel {
        kind: Set(kind),
        instance_id: Set(None),
        run_id: Set(None),
        at: Set(0),
        phase: Set(0),
        position: Set(None),
        ..Default::default()
    }
}

async fn queue(tx: &Tx, task: ActiveModel, priority: Priority, now: i64) -> Result<()> {
    let id = Uuid::now_v7();
    Entity::insert(ActiveModel { id: Set(id), ..task }).exec_without_returning(tx.conn()).await?;
    queue::enqueue_with(tx, JobKind::People, priority, &[id], now).await
}
