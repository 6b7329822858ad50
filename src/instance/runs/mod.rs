//! The runs of instances: requesting, scheduling, cancelling and reading them.

use entity::instance::Model;
use entity::run;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};
use uuid::Uuid;

use crate::error::Result;

pub mod cancel;
pub mod history;
pub mod queue;
pub mod schedule;

/// The last and the current run of an instance.
pub async fn of<C: ConnectionTrait>(conn: &C, model: &Model) -> Result<(Option<run::Model>, Option<run::Model>)> {
    let ids: Vec<Uuid> = model.last_run_id.into_iter().chain(model.current_run_id).collect();
    if ids.is_empty() {
        return Ok((None, None));
    }
    let mut runs = run::Entity::find().filter(run::Column::Id.is_in(ids)).all(conn).await?;
    let mut take = |id: Option<Uuid>| runs.iter().position(|run| Some(run.id) == id).map(|at| runs.swap_remove(at));
    let last = take(model.last_run_id);
    let current = take(model.current_run_id);
    Ok((last, current))
}
