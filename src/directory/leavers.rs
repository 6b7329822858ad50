//! The users of an instance whom its last run has not seen: those whom the run would remove if the removal guard let it.

use std::collections::HashMap;

use entity::user::{Column, Entity};
use entity::{instance, run};
use sea_orm::sea_query::{Expr, ExprTrait, Query, SimpleExpr};
use sea_orm::{ConnectionTrait, Order, QueryFilter, QuerySelect, QueryTrait, Select};
use uuid::Uuid;

use super::reported::{Reported, of_instance, shown};
use super::users::Filter;
use crate::db::{self, Columns, Reader, Total, keyset};
use crate::error::Result;

fn select(instance: SimpleExpr) -> Select<Entity> {
    let mut number = Query::select();
    number.column((run::Entity, run::Column::Number)).from(run::Entity).and_where(
        Expr::col((run::Entity, run::Column::Id)).eq(of_instance(instance::Column::LastRunId, instance.clone())),
    );
    let number = SimpleExpr::SubQuery(None, Box::new(number.into()));
    Filter::default().select_of(instance).filter(Expr::col((Entity, Column::Generation)).lt(number))
}

/// A page for each of several instances, in the order in which the users were first seen.
pub async fn pages(
    reader: &Reader,
    instances: &[Uuid],
    columns: Columns,
    after: Option<Uuid>,
    limit: u64,
) -> Result<HashMap<Uuid, Vec<Reported>>> {
    let backend = reader.get_database_backend();
    let pages = instances.iter().map(|id| {
        let own = select(Expr::value(*id)).filter(Expr::col((Entity, Column::Id)).gt(after.unwrap_or_default()));
        let own = keyset::of_parent(own, (Column::InstanceId, *id), Column::Id, Order::Asc, backend);
        shown(own.limit(limit), columns).into_query()
    });
    let mut found: HashMap<Uuid, Vec<Reported>> =
        keyset::pages(reader, pages.collect(), columns, |user: &Reported| user.instance_id).await?;
    for users in found.values_mut() {
        users.sort_by_key(|user| user.id);
    }
    Ok(found)
}

/// How many there are in each of several instances.
pub async fn totals(reader: &Reader, instances: &[Uuid]) -> Result<HashMap<Uuid, Total>> {
    db::totals(reader, instances, Column::InstanceId, select).await
}
